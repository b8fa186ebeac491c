// Calls whose outcome must be the same however their module came to its code.
#pragma once

#include <string>
#include <vector>

#include "runtime/access.h"
#include "runtime/module.h"
#include "runtime/testing/support.h"
#include "runtime/testing/tier_modules.h"

namespace rotor::runtime::test {

inline Engine engine_of(CompileMode mode, uint32_t hot_count = 1, OptLevel opt = OptLevel::o1, unsigned workers = 0) {
  Config config;
  config.mode = mode;
  config.hot_count = hot_count;
  config.opt = opt;
  config.compile_workers = workers;
  return must(Engine::create(config));
}

/// Returns when nothing is compiled in the background any more.
inline void settle(const Module& module) {
  if (Tiering* tiering = impl_of(module).tiering()) tiering->wait_for_background();
}

/// A linker for kTiers.
inline Linker host_linker(const Engine& e) {
  Linker linker(e);
  linker.define("env", "host", [](int32_t x) { return x + 7; });
  return linker;
}

/// All that a call can tell, as text: results to the bit, or the trap with its frames.
inline std::string outcome_of(const Result<std::vector<Value>>& result) {
  std::string text;
  if (result) {
    for (const Value& value : *result) text += to_string(value.type()) + ':' + std::to_string(value.bits()) + ' ';
    return text;
  }
  text = result.error().message;
  if (!result.error().trap) return text + " (no trap)";
  for (const Frame& frame : result.error().trap->frames())
    text += '\n' + std::to_string(frame.func_index) + ' ' + frame.module_name + '.' + frame.func_name + " @ " +
            std::to_string(frame.module_offset);
  return text;
}

struct Call {
  const char* name;
  std::vector<Value> args;
};

/// Calls of kTiers, which leave nothing behind that another one sees.
inline const std::vector<Call>& calls() {
  static const std::vector<Call> all = {
      {"square", {Value(-12)}},
      {"fib", {Value(12)}},
      {"sum", {Value(1000)}},
      {"indirect", {Value(0), Value(9)}},
      {"indirect", {Value(1), Value(65532)}},
      {"indirect", {Value(2), Value(9)}},
      {"indirect", {Value(3), Value(9)}},
      {"indirect", {Value(4), Value(9)}},      // an uninitialized element
      {"indirect", {Value(8), Value(9)}},      // an undefined one
      {"indirect", {Value(1), Value(65533)}},  // out of bounds, in what the table holds
      {"outer", {Value(2), Value(10)}},
      {"outer", {Value(1), Value(-1)}},  // the same, four frames deep
      {"call_host", {Value(9)}},
      {"divide", {Value(9), Value(2)}},
      {"divide", {Value(9), Value(0)}},
      {"divide", {Value(INT32_MIN), Value(-1)}},
      {"trunc", {Value(-3.7)}},
      {"trunc", {Value(3e9)}},
      {"two_traps", {Value(0)}},
      {"two_traps", {Value(1)}},
      {"weigh", {Value(1'000'000)}},
      {"six", {Value(-4)}},
      {"down", {Value(5)}},
      {"forever", {Value(0)}},  // overflows the stack
  };
  return all;
}

inline std::vector<std::string> outcomes(const Instance& instance) {
  std::vector<std::string> texts;
  for (const Call& call : calls()) texts.push_back(outcome_of(must(instance.get_func(call.name)).call(call.args)));
  return texts;
}

/// As compiled ahead of time, which the spec suite tests.
inline const std::vector<std::string>& expected_outcomes() {
  static const std::vector<std::string> expected = [] {
    Engine e = engine_of(CompileMode::aot, 1, OptLevel::o0);
    return outcomes(instantiate(host_linker(e), compile(e, kTiers)));
  }();
  return expected;
}

inline void expect_outcomes(const Instance& instance, const char* when) {
  std::vector<std::string> actual = outcomes(instance);
  for (size_t i = 0; i < actual.size(); ++i)
    EXPECT_EQ(actual[i], expected_outcomes()[i]) << when << ": call " << i << ", " << calls()[i].name;
}

}  // namespace rotor::runtime::test
