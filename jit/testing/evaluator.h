// Runs LLVM IR functions on integers, for tests that compare what a pass makes with what it was given. Our own, and
// strict: an instruction that it does not know, and a value that LLVM calls poison, are errors that name the
// instruction.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "llvm/IR/Function.h"
#include "rotor/result.h"

namespace rotor::jit {

/// A function made ready to be run many times. It knows integers of up to 128 bits, and arithmetic, comparisons,
/// conversions, `select`, `phi`, `br` and `ret` of them; several results are the fields of a struct.
class Evaluator {
 public:
  using Word = unsigned __int128;

  /// The function must outlive it, be valid, and take only integers.
  static Result<Evaluator> create(const llvm::Function& function);

  /// The results, valid until the next run. Errors: poison, and a function that goes on for too long.
  Result<std::span<const Word>> run(std::span<const Word> arguments);

 private:
  friend class Translation;
  using Slot = uint32_t;

  struct Step {
    const llvm::Instruction* at;
    unsigned opcode;
    unsigned width;  ///< of the first operand
    unsigned result_width;
    Slot result;
    std::array<Slot, 3> operands;
  };
  struct Edge {
    uint32_t block = 0;
    std::vector<std::pair<Slot, Slot>> phis;  ///< to, from
  };
  static constexpr Slot kNone = UINT32_MAX;
  struct Block {
    std::vector<Step> steps;
    Slot condition = kNone;   ///< of the edges, if there are two
    std::vector<Edge> edges;  ///< the one taken if the condition holds first; none: it returns
    std::vector<Slot> results;
  };

  Result<void> step(const Step& step);
  void follow(const Edge& edge);

  std::vector<Word> slots_;  ///< the arguments first; constants have their own
  std::vector<unsigned> argument_widths_;
  std::vector<Block> blocks_;
  std::vector<Word> scratch_;
};

}  // namespace rotor::jit
