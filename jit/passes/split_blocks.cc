#include "jit/passes/split_blocks.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/Instructions.h"

namespace rotor::jit {

namespace {

using llvm::BasicBlock;
using llvm::Instruction;

/// Finds where a block has to be cut: before these instructions, in order.
void find_cuts(BasicBlock& block, llvm::SmallVectorImpl<Instruction*>& cuts) {
  auto begin = block.getFirstNonPHIIt();
  // Cuts only behind the frame's slots: they are static in the entry block only.
  if (block.isEntryBlock())
    for (auto i = begin; i != block.end(); ++i)
      if (llvm::isa<llvm::AllocaInst>(*i)) begin = std::next(i);
  uint32_t instructions = 0;
  llvm::SmallDenseMap<const Instruction*, uint32_t, 64> terms;  // of the sums since the last cut
  for (auto i = begin; i != block.end() && !i->isTerminator(); ++i) {
    uint32_t sum = 0;
    if (i->getOpcode() == Instruction::Add) {
      sum = 1;
      for (const llvm::Value* operand : i->operands())
        if (auto found = terms.find(llvm::dyn_cast<Instruction>(operand)); found != terms.end()) sum += found->second;
    }
    if (instructions >= kBlockInstructions || sum > kSumTerms) {
      cuts.push_back(&*i);
      instructions = 0;
      terms.clear();
      sum = 1;
    }
    ++instructions;
    if (i->getOpcode() == Instruction::Add) terms.try_emplace(&*i, sum);
  }
}

class SplitBlocksPass : public llvm::FunctionPass {
 public:
  static char id;
  SplitBlocksPass() : FunctionPass(id) {}
  bool runOnFunction(llvm::Function& function) override { return split_blocks(function); }
};

char SplitBlocksPass::id = 0;

}  // namespace

bool split_blocks(llvm::Function& function) {
  llvm::SmallVector<BasicBlock*, 8> blocks;
  for (BasicBlock& block : function) blocks.push_back(&block);
  llvm::SmallVector<Instruction*, 16> cuts;
  bool changed = false;
  for (BasicBlock* block : blocks) {
    cuts.clear();
    find_cuts(*block, cuts);
    // Cuts from the end, so that each instruction moves only once.
    for (Instruction* cut : llvm::reverse(cuts)) block->splitBasicBlock(cut->getIterator());
    changed |= !cuts.empty();
  }
  return changed;
}

llvm::FunctionPass* create_split_blocks_pass() { return new SplitBlocksPass; }

}  // namespace rotor::jit
