// What a module names is printed escaped, whatever says it.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "rotor/wat.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

// Turns the text red, ends the line, and pretends to be the next frame, in reverse. As the text format writes it, and
// as messages show it.
#define HOSTILE_WAT R"(\1b[31mred\0a  #1 fake @ 0x1\07\e2\80\ae\7f)"
constexpr std::string_view kShown = "\\u{1b}[31mred\\n  #1 fake @ 0x1\\u{7}\\u{202e}\\u{7f}";
const std::string kHostile = "\x1b[31mred\n  #1 fake @ 0x1\x07\u202e\x7f";

Module hostile_module(const Engine& engine, std::string_view fields) {
  std::string text = "(module $\"m" HOSTILE_WAT "\" " + std::string(fields) + ")";
  return compile(engine, must(wat_to_wasm(text, {.names = true})));
}

/// No line holds what is not to be shown, and there are as many as there should be.
void expect_printable(const std::string& text, int newlines = 0) {
  EXPECT_EQ(printable_lines(text), text);
  EXPECT_EQ(std::ranges::count(text, '\n'), newlines) << text;
  EXPECT_NE(text.find(kShown), text.npos) << text;
}

void expect_printable(const Error& error) {
  expect_printable(error.message);
  expect_printable(error.to_string());
}

TEST(GuestNames, Backtraces) {
  Engine e = engine();
  Module module =
      hostile_module(e, R"((func $")" HOSTILE_WAT R"(" unreachable) (func (export ")" HOSTILE_WAT R"(") (call 0)))");
  Error error = instantiate(Linker(e), module).get_func(kHostile).value().call({}).error();
  ASSERT_TRUE(error.trap);
  ASSERT_EQ(error.trap->frames().size(), 2u);
  EXPECT_EQ(error.trap->frames()[0].func_name, kHostile);  // as the module has it
  EXPECT_EQ(error.trap->frames()[0].module_name, "m" + kHostile);
  expect_printable(error.to_string(), 2);
  expect_printable(error.trap->to_string(), 2);
  EXPECT_TRUE(error.to_string().contains("\n  #0 m" + std::string(kShown) + "!" + std::string(kShown) + " @ 0x"));
}

TEST(GuestNames, LongOnesAreCut) {
  Engine e = engine();
  const std::string name(100'000, 'n');
  std::string text = "(module $" + name + " (func $" + name + " (export \"" + name + "\") unreachable))";
  Module module = compile(e, must(wat_to_wasm(text, {.names = true})));
  Instance instance = instantiate(Linker(e), module);
  Error error = instance.get_func(name).value().call({}).error();
  EXPECT_EQ(error.trap->frames()[0].func_name, name);
  EXPECT_LT(error.to_string().size(), 2 * kShownNameBytes + 100);
  EXPECT_LT(instance.get_func(name + "n").error().message.size(), kShownNameBytes + 100);
}

TEST(GuestNames, WhatHostFunctionsSay) {
  Engine e = engine();
  Linker linker(e);
  linker.define_func("env", "f", FuncType{}, [](Caller&, Slot*) -> Result<void> {
    return fail(ErrorKind::host, "the guest says: " + kHostile);
  });
  Module module = hostile_module(e, R"((import "env" "f" (func)) (func (export "e") (call 0)))");
  Error error = instantiate(linker, module).get_func("e").value().call({}).error();
  EXPECT_EQ(error.message, "the guest says: " + kHostile);  // the host's own words
  expect_printable(error.to_string(), 1);
}

TEST(GuestNames, ImportsAndExports) {
  Engine e = engine();
  Module module = hostile_module(e, R"((import ")" HOSTILE_WAT R"(" ")" HOSTILE_WAT
                                    R"(" (func (param i32))) (memory (export ")" HOSTILE_WAT R"(") 1))");
  EXPECT_EQ(module.imports()[0].name, kHostile);
  EXPECT_EQ(module.exports()[0].name, kHostile);
  Linker linker(e);
  expect_printable(linker.instantiate(module).error());
  linker.define_func(kHostile, kHostile, FuncType{}, [](Caller&, Slot*) -> Result<void> { return {}; });
  expect_printable(linker.instantiate(module).error());
  Engine other = engine();
  Linker foreign(other);
  foreign.define_func(kHostile, kHostile, FuncType{{ValType::i32}, {}},
                      [](Caller&, Slot*) -> Result<void> { return {}; });
  {
    // What it was defined as goes before it.
    Instance gone = instantiate(Linker(e), hostile_module(e, R"((func (export "f") (param i32)))"));
    Linker stale(e);
    stale.define(kHostile, kHostile, must(gone.get("f")));
    gone = Instance();
    expect_printable(stale.instantiate(module).error());
  }
  linker.define_func(kHostile, kHostile, FuncType{{ValType::i32}, {}},
                     [](Caller&, Slot*) -> Result<void> { return {}; });
  Instance instance = instantiate(linker, module);
  expect_printable(instance.get_func(kHostile).error());
  expect_printable(instance.get_func("no" + kHostile).error());
  expect_printable(instance.get("no" + kHostile).error());
}

