#include <gtest/gtest.h>

#include <map>
#include <string>

#include "rotor/wat.h"
#include "wasm/testing/module.h"

namespace rotor::wasm::text {
namespace {

using namespace test;

Bytes encode(std::string_view text, bool names = true) {
  auto module = wat_to_wasm(text, {.names = names});
  EXPECT_TRUE(module) << render_text_error("text", text, module.error());
  return module ? std::move(*module) : Bytes();
}

std::string print(const Bytes& module, const WatPrintOptions& options = {}) {
  auto text = wasm_to_wat(module, options);
  EXPECT_TRUE(text) << text.error().message;
  return text ? std::move(*text) : std::string();
}

std::string error_of(const Bytes& module) {
  auto text = wasm_to_wat(module);
  return text ? "none" : std::to_string(text.error().offset.value()) + ": " + text.error().message;
}

/// The text of the instructions of a function, each behind a newline and an indentation.
std::string body(std::string_view instructions, std::string_view fields = "") {
  std::string text = print(encode("(module (func " + std::string(instructions) + ")" + std::string(fields) + ")"));
  size_t begin = text.find("(func (;0;) (type 0)") + 20;
  return text.substr(begin, text.find("\n  )") - begin);
}

TEST(Print, AFunctionWithNames) {
  constexpr std::string_view kText = R"((module $m
  (type $t (;0;) (func (param i32) (result i32)))
  (import "env" "log" (func $log (;0;) (type $t) (param $what i32) (result i32)))
  (memory $mem (;0;) 1 2)
  (global $g (;0;) (mut i32) i32.const 1)
  (export "f" (func $f))
  (func $f (;1;) (type $t) (param $x i32) (result i32)
    (local $i i64) (local f32 f32)
    block $out (result i32)
      local.get $x
      br_if $out
      loop (;@2;)
        br 0 (;@2;)
        br $out
      end
      local.get $x
      if (;@2;) (type $t) (param i32) (result i32)
        call $log
      else
        i32.load offset=4 align=1
      end
    end
  )
  (data $d (;0;) (i32.const 0) "a\00\"\\\ff")
)
)";
  EXPECT_EQ(print(encode(kText)), kText);
}

TEST(Print, OptionsLeaveOut) {
  Bytes module = encode("(module $m (@custom \"c\" \"x\") (func $f (local $l i32) local.get $l drop))");
  EXPECT_EQ(print(module, {.names = false, .custom_sections = false}), R"((module
  (type (;0;) (func))
  (func (;0;) (type 0)
    (local i32)
    local.get 0
    drop
  )
)
)");
  EXPECT_TRUE(print(module).contains("(@custom \"c\" (after code) \"x\")"));
}

TEST(Print, Types) {
  constexpr std::string_view kText = R"((module
  (rec
    (type $a (;0;) (sub (struct (field $x (mut i8)) (field (ref null $b) funcref))))
    (type $b (;1;) (sub final $a (struct)))
  )
  (type (;2;) (array (mut (ref any))))
  (type (;3;) (func (param i32 v128) (result (ref $a) exnref)))
  (rec)
  (table (;0;) i64 1 2 (ref func) ref.func 0)
  (memory (;0;) i64 1 2 shared (pagesize 1))
  (tag (;0;) (type 3) (param i32 v128) (result (ref $a) exnref))
  (elem (;0;) declare func 0)
  (elem (;1;) (table 1) (offset global.get 0 i32.const 1 i32.add) (ref null $a) (ref.null $a) (item struct.get $a $x nop))
)
)";
  EXPECT_EQ(print(encode(kText)), kText);
}

TEST(Print, LongFormsBecomeShort) {
  // `sub final` without supertypes, and the long form of funcref.
  Bytes module{0, 'a', 's', 'm', 1, 0, 0, 0, 1, 8, 1, 0x4f, 0, 0x60, 1, 0x63, 0x70, 0};
  EXPECT_EQ(print(module), "(module\n  (type (;0;) (func (param funcref)))\n)\n");
}

