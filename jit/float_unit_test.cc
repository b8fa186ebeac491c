// Compiled code computes with vector registers only: the x87 unit has a control word of its own, which a host may have
// set otherwise, and nobody saves. Nor does it touch MXCSR, whose control bits the runtime sees to at each passage.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <string_view>

#include "rotor/rotor.h"
#include "rotor/wat.h"

namespace rotor::jit {
namespace {

struct Row {
  std::string_view text, immediate, signature;
};
constexpr Row kRows[] = {
#define ROTOR_OP_CONTROL(...)
#define ROTOR_OP_EXCEPTION(...)
#define ROTOR_OP_GC(...)
#define ROTOR_OP(code, Name, text, immediate, signature, feature) {text, #immediate, #signature},
#include "wasm/opcodes.def"
};

std::string_view type_of(char letter) {
  switch (letter) {
    case 'i': return "i32";
    case 'l': return "i64";
    case 'f': return "f32";
    case 'd': return "f64";
    default: return "v128";
  }
}

/// Whether operands are all that it takes, but for a lane.
bool is_plain(const Row& row) {
  return row.signature != "any" &&
         (row.immediate == "none" || row.immediate.starts_with("mem") || row.immediate.starts_with("lane")) &&
         row.immediate != "memory" && row.text.find("memory.") == row.text.npos;
}

std::string function_of(const Row& row) {
  const size_t split = row.signature.find('_');
  std::string params, results, operands;
  for (size_t i = 0; i < row.signature.size(); i++) {
    if (i == split) continue;
    (i < split ? params : results) += std::string(" ") + std::string(type_of(row.signature[i]));
    if (i < split) operands += " (local.get " + std::to_string(i) + ")";
  }
  const bool has_lane = row.immediate.find("lane") != row.immediate.npos;
  return "(func (param" + params + ") (result" + results + ")" + operands + " " + std::string(row.text) +
         (has_lane ? " 0)\n" : ")\n");
}

/// Every instruction on operands, and floats where they go through the stack, memory and host functions.
std::string module_text(int* functions) {
  std::string text = R"((module
    (import "env" "f" (func $host (param f32 f64 f64 f64 f64 f64 f64 f64 f64 f64 f64 f32) (result f64)))
    (type $many (func (param f32 f64 f64 f64 f64 f64 f64 f64 f64 f64 f64 f32)
      (result f64 f64 f64 f64 f64 f64 f32)))
    (table 1 funcref)
    (func $many (type $many) (local.get 1) (local.get 9) (local.get 10) (local.get 2) (local.get 3) (local.get 4)
      (local.get 11))
    (func (type $many) (local.get 0) (local.get 1) (local.get 9) (local.get 10) (local.get 2) (local.get 3)
      (local.get 4) (local.get 5) (local.get 6) (local.get 7) (local.get 8) (local.get 11) (return_call $many))
    (func (type $many) (call_indirect (type $many) (local.get 0) (local.get 1) (local.get 9) (local.get 10)
      (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6) (local.get 7) (local.get 8) (local.get 11)
      (i32.const 0)))
    (func (param f64 f32) (result f64) (call $host (local.get 1) (local.get 0) (f64.const 1.5) (f64.const 2.5)
      (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (f32.const 0.1)))
)";
  for (const Row& row : kRows) {
    if (!is_plain(row)) continue;
    text += function_of(row);
    ++*functions;
  }
  return text + "(memory 1))";
}

struct Settings {
  OptLevel opt;
  CompileMode mode;
  const char* cpu;
  bool deterministic;
};
void PrintTo(const Settings& s, std::ostream* out) {
  *out << (s.opt == OptLevel::o0 ? "o0 " : "o1 ") << s.cpu << (s.deterministic ? " deterministic" : "");
}

class FloatUnit : public testing::TestWithParam<Settings> {};
INSTANTIATE_TEST_SUITE_P(, FloatUnit,
                         testing::Values(Settings{OptLevel::o0, CompileMode::aot, "native", false},
                                         Settings{OptLevel::o0, CompileMode::eager, "baseline", false},
                                         Settings{OptLevel::o1, CompileMode::aot, "native", false},
                                         Settings{OptLevel::o1, CompileMode::aot, "baseline", false},
                                         Settings{OptLevel::o1, CompileMode::aot, "native", true},
                                         Settings{OptLevel::o1, CompileMode::eager, "baseline", true}));

TEST_P(FloatUnit, IsNotTheOldOne) {
  Config config;
  config.opt = GetParam().opt;
  config.mode = GetParam().mode;
  config.cpu = GetParam().cpu;
  config.deterministic = GetParam().deterministic;
  config.features.wide_arithmetic = true;
  auto engine = Engine::create(std::move(config));
  ASSERT_TRUE(engine);
  int functions = 0;
  auto wasm = wat_to_wasm(module_text(&functions));
  ASSERT_TRUE(wasm) << wasm.error().to_string();
  EXPECT_GT(functions, 400);
  auto assembly = Module::emit_text(*engine, *wasm, CodeText::assembly);
  ASSERT_TRUE(assembly) << assembly.error().to_string();
  std::istringstream lines(*assembly);
  int instructions = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word.empty() || word[0] == '.' || word[0] == '#' || word.back() == ':') continue;
    instructions++;
    const bool x87 = word[0] == 'f' || word == "emms" || line.find("%st") != line.npos || line.find("%mm") != line.npos;
    EXPECT_FALSE(x87 || word.find("mxcsr") != word.npos) << line;
  }
  EXPECT_GT(instructions, 2 * functions);
}

}  // namespace
}  // namespace rotor::jit
