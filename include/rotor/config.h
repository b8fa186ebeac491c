// Settings of an engine. Every default is written here.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace rotor {

/// The proposals a module may use. What the engine can't do yet is listed in wasm/features.def and is an
/// error that names it, whatever is set here.
struct Features {
  bool threads = true;         ///< shared memories and atomics
  bool extended_const = true;  ///< i32/i64 add, sub, mul in constant expressions
};

/// How hard to optimise.
enum class OptLevel : uint8_t {
  o0 = 0,  ///< mem2reg and LLVM's fast instruction selector: compiles fast
  o1 = 1,  ///< mem2reg, EarlyCSE, SimplifyCFG and LLVM's default code generator
};

struct Config {
  Features features;
  OptLevel opt = OptLevel::o1;
  /// Compile threads; 0: one a core.
  unsigned compile_workers = 0;
  /// "native": this machine; "baseline": x86-64-v2.
  std::string cpu = "native";
  /// Makes calls of the modules compiled from now on endable from outside (rotor/interrupt.h): each turn of a loop
  /// looks for a stop then. Without it `InterruptHandle::interrupt` and deadlines are errors. A property of the
  /// compiled code: a code file does not carry it yet, so that what is loaded from one counts as not interruptible.
  bool interruptible = false;
  /// Told (functions done, functions in all) now and then while a module is compiled, from any compile thread.
  std::function<void(uint32_t, uint32_t)> compile_progress;
};

}  // namespace rotor
