#include "jit/passes/carries.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/PatternMatch.h"
#include "llvm/Transforms/Utils/Local.h"

namespace rotor::jit {

namespace {

using namespace llvm::PatternMatch;
using llvm::Instruction;
using llvm::Value;

/// Returns the bit that a value extends, perhaps in two steps; null if it extends none.
Value* bit_of(Value* value) {
  while (auto* extension = llvm::dyn_cast<llvm::ZExtInst>(value)) value = extension->getOperand(0);
  return value->getType()->isIntegerTy(1) ? value : nullptr;
}

/// An unsigned comparison less < more.
struct Below {
  Value *less, *more;
};
bool match_below(Value* bit, Below& below) {
  auto* compare = llvm::dyn_cast<llvm::ICmpInst>(bit);
  if (!compare) return false;
  below = {compare->getOperand(0), compare->getOperand(1)};
  if (compare->getPredicate() == llvm::ICmpInst::ICMP_UGT) std::swap(below.less, below.more);
  return compare->getPredicate() == llvm::ICmpInst::ICMP_ULT || compare->getPredicate() == llvm::ICmpInst::ICMP_UGT;
}

/// Returns whether a comparison is the carry out of `sum`: that it is below one of its terms.
bool is_carry_of(const Below& below, Value* sum) {
  return below.less == sum && match(sum, m_c_Add(m_Specific(below.more), m_Value()));
}

/// Returns whether two bits can't both be set: `first` is the carry out of a sum and `second` that of adding one bit to
/// the sum, or `first` is the borrow of a difference and `second` that of taking one bit off it.
bool exclude_each_other(Value* first, Value* second) {
  Below one, two;
  if (!match_below(first, one) || !match_below(second, two)) return false;
  // The carries: `two` is sum + bit < sum, or < bit; `one` is sum < a term of it.
  Value *x, *y;
  if (match(two.less, m_Add(m_Value(x), m_Value(y))) && is_carry_of(two, two.less)) {
    if (bit_of(x)) std::swap(x, y);
    if (bit_of(y) && one.less == x && is_carry_of(one, x)) return true;
  }
  // The borrows: `two` is difference < bit; `one` is a < b, where the difference is a - b.
  return bit_of(two.more) && match(two.less, m_Sub(m_Specific(one.less), m_Specific(one.more)));
}

/// Makes a bit that equals the value of a sum of two carries, or returns null if it is none.
Value* disjunction(Instruction& op) {
  if (op.getOpcode() != Instruction::Add && op.getOpcode() != Instruction::Or && op.getOpcode() != Instruction::Xor)
    return nullptr;
  if (!llvm::isa<llvm::ZExtInst>(op.getOperand(0)) || !llvm::isa<llvm::ZExtInst>(op.getOperand(1))) return nullptr;
  Value *x = bit_of(op.getOperand(0)), *y = bit_of(op.getOperand(1));
  if (!x || !y || (!exclude_each_other(x, y) && !exclude_each_other(y, x))) return nullptr;
  return llvm::IRBuilder<>(&op).CreateOr(x, y);
}

/// Returns the bit that a comparison asks for, where it asks whether a carry as a number is 1, or not 0; else null.
Value* asked_bit(Instruction& op) {
  auto* compare = llvm::dyn_cast<llvm::ICmpInst>(&op);
  if (!compare || !llvm::isa<llvm::ZExtInst>(op.getOperand(0))) return nullptr;
  bool equal_one = compare->getPredicate() == llvm::ICmpInst::ICMP_EQ && match(op.getOperand(1), m_One());
  bool not_zero = compare->getPredicate() == llvm::ICmpInst::ICMP_NE && match(op.getOperand(1), m_Zero());
  return equal_one || not_zero ? bit_of(op.getOperand(0)) : nullptr;
}

}  // namespace

llvm::PreservedAnalyses CarriesPass::run(llvm::Function& function, llvm::FunctionAnalysisManager&) {
  llvm::SmallVector<llvm::WeakTrackingVH, 8> dead;
  for (llvm::BasicBlock& block : function)
    for (Instruction& op : block) {
      if (Value* bit = disjunction(op)) {
        op.replaceAllUsesWith(llvm::IRBuilder<>(&op).CreateZExt(bit, op.getType()));
        dead.emplace_back(&op);
      } else if (!dead.empty()) {
        if (Value* asked = asked_bit(op)) {
          op.replaceAllUsesWith(asked);
          dead.emplace_back(&op);
        }
      }
    }
  if (dead.empty()) return llvm::PreservedAnalyses::all();
  llvm::RecursivelyDeleteTriviallyDeadInstructionsPermissive(dead);
  llvm::PreservedAnalyses preserved;
  preserved.preserveSet<llvm::CFGAnalyses>();
  return preserved;
}

}  // namespace rotor::jit
