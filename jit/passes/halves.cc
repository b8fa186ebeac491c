#include "jit/passes/halves.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/PatternMatch.h"
#include "llvm/Support/KnownBits.h"
#include "llvm/Support/MathExtras.h"

namespace rotor::jit {

namespace {

using namespace llvm::PatternMatch;
using llvm::Instruction;
using llvm::Value;

constexpr unsigned kHalf = 32;

bool match_low_32(Value* value, Value*& x) {
  return match(value, m_ZExt(m_Trunc(m_Value(x)))) &&
         llvm::cast<Instruction>(value)->getOperand(0)->getType()->isIntegerTy(kHalf);
}

class Halves {
 public:
  explicit Halves(llvm::Function& function)
      : function_(function), i64_(llvm::Type::getInt64Ty(function.getContext())) {}

  bool run() {
    for (Instruction& op : llvm::instructions(function_))
      if (op.getOpcode() == Instruction::Mul && op.getType() == i64_)
        for (Value* factor : op.operands()) note(factor);
    for (auto [half, whole] : high_) {
      // If no low half goes with the mask or shift, replacing the upper half would gain nothing.
      auto [x, part] = whole;
      if (part.shift ? !shifted_low_.contains({x, part.shift}) : cut_.contains(x) || !low_.contains(x)) continue;
      replace(half, llvm::IRBuilder<>(half).CreateLShr(made(x, part), kHalf));
      for (Instruction* low : part.shift ? shifted_low_[{x, part.shift}] : low_[x])
        replace(low, llvm::IRBuilder<>(low).CreateAnd(made(x, part), UINT32_MAX));
    }
    for (auto [old, whole] : wholes_)
      if (Value* made = made_.lookup(key(whole.first, whole.second))) replace(old, made);
    if (!low_.empty())
      for (Instruction& op : llvm::instructions(function_)) widen_mask(op);
    return changed_;
  }

 private:
  /// What a half is cut from: x & mask or, if `shift` is not 0, x >> shift.
  struct Part {
    uint64_t mask, shift;
  };

  void note(Value* factor) {
    auto* half = llvm::dyn_cast<Instruction>(factor);
    Value *x, *whole;
    uint64_t mask, shift;
    if (!half) return;
    if (match(half, m_And(m_LShr(m_Value(x), m_SpecificInt(kHalf)), m_ConstantInt(mask))) && llvm::isMask_64(mask) &&
        mask < UINT32_MAX) {
      high_.insert({half, {x, {mask << kHalf | UINT32_MAX, 0}}});
    } else if (match(half, m_And(m_Value(x), m_SpecificInt(UINT32_MAX))) || match_low_32(half, x)) {
      if (x->getType() != i64_) return;
      push(low_[x], half);
      if (match(x, m_LShr(m_Value(whole), m_ConstantInt(shift))) && shift) {
        push(shifted_low_[{whole, shift}], half);
        wholes_.insert({llvm::cast<Instruction>(x), {whole, {0, shift}}});
      }
    } else if (match(half, m_LShr(m_Value(x), m_ConstantInt(shift))) && shift > kHalf && shift < 64) {
      high_.insert({half, {x, {0, shift - kHalf}}});
    } else if (match(half, m_LShr(m_Value(x), m_SpecificInt(kHalf)))) {
      cut_.insert(x);
      if (match(x, m_And(m_Value(whole), m_ConstantInt(mask))) && llvm::isMask_64(mask) && mask > UINT32_MAX) {
        high_.insert({half, {whole, {mask, 0}}});
        wholes_.insert({llvm::cast<Instruction>(x), {whole, {mask, 0}}});
      }
    }
  }

  /// Makes (x & (2^32 - 2^k)) + y, of which no user reads the lowest k bits, use the mask of a whole half: if the
  /// lowest k bits of y are 0, those of x carry nowhere.
  void widen_mask(Instruction& half) {
    uint64_t mask;
    unsigned k, length;
    if (!match(&half, m_And(m_Value(), m_ConstantInt(mask))) || !half.hasOneUse() || half.getType() != i64_ ||
        !llvm::isShiftedMask_64(mask, k, length) || k == 0 || k + length != kHalf)
      return;
    auto* sum = llvm::cast<Instruction>(*half.user_begin());
    if (sum->getOpcode() != Instruction::Add) return;
    auto drops = [&](llvm::User* user) {
      uint64_t bits;
      return match(user, m_LShr(m_Specific(sum), m_ConstantInt(bits))) && bits >= k;
    };
    Value* y = sum->getOperand(sum->getOperand(0) == &half);
    if (!llvm::all_of(sum->users(), drops)) return;
    if (llvm::computeKnownBits(y, function_.getDataLayout()).countMinTrailingZeros() < k) return;
    half.setOperand(1, llvm::ConstantInt::get(i64_, UINT32_MAX));
    changed_ = true;
  }

  static void push(llvm::SmallVector<Instruction*, 2>& halves, Instruction* half) {
    if (!llvm::is_contained(halves, half)) halves.push_back(half);
  }

  /// Returns the key of x with a mask or shift: masks are above 2^32, shifts below.
  static std::pair<Value*, uint64_t> key(Value* x, Part part) { return {x, part.shift ? part.shift : part.mask}; }

  /// Returns the masked or shifted x, made right behind x, where all halves can use it.
  Value* made(Value* x, Part part) {
    Value*& whole = made_[key(x, part)];
    if (whole) return whole;
    llvm::IRBuilder<> b(function_.getContext());
    if (auto* op = llvm::dyn_cast<Instruction>(x))
      b.SetInsertPoint(*op->getInsertionPointAfterDef());
    else
      b.SetInsertPoint(&*function_.getEntryBlock().getFirstNonPHIOrDbgOrAlloca());
    return whole = part.shift ? b.CreateLShr(x, part.shift) : b.CreateAnd(x, part.mask);
  }

  void replace(Instruction* old, Value* value) {
    old->replaceAllUsesWith(value);
    changed_ = true;
  }

  llvm::Function& function_;
  llvm::Type* const i64_;
  llvm::MapVector<Instruction*, std::pair<Value*, Part>> high_;     ///< upper halves, and what they are halves of
  llvm::MapVector<Instruction*, std::pair<Value*, Part>> wholes_;   ///< masked and shifted values that the program has
  llvm::DenseMap<Value*, llvm::SmallVector<Instruction*, 2>> low_;  ///< low halves, by what they are halves of
  llvm::DenseMap<std::pair<Value*, uint64_t>, llvm::SmallVector<Instruction*, 2>> shifted_low_;
  llvm::DenseSet<Value*> cut_;  ///< an upper half of them is multiplied as it is
  llvm::DenseMap<std::pair<Value*, uint64_t>, Value*> made_;
  bool changed_ = false;
};

}  // namespace

bool name_halves(llvm::Function& function) { return Halves(function).run(); }

}  // namespace rotor::jit
