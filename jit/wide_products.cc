#include "jit/wide_products.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <vector>

#include "jit/unroll.h"
#include "jit/wide_form.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/PatternMatch.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Local.h"

namespace rotor::jit {

namespace {

using namespace llvm::PatternMatch;
using llvm::Instruction;
using llvm::Value;

/// What is known of an integer of 64 bits or fewer, read without a sign.
struct Facts {
  uint64_t max = UINT64_MAX;    ///< it is at most this
  unsigned trailing_zeros = 0;  ///< it is a multiple of 2^this; 64: it is 0
  std::optional<Form> exact;    ///< equals it, and says more than that it equals itself
  bool exact_open = false;
  std::optional<Form> modular;  ///< equals it modulo 2^64; not there until asked for
  bool modular_open = false;
  bool absorbed = false;  ///< the modular form has those of open operands in it
};

/// A term of a sum that is to be made: a positive multiple of a monomial.
struct Multiple {
  Monomial monomial;
  uint64_t factor;
  bool operator==(const Multiple&) const = default;
};
using Sum = llvm::SmallVector<Multiple, 8>;

/// A modular form as it can be calculated: whole + ((high - less) >> 64), modulo 2^64.
struct Split {
  Sum whole, high, less;
  bool has_fraction = false;  ///< otherwise the value is `whole` alone
};

std::optional<uint64_t> constant_of(const Value* value) {
  auto* constant = llvm::dyn_cast<llvm::ConstantInt>(value);
  if (!constant || constant->getBitWidth() > 64) return std::nullopt;
  return constant->getZExtValue();
}

/// The other operand, and the constant, of an operator that has one.
struct WithConstant {
  Value* x;
  uint64_t c;
};
std::optional<WithConstant> with_constant(const Instruction& op) {
  if (auto c = constant_of(op.getOperand(1))) return WithConstant{op.getOperand(0), *c};
  if (op.isCommutative())
    if (auto c = constant_of(op.getOperand(0))) return WithConstant{op.getOperand(1), *c};
  return std::nullopt;
}

uint64_t low_mask(unsigned bits) { return bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1; }
bool is_low_mask(uint64_t c) { return !(c & (c + 1)); }
unsigned trailing_zeros_of(uint64_t c) { return c ? static_cast<unsigned>(__builtin_ctzll(c)) : 64; }

class WideProducts {
 public:
  WideProducts(llvm::Function& function, llvm::FunctionAnalysisManager& analyses)
      : function_(function),
        analyses_(analyses),
        i64_(llvm::Type::getInt64Ty(function.getContext())),
        i128_(llvm::Type::getInt128Ty(function.getContext())) {}

  /// Whether anything was rewritten.
  bool run();

 private:
  // Values, and what is known of them.
  bool find_cut_values();
  uint32_t number(Value* value);
  Facts& exact(Value* value);
  Facts& modular(Value* value);
  std::optional<Form> derive(Instruction& op, Facts& facts);
  std::optional<Form> derive_and(Instruction& op, Facts& facts);
  std::optional<Form> derive_shift(Instruction& op, Facts& facts);
  std::optional<Form> derive_sum(Instruction& op, Facts& facts);
  std::optional<Form> derive_product(Instruction& op, Facts& facts);
  std::optional<Form> derive_carry(llvm::ICmpInst& compare, Facts& facts);
  std::optional<Form> derive_modular(Value* value, bool& absorbed);
  const Form* partial_product(Value* sum, Value* addend);
  Form seen(Value* value);
  Form seen_modular(Value* value);
  Form low_part(Value* value, unsigned bits);
  bool is_cut(Value* value);
  Form normalise(Form form);
  bool is_worth_it(Value* value, const Facts& facts);
  std::optional<Split> split(const Form& form);

