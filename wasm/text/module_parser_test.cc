#include <gtest/gtest.h>

#include <string>

#include "rotor/wat.h"
#include "wasm/testing/module.h"

namespace rotor::wasm::text {
namespace {

using namespace test;

Bytes encode(std::string_view text, bool names = false) {
  auto module = wat_to_wasm(text, {.names = names});
  EXPECT_TRUE(module) << render_text_error("text", text, module.error());
  return module ? std::move(*module) : Bytes();
}

/// "LINE:COLUMN: message", of a text that is refused.
std::string error_of(std::string_view text) {
  auto module = wat_to_wasm(text);
  if (module) return "none";
  TextPosition position = text_position(text, module.error().offset.value());
  return std::to_string(position.line) + ":" + std::to_string(position.column) + ": " + module.error().message;
}
/// The message alone.
std::string message_of(std::string_view text) {
  std::string error = error_of(text);
  size_t message = error.find(": ");
  return message == std::string::npos ? error : error.substr(message + 2);
}

/// The code of the only function, from its local declarations on.
Bytes code_of(const std::string& instructions, const std::string& fields = "") {
  Bytes module = encode(fields + "(func " + instructions + ")");
  // Ids and sizes are of one byte each here.
  size_t at = 8;
  while (module.size() > at && module[at] != 10) at += 2u + module[at + 1];
  if (at >= module.size()) return {};
  return Bytes(module.begin() + static_cast<long>(at) + 4, module.begin() + static_cast<long>(at) + 2 + module[at + 1]);
}

const Bytes kVoid = section(1, vec({func_type({}, {})}));
const Bytes kOneFunction = section(3, {1, 0});

// ---- encodings ----------------------------------------------------------------------------------------------------

TEST(WatModule, Add) {
  EXPECT_EQ(
      encode("(module $m (func $add (export \"add\") (param $a i32) (param $b i32) (result i32)\n"
             "  (i32.add (local.get $a) (local.get $b))))"),
      module({section(1, vec({func_type({kI32, kI32}, {kI32})})), kOneFunction,
              section(7, vec({str("add") + Bytes{0, 0}})), section(10, vec({body({0x20, 0, 0x20, 1, 0x6a, 0x0b})}))}));
}

TEST(WatModule, SegmentsOfTheFirstVersion) {
  // A bare index of a memory or table.
  auto same = [](std::string_view old, std::string_view now) {
    EXPECT_EQ(encode(old, true), encode(now, true)) << old;
    EXPECT_FALSE(encode(old).empty());
  };
  constexpr std::string_view kMemories = "(memory $m 1) (memory $n 1)";
  auto with = [&](std::string_view data) { return std::string(kMemories) + std::string(data); };
  same(with("(data 0 (i32.const 0) \"a\")"), with("(data (i32.const 0) \"a\")"));
  same(with("(data 1 (offset i32.const 0) \"a\")"), with("(data (memory 1) (i32.const 0) \"a\")"));
  same(with("(data $d 0x1 (i32.const 0) \"a\")"), with("(data $d (memory 1) (i32.const 0) \"a\")"));
  same(with("(data $d $n (i32.const 0) \"a\")"), with("(data $d (memory $n) (i32.const 0) \"a\")"));
  constexpr std::string_view kTables = "(table $t 1 funcref) (table $u 1 funcref) (func $f)";
  auto elem = [&](std::string_view elem) { return std::string(kTables) + std::string(elem); };
  same(elem("(elem 0 (i32.const 0) $f 0)"), elem("(elem (i32.const 0) $f 0)"));
  same(elem("(elem 1 (i32.const 0) $f)"), elem("(elem (table 1) (i32.const 0) func $f)"));
  same(elem("(elem 1 (i32.const 0) func $f)"), elem("(elem (table 1) (i32.const 0) func $f)"));
  same(elem("(elem $e $u (offset i32.const 0) 0)"), elem("(elem $e (table $u) (i32.const 0) func 0)"));
  same(elem("(elem 1 (i32.const 0) funcref (ref.func 0))"),
       elem("(elem (table 1) (i32.const 0) funcref (ref.func 0))"));
  // What names its own segment is no memory.
  same(with("(data $m (i32.const 0) \"a\")"), with("(data $m (memory 0) (i32.const 0) \"a\")"));
  EXPECT_EQ(message_of(with("(data 0 \"a\")")).substr(0, 16), "unexpected token");
  EXPECT_EQ(message_of(with("(data 0 (memory 0) (i32.const 0) \"a\")")).substr(0, 16), "unexpected token");
  EXPECT_EQ(message_of(with("(data $d $x (i32.const 0) \"a\")")), "unknown memory $x");
  EXPECT_EQ(message_of(elem("(elem 0 func $f)")).substr(0, 16), "unexpected token");
}

TEST(WatModule, ImportsAndSegments) {
  EXPECT_EQ(
      encode("(import \"m\" \"f\" (func $f (param i32)))"
             "(table $t (import \"m\" \"t\") 1 2 funcref)"
             "(memory (export \"mem\") (data \"ab\" \"\\00\"))"
             "(global $g (mut i64) (i64.const -2))"
             "(start $f)"
             "(elem (i32.const 1) $f)"
             "(data $d \"x\")"),
      module({section(1, vec({func_type({kI32}, {})})),
              section(2, vec({str("m") + str("f") + Bytes{0, 0}, str("m") + str("t") + Bytes{1, kFuncRef, 1, 1, 2}})),
              section(5, vec({{1, 1, 1}})), section(6, vec({{kI64, 1, 0x42, 0x7e, 0x0b}})),
              section(7, vec({str("mem") + Bytes{2, 0}})), section(8, {0}), section(9, vec({{0, 0x41, 1, 0x0b, 1, 0}})),
              section(11, vec({Bytes{0, 0x41, 0, 0x0b} + str(std::string_view("ab\0", 3)), Bytes{1} + str("x")}))}));
}

TEST(WatModule, TypesOfTheGcProposal) {
  EXPECT_EQ(encode("(rec (type $a (sub (struct (field $x (mut i8)) (field i32 (ref null $b)))))"
                   "     (type $b (sub final $a (array (ref $a)))))"
                   "(type (sub final (func)))"),
            module({section(1, Bytes{2} + Bytes{0x4e, 2} + Bytes{0x50, 0, 0x5f, 3, 0x78, 1, 0x7f, 0, 0x63, 1, 0} +
                                   Bytes{0x4f, 1, 0, 0x5e, 0x64, 0, 0} + Bytes{0x60, 0, 0})}));
}

TEST(WatModule, LimitsAndTags) {
  EXPECT_EQ(encode("(memory i64 1 2 shared (pagesize 1)) (table i64 3 externref) (tag (param i32))"),
            module({section(1, vec({func_type({kI32}, {})})), section(4, vec({{kExternRef, 4, 3}})),
                    section(5, vec({{15, 1, 2, 0}})), section(13, vec({{0, 0}}))}));
}

TEST(WatModule, ElementSegmentsTakeTheShortestForm) {
  auto element = [](const std::string& text) {
    Bytes bytes = encode("(table $t 1 funcref) (table $u 1 funcref) (func $f)" + text);
    size_t at = 8;
    while (bytes[at] != 9) at += 2u + bytes[at + 1];
    return Bytes(bytes.begin() + static_cast<long>(at) + 3, bytes.begin() + static_cast<long>(at) + 2 + bytes[at + 1]);
  };
  const Bytes zero{0x41, 0, 0x0b};
  EXPECT_EQ(element("(elem (i32.const 0) $f)"), (Bytes{0} + zero + Bytes{1, 0}));
  EXPECT_EQ(element("(elem (table $t) (offset i32.const 0) func $f)"), (Bytes{0} + zero + Bytes{1, 0}));
  EXPECT_EQ(element("(elem func $f $f)"), (Bytes{1, 0, 2, 0, 0}));
  EXPECT_EQ(element("(elem (table $u) (i32.const 0) func $f)"), (Bytes{2, 1} + zero + Bytes{0, 1, 0}));
  EXPECT_EQ(element("(elem declare func $f)"), (Bytes{3, 0, 1, 0}));
  EXPECT_EQ(element("(elem (i32.const 0) funcref (ref.func $f))"), (Bytes{4} + zero + Bytes{1, 0xd2, 0, 0x0b}));
  EXPECT_EQ(element("(elem externref (item ref.null extern))"), (Bytes{5, kExternRef, 1, 0xd0, 0x6f, 0x0b}));
  EXPECT_EQ(element("(elem (table $u) (i32.const 0) (ref func) (ref.func $f))"),
            (Bytes{6, 1} + zero + Bytes{0x64, 0x70, 1, 0xd2, 0, 0x0b}));
  EXPECT_EQ(element("(elem declare funcref (ref.func $f))"), (Bytes{7, kFuncRef, 1, 0xd2, 0, 0x0b}));
}

TEST(WatModule, DataCountOnlyIfCodeNeedsIt) {
  auto has_count = [](std::string_view text) {
    Bytes bytes = encode(text);
    for (size_t at = 8; at < bytes.size(); at += 2u + bytes[at + 1])
      if (bytes[at] == 12) return true;
    return false;
  };
  EXPECT_FALSE(has_count("(memory 1) (data \"x\") (func)"));
  EXPECT_TRUE(has_count("(memory 1) (data \"x\") (func data.drop 0)"));
  EXPECT_TRUE(has_count("(func data.drop 0)"));
  EXPECT_FALSE(
      has_count("(type $a (array i8)) (data \"x\")"
                "(global (ref $a) (array.new_data $a 0 (i32.const 0) (i32.const 1)))"));
}

TEST(WatModule, NameSection) {
  EXPECT_EQ(
      encode("(module $m (type $t (func)) (func $f (type $t) (local $x i32) (block $l)) (func (@name \"g\\\"\")))",
             true),
      module({kVoid, section(3, {2, 0, 0}),
              section(10, vec({sized({1, 1, kI32, 0x02, 0x40, 0x0b, 0x0b}), body({0x0b})})),
              custom("name", Bytes{0} + sized(str("m")) +                                               //
                                 Bytes{1} + sized(vec({Bytes{0} + str("f"), Bytes{1} + str("g\"")})) +  //
                                 Bytes{2} + sized(vec({Bytes{0, 1, 0} + str("x")})) +                   //
                                 Bytes{3} + sized(vec({Bytes{0, 1, 0} + str("l")})) +                   //
                                 Bytes{4} + sized(vec({Bytes{0} + str("t")})))}));
}

TEST(WatModule, CustomSections) {
  EXPECT_EQ(
      encode("(@custom \"z\") (func) (@custom \"a\" (before type) \"1\" \"2\") (@custom \"b\" (after func) \"\\ff\")"),
      module({custom("a", {'1', '2'}), kVoid, kOneFunction, custom("b", {0xff}), section(10, vec({body({0x0b})})),
              custom("z", {})}));
}

TEST(WatModule, BranchHints) {
  EXPECT_EQ(encode("(func (local i32) (@metadata.code.branch_hint \"\\01\") (if (i32.const 0) (then))"
                   " block i32.const 0 (@metadata.code.branch_hint \"\\00\") br_if 0 end)"),
            module({kVoid, kOneFunction, custom("metadata.code.branch_hint", {1, 0, 2, 5, 1, 1, 12, 1, 0}),
                    section(10, vec({sized({1, 1, kI32, 0x41, 0, 0x04, 0x40, 0x0b, 0x02, 0x40, 0x41, 0, 0x0d, 0, 0x0b,
                                            0x0b})}))}));
}

// ---- abbreviations: each pair is one module -----------------------------------------------------------------------

TEST(WatModule, Abbreviations) {
  const std::pair<const char*, const char*> pairs[] = {
      {"(func (export \"a\") (export \"b\"))", "(export \"a\" (func 0)) (export \"b\" (func 0)) (func)"},
      {"(func (export \"a\") (import \"m\" \"n\"))", "(import \"m\" \"n\" (func)) (export \"a\" (func 0))"},
      {"(func (param i32 i64) (result i32 i32) unreachable)",
       "(func (param i32) (param i64) (result i32) (result i32) unreachable)"},
      {"(func (local i32 i32))", "(func (local $a i32) (local $b i32))"},
      {"(memory i32 1)", "(memory 1)"},
      {"(memory i64 (data \"x\"))", "(memory i64 1 1) (data (i64.const 0) \"x\")"},
      {"(memory (pagesize 1) (data \"xy\"))", "(memory 2 2 (pagesize 1)) (data (i32.const 0) \"xy\")"},
      {"(table i64 funcref (elem 0)) (func)", "(table i64 1 1 funcref) (elem (i64.const 0) 0) (func)"},
      {"(table externref (elem (ref.null extern)))",
       "(table 1 1 externref) (elem (table 0) (i32.const 0) externref (item ref.null extern))"},
      {"(elem (offset (i32.const 0)) 0)", "(elem (i32.const 0) func 0)"},
      {"(type (func (param (ref null func))))", "(type (func (param funcref)))"},
      {"(rec (type (func)) )", "(rec (type (sub final (func))))"},
      {"(tag (export \"e\") (import \"m\" \"n\") (param i32))",
       "(import \"m\" \"n\" (tag (param i32))) (export \"e\" (tag 0))"},
      {"(func $\"a\\20b\") (start $\"a b\")", "(func) (start 0)"},
      {"(func block $x (result i32) i32.const 1 end $x drop)", "(func (drop (block (result i32) (i32.const 1))))"},
      {"(func i32.const 0 if $x nop else $x nop end $x)", "(func (if (i32.const 0) (then nop) (else (nop))))"},
      {"(func (select (result i32) (result i64) (unreachable)))", "(func unreachable select (result i32 i64))"},
      {"(memory 1) (func (drop (i32.load (i32.const 0))))",
       "(memory 1) (func (drop (i32.load 0 offset=0 align=4 (i32.const 0))))"},
      {"(memory 1) (func memory.copy memory.fill memory.size)",
       "(memory 1) (func memory.copy 0 0 memory.fill 0 memory.size 0)"},
      {"(memory 1) (data \"\") (func memory.init 0)", "(memory 1) (data \"\") (func memory.init 0 0)"},
      {"(func v128.load8_lane 3)", "(func v128.load8_lane 0 offset=0 align=1 3)"},
      {"(func call_indirect)", "(type (func)) (func call_indirect 0 (type 0))"},
      {"(func (block (param i32) (drop)))", "(func (block (type 1) (drop))) (type (func)) (type (func (param i32)))"},
  };
  for (const auto& [a, b] : pairs) {
    // Where b defines the types that a implies in another order, only the meaning is the same: it lists them alike.
    EXPECT_EQ(encode(a), encode(b)) << a << "\n" << b;
  }
}

TEST(WatModule, ImpliedTypesComeInOrderOfAppearance) {
  EXPECT_EQ(encode("(func (param f32) (block (result i32 i32) unreachable) unreachable) (type (func (param i32)))"
                   "(func (param i32)) (func (param f64))"),
            module({section(1, vec({func_type({kI32}, {}), func_type({kF32}, {}), func_type({}, {kI32, kI32}),
                                    func_type({kF64}, {})})),
                    section(3, {3, 1, 0, 3}),
                    section(10, vec({body({0x02, 2, 0x00, 0x0b, 0x00, 0x0b}), body({0x0b}), body({0x0b})}))}));
  // Only a final type without supertypes, alone in its group, is what an inline type means.
  EXPECT_EQ(encode("(type (sub (func))) (rec (type (func)) (type (func))) (func)"),
            module({section(1, Bytes{3, 0x50, 0, 0x60, 0, 0, 0x4e, 2, 0x60, 0, 0, 0x60, 0, 0, 0x60, 0, 0}),
                    section(3, {1, 3}), section(10, vec({body({0x0b})}))}));
}

// ---- instructions -------------------------------------------------------------------------------------------------

TEST(WatModule, FoldedInstructionsRunInsideOut) {
  EXPECT_EQ(code_of("(drop (i32.add (i32.const 1) (block (result i32) i32.const 2)))"),
            (Bytes{0, 0x41, 1, 0x02, kI32, 0x41, 2, 0x0b, 0x6a, 0x1a, 0x0b}));
  EXPECT_EQ(code_of("(if (i32.const 1) (i32.const 2) (then) (else))"),
            (Bytes{0, 0x41, 1, 0x41, 2, 0x04, 0x40, 0x05, 0x0b, 0x0b}));
}

TEST(WatModule, Labels) {
  EXPECT_EQ(code_of("block $a block $b br $a block $a br $a br $b end br $a end end"),
            (Bytes{0, 0x02, 0x40, 0x02, 0x40, 0x0c, 1, 0x02, 0x40, 0x0c, 0, 0x0c, 1, 0x0b, 0x0c, 1, 0x0b, 0x0b, 0x0b}));
  EXPECT_EQ(code_of("(block $a (br_table $a 7 $a (i32.const 0)))"),
            (Bytes{0, 0x02, 0x40, 0x41, 0, 0x0e, 2, 0, 7, 0, 0x0b, 0x0b}));
  // A try_table's own label is not in scope in its catch clauses.
  EXPECT_EQ(code_of("(block $a (try_table $a (catch 0 $a) (catch_all_ref 1) (br $a)))"),
            (Bytes{0, 0x02, 0x40, 0x1f, 0x40, 2, 0, 0, 0, 3, 1, 0x0c, 0, 0x0b, 0x0b, 0x0b}));
}

TEST(WatModule, LegacyExceptions) {
  const Bytes folded{0, 0x06, kI32, 0x41, 1, 0x07, 0, 0x09, 0, 0x07, 1, 0x19, 0x0c, 0, 0x0b, 0x1a, 0x0b};
  const std::string tags = "(tag $a) (tag $b (param i32))";
  EXPECT_EQ(
      code_of("(drop (try $t (result i32) (do (i32.const 1)) (catch $a (rethrow $t)) (catch $b) (catch_all br 0)))",
              tags),
      folded);
  EXPECT_EQ(
      code_of("try $t (result i32) i32.const 1 catch $a rethrow $t catch $t $b catch_all $t br 0 end $t drop", tags),
      folded);
  // A delegate's label is one outside of its own block, whose name is not in scope any more.
  const Bytes delegated{0, 0x06, 0x40, 0x06, 0x40, 0x01, 0x18, 0, 0x0b, 0x0b};
  EXPECT_EQ(code_of("(try $t (do (try $t (do (nop)) (delegate $t))))"), delegated);
  EXPECT_EQ(code_of("try $t try $u nop delegate $t end"), delegated);
  for (const char* wrong :
       {"(try)", "(try (catch_all))", "(try (do) (do))", "(try (do) (catch_all) (catch 0))",
        "(try (do) (delegate 0) (catch 0))", "(try (do) (catch 0) (delegate 0))", "(try (do) nop)", "(try nop)",
        "(catch 0)", "(catch_all)", "(delegate 0)", "catch 0", "delegate 0", "block catch_all end",
        "try catch_all catch 0 end", "try catch_all delegate 0", "try delegate 0 end"})
    EXPECT_TRUE(message_of("(tag) (func " + std::string(wrong) + ")").starts_with("unexpected token")) << wrong;
  EXPECT_EQ(message_of("(func (try $u (do) (delegate $u)))"), "unknown label $u");
  EXPECT_EQ(message_of("(func try $u catch_all $v end)"), "mismatching label $v");
}

TEST(WatModule, Immediates) {
  const std::string struct_type = "(type $s (struct (field $x i32) (field $y i32)))";
  EXPECT_EQ(code_of("struct.get $s $y", struct_type), (Bytes{0, 0xfb, 2, 0, 1, 0x0b}));
  EXPECT_EQ(code_of("ref.test (ref null $s) ref.cast anyref ref.cast (ref i31)", struct_type),
            (Bytes{0, 0xfb, 0x15, 0, 0xfb, 0x17, 0x6e, 0xfb, 0x16, 0x6c, 0x0b}));
  EXPECT_EQ(code_of("br_on_cast 0 anyref (ref $s) br_on_cast_fail 0 (ref any) eqref", struct_type),
            (Bytes{0, 0xfb, 0x18, 1, 0, 0x6e, 0, 0xfb, 0x19, 2, 0, 0x6e, 0x6d, 0x0b}));
  EXPECT_EQ(code_of("i64.atomic.rmw8.add_u offset=0x1_0 atomic.fence i32.const -0x80000000"),
            (Bytes{0, 0xfe, 0x22, 0, 0x10, 0xfe, 3, 0, 0x41, 0x80, 0x80, 0x80, 0x80, 0x78, 0x0b}));
  EXPECT_EQ(code_of("i32.load $m offset=1 align=1", "(memory 1) (memory $m 1)"), (Bytes{0, 0x28, 0x40, 1, 1, 0x0b}));
  EXPECT_EQ(code_of("v128.load32_lane $m offset=1 2", "(memory 1) (memory $m 1)"),
            (Bytes{0, 0xfd, 0x56, 0x42, 1, 1, 2, 0x0b}));
  EXPECT_EQ(code_of("v128.const i64x2 1 -1"),
            (Bytes{0, 0xfd, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0b}));
  EXPECT_EQ(code_of("i64.add128 i8x16.relaxed_swizzle"), (Bytes{0, 0xfc, 0x13, 0xfd, 0x80, 2, 0x0b}));
  EXPECT_EQ(code_of("memory.copy 1 0 memory.init 1 0 table.copy 1 0 table.init 1 0 array.copy 0 1",
                    "(memory 1) (memory 1) (data \"\") (table 1 funcref) (table 1 funcref) (elem func)"
                    "(type (array i8)) (type (array i8))"),
            (Bytes{0, 0xfc, 0x0a, 1, 0, 0xfc, 0x08, 0, 1, 0xfc, 0x0e, 1, 0, 0xfc, 0x0c, 0, 1, 0xfb, 0x11, 0, 1, 0x0b}));
}

// ---- errors -------------------------------------------------------------------------------------------------------

TEST(WatModule, ErrorsSayWhere) {
  EXPECT_EQ(error_of("(module\n  (func $f\n    i32.const 1\n    i32.addd))"), "4:5: unknown operator i32.addd");
  EXPECT_EQ(error_of("(func)\n(func $a)\n(func $a)"), "3:7: duplicate func $a");
  EXPECT_EQ(error_of("(func (call $nobody))"), "1:13: unknown func $nobody");
  EXPECT_EQ(error_of("(func (local.get $\"a b\"))"), "1:18: unknown local $\"a b\"");
  EXPECT_EQ(error_of("(func (call $\"\\n\\22\\7f\"))"), "1:13: unknown func $\"\\n\\\"\\u{7f}\"");
  EXPECT_EQ(error_of("(func (i32.const 0x1_0000_0000))"), "1:18: constant out of range");
  EXPECT_EQ(error_of("(memory 18446744073709551616)"), "1:9: i64 constant out of range");
  EXPECT_EQ(error_of("(func\n  (block $a\n    end $b))"), "3:5: unexpected token end, expected an instruction");
  EXPECT_EQ(error_of("(func block $a end $b)"), "1:20: mismatching label $b");
  EXPECT_EQ(error_of("(module (func)"), "1:15: unexpected token: the text ends, expected a module field");
  EXPECT_EQ(error_of("(func) )"), "1:8: unexpected token )");
}

TEST(WatModule, Refused) {
  const std::pair<const char*, const char*> cases[] = {
      {"(func) (import \"a\" \"b\" (func))", "import after function"},
      {"(memory 1) (func (import \"a\" \"b\"))", "import after memory"},
      {"(start 0) (start 0)", "multiple start sections"},
      {"(func (type 1) (param i32))", "unknown type 1"},
      {"(type (func)) (func (type 0) (param i32))", "inline function type differs from type 0"},
      {"(func (result i32) (param i32))", "unexpected token (, expected type, parameters, results, in this order"},
      {"(func (block (param $x i32)))", "unexpected token $x, expected a value type"},
      {"(func (param $x i32 i32))", "unexpected token i32, expected )"},
      {"(func (param $x i32) (local $x i32))", "duplicate local $x"},
      {"(type (struct (field $x i32) (field $x i32)))", "duplicate field $x"},
      {"(func if end else)", "unexpected token else, expected an instruction"},
      {"(func (if (i32.const 0)))", "unexpected token ), expected (then"},
      {"(func (i32.add i32.const 0))", "unexpected token i32.const, expected an instruction in parentheses"},
      {"(func (else))", "unexpected token else, expected an instruction"},
      {"(func block)", "unexpected token ), expected end"},
      {"(func (i32.load align=3))", "alignment must be a power of two"},
      {"(func (i32.load align=0))", "alignment must be a power of two"},
      {"(func (i32.load offset=-1))", "unknown operator offset=-1"},
      {"(func (i8x16.extract_lane_u 256))", "i8 constant out of range"},
      {"(func (i8x16.shuffle 1))", "invalid lane length: i8x16.shuffle takes 16 lanes"},
      {"(func (v128.const i32x4 1 2 3))", "wrong number of lane literals"},
      {"(func (f32.const nan:canonical))", "unexpected token nan:canonical, expected a number"},
      {"(memory 1 (pagesize 3))", "invalid custom page size: not a power of two"},
      {"(import \"\\ff\" \"\" (func))", "malformed UTF-8 encoding"},
      {"(func (ref.null))", "unexpected token ), expected a heap type"},
      {"(func get_local 0)", "unknown operator get_local"},
      {"(foo)", "unknown operator foo"},
      {"(module (module))", "unexpected token module, expected a module field"},
      {"(@custom)", "@custom annotation: missing section name"},
      {"(func (@custom \"x\"))", "misplaced @custom annotation"},
      {"(func) (@name \"x\")", "misplaced @name annotation"},
      {"(func (@metadata.code.branch_hint \"\\02\") if end)",
       "@metadata.code.branch_hint annotation: neither \"\\00\" nor \"\\01\""},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(message_of(text), message) << text;
}

TEST(WatModule, WhatIsOnlyInvalidIsEncoded) {
  EXPECT_EQ(code_of("br 7 local.get 9 call 5 i32.load align=32"),
            (Bytes{0, 0x0c, 7, 0x20, 9, 0x10, 5, 0x28, 5, 0, 0x0b}));
  // Alignments beyond what the flag can hold don't reach its bit for memories.
  EXPECT_EQ(code_of("i32.load align=0x8000_0000_0000_0000"), (Bytes{0, 0x28, 63, 0, 0x0b}));
  auto hint = wat_to_wasm("(func (@metadata.code.branch_hint \"\\00\") nop)");
  ASSERT_FALSE(hint);
  EXPECT_EQ(hint.error().kind, ErrorKind::invalid);
}

// ---- hostile texts ------------------------------------------------------------------------------------------------

std::string repeat(std::string_view text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST(WatModule, DeepNestingIsAnError) {
  for (const char* opening : {"(drop ", "(block ", "block ", "(if (i32.const 0) (then ", "(if "}) {
    auto module = wat_to_wasm("(func " + repeat(opening, 500'000));
    ASSERT_FALSE(module) << opening;
    EXPECT_EQ(module.error().kind, ErrorKind::limit) << opening;
  }
  EXPECT_TRUE(wat_to_wasm("(func " + repeat("(block ", 100'000) + repeat(")", 100'001)));
}

TEST(WatModule, ManyLabelsOfOneNameTakeLinearTime) {
  // Each branch looks its label up among 100,000 open blocks.
  EXPECT_TRUE(
      wat_to_wasm("(func block $outer " + repeat("block $l br $outer ", 100'000) + repeat("end ", 100'001) + ")"));
}

TEST(WatModule, OneFunctionWithManyLocalsDoesNotSlowTheOthers) {
  std::string text = "(func ";
  for (int i = 0; i < 100'000; ++i) text += "(local $l" + std::to_string(i) + " i32)";
  EXPECT_TRUE(wat_to_wasm(text + ")" + repeat("(func (param $x i32))", 100'000)));
}

}  // namespace
}  // namespace rotor::wasm::text
