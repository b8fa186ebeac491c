#include "jit/passes/wide_products.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "jit/passes/evaluate.h"
#include "jit/passes/halves.h"
#include "jit/passes/unroll.h"
#include "jit/passes/wide_values.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Local.h"

namespace rotor::jit {

namespace {

using llvm::Instruction;
using llvm::Value;

/// Recovers the wide products of one function.
class WideProducts {
 public:
  WideProducts(llvm::Function& function, llvm::FunctionAnalysisManager& analyses)
      : function_(function),
        analyses_(analyses),
        values_(function),
        i64_(llvm::Type::getInt64Ty(function.getContext())),
        i128_(llvm::Type::getInt128Ty(function.getContext())) {}

  /// Rewrites the function. Returns whether it rewrote anything.
  bool run();

 private:
  Value* rewrite(Instruction& at, const Split& split);
  bool is_available(Value* value, Instruction& at);
  bool are_available(const Sum& sum, Instruction& at);
  Value* now(Value* value) const;
  using Factors = std::pair<Value*, Value*>;
  static Factors factors(Value* x, Value* y) { return std::less{}(x, y) ? Factors{x, y} : Factors{y, x}; }
  Value* multiply(llvm::IRBuilder<>& b, Value* x, Value* y) {
    return b.CreateNUWMul(b.CreateZExt(x, i128_), b.CreateZExt(y, i128_));
  }
  Value* product(llvm::IRBuilder<>& b, Value* x, Value* y, Instruction& at);
  Value* multiple(llvm::IRBuilder<>& b, const Multiple& term, Instruction& at);
  Value* sum(llvm::IRBuilder<>& b, Sum terms, Instruction& at);
  size_t multiplications_after() const;
  bool is_confirmed() const;
  void replace_all();
  void join_low_products();

  llvm::DominatorTree& dominators() {
    if (!dominators_) dominators_ = &analyses_.getResult<llvm::DominatorTreeAnalysis>(function_);
    return *dominators_;
  }

