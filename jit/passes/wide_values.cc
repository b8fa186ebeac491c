#include "jit/passes/wide_values.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "llvm/IR/InstIterator.h"
#include "llvm/IR/PatternMatch.h"
#include "llvm/Support/MathExtras.h"

namespace rotor::jit {

using namespace llvm::PatternMatch;
using llvm::Instruction;
using llvm::Value;

namespace {

std::optional<uint64_t> constant_of(const Value* value) {
  auto* constant = llvm::dyn_cast<llvm::ConstantInt>(value);
  if (!constant || constant->getBitWidth() > 64) return std::nullopt;
  return constant->getZExtValue();
}

/// An operator with a constant operand: the other operand, and the constant.
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

constexpr auto low_mask = llvm::maskTrailingOnes<uint64_t>;

/// Returns x - y, if it fits.
std::optional<Coefficient> exact_difference(const Coefficient& x, Coefficient y) {
  if (!y.negate() || !y.add(x)) return std::nullopt;
  return y;
}

}  // namespace

bool WideValues::find_cut_values() {
  for (Instruction& op : llvm::instructions(function_)) {
    if (op.getOpcode() != Instruction::Mul || op.getType() != i64_) continue;
    ++multiplications_;
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

uint32_t WideValues::add_value(Value* value) {
  assert(values_.size() < Atom::kMaxValues);
  values_.push_back(value);
  return static_cast<uint32_t>(values_.size() - 1);
}

uint32_t WideValues::number(Value* value) {
  auto [it, fresh] = numbers_.try_emplace(value, 0);
  if (fresh) it->second = add_value(value);
  return it->second;
}

/// Returns whether halves of a value are of interest.
bool WideValues::is_cut(Value* value) {
  return constant_of(value) || cut_.contains(value) || exact(value).exact_open || modular(value).modular_open;
}

/// Returns what users see of a value: the form of an open one, else the value itself.
Form WideValues::seen(Value* value) {
  Facts& facts = exact(value);
  return facts.exact_open || constant_of(value) ? *facts.exact : Form::of(Atom(number(value)));
}

Form WideValues::seen_modular(Value* value) {
  Facts& facts = modular(value);
  return facts.modular_open || constant_of(value) ? *facts.modular : Form::of(Atom(number(value)));
}

/// Returns the exact form of the low `bits` of a value.
Form WideValues::low_part(Value* value, unsigned bits) {
  Facts& facts = exact(value);
  if (facts.max <= low_mask(bits)) return seen(value);
  if (facts.trailing_zeros() >= bits) return {};
  // The low part of a shifted or masked x is a part of x, unless the value itself is cut in halves.
  if (!cut_.contains(value)) {
    Value* x;
    uint64_t mask, shift;
    // lo_n(x >> m) is (lo_(n+m)(x) - lo_m(x)) / 2^m.
    if (match(value, m_LShr(m_Value(x), m_ConstantInt(shift))) && shift && shift + bits < 64 &&
        value->getType() == i64_) {
      auto m = static_cast<unsigned>(shift);
      return low_part(x, bits + m).subtract(low_part(x, m)).shift_right(m);
    }
    // lo_n(lo_m(x)) is lo_n(x), if n <= m.
    if (match(value, m_And(m_Value(x), m_ConstantInt(mask))) && llvm::isMask_64(mask) && mask >= low_mask(bits))
      value = x;
  }
  if (!modular(value).modular_open) return Form::of(Atom(number(value), bits));
  Form shifted = *modular(value).modular;
  return Form::of(low_atom(normalise(std::move(shifted.shift_left(64 - bits))), bits, value));
}

/// Returns the atom for low parts whose multiple by 2^(64-bits) has the form `shifted` modulo 2^64: values that are
/// congruent have the same low part. If there is none yet, it becomes the low part of `value` or, if that is null, of a
/// value that the program does not have.
Atom WideValues::low_atom(Form shifted, unsigned bits, Value* value) {
  if (const Low* known = lows_.find(shifted); known && known->atom.bits() == bits) return known->atom;
  Atom atom(value ? number(value) : add_value(nullptr), bits);
  const Low* low = lows_.add({std::move(shifted), atom});
  if (!value) made_up_[atom.value()] = low;
  return atom;
}

WideValues::Facts& WideValues::exact(Value* value) {
  if (auto known = facts_of_.find(value); known != facts_of_.end()) return *known->second;
  Facts facts;
  auto* type = llvm::dyn_cast<llvm::IntegerType>(value->getType());
  auto* op = llvm::dyn_cast<Instruction>(value);
  if (type && type->getBitWidth() <= 64) facts.max = facts.possible = low_mask(type->getBitWidth());
  if (auto c = constant_of(value)) {
    facts.max = facts.possible = *c;
    facts.exact = Form::constant(*c);
  } else if (constexpr unsigned kMaxDepth = 24; op && type && type->getBitWidth() <= 64 && depth_ < kMaxDepth) {
    // Values come in order of their definitions, so that the facts of operands are mostly known. Where they are not, a
    // value that is too deep in the recursion gets no form: it stands for itself.
    ++depth_;
    std::optional<Form> form = derive(*op, facts);
    --depth_;
    facts.possible &= low_mask(static_cast<unsigned>(std::bit_width(facts.max)));
    if (form && !form->is_void()) facts.exact = std::move(form);
  }
  if (facts.exact && op) {
    bool is_sum = !llvm::isa<llvm::TruncInst>(op) && op->getOpcode() != Instruction::Mul &&
                  op->getOpcode() != Instruction::And && !op->isShift();
    bool says_less = facts.exact->is_zero() || (facts.exact->is_atom() && !cut_.contains(op));
    facts.exact_open = !is_factor(*op) && (!is_sum || says_less || facts.exact->has_low_part());
    facts.multiplied = absorbs_product(*op);
  }
  facts_.push_back(std::move(facts));
  facts_of_[value] = &facts_.back();
  return facts_.back();
}

/// Returns the exact form, if there is one, and sets the bounds in `facts`.
std::optional<Form> WideValues::derive(Instruction& op, Facts& facts) {
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
      facts.possible &= exact(x).possible;
      if (!is_cut(x)) return std::nullopt;
      return low_part(x, bits);
    }
    case Instruction::ZExt: {
      Facts& x = exact(op.getOperand(0));
      facts.max = x.max;
      facts.possible = x.possible;
      return x.exact;
    }
    case Instruction::Select: {
      Value *condition, *x;
      if (!match(&op, m_Select(m_Value(condition), m_Value(x), m_Zero()))) return std::nullopt;
      auto c = constant_of(x);
      if (!c) return std::nullopt;
      facts.max = facts.possible = *c;
      std::optional<Form> bit = exact(condition).exact;
      if (bit) bit->scale(Coefficient(*c));
      return bit;
    }
    default: return std::nullopt;
  }
}

std::optional<Form> WideValues::derive_and(Instruction& op, Facts& facts) {
  auto operands = with_constant(op);
  if (!operands) return std::nullopt;
  auto [x, c] = *operands;
  Facts& of_x = exact(x);
  facts.max = std::min(of_x.max, c);
  facts.possible = of_x.possible & c;
  if (!is_cut(x)) return std::nullopt;
  // LLVM may have narrowed a mask to the bits that can be set.
  uint64_t zeros = ~of_x.possible & low_mask(op.getType()->getIntegerBitWidth());
  c |= zeros & low_mask(static_cast<unsigned>(std::bit_width(c)));
  unsigned from, length;
  if (!llvm::isShiftedMask_64(c, from, length)) return std::nullopt;
  unsigned to = from + length;
  Form form = to == op.getType()->getIntegerBitWidth() ? seen(x) : low_part(x, to);
  return from ? form.subtract(low_part(x, from)) : form;
}

std::optional<Form> WideValues::derive_shift(Instruction& op, Facts& facts) {
  auto bits = constant_of(op.getOperand(1));
  unsigned width = op.getType()->getIntegerBitWidth();
  if (!bits || *bits >= width) return std::nullopt;
  Value* x = op.getOperand(0);
  auto n = static_cast<unsigned>(*bits);
  Facts& of_x = exact(x);
  if (op.getOpcode() == Instruction::LShr) {
    facts.max = of_x.max >> n;
    facts.possible = of_x.possible >> n;
    if (!is_cut(x)) return std::nullopt;
    return seen(x).subtract(low_part(x, n)).shift_right(n);
  }
  facts.max = of_x.max <= low_mask(width - n) ? of_x.max << n : low_mask(width) >> n << n;
  facts.possible = of_x.possible << n & low_mask(width);
  if (!is_cut(x)) return std::nullopt;
  return low_part(x, width - n).shift_left(n);
}

std::optional<Form> WideValues::derive_sum(Instruction& op, Facts& facts) {
  Value *x = op.getOperand(0), *y = op.getOperand(1);
  Facts &of_x = exact(x), &of_y = exact(y);
  bool disjoint = !(of_x.possible & of_y.possible);
  bool wraps = of_y.max > facts.max || of_x.max > facts.max - of_y.max;
  if (!wraps) facts.max = of_x.max + of_y.max;  // a disjunction is never more than the sum, either
  if (op.getOpcode() == Instruction::Or || disjoint)
    facts.possible = of_x.possible | of_y.possible;
  else
    facts.possible &= ~low_mask(std::min(of_x.trailing_zeros(), of_y.trailing_zeros()));
  if (!disjoint && (wraps || op.getOpcode() == Instruction::Or)) return std::nullopt;
  return seen(x).add(seen(y));
}

std::optional<Form> WideValues::derive_product(Instruction& op, Facts& facts) {
  Value *x = op.getOperand(0), *y = op.getOperand(1);
  Facts &of_x = exact(x), &of_y = exact(y);
  facts.possible &= ~low_mask(std::min(64u, of_x.trailing_zeros() + of_y.trailing_zeros()));
  if (x == y) facts.possible &= ~UINT64_C(2);  // a square is 0 or 1 modulo 4
  if (of_x.max && of_y.max > facts.max / of_x.max) {
    // The operator is (x << 32) * c, written as x * (c << 32).
    auto factor = with_constant(op);
    if (!factor || op.getType() != i64_ || std::countr_zero(factor->c) < 32 || !exact(factor->x).exact_open)
      return std::nullopt;
    auto zeros = static_cast<unsigned>(std::countr_zero(factor->c));
    Form modular = normalise(std::move(seen_modular(factor->x).scale(Coefficient(factor->c))));
    if (modular.is_void()) return std::nullopt;
    if (auto known = exact_of(modular)) return known;
    return Form::of(low_atom(std::move(modular), 64 - zeros, nullptr)).shift_left(zeros);
  }
  facts.max = of_x.max * of_y.max;
  Form product = seen(x) * seen(y);
  if (op.getType() == i64_ && product.terms().size() <= 4 && !product.is_void()) {
    // The product is kept for carries: see exact_of.
    Form shifted = normalise(product);
    partials_.add({shifted, product});
    low_atom(normalise(std::move(shifted.shift_left(32))), 32, &op);
  }
  return product;
}

/// Returns the form of a comparison that is a carry: w = x + y wraps if and only if w < x, and if and only if w < y.
std::optional<Form> WideValues::derive_carry(llvm::ICmpInst& compare, Facts& facts) {
  Value *w = compare.getOperand(0), *x = compare.getOperand(1);
  if (w->getType() != i64_) return std::nullopt;
  if (compare.getPredicate() == llvm::ICmpInst::ICMP_UGT)
    std::swap(w, x);
  else if (compare.getPredicate() != llvm::ICmpInst::ICMP_ULT)
    return std::nullopt;
  Value *a, *b;
  if (match(w, m_Add(m_Value(a), m_Value(b))) && (x == a || x == b)) {
    if (exact(a).max <= UINT64_MAX - exact(b).max) {
      // The sum can't carry, and its form has no carry in it either.
      facts.max = facts.possible = 0;
      return Form();
    }
    return seen(a).add(seen(b)).subtract(seen(w)).shift_right(64);
  }
  auto is_itself = [&](Value* value) { return *modular(value).modular == Form::of(Atom(number(value))); };
  if (is_itself(w) && is_itself(x)) return std::nullopt;
  // The low word of a product may be computed without such an addition, but what it has more than x modulo 2^64 has
  // carried all the same.
  for (const Form& addend : {seen_modular(x), *modular(x).modular}) {
    Form difference = *modular(w).modular;
    difference = normalise(std::move(difference.subtract(addend)));
    auto partial = exact_of(difference);
    if (!partial && !multiples_.empty()) partial = exact_of(in_multiples(difference));
    if (partial) return seen(x).add(*partial).subtract(seen(w)).shift_right(64);
  }
  return std::nullopt;
}

/// Returns a form modulo 2^64 in which values are replaced by the factors that are odd multiples of them. For q = k * x
/// the low word of q * c is x * (k * c), and where k * c is -1 that is -x.
Form WideValues::in_multiples(const Form& modular) {
  Form result;
  for (const Term& term : modular.terms()) {
    // Only integer coefficients are replaced: x / 2 does not follow from what x is congruent to.
    auto times = term.coefficient.residue(64);
    if (const OddMultiple* known = times ? multiple_of(term.monomial, *times) : nullptr)
      result.add(Monomial(known->factor), Coefficient(*times * known->inverse));
    else
      result.add(term.monomial, term.coefficient);
  }
  return normalise(std::move(result));
}

/// Returns the odd multiple that is known of x, or of the value that x itself is a multiple of: then `times` is
/// multiplied. Null if none is known.
const WideValues::OddMultiple* WideValues::multiple_of(const Monomial& x, uint64_t& times) const {
  if (x.degree() != 1 || x.has_low_part()) return nullptr;
  auto known = multiples_.find(x.a.value());
  if (known != multiples_.end()) return &known->second;
  Value* value = values_[x.a.value()];
  const Facts* facts = value ? facts_of_.lookup(value) : nullptr;
  if (!facts || !facts->modular || facts->modular->terms().size() != 1) return nullptr;
  const Term& term = facts->modular->terms()[0];
  auto factor = term.coefficient.residue(64);
  if (!factor || term.monomial.degree() != 1 || term.monomial.has_low_part()) return nullptr;
  known = multiples_.find(term.monomial.a.value());
  if (known == multiples_.end()) return nullptr;
  times *= *factor;
  return &known->second;
}

/// Returns the exact form of a value that has this normalised form modulo 2^64: a partial product, or one shifted left.
/// Both are below 2^64, so being congruent they are equal.
std::optional<Form> WideValues::exact_of(const Form& modular) {
  if (modular.is_void()) return std::nullopt;
  if (const Partial* known = partials_.find(modular)) return known->exact;
  if (const Low* low = lows_.find(modular)) return Form::of(low->atom).shift_left(64 - low->atom.bits());
  // It may be a partial product that the program never computes: of two low halves, or of one and half of a constant.
  for (const Term& term : modular.terms()) {
    auto [a, b] = term.monomial;
    Form product;
    if (term.monomial.degree() == 2 && !a.is_low_part() && !b.is_low_part())
      product = Form::of(Monomial(Atom(a.value(), 32), Atom(b.value(), 32)));
    else if (auto half = term.coefficient.residue(32); half && term.monomial.degree() == 1 && a.bits() == 32)
      product = Form::of(a).scale(Coefficient(*half));
    else
      continue;
    if (normalise(product) == modular) return product;
  }
  return std::nullopt;
}

/// Returns factor * low modulo 2^64 without the low part. Pre: factor is a multiple of 2^(64 - low.bits()).
Form WideValues::widened(Atom low, Coefficient factor) {
  if (Value* value = values_[low.value()]) return seen_modular(value).scale(factor);
  Form form = made_up_.at(low.value())->form;
  (void)factor.shift_right(64 - low.bits());
  return form.scale(factor);
}

/// Returns a form modulo 2^64 with low parts eliminated where their coefficients allow it.
Form WideValues::normalise(Form form) {
  constexpr int kMaxRounds = 8;
  form.reduce();
  for (int round = 0; round < kMaxRounds && !form.is_void(); ++round) {
    Form next;
    bool changed = false;
    for (const Term& term : form.terms()) {
      auto [a, b] = term.monomial;
      // 2^(64-n) lo_n(x) y = 2^(64-n) x y, as 2^64 divides what is left out.
      auto widen = [&](Atom low, Atom other) {
        Coefficient part = term.coefficient.multiple_of_power(64 - low.bits());
        auto rest = exact_difference(term.coefficient, part);
        if (part.is_zero() || !rest) return false;
        Form x = Form::of(Monomial(low.whole(), other));
        if (!other) {
          if (Form inner = widened(low, part); !inner.is_void())
            x = std::move(inner);
          else if (values_[low.value()])
            x.scale(part);
          else
            return false;
        } else {
          x.scale(part);
        }
        next.add(x).add(term.monomial, *rest);
        return changed = true;
      };
      if (term.monomial.degree() == 2 && a.bits() == 32 && b.bits() == 32) {
        // lo(a) lo(b) = -a b + a lo(b) + lo(a) b, as (a - lo(a)) (b - lo(b)) is a multiple of 2^64.
        Coefficient whole = term.coefficient.multiple_of_power(0);
        auto rest = exact_difference(term.coefficient, whole), minus = exact_difference(Coefficient(), whole);
        if (!whole.is_zero() && rest && minus) {
          next.add(Monomial(a.whole(), b.whole()), *minus);
          next.add(Monomial(a.whole(), b), whole).add(Monomial(a, b.whole()), whole).add(term.monomial, *rest);
          changed = true;
          continue;
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

std::optional<Form> WideValues::derive_modular(Value* value, bool& absorbed) {
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
        // This is (ah + bh) * ch, which may wrap. Both forms are integers, so their product is congruent.
        if (!exact(value).exact && exact(op->getOperand(0)).exact_open && exact(op->getOperand(1)).exact_open)
          return operand(0) * operand(1);
        break;
      default: break;
    }
    absorbed = exact(value).exact_open && (op->getOpcode() == Instruction::Or || op->getOpcode() == Instruction::Mul);
  }
  return exact(value).exact;
}

/// Returns whether a multiple is an atom of its own. One that is cut in halves is a factor of products, and the value
/// that it is a multiple of is not, unless the multiple is a partial product: that may be the low half of a factor that
/// is not cut itself.
bool WideValues::is_factor(const Instruction& op) {
  const bool is_multiple = op.getOpcode() == Instruction::Mul || op.getOpcode() == Instruction::Shl;
  return is_multiple && cut_.contains(&op) &&
         llvm::any_of(op.operands(), [&](Value* x) { return exact(x).max > UINT32_MAX; });
}

/// Notes a factor that is an odd multiple of another value, for in_multiples.
void WideValues::note_multiple(Instruction& factor) {
  auto multiple = with_constant(factor);
  if (!multiple || factor.getOpcode() != Instruction::Mul || multiple->c % 2 == 0) return;
  const uint64_t inverse = llvm::APInt(64, multiple->c).multiplicativeInverse().getZExtValue();
  multiples_.try_emplace(number(multiple->x), Atom(number(&factor)), inverse);
}

/// Returns whether a multiplication is among the open values that an operator's form was made of, as far as is known.
bool WideValues::absorbs_product(const Instruction& op) const {
  return llvm::any_of(op.operands(), [&](Value* x) {
    const Facts* facts = facts_of_.lookup(x);
    if (!facts || (!facts->exact_open && !facts->modular_open)) return false;
    auto* instruction = llvm::dyn_cast<Instruction>(x);
    return facts->multiplied || (instruction && instruction->getOpcode() == Instruction::Mul);
  });
}

WideValues::Facts& WideValues::modular(Value* value) {
  Facts& facts = exact(value);
  if (facts.modular) return facts;
  Form self = Form::of(Atom(number(value)));
  facts.modular = self;  // while it is being derived
  bool absorbed = false;
  std::optional<Form> form;
  if (auto* op = llvm::dyn_cast<Instruction>(value); op && is_factor(*op))
    note_multiple(*op);
  else
    form = derive_modular(value, absorbed);
  if (form) form = normalise(std::move(*form));
  if (!form || form->is_void()) {
    form = self;
    absorbed = false;
  }
  facts.modular = std::move(form);
  facts.absorbed = absorbed;
  // A congruent form whose exact form is known may exist.
  if (absorbed && !facts.exact)
    if (auto known = exact_of(*facts.modular)) {
      facts.exact = std::move(known);
      facts.exact_open = facts.exact->has_low_part();
    }
  facts.multiplied |= absorbed && absorbs_product(*llvm::cast<Instruction>(value));
  if (absorbed && !split(*facts.modular)) expand_closed(*facts.modular);
  if (absorbed && is_high_word(*facts.modular)) {
    facts.exact_open = facts.modular_open = false;
    facts.is_high_word = facts.exact.has_value();
    return facts;
  }
  // A value is open if it can't be made, is not yet whole, or depends on open values.
  bool open = !split(*facts.modular) || facts.modular->is_zero() || facts.modular->has_low_part() ||
              (absorbed && !is_worth_it(value, facts));
  for (const Term& term : facts.modular->terms())
    for (Atom atom : {term.monomial.a, term.monomial.b}) {
      if (open || !atom) break;
      Value* x = values_[atom.value()];
      open = !x || (x != value && llvm::isa<Instruction>(x) && modular(x).modular_open);
    }
  facts.modular_open = open;
  return facts;
}

/// Returns whether a form is (p - low word of p) / 2^64: then no further term can be missing.
bool WideValues::is_high_word(const Form& form) {
  Sum positive, negative;
  for (const Term& term : form.terms()) {
    auto parts = term.coefficient.magnitude();
    if (!parts || parts->whole) return false;
    (term.coefficient.is_negative() ? negative : positive).push_back({term.monomial, parts->fraction});
  }
  if (negative.size() != 2) return false;
  llvm::SmallVector<Sum, 1> words;
  take_complete_words(positive, negative, words);
  return positive.empty() && negative.empty();
}

/// Replaces carries and high words that were closed, too early as it turns out, by their exact forms, since some of
/// their terms have to cancel here. Changes nothing unless the result is a form that can be made.
void WideValues::expand_closed(Form& form) {
  Form expanded = form;
  bool found = false;
  for (const Term& term : form.terms()) {
    Atom a = term.monomial.a;
    if (term.monomial.degree() != 1 || a.is_low_part() || !values_[a.value()]) continue;
    const Facts& facts = exact(values_[a.value()]);
    if (!facts.is_high_word && (facts.max > 1 || !facts.exact || facts.exact_open)) continue;
    Form carry = *facts.exact, atom = Form::of(a);
    expanded.add(carry.scale(term.coefficient)).subtract(atom.scale(term.coefficient));
    found = true;
  }
  if (!found) return;
  expanded = normalise(std::move(expanded));
  if (!expanded.is_void() && split(expanded)) form = std::move(expanded);
}

/// Returns whether to compute a value anew: whether it is a sum in which a product has come together.
bool WideValues::is_worth_it(Value* value, const Facts& facts) {
  constexpr unsigned kMaxTerms = 32;
  auto* op = llvm::dyn_cast<Instruction>(value);
  const Form& form = *facts.modular;
  if (!op || op->getType() != i64_ || !facts.absorbed || form.is_zero() || form.terms().size() > kMaxTerms)
    return false;
  unsigned opcode = op->getOpcode();
  if (opcode != Instruction::Add && opcode != Instruction::Or && opcode != Instruction::Sub) return false;
  bool product = facts.multiplied;
  for (const Term& term : form.terms()) {
    Atom a = term.monomial.a;
    if (a && !a.is_low_part() && values_[a.value()] == value) return false;
    auto parts = term.coefficient.magnitude();
    bool is_unit = parts && parts->whole + parts->fraction == 1;  // 1 or 2^-64
    product |= term.monomial.degree() == 2 || (term.monomial.degree() == 1 && !is_unit);
  }
  return product;
}

uint64_t WideValues::max_of(Atom atom) {
  uint64_t mask = low_mask(atom.bits());
  Value* value = values_[atom.value()];
  if (!value) return mask;
  const Facts& facts = exact(value);
  return std::min(facts.max, mask & ~low_mask(std::min(facts.trailing_zeros(), atom.bits())));
}

/// Returns how a form can be calculated, or nullopt. Pre: the form is an integer, as one that equals a value modulo
/// 2^64 is. Negative fractional terms that are below 1 together need not be known: they are what makes the sum an
/// integer.
std::optional<Split> WideValues::split(const Form& form) {
  Split result;
  Sum negative;
  for (const Term& term : form.terms()) {
    auto parts = term.coefficient.magnitude();
    if (!parts) return std::nullopt;
    bool minus = term.coefficient.is_negative();
    // Low parts can't be made; they may only be among the terms that are dropped.
    if (term.monomial.has_low_part() && (parts->whole || term.monomial.degree() == 2)) return std::nullopt;
    if (parts->whole) result.whole.push_back({term.monomial, minus ? 0 - parts->whole : parts->whole});
    if (parts->fraction) (minus ? negative : result.high).push_back({term.monomial, parts->fraction});
  }
  result.has_fraction = !result.high.empty() || !negative.empty();
  // They may be dropped only as low parts of values that are replaced themselves, or as half of a word: with the low
  // half of a factor left, the form is not complete.
  auto is_cut_factor = [&](const Multiple& term) {
    Value* x = term.monomial.has_low_part() ? values_[term.monomial.a.value()] : nullptr;
    return x && !exact(x).exact_open;
  };
  auto drop_negative = [&] {
    return std::ranges::none_of(negative, is_cut_factor) && drop_below_one(result, negative);
  };
  if (drop_negative()) return result;
  take_complete_words(result.high, negative, result.words);
  take_complete_words(negative, result.high, result.minus_words);
  if (drop_negative()) return result;
  return std::nullopt;
}

/// Leaves out negative fractions that are below 1 together, and puts the others into `less`. Returns false if one of
/// them can't be made.
bool WideValues::drop_below_one(Split& split, const Sum& negative) {
  if (std::ranges::any_of(split.high, [](const Multiple& term) { return term.monomial.has_low_part(); })) return false;
  split.less.clear();
  uint64_t room = UINT64_MAX;
  for (bool low_parts : {true, false})
    for (const Multiple& term : negative) {
      const Monomial& m = term.monomial;
      if (m.has_low_part() != low_parts) continue;
      uint64_t max = UINT64_MAX;
      bool bounded = m.degree() < 2;
      if (m.degree() == 0) max = 1;
      if (m.degree() == 1) max = max_of(m.a);
      if (bounded && (max == 0 || term.factor <= room / max))
        room -= max * term.factor;
      else if (low_parts)
        return false;
      else
        split.less.push_back(term);
    }
  return true;
}

/// Takes complete words out of a sum of high words of several products that were added up before any of them was whole.
/// Each product has its own low word, in two halves, among the fractions of the other sign. Two halves that are
/// congruent to a product (and what was accumulated) are its low word.
void WideValues::take_complete_words(Sum& products, Sum& low_halves, llvm::SmallVectorImpl<Sum>& words) {
  constexpr uint64_t kHalf = UINT64_C(1) << 32;
  auto is_half = [](const Multiple& term, uint64_t factor) {
    return term.factor == factor && term.monomial.degree() == 1 && term.monomial.a.bits() == 32;
  };
  for (size_t i = 0; i < low_halves.size(); ++i)
    for (size_t j = 0; j < low_halves.size(); ++j) {
      if (!is_half(low_halves[i], 1) || !is_half(low_halves[j], kHalf)) continue;
      Form word = Form::of(low_halves[j].monomial).shift_left(32).add(low_halves[i].monomial, Coefficient(1));
      word = normalise(std::move(word));
      Sum rest = products, taken;
      for (const Term& term : word.terms()) {
        auto parts = term.coefficient.magnitude();
        Multiple multiple{term.monomial, parts ? parts->whole : 0};
        auto found = std::ranges::find(rest, multiple);
        if (term.coefficient.is_negative() || term.monomial.has_low_part() || !parts || parts->fraction ||
            found == rest.end()) {
          taken.clear();
          break;
        }
        rest.erase(found);
        taken.push_back(multiple);
      }
      if (taken.empty()) continue;
      products = std::move(rest);
      words.push_back(std::move(taken));
      low_halves.erase(low_halves.begin() + static_cast<ptrdiff_t>(std::max(i, j)));
      low_halves.erase(low_halves.begin() + static_cast<ptrdiff_t>(std::min(i, j)));
      return take_complete_words(products, low_halves, words);
    }
}

std::optional<Split> WideValues::rewriting(Value* value) {
  Facts& facts = modular(value);
  // The low word of x * (c << 32) is no sum, so is_worth_it does not take it; if it is added to something, the result
  // is another value.
  const Form& form = *facts.modular;
  bool is_shifted = match(value, m_Shl(m_Value(), m_ConstantInt())) && facts.multiplied && facts.absorbed &&
                    form.terms().size() == 1 && form.terms()[0].monomial.degree() == 1;
  return is_shifted || is_worth_it(value, facts) ? split(form) : std::nullopt;
}

}  // namespace rotor::jit