TEST(Print, Numbers) {
  EXPECT_EQ(body("f32.const 0x1.8p3 f32.const -0 f64.const 0.1 f32.const nan f64.const -nan:0x4 f32.const -inf drop"),
            "\n    f32.const 12\n    f32.const -0\n    f64.const 0.1\n    f32.const nan\n    f64.const -nan:0x4"
            "\n    f32.const -inf\n    drop");
  EXPECT_EQ(body("i32.const 0xffffffff i64.const 0x8000000000000000 v128.const i8x16 1 2 3 4 5 6 7 8 9 0 0 0 0 0 0 1"),
            "\n    i32.const -1\n    i64.const -9223372036854775808"
            "\n    v128.const i32x4 0x4030201 0x8070605 0x9 0x1000000");
}

TEST(Print, BranchesAndHints) {
  constexpr std::string_view kBody = R"(
    block $l
      block $l
        br 1
        br $l
        br 7
      end
      br_table $l 1
      try_table (;@2;) (catch 0 0) (catch_all_ref $l)
      end
      (@metadata.code.branch_hint "\01")
      br_if $l
    end)";
  // The inner block takes the name; once it has ended, the outer one has it again.
  std::string expected(kBody);
  expected.replace(expected.find("(catch 0 0)"), 11, "(catch 0 $l)");
  EXPECT_EQ(body(kBody), expected);
}

TEST(Print, LegacyExceptions) {
  constexpr std::string_view kBody = R"(
    try $l (result i32)
      try $l (result i32)
        i32.const 1
      delegate $l
    catch 0
      try (;@2;)
      catch_all
        rethrow $l
      end
      i32.const 2
    catch_all
      br $l
    end)";
  EXPECT_EQ(body(kBody, "(tag)"), kBody);
}

TEST(Print, NamesAreMadeUniqueAndLegal) {
  // Functions "a", "a", "b c" and "", and locals "x", "x".
  Bytes module = encode(R"((module (func (@name "a") (local $x i32) (local $y i32)) (func (@name "a") call 0)
    (func (@name "b c") call 1) (func (@name "") call 2 call 3)))");
  module[module.size() - 1] = 'x';
  std::string text = print(module);
  for (std::string_view part :
       {"(func $a (;0;)", "(local $x i32) (local $x#1 (@name \"x\") i32)", "(func $a#1 (@name \"a\") (;1;)",
        "call $a#1", "(func $\"b c\" (;2;)", "(func (@name \"\") (;3;)", "call $\"b c\"", "call 3"})
    EXPECT_TRUE(text.contains(part)) << part << "\n" << text;
  EXPECT_EQ(print(encode(text)), text);
  EXPECT_EQ(encode(text), module);
}

