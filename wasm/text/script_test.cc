#include "wasm/text/script.h"

#include <gtest/gtest.h>

#include "wasm/testing/module.h"

namespace rotor::wasm::text {
namespace {

using Kind = ScriptCommand::Kind;
using ValueKind = ScriptValue::Kind;

/// Its commands; of a script that can't be read the test fails.
Script parse(std::string source) {
  auto script = Script::parse(source);
  EXPECT_TRUE(script) << render_text_error("script", source, script.error());
  return script ? std::move(*script) : Script::parse("").value();
}

/// Message and line of an error.
std::string error_of(std::string source) {
  auto script = Script::parse(source);
  if (script) return "none";
  std::string shown = render_text_error("script", source, script.error());
  return shown.substr(0, shown.find('\n'));
}

TEST(Script, Commands) {
  Script script = parse(R"(
    (module $m (func))
    (module definition $d (func))
    (module instance $i $d) (module instance)
    (register "a\00b" $m)
    (invoke $m "f" (i32.const 1))
    (get "g")
    (assert_trap (invoke "f") "boom")
    (assert_trap (module (func)) "boom")
    (assert_exhaustion (invoke "f") "deep")
    (assert_exception (invoke "f"))
    (assert_invalid (module (func)) "x") (assert_malformed (module quote "y") "x")
    (assert_invalid_custom (module) "x") (assert_malformed_custom (module) "x")
    (assert_unlinkable (module binary "\00asm") "x")
    (thread $T (shared (module $m)) (register "b" $m) (assert_return (invoke "f")))
    (wait $T))");
  std::vector<Kind> kinds;
  for (const ScriptCommand& command : script.commands()) kinds.push_back(command.kind);
  EXPECT_EQ(kinds,
            (std::vector<Kind>{Kind::module, Kind::module, Kind::instance, Kind::instance, Kind::register_,
                               Kind::action, Kind::action, Kind::assert_trap, Kind::assert_uninstantiable,
                               Kind::assert_exhaustion, Kind::assert_exception, Kind::assert_invalid,
                               Kind::assert_malformed, Kind::assert_invalid_custom, Kind::assert_malformed_custom,
                               Kind::assert_unlinkable, Kind::thread, Kind::wait}));
  auto& commands = script.commands();
  EXPECT_EQ(commands[0].module.name, "m");
  EXPECT_EQ(commands[0].line, 2u);
  EXPECT_FALSE(commands[0].module.is_definition);
  EXPECT_TRUE(commands[1].module.is_definition);
  EXPECT_EQ(commands[2].name, "i");
  EXPECT_EQ(commands[2].of, "d");
  EXPECT_EQ(commands[4].as, std::string("a\0b", 3));
  EXPECT_EQ(commands[4].of, "m");
  EXPECT_EQ(commands[5].action.module, "m");
  EXPECT_EQ(commands[5].action.args[0].bits(), 1u);
  EXPECT_EQ(commands[6].action.kind, ScriptAction::Kind::get);
  EXPECT_EQ(commands[7].message, "boom");
  EXPECT_EQ(commands[15].module.bytes, std::string("\0asm", 4));
  EXPECT_EQ(commands[16].name, "T");
  EXPECT_EQ(commands[16].shared, std::vector<std::string>{"m"});
  EXPECT_EQ(commands[16].commands.size(), 2u);
  EXPECT_EQ(commands[17].line, 16u);
  EXPECT_STREQ(to_string(commands[16].kind), "thread");
}

TEST(Script, Values) {
  Script script = parse(R"((assert_return
    (invoke "f" (i64.const -1) (f32.const -0) (f64.const nan:0x1) (v128.const i16x8 1 2 3 4 5 6 7 -8) (ref.null extern)
                (ref.extern 7) (ref.host 8))
    (f32.const nan:canonical) (v128.const f64x2 nan:arithmetic 1) (v128.const f32x4 nan:canonical nan:arithmetic 1 2)
    (ref.null) (ref.func) (ref.struct) (ref.extern 3) (either (i32.const 1) (i32.const 2))))");
  const auto& args = script.commands()[0].action.args;
  EXPECT_EQ(args[0].bits(), UINT64_MAX);
  EXPECT_EQ(args[1].bits(), 0x80000000u);
  EXPECT_EQ(args[2].bits(), 0x7ff0000000000001u);
  EXPECT_EQ(args[3].shape, LaneShape::i16x8);
  EXPECT_EQ(args[3].bytes, (std::array<uint8_t, 16>{1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0xf8, 0xff}));
  EXPECT_EQ(args[4].kind, ValueKind::ref_null);
  EXPECT_EQ(args[4].heap, HeapType(HeapType::Abstract::extern_));
  EXPECT_EQ(args[5].kind, ValueKind::ref);
  EXPECT_EQ(args[5].payload, 7u);
  EXPECT_EQ(args[6].kind, ValueKind::ref_host);
  const auto& expected = script.commands()[0].expected;
  EXPECT_EQ(expected[0].nan[0], NanPattern::canonical);
  EXPECT_EQ(expected[1].nan[0], NanPattern::arithmetic);
  EXPECT_EQ(expected[1].nan[1], NanPattern::none);
  EXPECT_EQ(expected[1].bytes[15], 0x3f);
  EXPECT_EQ(expected[2].nan[1], NanPattern::arithmetic);
  EXPECT_EQ(expected[3].heap, std::nullopt);
  EXPECT_EQ(expected[4].kind, ValueKind::ref);
  EXPECT_EQ(expected[4].payload, std::nullopt);
  EXPECT_EQ(expected[5].heap, HeapType(HeapType::Abstract::struct_));
  EXPECT_EQ(expected[6].payload, 3u);
  EXPECT_EQ(expected[7].alternatives.size(), 2u);
}

TEST(Script, ModulesAreTheirOwnMatter) {
  Script script = parse(R"wast((module $m (func) bad)
(module (func))
(module quote "(func" " (" "bad))")
(module binary "\00" "x"))wast");
  auto& commands = script.commands();
  ASSERT_EQ(commands.size(), 4u);
  auto bad = script.encode(commands[0].module);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message, "unknown operator bad");
  EXPECT_EQ(bad.error().offset, 18u);
  EXPECT_TRUE(script.encode(commands[1].module));
  bad = script.encode(commands[2].module);
  ASSERT_FALSE(bad);
  EXPECT_EQ(render_text_error("quote", script.text_of(commands[2].module), bad.error()),
            "quote:3:1: error: unknown operator bad\nbad))\n^");
  EXPECT_EQ(script.encode(commands[3].module)->bytes, (std::vector<uint8_t>{0, 'x'}));
  // A name is kept if names are wanted.
  Script named = parse("(module $m)");
  EXPECT_EQ(named.encode(named.commands()[0].module, {.names = true})->bytes,
            test::module({test::custom("name", {0, 2, 1, 'm'})}));
}

