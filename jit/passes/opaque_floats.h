// Floats that LLVM must not know. To LLVM x * 1.0 and x - 0.0 are x; to wasm they are x made quiet, if it is a
// signalling NaN. Scalar literals of that kind are loads from memory that LLVM thinks unknown from the beginning
// (ModuleEmitter::opaque_float). Others only turn out to be constants: a local that was never set, a literal that was
// reinterpreted or converted, and vectors, which are floats or not by what is done with them. So these stay what they
// are until locals have become values, and then those that have come to a float instruction are replaced.
#pragma once

#include "llvm/IR/Function.h"
#include "llvm/IR/PassManager.h"

namespace rotor::jit {

/// Marks a function that has float instructions with identities (such as x * 1.0).
void mark_floats(llvm::Function& function);

/// Runs on functions so marked, after mem2reg and before anything that simplifies.
struct OpaqueFloatsPass : llvm::PassInfoMixin<OpaqueFloatsPass> {
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
};

}  // namespace rotor::jit
