// Carries from word to word of a long number. Adding two words and a carry has two places that may carry, and programs
// add up what came out of both, or compare the sum with one. They are never both set: a + b that carries is at most
// 2^64 - 2, and takes one more; a - b that borrows is at least 1, and gives one more. So the sum is a disjunction, and
// of that LLVM makes an add-with-carry, of a sum of carries it does not.
#pragma once

#include "llvm/IR/PassManager.h"

namespace rotor::jit {

/// Runs after common subexpressions.
struct CarriesPass : llvm::PassInfoMixin<CarriesPass> {
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
};

}  // namespace rotor::jit
