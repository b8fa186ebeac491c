// Which functions are compiled together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "code/compiler.h"
#include "jit/cost.h"
#include "wasm/module.h"

namespace rotor::jit {

/// Defined functions [first, first + count): one LLVM module, if all of them are compiled in one way.
struct Batch {
  uint32_t first;
  uint32_t count;
};

/// Divides all functions of a module into batches of at most `functions` (at least 1).
std::vector<Batch> make_batches(const wasm::Module& module, uint32_t functions);

/// A function of a batch, and how it is to be emitted.
struct BatchFunction {
  uint32_t defined_func;
  bool in_frame;          ///< Form::frame
  uint32_t operands;      ///< Cost::operands
  uint64_t memory_bytes;  ///< that compiling it takes, at most
};

/// Functions of a batch by the level of the pipeline that compiles them.
struct SortedBatch {
  std::vector<BatchFunction> at_o0, at_o1;
};
/// Sorts the functions of a batch by the level at which they may be compiled. Errors: limit, for the first function
/// that may not be compiled, whose index is left in `bad`.
Result<SortedBatch> sort_batch(CostCounter& counter, std::span<const uint32_t> defined_funcs, OptLevel opt,
                               const code::CompileOptions& options, uint32_t imported_funcs, uint32_t& bad);
/// Takes the first functions off `functions`, at least one, to be compiled together: as many as do not take much
/// memory.
std::span<const BatchFunction> take_piece(std::span<const BatchFunction>& functions, uint64_t& memory_bytes);

}  // namespace rotor::jit