  llvm::Function& function_;
  llvm::FunctionAnalysisManager& analyses_;
  llvm::DominatorTree* dominators_ = nullptr;
  WideValues values_;
  llvm::Type* const i64_;
  llvm::Type* const i128_;
  llvm::MapVector<Value*, Value*> replaced_;
  llvm::DenseMap<Factors, llvm::WeakVH> products_;                ///< i128 values
  std::unordered_multimap<size_t, std::pair<Sum, Value*>> sums_;  ///< by hash
};

Value* WideProducts::now(Value* value) const {
  for (auto it = replaced_.find(value); it != replaced_.end(); it = replaced_.find(value)) value = it->second;
  return value;
}

/// Returns whether a value is available at `at`. In the same block everything that was met or made so far is: blocks
/// are walked in order, and to ask the dominator tree within a block would number the block anew after each insertion.
bool WideProducts::is_available(Value* value, Instruction& at) {
  auto* op = llvm::dyn_cast<Instruction>(value);
  return !op || op->getParent() == at.getParent() || dominators().dominates(op->getParent(), at.getParent());
}

/// Returns whether all factors of a sum are available at `at`: a partial product that explained a carry may be defined
/// elsewhere. Low parts can't be made.
bool WideProducts::are_available(const Sum& sum, Instruction& at) {
  return std::ranges::all_of(sum, [&](const Multiple& term) {
    for (Atom atom : {term.monomial.a, term.monomial.b})
      if (atom && (atom.is_low_part() || !values_.value(atom) || !is_available(values_.value(atom), at))) return false;
    return true;
  });
}

/// Makes x * y in i128, from factors of 64 bits or fewer.
Value* WideProducts::product(llvm::IRBuilder<>& b, Value* x, Value* y, Instruction& at) {
  llvm::WeakVH& made = products_[factors(x, y)];
  if (!made || !is_available(made, at)) made = multiply(b, x, y);
  return made;
}

/// Makes a term in i128, modulo 2^128.
Value* WideProducts::multiple(llvm::IRBuilder<>& b, const Multiple& term, Instruction& at) {
  if (term.monomial.degree() == 0) return llvm::ConstantInt::get(i128_, term.factor);
  Value* x = now(values_.value(term.monomial.a));
  bool is_power = llvm::isPowerOf2_64(term.factor);
  if (term.monomial.degree() == 1 && !is_power) return product(b, x, b.getInt64(term.factor), at);
  Value* result =
      term.monomial.degree() == 1 ? b.CreateZExt(x, i128_) : product(b, x, now(values_.value(term.monomial.b)), at);
  if (term.factor == 1) return result;
  if (is_power) return b.CreateShl(result, llvm::countr_zero(term.factor));
  return b.CreateMul(result, llvm::ConstantInt::get(i128_, term.factor));
}

/// Makes a sum in i128. The low and the high word of a product share one.
Value* WideProducts::sum(llvm::IRBuilder<>& b, Sum terms, Instruction& at) {
  wasm::KeyedHasher hasher;
  for (const Multiple& term : terms) term.add_to(hasher);
  const size_t hash = hasher.finish();
  auto [begin, end] = sums_.equal_range(hash);
  for (auto it = begin; it != end; ++it)
    if (it->second.first == terms && is_available(it->second.second, at)) return it->second.second;
  Sum key = terms;
  // Puts products first.
  std::ranges::stable_sort(terms, std::greater{},
                           [](const Multiple& term) { return term.monomial.degree() + (term.factor > 1); });
  Value* result = nullptr;
  for (const Multiple& term : terms) {
    Value* value = multiple(b, term, at);
    result = result ? b.CreateAdd(result, value) : value;
  }
  sums_.emplace(hash, std::pair(std::move(key), result));
  return result;
}

/// Makes the value that replaces `at`, or returns null.
Value* WideProducts::rewrite(Instruction& at, const Split& split) {
  if (!are_available(split.whole, at) || !are_available(split.high, at) || !are_available(split.less, at) ||
      !std::ranges::all_of(split.words, [&](const Sum& word) { return are_available(word, at); }) ||
      !std::ranges::all_of(split.minus_words, [&](const Sum& word) { return are_available(word, at); }))
    return nullptr;
  llvm::IRBuilder<> b(&at);
  if (!split.has_fraction) return b.CreateTrunc(sum(b, split.whole, at), i64_);
  Value* high = split.high.empty() ? llvm::ConstantInt::get(i128_, 0) : sum(b, split.high, at);
  for (const Multiple& term : split.less) high = b.CreateSub(high, multiple(b, term, at));
  Value* result = b.CreateTrunc(b.CreateLShr(high, 64), i64_);
  auto high_word = [&](const Sum& terms) { return b.CreateTrunc(b.CreateLShr(sum(b, terms, at), 64), i64_); };
  for (const Sum& word : split.words) result = b.CreateAdd(result, high_word(word));
  for (const Sum& word : split.minus_words) result = b.CreateSub(result, high_word(word));
  for (const Multiple& term : split.whole) {
    Value* x = term.monomial.degree() == 0   ? b.getInt64(1)
               : term.monomial.degree() == 1 ? b.CreateZExt(now(values_.value(term.monomial.a)), i64_)
                                             : b.CreateTrunc(multiple(b, {term.monomial, 1}, at), i64_);
    if (term.factor == UINT64_MAX)
      result = b.CreateSub(result, x);
    else
      result = b.CreateAdd(result, term.factor == 1 ? x : b.CreateMul(x, b.getInt64(term.factor)));
  }
  return result;
}

/// Returns how many multiplications are left once values are replaced and what is no longer needed is gone.
size_t WideProducts::multiplications_after() const {
  llvm::DenseSet<const Instruction*> needed;
  std::vector<const Instruction*> todo;
  auto need = [&](const Instruction* op) {
    if (needed.insert(op).second) todo.push_back(op);
  };
  for (const Instruction& op : llvm::instructions(function_))
    if (op.mayHaveSideEffects() || op.isTerminator()) need(&op);
  size_t count = 0;
  while (!todo.empty()) {
    const Instruction* op = todo.back();
    todo.pop_back();
    count += op->getOpcode() == Instruction::Mul && (op->getType() == i64_ || op->getType() == i128_);
    for (Value* operand : op->operands())
      if (auto* x = llvm::dyn_cast<Instruction>(now(operand))) need(x);
  }
  return count;
}

/// Returns whether replacements equal what they replace, on some numbers. They always should; but one wrong bit in a
/// signature or a proof is so costly that the reasoning alone is not relied on.
bool WideProducts::is_confirmed() const {
  constexpr uint64_t kEvaluations = 8;
  for (uint64_t seed = 1; seed <= kEvaluations; ++seed) {
    Evaluation evaluation(function_, seed);
    for (const auto& [value, replacement] : replaced_)
      if (evaluation(value) != evaluation(replacement)) {
        assert(false && "a wide product is wrong");
        return false;
      }
  }
  return true;
}

void WideProducts::replace_all() {
  llvm::SmallVector<llvm::WeakTrackingVH, 16> dead;
  for (auto& [value, replacement] : replaced_) {
    value->replaceAllUsesWith(now(value));
    dead.emplace_back(value);
  }
  llvm::RecursivelyDeleteTriviallyDeadInstructionsPermissive(dead);
}

/// Takes a low word that the program computes by a multiplication of its own from the wide product instead.
void WideProducts::join_low_products() {
  llvm::DenseMap<const Instruction*, size_t> places;
  for (Instruction& op : llvm::instructions(function_)) places[&op] = places.size();
  auto precedes = [&](const Instruction* x, const Instruction* y) {
    if (x->getParent() == y->getParent()) return places.lookup(x) < places.lookup(y);
    return dominators().dominates(x->getParent(), y->getParent());
  };
  for (Instruction& low : llvm::make_early_inc_range(llvm::instructions(function_))) {
    if (low.getOpcode() != Instruction::Mul || low.getType() != i64_) continue;
    Value *x = low.getOperand(0), *y = low.getOperand(1);
    auto found = products_.find(factors(x, y));
    if (found == products_.end() || !found->second) continue;
    auto* wide = llvm::dyn_cast<Instruction>(found->second);
    if (!wide) continue;  // a product of constants
    llvm::IRBuilder<> b(&low);
    if (!precedes(wide, &low)) {
      if (!precedes(&low, wide)) continue;
      // The factors are available where they are multiplied first.
      auto* earlier = llvm::cast<Instruction>(multiply(b, x, y));
      places[earlier] = places.lookup(&low);
      wide->replaceAllUsesWith(earlier);
      wide->eraseFromParent();
      found->second = wide = earlier;
    }
    low.replaceAllUsesWith(b.CreateTrunc(wide, i64_));
    low.eraseFromParent();
  }
}

bool WideProducts::run() {
  if (!values_.find_cut_values()) return false;
  for (llvm::BasicBlock* block : llvm::ReversePostOrderTraversal<llvm::Function*>(&function_))
    for (Instruction& op : llvm::make_early_inc_range(*block)) {
      if (op.getType() != i64_) continue;
      auto parts = values_.rewriting(&op);
      if (!parts) continue;
      if (Value* replacement = rewrite(op, *parts)) replaced_[&op] = replacement;
    }
  if (replaced_.empty()) return false;
  // If there are no fewer multiplications than before, the program needs a product's halves for something else as well.
  if (multiplications_after() >= values_.multiplications() || !is_confirmed()) {
    llvm::SmallVector<llvm::WeakTrackingVH, 16> unused;
    for (auto& [value, replacement] : replaced_) unused.emplace_back(replacement);
    llvm::RecursivelyDeleteTriviallyDeadInstructionsPermissive(unused);
    return false;
  }
  replace_all();
  join_low_products();
  return true;
}
}  // namespace

llvm::PreservedAnalyses WideProductsPass::run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses) {
  bool named = name_halves(function);
  if (!WideProducts(function, analyses).run()) {
    if (!named) return llvm::PreservedAnalyses::all();
    llvm::PreservedAnalyses preserved;
    preserved.preserveSet<llvm::CFGAnalyses>();
    return preserved;
  }
  llvm::EarlyCSEPass().run(function, analyses);
  if (unroll_short_loops(function, analyses)) {
    analyses.invalidate(function, llvm::PreservedAnalyses::none());
    llvm::EarlyCSEPass().run(function, analyses);
    llvm::SimplifyCFGPass().run(function, analyses);
  }
  return llvm::PreservedAnalyses::none();
}

}  // namespace rotor::jit
