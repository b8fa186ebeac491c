// The values of a function's integer instructions when everything else in it (parameters, loads, calls, phis) is given
// some number: a check of rewriting that is independent of the reasons for it. It goes straight through all blocks and
// ignores control.
#pragma once

#include <cstdint>

#include "llvm/ADT/DenseMap.h"
#include "llvm/IR/Function.h"

namespace rotor::jit {

class Evaluation {
 public:
  /// Evaluates the instructions on integers of 128 bits or fewer. `seed` chooses the numbers: some random, some at the
  /// edges of words and halves.
  Evaluation(const llvm::Function& function, uint64_t seed);
  /// Returns a value, read as unsigned. Pre: it is an integer of 128 bits or fewer.
  unsigned __int128 operator()(const llvm::Value* value);

 private:
  unsigned __int128 any(unsigned bits);
  unsigned __int128 evaluate(const llvm::Instruction& op, unsigned bits);

  llvm::DenseMap<const llvm::Value*, unsigned __int128> values_;
  uint64_t state_;
};

}  // namespace rotor::jit