TEST(Print, InnerNamesComeBackAsTheyWere) {
  // Parameters, locals and fields of one name, of none, and of an empty one.
  constexpr std::string_view kText = R"((module
  (type $s (;0;) (struct (field $f i32) (field $f#1 (@name "f") i64) (field (@name "") f32) (field i8)))
  (type (;1;) (func (param i32 i32 i32)))
  (import "a" "b" (func (;0;) (type 1) (param $p i32) (param $p#1 (@name "p") i32) (param i32)))
  (func (;1;) (type 1) (param (@name "") i32) (param $x i32) (param $x#2 (@name "x") i32)
    (local $x#3 (@name "x") f32) (local f64) (local $"y z" f64)
    local.get 0
    local.get $x#2
    drop
    drop
  )
)
)";
  Bytes module = encode(kText);
  EXPECT_EQ(print(module), kText);
  EXPECT_EQ(encode(print(module)), module);
  EXPECT_EQ(print(module, {.names = false}).find('$'), std::string::npos);
}

TEST(Print, ADataCountThatNothingNeedsStays) {
  Bytes without = encode("(module (memory 1) (func) (data (i32.const 0) \"a\"))");
  Bytes with = encode("(module (memory 1) (func) (data (i32.const 0) \"a\") (@rotor.data_count))");
  EXPECT_EQ(with.size(), without.size() + 3);
  EXPECT_EQ(encode(print(with)), with);
  EXPECT_EQ(encode(print(without)), without);
  EXPECT_FALSE(print(without).contains("data_count"));
  // A section may say that it stands behind the count.
  Bytes behind = encode("(module (func) (@rotor.data_count) (@custom \"c\" (after datacount) \"x\"))");
  EXPECT_EQ(encode(print(behind)), behind);
  EXPECT_TRUE(print(behind).contains("(after datacount)"));
  // Where an instruction needs it nothing has to be said.
  Bytes needed = encode("(module (memory 1) (func data.drop 0) (data \"a\"))");
  EXPECT_FALSE(print(needed).contains("@"));
  EXPECT_EQ(encode(print(needed)), needed);
}

TEST(Print, CustomSectionsStandOnTheirSideOfTheNames) {
  // As LLVM's linker has them: "producers" and "target_features" behind the names.
  for (std::string_view fields : {"(func $f)", ""}) {
    Bytes module =
        encode("(module $m " + std::string(fields) +
               "(@custom \"first\" (before first) \"\") (@custom \"debug\" \"1\")"
               "(@custom \"producers\" (after last) \"2\") (@custom \"target_features\" (after last) \"3\"))");
    std::string text = print(module);
    EXPECT_EQ(encode(text), module) << text;
    auto at = [&](std::string_view name) {
      return std::string_view(reinterpret_cast<const char*>(module.data()), module.size()).find(name);
    };
    EXPECT_LT(at("first"), at("debug"));
    EXPECT_LT(at("debug"), at("\4name"));
    EXPECT_LT(at("\4name"), at("producers"));
    EXPECT_LT(at("producers"), at("target_features"));
  }
}

TEST(Print, CustomSectionsAreBehindNoNamesWhereNoneIsLeft) {
  Bytes module = encode("(module (func))");
  // A name section that names function 9, which there is not, and a section "x".
  for (uint8_t byte : {0, 11, 4, 0x6e, 0x61, 0x6d, 0x65, 1, 4, 1, 9, 1, 0x66, 0, 2, 1, 0x78})
    module.push_back(static_cast<uint8_t>(byte));
  const std::string text = print(module);
  EXPECT_TRUE(text.contains("(@custom \"x\" (after code) \"\")")) << text;
  EXPECT_EQ(print(encode(text)), text);
}

TEST(Print, NamesCannotLeaveTheirQuotes) {
  Bytes module = encode(R"((module (func $"a\")\n(start 0) ;)\u{202e}é") (export "\00\u{2028};;" (func 0))))");
  std::string text = print(module);
  EXPECT_TRUE(text.contains(R"($"a\")\0a(start 0) ;)\e2\80\aeé")")) << text;
  EXPECT_TRUE(text.contains(R"("\00\e2\80\a8;;")")) << text;
  EXPECT_EQ(encode(text), module);
}

TEST(Print, ExpressionsHaveNoneOfAFunctionsNames) {
  // The last function's names are used up where the offset begins, which is no constant expression but well-formed.
  constexpr std::string_view kText = R"((module
  (type (;0;) (func))
  (func (;0;) (type 0)
    (local $x i32)
    block $a
    end
    block $b
    end
  )
  (data (;0;) (offset block (;@1;) end local.get 0 br 0) "")
)
)";
  EXPECT_EQ(print(encode(kText)), kText);
}

TEST(Print, WhatIsNoNameSectionStaysACustomSection) {
  Bytes module = encode(R"((module (func) (@custom "name" (after func) "\01\7f")
    (@custom "metadata.code.branch_hint" (before code) "\01\00\01\07\01\01")))");
  std::string text = print(module);
  EXPECT_TRUE(text.contains(R"((@custom "name" (after func) "\01\7f"))")) << text;
  EXPECT_TRUE(text.contains(R"((@custom "metadata.code.branch_hint" (after func) )")) << text;
  EXPECT_EQ(encode(text), module);
}

TEST(Print, TruncatedModulesAreRefusedAtAnOffset) {
  Bytes module = encode(R"((module (import "a" "b" (table 1 funcref)) (memory 1) (global i32 (i32.const 3))
    (func (export "f") (param i32) (result i32) block br 0 end i32.const 3) (elem (i32.const 0) 0) (data "abc")))",
                        false);
  for (size_t size = 0; size < module.size(); ++size) {
    Bytes cut(module.begin(), module.begin() + static_cast<long>(size));
    auto text = wasm_to_wat(cut);
    // Between sections it may be whole again, unless the functions have no bodies.
    EXPECT_LE(text ? 0 : text.error().offset.value(), size);
  }
  module.pop_back();
  EXPECT_FALSE(wasm_to_wat(module));
}