  // What is made of them.
  Value* rewrite(Instruction& at, const Split& split);
  bool is_available(Value* value, Instruction& at);
  bool are_available(const Sum& sum, Instruction& at);
  Value* now(Value* value) const;
  Value* product(llvm::IRBuilder<>& b, Value* x, Value* y, Instruction& at);
  Value* multiple(llvm::IRBuilder<>& b, const Multiple& term, Instruction& at);
  Value* sum(llvm::IRBuilder<>& b, Sum terms, Instruction& at);
  void replace_all();
  void join_low_products();

  llvm::DominatorTree& dominators() {
    if (!dominators_) dominators_ = &analyses_.getResult<llvm::DominatorTreeAnalysis>(function_);
    return *dominators_;
  }

  llvm::Function& function_;
  llvm::FunctionAnalysisManager& analyses_;
  llvm::DominatorTree* dominators_ = nullptr;
  llvm::Type* const i64_;
  llvm::Type* const i128_;

  llvm::DenseSet<Value*> cut_;  ///< a half of them is multiplied
  llvm::DenseMap<Value*, uint32_t> numbers_;
  std::vector<Value*> values_;  ///< by number
  std::deque<Facts> facts_;     ///< they stay where they are
  llvm::DenseMap<Value*, Facts*> facts_of_;
  unsigned depth_ = 0;  ///< of recursion

  /// What a carry may come of, beside the addend that it is compared with: a partial product or one shifted left.
  struct Partial {
    Form modular, exact;
  };
  std::vector<Partial> partials_;

