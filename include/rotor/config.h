// Settings of an engine. Every default is written here.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace rotor {

/// The proposals a module may use: on where they are part of WebAssembly 3.0, and threads. What the engine can't do yet
/// is listed in wasm/features.def and is an error that names it, whatever is set here.
struct Features {
  bool threads = true;              ///< shared memories and atomics
  bool extended_const = true;       ///< i32/i64 add, sub, mul in constant expressions
  bool simd = true;                 ///< v128 and its instructions
  bool relaxed_simd = true;         ///< vector instructions whose results the machine may choose
  bool tail_call = true;            ///< return_call and its kin
  bool function_references = true;  ///< typed references to functions
  bool exceptions = true;           ///< tags, throw and try_table
  bool legacy_exceptions = false;   ///< try, catch, delegate and rethrow, beside those: exceptions of before 3.0
  bool gc = false;                  ///< garbage collection: structures, arrays, i31, casts and subtypes
  bool multi_memory = true;         ///< more than one memory
  bool memory64 = true;             ///< memories and tables with 64-bit indices
  bool custom_page_sizes = false;   ///< memories in pages of one byte
  bool wide_arithmetic = false;     ///< 128-bit sums and products of i64

  /// Switches a proposal by its name ("tail-call"). Returns false if no switch has this name.
  bool set(std::string_view name, bool on);
  bool operator==(const Features&) const = default;
};

/// How hard to optimise.
enum class OptLevel : uint8_t {
  o0 = 0,  ///< mem2reg and LLVM's fast instruction selector: compiles fast
  o1 = 1,  ///< mem2reg, EarlyCSE, SimplifyCFG and LLVM's default code generator
};

/// When functions are compiled.
enum class CompileMode : uint8_t {
  /// All of them by Module::compile, at Config::opt. The fastest code: functions call each other straight.
  aot,
  /// All of them by Module::compile, at o0; hot ones again at o1 in the background.
  eager,
  /// The module is validated; each function is compiled at its first call, at o0, and again at o1 in the background
  /// when it has become hot. A thread that calls such a function waits for it.
  lazy,
};

/// The cache on disk of compiled code, for the engine's own use: Module::compile looks there first. Entries are keyed
/// by the module's bytes, Rotor's version, the settings that matter and the CPU's features. Whoever can write to the
/// folder can run code in this process: it is made with mode 0700 and refused if others may write to it
/// (docs/security.md).
struct CacheConfig {
  /// Looks for code in the cache and puts code into it.
  bool enabled = false;
  /// Empty: `$XDG_CACHE_HOME/rotor/code`, or `$HOME/.cache/rotor/code`.
  std::string folder;
  /// Bytes that all entries together may take. The least recently used ones are deleted first.
  uint64_t limit_bytes = UINT64_C(1) << 30;
};

/// The settings of an engine, fixed when Engine::create takes them.
struct Config {
  /// The proposals that modules of the engine may use.
  Features features;
  /// When functions are compiled. A property of the engine: every module of it is compiled so.
  CompileMode mode = CompileMode::lazy;
  /// The optimisation level; in the modes eager and lazy, that of the highest tier: o0 never compiles a function again.
  OptLevel opt = OptLevel::o1;
  /// A function is hot when its calls and the turns of its loops have come to this number. Larger functions take longer
  /// to compile, and need more: this much a KiB of body on top. At least 1.
  uint32_t hot_count = 64'000;
  /// The cache on disk; off by default.
  CacheConfig cache;
  /// Compile threads; 0: one a core.
  unsigned compile_workers = 0;
  /// The most steps per byte of its body that compiling a function may take: instructions and entries of phis that LLVM
  /// is given, counted beforehand. A function that would take more keeps its locals and operands in memory, which takes
  /// linear time and memory to compile, whatever the body says, and runs slower. 0: every function does so (for tests).
  uint32_t compile_steps_per_byte = 16;
  /// The most bytes that all threads of the engine together take for compiling, by an estimate made of each function
  /// beforehand. Threads wait for each other; a function that alone would take more is compiled at o0, or if that would
  /// take more, too, not at all: a `limit` error names it.
  uint64_t compile_memory_bytes = UINT64_C(1) << 30;
  /// Milliseconds that Module::compile may take; 0: any number. Once half of them are over, what is left is compiled at
  /// o0; once all are, the call ends with a `limit` error that names the function it has come to. A function at hand is
  /// finished first: LLVM can't be interrupted, which is why its steps are counted. In the mode lazy this holds for
  /// each function that is compiled, by an estimate made beforehand.
  uint64_t compile_deadline_ms = 600'000;
  /// "native": this machine; "baseline": x86-64-v2; "x86-64-v3"; "x86-64-v4". Code for features that this machine lacks
  /// can be made and written to a file here; to instantiate it is an error that names the missing features.
  std::string cpu = "native";
  /// Makes calls of the modules compiled from now on endable from outside (rotor/interrupt.h): each turn of a loop
  /// looks for a stop then. Without it `InterruptHandle::interrupt` and deadlines are errors. A property of the
  /// compiled code: what is loaded from a code file is as it was compiled.
  bool interruptible = false;
  /// The specification's deterministic profile for numbers: a result that is a NaN is the canonical, positive one, and
  /// relaxed SIMD instructions do the first of what they may, the same on any processor. (Otherwise they do what this
  /// one does fastest, the same at every tier.) Float instructions get slower: each that computes checks its result. A
  /// property of the compiled code: what is loaded from a code file is as it was compiled.
  bool deterministic = false;
  /// Has the modules compiled from now on pay for what they execute, a unit an instruction, out of an account that the
  /// host fills (Instance::set_fuel): what it has not paid for it does not run on, and the same calls cost the same at
  /// every tier and on every machine (docs/fuel.md). Takes time, even if the account never gets empty. A property of
  /// the compiled code: to load a code file that was compiled with another setting is an error.
  bool fuel = false;
  /// At o1, makes one multiplication of the four by which wasm code computes a product of 128 bits
  /// (docs/performance.md, "Wide products"). Changes no result. A property of the compiled code: what is loaded from a
  /// code file is as it was compiled.
  bool wide_products = true;
  /// Has small memories share address space, so that a process can have more of them than the system gives it mappings:
  /// those of a declared maximum of at most 1 MiB that a module neither imports nor exports nor shares between threads.
  /// Their accesses are compared with the memory's size, which takes time (docs/decisions/instances.md), and such a
  /// memory can't be given to another instance as an import (a `link` error), even if the host has a handle to it. A
  /// property of the compiled code: what is loaded from a code file is as it was compiled.
  bool slab_memories = false;
  /// Lists all code, as it comes, in /tmp/perf-PID.map, where Linux's `perf` looks for the names of functions. Lines
  /// are added and never taken back: code of modules that are gone stays listed.
  bool perf_map = false;
  /// Collects garbage at each allocation in a garbage-collected heap, and overwrites what is freed. For tests: a
  /// reference that was missed shows at once.
  bool gc_stress = false;
  /// Called with (functions done, functions in all) now and then while a module is compiled, from any compile thread.
  std::function<void(uint32_t, uint32_t)> compile_progress;
};

}  // namespace rotor