TEST(Print, NestingAndLengthAreBounded) {
  auto nested = [](uint32_t depth) {
    std::string text = "(module (func";
    for (uint32_t i = 0; i < depth; ++i) text += " block";
    for (uint32_t i = 0; i < depth; ++i) text += " end";
    return encode(text + "))", false);
  };
  Bytes deep = nested(100'000);
  std::string text = print(deep);
  EXPECT_LT(text.size(), 30'000'000u);
  EXPECT_EQ(encode(text, false), deep);
  EXPECT_TRUE(error_of(nested(100'001)).contains("blocks nested too deeply"));
  // 50,000 locals take five bytes each time.
  std::string fields = "(module";
  std::string locals = " (func (local";
  for (int i = 0; i < 50'000; ++i) locals += " i32";
  for (int i = 0; i < 120; ++i) fields += locals + "))";
  EXPECT_TRUE(error_of(encode(fields + ")", false)).contains("module too large: its text"));
}

TEST(Print, Errors) {
  EXPECT_EQ(error_of({}), "0: unexpected end of section or function");
  EXPECT_EQ(error_of(Bytes{0, 'a', 's', 'm', 2, 0, 0, 0}), "4: unknown binary version");
  Bytes header{0, 'a', 's', 'm', 1, 0, 0, 0};
  auto with = [&](Bytes more) {
    Bytes module = header;
    module.insert(module.end(), more.begin(), more.end());
    return module;
  };
  EXPECT_EQ(error_of(with({14, 0})), "8: malformed section id 14");
  EXPECT_EQ(error_of(with({1, 5, 1})), "9: length out of bounds");
  EXPECT_EQ(error_of(with({3, 2, 1, 0})), "12: function and code section have inconsistent lengths");
  EXPECT_EQ(error_of(with({6, 5, 1, 0x7f, 0, 0x19, 0x0b})), "13: misplaced CATCH_ALL opcode");
  EXPECT_EQ(error_of(with({6, 6, 1, 0x7f, 0, 0x07, 0, 0x0b})), "13: misplaced CATCH opcode");
  EXPECT_EQ(error_of(with({6, 6, 1, 0x7f, 0, 0x18, 0, 0x0b})), "13: misplaced DELEGATE opcode");
  EXPECT_EQ(error_of(with({6, 5, 1, 0x7f, 0, 0x27, 0x0b})), "13: illegal opcode 27");
}

TEST(Print, TheSourceMapIsThatOfTheTextReadBack) {
  const std::string_view kText = R"((module
    (import "env" "f" (func $f (param i32)))
    (global i32 (i32.const 5))
    (func $none)
    (func $g (param i32) (result i32) (local i64 f32)
      (if (result i32) (local.get 0) (then (block $b (br $b)) (i32.const 1)) (else (i32.const 2))))
    (func (export "h") (call $f (i32.const 3)))))";
  const std::vector<uint8_t> module = *wat_to_wasm(kText, {.names = true});
  WatSourceMap printed;
  const std::string text = *wasm_to_wat(module, {.source_map = &printed});
  const WatModule back = *parse_wat(text, {.names = true});
  ASSERT_EQ(back.bytes, module);
  std::map<uint32_t, uint32_t> parsed;
  for (const WatSourceMap::Entry& entry : back.source_map.entries) parsed.emplace(entry.binary, entry.text);
  size_t functions = 0, instructions = 0;
  for (const WatSourceMap::Entry& entry : printed.entries) {
    const std::string_view rest = std::string_view(text).substr(entry.text);
    if (rest.starts_with("(func")) {
      functions++;
    } else if (!rest.starts_with("end") && !rest.starts_with("else")) {
      instructions++;
      EXPECT_EQ(parsed[entry.binary], entry.text) << rest.substr(0, 20);
    }
  }
  EXPECT_EQ(functions, 3u);
  EXPECT_EQ(instructions, 8u);
}

}  // namespace
}  // namespace rotor::wasm::text