TEST(GuestNames, CompilersText) {
  Engine e = engine();
  std::vector<uint8_t> bytes =
      must(wat_to_wasm("(module (func $\"" HOSTILE_WAT "\") (func (export \"" HOSTILE_WAT "\")))", {.names = true}));
  for (CodeText text : {CodeText::llvm_ir_raw, CodeText::llvm_ir, CodeText::assembly}) {
    const std::string shown = must(Module::emit_text(e, bytes, text, kHostile));
    std::string untabbed = shown;
    std::ranges::replace(untabbed, '\t', ' ');
    EXPECT_EQ(printable_lines(untabbed), untabbed);
    EXPECT_NE(shown.find(kShown), shown.npos) << shown;
  }
  expect_printable(Module::emit_text(e, bytes, CodeText::assembly, "no" + kHostile).error());
  bytes = must(wat_to_wasm("(module (func $\"" HOSTILE_WAT "\") (func (@name \"" HOSTILE_WAT "\")))", {.names = true}));
  expect_printable(Module::emit_text(e, bytes, CodeText::assembly, kHostile).error());
}

TEST(GuestNames, PerfMaps) {
  const std::string path = "/tmp/perf-" + std::to_string(getpid()) + ".map";
  std::remove(path.c_str());
  Config config;
  config.perf_map = true;
  config.mode = CompileMode::aot;
  {
    const std::string name(100'000, 'n');
    Engine e = must(Engine::create(config));
    hostile_module(e, "(func $\"" HOSTILE_WAT "\") (func $" + name + ")");
  }
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  std::remove(path.c_str());
  std::string shown(kShown);
  std::ranges::replace(shown, ' ', '_');
  EXPECT_NE(text.str().find("!" + shown + " [tier"), std::string::npos) << text.str();
  EXPECT_EQ(printable_lines(text.str()), text.str());
  EXPECT_EQ(std::ranges::count(text.str(), '\n'), 2);
  EXPECT_LT(text.str().size(), 2 * kShownNameBytes + 1000);
}

TEST(GuestNames, TextErrors) {
  for (std::string text : {"(module (func $\"" HOSTILE_WAT "\") (func $\"" HOSTILE_WAT "\"))",
                           "(module (func (call $\"" HOSTILE_WAT "\")))", "(module (func (br $\"" HOSTILE_WAT "\")))",
                           "(module (func (param $\"" HOSTILE_WAT "\" i32) (local $\"" HOSTILE_WAT "\" i32)))"}) {
    Error error = parse_wat(text).error();
    EXPECT_EQ(printable(error.message), error.message);
    EXPECT_NE(error.message.find("\\u{1b}"), std::string::npos) << error.message;
  }
  // Bytes that are no text, and a line that is not what it seems.
  for (std::string text :
       {"\x1b[31m", "(module \x07)", "(module \xff)", "(module (; \u202e ;) x\u2066y)", "(module \x7f"}) {
    auto module = parse_wat(text);
    ASSERT_FALSE(module) << text;
    const std::string shown = render_text_error("in.wat", text, module.error());
    EXPECT_EQ(printable_lines(shown), shown);
    EXPECT_EQ(std::ranges::count(shown, '\n'), 2) << shown;
  }
}

}  // namespace
}  // namespace rotor::runtime::test
