// What a function's integer instructions come to, if all else that is in it (parameters, loads, calls, phis) is any
// number: a check of rewriting that is independent of the reasons for it. Straight through all blocks, no control.
#pragma once

#include <cstdint>

#include "llvm/ADT/DenseMap.h"
#include "llvm/IR/Function.h"

namespace rotor::jit {

class Evaluation {
 public:
  /// Of integers of 128 bits or fewer. `seed` chooses the numbers: some random, some at the edges of words and halves.
  Evaluation(const llvm::Function& function, uint64_t seed);
  /// Without a sign. Pre: an integer of 128 bits or fewer.
  unsigned __int128 operator()(const llvm::Value* value);

 private:
  unsigned __int128 any(unsigned bits);
  unsigned __int128 evaluate(const llvm::Instruction& op, unsigned bits);

  llvm::DenseMap<const llvm::Value*, unsigned __int128> values_;
  uint64_t state_;
};

}  // namespace rotor::jit
