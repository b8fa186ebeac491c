// What it will cost to compile a function, counted in one pass over its body before anything is made of it: LLVM can't
// be interrupted, so what bounds it has to be known beforehand. docs/decisions/compile-budget.md has the model and how
// its constants were measured.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "code/compiler.h"
#include "wasm/decode_body.h"

namespace rotor::jit {

/// How a function is compiled: each form is cheaper than the one before, and its code slower.
enum class Form : uint8_t {
  optimised,  ///< as --opt 1 has it
  fast,       ///< as --opt 0 has it: values in LLVM's registers, no optimisations that take more than linear time
  frame,      ///< locals and operands in memory (jit/emit/in_frame.h): linear in the body's bytes, whatever they say
};

/// Upper bounds of what FunctionEmitter makes of a function, but for what it inlines.
struct Cost {
  uint64_t body_bytes = 0;
  uint64_t instructions = 0;  ///< of LLVM's intermediate representation, phis apart
  uint64_t phi_entries = 0;   ///< of phis of operands and of locals: one for each value that a phi joins
  uint64_t blocks = 0;
  uint64_t live = 0;  ///< operands on the stack, summed over calls and ends of blocks
  uint32_t calls = 0;
  uint32_t operands = 0;     ///< on the stack at once, at most
  uint32_t locals = 0;       ///< that are declared, parameters too
  uint32_t used_locals = 0;  ///< that are set or are parameters
  uint32_t loop_depth = 0;   ///< loops around each other, at most
};

/// Counts the costs of a module's functions. Not thread-safe; each worker has its own.
class CostCounter {
 public:
  /// `module` and `bytes` must outlive it.
  CostCounter(const wasm::Module& module, std::span<const uint8_t> bytes, const code::CodeSettings& settings);
  ~CostCounter();
  /// Counts a body; in one that does not validate, what precedes the error, which the emitter reports.
  Cost count(uint32_t defined_func);
  /// BodyDecoder::uses_floats of the bodies counted so far.
  bool uses_floats() const;
  /// Returns BodyDecoder::used_features of them.
  uint32_t used_features() const;

 private:
  class Sink;
  const wasm::Module& module_;
  std::unique_ptr<Sink> sink_;
  std::unique_ptr<wasm::BodyDecoder<Sink>> decoder_;
};

/// Upper bounds of what compiling a function in a form takes, on one thread.
struct Estimate {
  uint64_t memory_bytes;
  uint64_t cpu_us;
};
Estimate estimate(const Cost& cost, Form form);

/// Returns the best form that a function may have within the bounds in `options`. Errors: limit, if it may have none;
/// `func` is the module's index, for the message.
Result<Form> form_of(const Cost& cost, OptLevel opt, const code::CompileOptions& options, uint32_t func);

}  // namespace rotor::jit
