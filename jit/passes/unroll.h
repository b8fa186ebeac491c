// Loops over the limbs of a number. A loop of two or four turns, with products in it whose carries go from one turn to
// the next, is unrolled: what the first turn gets is mostly zero, and an address needs no addition.
#pragma once

#include "llvm/IR/Function.h"
#include "llvm/IR/PassManager.h"

namespace rotor::jit {

/// Unrolls innermost loops whose number of turns is a small constant, if the result is not large. Returns whether it
/// did; then all analyses are void.
bool unroll_short_loops(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);

}  // namespace rotor::jit