TEST(Script, FieldsAloneAreAModule) {
  Script script = parse("(func) (memory 1)");
  ASSERT_EQ(script.commands().size(), 1u);
  EXPECT_TRUE(script.encode(script.commands()[0].module));
  EXPECT_TRUE(parse("").commands().empty());
}

TEST(Script, SurvivesAMove) {
  Script script = parse("(module (func (export \"f\")))");
  Script moved = std::move(script);
  EXPECT_TRUE(moved.encode(moved.commands()[0].module));
}

TEST(Script, Errors) {
  EXPECT_EQ(error_of("(module)\n(assert_bad)"), "script:2:2: error: unknown operator assert_bad");
  EXPECT_EQ(error_of("(module)\n(func)"), "script:2:2: error: unexpected token func, expected a command");
  EXPECT_EQ(error_of("(invoke \"f\" (f32.const nan:canonical))"),
            "script:1:24: error: unexpected token nan:canonical, expected a number");
  EXPECT_EQ(error_of("(invoke \"f\" (i32.const 0x1_0000_0000))"), "script:1:24: error: constant out of range");
  EXPECT_EQ(error_of("(invoke \"f\" (ref.struct))"),
            "script:1:14: error: unexpected token ref.struct, expected a constant");
  EXPECT_EQ(error_of("(invoke \"f\" (v128.const i64x2 1))"), "script:1:32: error: wrong number of lane literals");
  EXPECT_EQ(error_of("(invoke \"f\""), "script:1:12: error: unexpected token: the text ends, expected )");
  EXPECT_EQ(error_of("(module) 7"), "script:1:10: error: unexpected token 7, expected a command");
  std::string threads;
  for (int i = 0; i < 100'000; ++i) threads += "(thread ";
  EXPECT_TRUE(error_of(threads).ends_with("threads nested too deeply"));
  std::string either = "(assert_return (invoke \"f\") ";
  for (int i = 0; i < 100'000; ++i) either += "(either ";
  EXPECT_TRUE(error_of(either).ends_with("values nested too deeply"));
}

}  // namespace
}  // namespace rotor::wasm::text
