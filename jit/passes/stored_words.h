// Results that go through linear memory. A routine that was inlined (jit/emit/batch.h) still writes its result to the
// caller's stack in linear memory, and the caller still reads it from there. Accesses are volatile, so that none that
// traps is lost, and LLVM leaves them alone. This pass gives the users of such a load the value that was stored. The
// loads that may trap stay: the ones that go further behind their index than any access before them in the block.
//
// Addresses are base + (index mod 2^32) + offset, and a program writes index + c now as one, now as the other. The
// store has succeeded, so its address is below 2^32. The load's is the same modulo 2^32: either it is the same, or it
// is not below 2^32 and the load traps.
#pragma once

#include "llvm/IR/Function.h"
#include "llvm/IR/PassManager.h"

namespace rotor::jit {

/// Marks a function into which routines were inlined.
void mark_inlined(llvm::Function& function);

/// Runs on functions so marked, after common subexpressions are eliminated.
struct StoredWordsPass : llvm::PassInfoMixin<StoredWordsPass> {
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
};

}  // namespace rotor::jit
