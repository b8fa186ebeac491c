// Carries from word to word of a long number. Adding two words and a carry has two places that may carry, and programs
// add up what came out of both, or compare the sum with one. They are never both set: a sum a + b that carries is at
// most 2^64 - 2, so that adding one more does not carry; a difference a - b that borrows is at least 1, so that taking
// one more does not borrow. So the sum of the carries is a disjunction, of which LLVM makes an add-with-carry, as it
// does not of a sum.
#pragma once

#include "llvm/IR/PassManager.h"

namespace rotor::jit {

/// Runs after common subexpressions are eliminated.
struct CarriesPass : llvm::PassInfoMixin<CarriesPass> {
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
};

}  // namespace rotor::jit