  llvm::MapVector<Value*, Value*> replaced_;
  llvm::DenseMap<std::pair<Value*, Value*>, llvm::WeakVH> products_;  ///< in i128, by factors
  std::vector<std::pair<Sum, Value*>> sums_;
};

/// Values of which a half is multiplied. Most functions have none.
bool WideProducts::find_cut_values() {
  for (Instruction& op : llvm::instructions(function_)) {
    if (op.getOpcode() != Instruction::Mul || op.getType() != i64_) continue;
    for (Value* operand : op.operands()) {
      Value* x;
      uint64_t mask;
      if (match(operand, m_LShr(m_Value(x), m_SpecificInt(32))) || match(operand, m_ZExt(m_Trunc(m_Value(x)))) ||
          (match(operand, m_And(m_Value(x), m_ConstantInt(mask))) && mask == UINT32_MAX))
        if (x->getType() == i64_) cut_.insert(x);
    }
  }
  return !cut_.empty();
}

uint32_t WideProducts::number(Value* value) {
  auto [it, fresh] = numbers_.try_emplace(value, values_.size());
  if (fresh) values_.push_back(value);
  return it->second;
}

/// Whether halves of it are of interest.
bool WideProducts::is_cut(Value* value) {
  return constant_of(value) || cut_.contains(value) || exact(value).exact_open || modular(value).modular_open;
}

/// What its users see of a value: the form of an open one, itself of others.
Form WideProducts::seen(Value* value) {
  Facts& facts = exact(value);
  return facts.exact_open || constant_of(value) ? *facts.exact : Form::of(Atom(number(value)));
}
Form WideProducts::seen_modular(Value* value) {
  Facts& facts = modular(value);
  return facts.modular_open || constant_of(value) ? *facts.modular : Form::of(Atom(number(value)));
}

/// lo_bits(value), exactly.
Form WideProducts::low_part(Value* value, unsigned bits) {
  Facts& facts = exact(value);
  if (facts.max <= low_mask(bits)) return seen(value);
  if (facts.trailing_zeros >= bits) return {};
  // lo_n(lo_m(x)) is lo_n(x), if n <= m.
  Value* x;
  uint64_t mask;
  if (match(value, m_And(m_Value(x), m_ConstantInt(mask))) && is_low_mask(mask) && mask >= low_mask(bits)) value = x;
  return Form::of(Atom(number(value), bits));
}

Facts& WideProducts::exact(Value* value) {
  if (auto known = facts_of_.find(value); known != facts_of_.end()) return *known->second;
  Facts facts;
  auto* type = llvm::dyn_cast<llvm::IntegerType>(value->getType());
  auto* op = llvm::dyn_cast<Instruction>(value);
  if (type && type->getBitWidth() <= 64) facts.max = low_mask(type->getBitWidth());
  if (auto c = constant_of(value)) {
    facts.max = *c;
    facts.trailing_zeros = trailing_zeros_of(*c);
    facts.exact = Form::constant(*c);
  } else if (constexpr unsigned kMaxDepth = 100; op && type && type->getBitWidth() <= 64 && depth_ < kMaxDepth) {
    // Values come in order of their definitions, so that operands are mostly known. Where they are not, a value that is
    // too deep has no form: it stands for itself.
    ++depth_;
    facts.exact = derive(*op, facts);
    --depth_;
    if (facts.exact && facts.exact->is_void()) facts.exact.reset();
  }
  if (facts.exact && op) {
    bool is_sum = !llvm::isa<llvm::TruncInst>(op) && op->getOpcode() != Instruction::Mul &&
                  op->getOpcode() != Instruction::And && !op->isShift();
    facts.exact_open = facts.exact->is_zero() || !is_sum || facts.exact->has_low_part();
  }
  facts_.push_back(std::move(facts));
  facts_of_[value] = &facts_.back();
  return facts_.back();
}

/// The exact form, if there is one, and the bounds.
std::optional<Form> WideProducts::derive(Instruction& op, Facts& facts) {
  switch (op.getOpcode()) {
    case Instruction::And: return derive_and(op, facts);
    case Instruction::LShr:
    case Instruction::Shl: return derive_shift(op, facts);
    case Instruction::Add:
    case Instruction::Or: return derive_sum(op, facts);
    case Instruction::Mul: return derive_product(op, facts);
    case Instruction::ICmp: return derive_carry(llvm::cast<llvm::ICmpInst>(op), facts);
    case Instruction::Trunc: {
      Value* x = op.getOperand(0);
      unsigned bits = op.getType()->getIntegerBitWidth();
      if (x->getType()->getIntegerBitWidth() > 64) return std::nullopt;
      facts.max = std::min(exact(x).max, low_mask(bits));
      if (!is_cut(x)) return std::nullopt;
      return low_part(x, bits);
    }
    case Instruction::ZExt: {
      Facts& x = exact(op.getOperand(0));
      facts.max = x.max;
      facts.trailing_zeros = x.trailing_zeros;
      return x.exact;
    }
    case Instruction::Select: {
      Value *condition, *x;
      if (!match(&op, m_Select(m_Value(condition), m_Value(x), m_Zero()))) return std::nullopt;
      auto c = constant_of(x);
      if (!c) return std::nullopt;
      facts.max = *c;
      facts.trailing_zeros = trailing_zeros_of(*c);
      std::optional<Form> bit = exact(condition).exact;
      if (bit) bit->scale(Coefficient(*c));
      return bit;
    }
    default: return std::nullopt;
  }
}

std::optional<Form> WideProducts::derive_and(Instruction& op, Facts& facts) {
  auto operands = with_constant(op);
  if (!operands) return std::nullopt;
  auto [x, c] = *operands;
  Facts& of_x = exact(x);
  // The mask may have been narrowed to bits that can be set.
  if (of_x.trailing_zeros < 64) c |= low_mask(of_x.trailing_zeros);
  facts.max = std::min(of_x.max, c);
  facts.trailing_zeros = std::max(trailing_zeros_of(operands->c), of_x.trailing_zeros);
  if (!is_cut(x)) return std::nullopt;
  if (is_low_mask(c)) return low_part(x, static_cast<unsigned>(__builtin_popcountll(c)));
  if (uint64_t rest = ~c & low_mask(op.getType()->getIntegerBitWidth()); is_low_mask(rest))
    return seen(x).subtract(low_part(x, static_cast<unsigned>(__builtin_popcountll(rest))));
  return std::nullopt;
}

std::optional<Form> WideProducts::derive_shift(Instruction& op, Facts& facts) {
  auto bits = constant_of(op.getOperand(1));
  unsigned width = op.getType()->getIntegerBitWidth();
  if (!bits || *bits >= width) return std::nullopt;
  Value* x = op.getOperand(0);
  auto n = static_cast<unsigned>(*bits);
  Facts& of_x = exact(x);
  if (op.getOpcode() == Instruction::LShr) {
    facts.max = of_x.max >> n;
    facts.trailing_zeros = of_x.trailing_zeros - std::min(of_x.trailing_zeros, n);
    if (!is_cut(x)) return std::nullopt;
    return seen(x).subtract(low_part(x, n)).shift_right(n);
  }
  facts.max = of_x.max <= low_mask(width - n) ? of_x.max << n : low_mask(width) >> n << n;
  facts.trailing_zeros = std::min(64u, of_x.trailing_zeros + n);
  if (!is_cut(x)) return std::nullopt;
  return low_part(x, width - n).shift_left(n);
}

std::optional<Form> WideProducts::derive_sum(Instruction& op, Facts& facts) {
  Value *x = op.getOperand(0), *y = op.getOperand(1);
  Facts &of_x = exact(x), &of_y = exact(y);
  auto below = [](const Facts& low, const Facts& high) { return low.max <= low_mask(high.trailing_zeros); };
  bool disjoint = below(of_x, of_y) || below(of_y, of_x);
  facts.trailing_zeros = std::min(of_x.trailing_zeros, of_y.trailing_zeros);
  uint64_t limit = facts.max;
  bool wraps = of_y.max > limit || of_x.max > limit - of_y.max;
  if (op.getOpcode() == Instruction::Or) {
    // Never more than the sum.
    if (!wraps) facts.max = of_x.max + of_y.max;
    auto* flagged = llvm::cast<llvm::PossiblyDisjointInst>(&op);
    if (!disjoint && !flagged->isDisjoint()) return std::nullopt;
  } else {
    if (wraps && !disjoint) return std::nullopt;
    if (!wraps) facts.max = of_x.max + of_y.max;
  }
  return seen(x).add(seen(y));
}

std::optional<Form> WideProducts::derive_product(Instruction& op, Facts& facts) {
  Value *x = op.getOperand(0), *y = op.getOperand(1);
  Facts &of_x = exact(x), &of_y = exact(y);
  facts.trailing_zeros = std::min(64u, of_x.trailing_zeros + of_y.trailing_zeros);
  if (of_x.max && of_y.max > facts.max / of_x.max) return std::nullopt;
  facts.max = of_x.max * of_y.max;
  Form product = seen(x) * seen(y);
  if (op.getType() == i64_ && product.terms().size() <= 4 && !product.is_void()) {
    // Kept for carries, see partial_product.
    Form whole = product;
    partials_.push_back({normalise(whole.reduce()), product});
    Form shifted = partials_.back().modular;
    shifted.shift_left(32);
    Atom low(number(&op), 32);
    partials_.push_back({normalise(shifted.reduce()), Form::of(low).shift_left(32)});
  }
  return product;
}

/// w = x + y wraps if and only if w < x, and if and only if w < y.
std::optional<Form> WideProducts::derive_carry(llvm::ICmpInst& compare, Facts& facts) {
  Value *w = compare.getOperand(0), *x = compare.getOperand(1);
  if (w->getType() != i64_) return std::nullopt;
  if (compare.getPredicate() == llvm::ICmpInst::ICMP_UGT)
    std::swap(w, x);
  else if (compare.getPredicate() != llvm::ICmpInst::ICMP_ULT)
    return std::nullopt;
  Value *a, *b;
  if (match(w, m_Add(m_Value(a), m_Value(b))) && (x == a || x == b)) {
    if (exact(a).max <= UINT64_MAX - exact(b).max) {
      // No carry, and the sum's form has none either.
      facts.max = 0;
      facts.trailing_zeros = 64;
      return Form();
    }
    return seen(a).add(seen(b)).subtract(seen(w)).shift_right(64);
  }
  const Form* partial = partial_product(w, x);
  if (!partial) return std::nullopt;
  return seen(x).add(*partial).subtract(seen(w)).shift_right(64);
}

/// A partial product that is sum - addend modulo 2^64, as an exact form. The low word of a product may come about
/// without an addition of that kind, but the carry out of it is all the same: a partial product is below 2^64.
const Form* WideProducts::partial_product(Value* sum, Value* addend) {
  auto is_itself = [&](Value* value) { return *modular(value).modular == Form::of(Atom(number(value))); };
  if (is_itself(sum) && is_itself(addend)) return nullptr;
  Form difference = *modular(sum).modular;
  difference = normalise(difference.subtract(*modular(addend).modular));
  auto find = [&]() -> const Form* {
    auto found = std::ranges::find(partials_, difference, &Partial::modular);
    return found != partials_.end() ? &found->exact : nullptr;
  };
  if (const Form* known = find()) return known;
  // lo(a) * lo(b) that the program never made.
  for (const Term& term : difference.terms()) {
    auto [a, b] = term.monomial;
    Form low;
    if (term.monomial.degree() == 2 && !a.is_low_part() && !b.is_low_part()) {
      low = Form::of(Monomial(Atom(a.value(), 32), Atom(b.value(), 32)));
    } else if (auto half = term.coefficient.residue(32); half && term.monomial.degree() == 1 && a.bits() == 32) {
      low = Form::of(a).scale(Coefficient(*half));
    } else {
      continue;
    }
    partials_.push_back({normalise(low), low});
    return find();
  }
  return nullptr;
}

/// A form modulo 2^64 with low parts eliminated where their coefficients allow it.
Form WideProducts::normalise(Form form) {
  constexpr int kMaxRounds = 8;
  form.reduce();
  for (int round = 0; round < kMaxRounds && !form.is_void(); ++round) {
    Form next;
    bool changed = false;
    for (const Term& term : form.terms()) {
      auto [a, b] = term.monomial;
      // 2^(64-n) lo_n(x) y = 2^(64-n) x y, as 2^64 divides what is left out.
      auto widen = [&](Atom low, Atom other) {
        Coefficient part = term.coefficient.multiple_of_power(64 - low.bits()), rest = part;
        if (part.is_zero()) return false;
        Form x = Form::of(Monomial(low.whole(), other));
        if (!other) {
          if (Form inner = seen_modular(values_[low.value()]); !inner.scale(part).is_void())
            x = inner;
          else
            x.scale(part);
        } else {
          x.scale(part);
        }
        next.add(x);
        if (!rest.negate() || !rest.add(term.coefficient)) return false;
        next.add(term.monomial, rest);
        return changed = true;
      };
      if (term.monomial.degree() == 2 && a.bits() == 32 && b.bits() == 32) {
        // lo(a) lo(b) = -a b + a lo(b) + lo(a) b, as (a - lo(a)) (b - lo(b)) is a multiple of 2^64.
        Coefficient whole = term.coefficient.multiple_of_power(0), minus = whole, rest;
        if (!whole.is_zero() && minus.negate()) {
          next.add(Monomial(a.whole(), b.whole()), minus);
          next.add(Monomial(a.whole(), b), whole);
          next.add(Monomial(a, b.whole()), whole);
          rest = minus;
          if (rest.add(term.coefficient)) {
            next.add(term.monomial, rest);
            changed = true;
            continue;
          }
        }
      }
      if (a.is_low_part() && (!b || !b.is_low_part()) && widen(a, b)) continue;
      if (b.is_low_part() && !a.is_low_part() && widen(b, a)) continue;
      next.add(term.monomial, term.coefficient);
    }
    form = std::move(next.reduce());
    if (!changed) break;
  }
  return form;
}

std::optional<Form> WideProducts::derive_modular(Value* value, bool& absorbed) {
  auto* op = llvm::dyn_cast<Instruction>(value);
  if (op && value->getType() == i64_) {
    auto operand = [&](unsigned i) {
      Value* x = op->getOperand(i);
      Form form = seen_modular(x);
      absorbed |= modular(x).modular_open && !constant_of(x);
      return form;
    };
    switch (op->getOpcode()) {
      case Instruction::Add: return operand(0).add(operand(1));
      case Instruction::Sub: return operand(0).subtract(operand(1));
      case Instruction::Shl:
        if (auto bits = constant_of(op->getOperand(1)); bits && *bits < 64)
          return operand(0).shift_left(static_cast<unsigned>(*bits));
        break;
      case Instruction::Mul:
        if (auto c = constant_of(op->getOperand(1))) return operand(0).scale(Coefficient(*c));
        if (auto c = constant_of(op->getOperand(0))) return operand(1).scale(Coefficient(*c));
        if (cut_.contains(op->getOperand(0)) && cut_.contains(op->getOperand(1)))
          return Form::of(Monomial(Atom(number(op->getOperand(0))), Atom(number(op->getOperand(1)))));
        break;
      default: break;
    }
    absorbed = exact(value).exact_open && (op->getOpcode() == Instruction::Or || op->getOpcode() == Instruction::Mul);
  }
  return exact(value).exact;
}

Facts& WideProducts::modular(Value* value) {
  Facts& facts = exact(value);
  if (facts.modular) return facts;
  Form self = Form::of(Atom(number(value)));
  facts.modular = self;  // meanwhile
  bool absorbed = false;
  std::optional<Form> form = derive_modular(value, absorbed);
  if (form) form = normalise(std::move(*form));
  if (!form || form->is_void()) {
    form = self;
    absorbed = false;
  }
  facts.modular = std::move(form);
  facts.absorbed = absorbed;
  // Open: what can't be made, is not yet whole, or hangs on what is open.
  bool open = !split(*facts.modular) || facts.modular->is_zero() || facts.modular->has_low_part() ||
              (absorbed && !is_worth_it(value, facts));
  for (const Term& term : facts.modular->terms())
    for (Atom atom : {term.monomial.a, term.monomial.b}) {
      if (open || !atom) break;
      Value* x = values_[atom.value()];
      open = x != value && llvm::isa<Instruction>(x) && modular(x).modular_open;
    }
  facts.modular_open = open;
  return facts;
}

/// Whether to make it anew: a sum in which a product has come together.
bool WideProducts::is_worth_it(Value* value, const Facts& facts) {
  constexpr unsigned kMaxTerms = 8;
  auto* op = llvm::dyn_cast<Instruction>(value);
  if (!op || op->getType() != i64_ || !facts.absorbed || facts.modular->terms().size() > kMaxTerms) return false;
  unsigned opcode = op->getOpcode();
  if (opcode != Instruction::Add && opcode != Instruction::Or && opcode != Instruction::Sub) return false;
  bool product = false;
  for (const Term& term : facts.modular->terms()) {
    Atom a = term.monomial.a;
    if (a && !a.is_low_part() && values_[a.value()] == value) return false;
    auto parts = term.coefficient.magnitude();
    bool is_unit = parts && parts->whole + parts->fraction == 1;  // 1 or 2^-64
    product |= term.monomial.degree() == 2 || (term.monomial.degree() == 1 && !is_unit);
  }
  return product;
}

/// Pre: the form is an integer, as one that equals a value modulo 2^64 is. Of what is to the right of its point, the
/// negative terms that are below 2^64 together need not be known: they are what makes it an integer.
std::optional<Split> WideProducts::split(const Form& form) {
  Split result;
  Sum negative;
  for (const Term& term : form.terms()) {
    auto parts = term.coefficient.magnitude();
    if (!parts) return std::nullopt;
    bool minus = term.coefficient.is_negative();
    if (term.monomial.has_low_part()) {
      // Low parts are not made; they may only be among what is dropped, and only of what is itself replaced.
      if (parts->whole || !minus || term.monomial.degree() == 2 || !exact(values_[term.monomial.a.value()]).exact_open)
        return std::nullopt;
    }
    if (parts->whole) result.whole.push_back({term.monomial, minus ? 0 - parts->whole : parts->whole});
    if (parts->fraction) (minus ? negative : result.high).push_back({term.monomial, parts->fraction});
  }
  result.has_fraction = !result.high.empty() || !negative.empty();
  uint64_t room = UINT64_MAX;
  for (bool low_parts : {true, false})
    for (const Multiple& term : negative) {
      const Monomial& m = term.monomial;
      if (m.has_low_part() != low_parts) continue;
      uint64_t max = UINT64_MAX;
      bool bounded = m.degree() < 2;
      if (m.degree() == 0) max = 1;
      if (m.degree() == 1) max = std::min(exact(values_[m.a.value()]).max, low_mask(m.a.bits()));
      if (bounded && (max == 0 || term.factor <= room / max))
        room -= max * term.factor;
      else if (low_parts)
        return std::nullopt;
      else
        result.less.push_back(term);
    }
  return result;
}

Value* WideProducts::now(Value* value) const {
  for (auto it = replaced_.find(value); it != replaced_.end(); it = replaced_.find(value)) value = it->second;
  return value;
}

bool WideProducts::is_available(Value* value, Instruction& at) {
  auto* instruction = llvm::dyn_cast<Instruction>(value);
  return !instruction || dominators().dominates(instruction, &at);
}
/// A partial product that a carry was explained by may be defined elsewhere.
bool WideProducts::are_available(const Sum& sum, Instruction& at) {
  return std::ranges::all_of(sum, [&](const Multiple& term) {
    for (Atom atom : {term.monomial.a, term.monomial.b})
      if (atom && !is_available(values_[atom.value()], at)) return false;
    return true;
  });
}

/// x * y in i128. Factors of 64 bits or fewer.
Value* WideProducts::product(llvm::IRBuilder<>& b, Value* x, Value* y, Instruction& at) {
  if (std::less{}(y, x)) std::swap(x, y);
  llvm::WeakVH& made = products_[{x, y}];
  if (!made || !is_available(made, at)) made = b.CreateNUWMul(b.CreateZExt(x, i128_), b.CreateZExt(y, i128_));
  return made;
}

/// In i128, modulo 2^128.
Value* WideProducts::multiple(llvm::IRBuilder<>& b, const Multiple& term, Instruction& at) {
  if (term.monomial.degree() == 0) return llvm::ConstantInt::get(i128_, term.factor);
  Value* x = now(values_[term.monomial.a.value()]);
  bool is_power = is_low_mask(term.factor - 1);
  if (term.monomial.degree() == 1 && !is_power) return product(b, x, b.getInt64(term.factor), at);
  Value* result =
      term.monomial.degree() == 1 ? b.CreateZExt(x, i128_) : product(b, x, now(values_[term.monomial.b.value()]), at);
  if (term.factor == 1) return result;
  if (is_power) return b.CreateShl(result, trailing_zeros_of(term.factor));
  return b.CreateMul(result, llvm::ConstantInt::get(i128_, term.factor));
}

/// The low and the high word of a product are of one sum.
Value* WideProducts::sum(llvm::IRBuilder<>& b, Sum terms, Instruction& at) {
  for (auto& [key, made] : sums_)
    if (key == terms && is_available(made, at)) return made;
  Sum key = terms;
  // Products first.
  std::ranges::stable_sort(terms, std::greater{},
                           [](const Multiple& term) { return term.monomial.degree() + (term.factor > 1); });
  Value* result = nullptr;
  for (const Multiple& term : terms) {
    Value* value = multiple(b, term, at);
    result = result ? b.CreateAdd(result, value) : value;
  }
  sums_.emplace_back(std::move(key), result);
  return result;
}

/// The value that stands in for `at`, or null.
Value* WideProducts::rewrite(Instruction& at, const Split& split) {
  if (!are_available(split.whole, at) || !are_available(split.high, at) || !are_available(split.less, at))
    return nullptr;
  llvm::IRBuilder<> b(&at);
  if (!split.has_fraction) return b.CreateTrunc(sum(b, split.whole, at), i64_);
  Value* high = split.high.empty() ? llvm::ConstantInt::get(i128_, 0) : sum(b, split.high, at);
  for (const Multiple& term : split.less) high = b.CreateSub(high, multiple(b, term, at));
  Value* result = b.CreateTrunc(b.CreateLShr(high, 64), i64_);
  for (const Multiple& term : split.whole) {
    Value* x = term.monomial.degree() == 0   ? b.getInt64(1)
               : term.monomial.degree() == 1 ? b.CreateZExt(now(values_[term.monomial.a.value()]), i64_)
                                             : b.CreateTrunc(multiple(b, {term.monomial, 1}, at), i64_);
    if (term.factor == UINT64_MAX)
      result = b.CreateSub(result, x);
    else
      result = b.CreateAdd(result, term.factor == 1 ? x : b.CreateMul(x, b.getInt64(term.factor)));
  }
  return result;
}

void WideProducts::replace_all() {
  llvm::SmallVector<llvm::WeakTrackingVH, 16> dead;
  for (auto& [value, replacement] : replaced_) {
    value->replaceAllUsesWith(now(value));
    dead.emplace_back(value);
  }
  llvm::RecursivelyDeleteTriviallyDeadInstructionsPermissive(dead);
}

/// A low word that the program has from a multiplication of its own is half of the wide product.
void WideProducts::join_low_products() {
  for (Instruction& low : llvm::make_early_inc_range(llvm::instructions(function_))) {
    if (low.getOpcode() != Instruction::Mul || low.getType() != i64_) continue;
    Value *x = low.getOperand(0), *y = low.getOperand(1);
    if (std::less{}(y, x)) std::swap(x, y);
    auto found = products_.find({x, y});
    if (found == products_.end() || !found->second) continue;
    auto* wide = llvm::cast<Instruction>(found->second);
    llvm::IRBuilder<> b(&low);
    if (!is_available(wide, low)) {
      if (!is_available(&low, *wide)) continue;
      // Its factors are there where they are multiplied first.
      auto* earlier = llvm::cast<Instruction>(b.CreateNUWMul(b.CreateZExt(x, i128_), b.CreateZExt(y, i128_)));
      wide->replaceAllUsesWith(earlier);
      wide->eraseFromParent();
      found->second = wide = earlier;
    }
    low.replaceAllUsesWith(b.CreateTrunc(wide, i64_));
    low.eraseFromParent();
  }
}

bool WideProducts::run() {
  if (!find_cut_values()) return false;
  for (llvm::BasicBlock* block : llvm::ReversePostOrderTraversal<llvm::Function*>(&function_))
    for (Instruction& op : llvm::make_early_inc_range(*block)) {
      if (op.getType() != i64_) continue;
      Facts& facts = modular(&op);
      if (!is_worth_it(&op, facts)) continue;
      auto parts = split(*facts.modular);
      if (!parts) continue;
      if (Value* replacement = rewrite(op, *parts)) replaced_[&op] = replacement;
    }
  if (replaced_.empty()) return false;
  replace_all();
  join_low_products();
  return true;
}

}  // namespace

llvm::PreservedAnalyses WideProductsPass::run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses) {
  if (!WideProducts(function, analyses).run()) return llvm::PreservedAnalyses::all();
  llvm::EarlyCSEPass().run(function, analyses);
  if (unroll_short_loops(function, analyses)) {
    analyses.invalidate(function, llvm::PreservedAnalyses::none());
    llvm::EarlyCSEPass().run(function, analyses);
    llvm::SimplifyCFGPass().run(function, analyses);
  }
  return llvm::PreservedAnalyses::none();
}

}  // namespace rotor::jit
