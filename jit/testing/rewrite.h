// Whether jit/passes/wide_products.h leaves a function's results as they were, by running both.
#pragma once

#include <string>

#include "llvm/IR/Function.h"
#include "llvm/IR/PassManager.h"

namespace rotor::jit {

struct RewriteReport {
  std::string error;       ///< with the IR of both; empty if nothing differs
  bool rewritten = false;  ///< there are numbers of 128 bits now
  /// Of i64 and i128, but by powers of two: before the pass, and what it left alive.
  unsigned multiplications_before = 0;
  unsigned multiplications = 0;
};

/// What runs before the pass.
enum class Before : uint8_t {
  nothing,
  pipeline,  ///< what jit/pipeline.cc has between the emitter and it
};

/// Runs the pass on a copy, has LLVM verify it, and compares on corners (0, 1, 2^32-1, 2^32, 2^63, 2^64-1 and words
/// whose halves are such) and on `inputs` random inputs, many of them of corners. The module is as it was afterwards.
RewriteReport check_rewrite(llvm::Function& function, Before before, unsigned inputs, uint64_t seed = 1);

/// What the pass and those around it ask for, as jit/pipeline.cc registers it.
void register_analyses(llvm::FunctionAnalysisManager& analyses);

/// But by powers of two, which are shifts.
unsigned count_multiplications(const llvm::Function& function);

}  // namespace rotor::jit
