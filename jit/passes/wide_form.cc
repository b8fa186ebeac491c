#include "jit/passes/wide_form.h"

#include <algorithm>

#include "llvm/ADT/STLExtras.h"

namespace rotor::jit {

using U128 = unsigned __int128;

bool Coefficient::add(const Coefficient& other) {
  bool same_sign = is_negative() == other.is_negative(), negative = is_negative();
  uint64_t carry = 0;
  for (int i = 0; i < 4; ++i) {
    U128 sum = U128{limbs_[i]} + other.limbs_[i] + carry;
    limbs_[i] = static_cast<uint64_t>(sum);
    carry = static_cast<uint64_t>(sum >> 64);
  }
  return !same_sign || is_negative() == negative;
}

bool Coefficient::negate() {
  Coefficient result;
  uint64_t carry = 1;
  for (int i = 0; i < 4; ++i) {
    result.limbs_[i] = ~limbs_[i] + carry;
    carry = carry && !result.limbs_[i];
  }
  bool exact = is_zero() || result.is_negative() != is_negative();
  *this = result;
  return exact;
}

bool Coefficient::shift_left(unsigned bits) {
  Coefficient before = *this, result;
  unsigned words = bits / 64, rest = bits % 64;
  for (unsigned i = words; i < 4; ++i) {
    result.limbs_[i] = limbs_[i - words] << rest;
    if (rest && i > words) result.limbs_[i] |= limbs_[i - words - 1] >> (64 - rest);
  }
  *this = result;
  return result.shift_right(bits) && result == before;
}

bool Coefficient::shift_right(unsigned bits) {
  unsigned words = bits / 64, rest = bits % 64;
  bool exact = true;
  for (unsigned i = 0; i < words; ++i) exact &= limbs_[i] == 0;
  exact &= !rest || limbs_[words] << (64 - rest) == 0;
  uint64_t sign = is_negative() ? ~uint64_t{0} : 0;
  auto limb = [&](unsigned i) { return i < 4 ? limbs_[i] : sign; };
  Coefficient result;
  for (unsigned i = 0; i < 4; ++i)
    result.limbs_[i] = limb(i + words) >> rest | (rest ? limb(i + words + 1) << (64 - rest) : 0);
  *this = result;
  return exact;
}

bool Coefficient::multiply(const Coefficient& other) {
  Coefficient x = *this, y = other;
  bool negative = x.is_negative() != y.is_negative();
  if ((x.is_negative() && !x.negate()) || (y.is_negative() && !y.negate())) return false;
  uint64_t product[8] = {};
  for (int i = 0; i < 4; ++i) {
    uint64_t carry = 0;
    for (int j = 0; j < 4; ++j) {
      U128 sum = U128{x.limbs_[i]} * y.limbs_[j] + product[i + j] + carry;
      product[i + j] = static_cast<uint64_t>(sum);
      carry = static_cast<uint64_t>(sum >> 64);
    }
    product[i + 4] = carry;
  }
  // The product has 256 bits behind the point; the middle of it is the result.
  bool exact = !(product[0] | product[1] | product[6] | product[7]);
  std::copy(product + 2, product + 6, limbs_);
  return exact && !is_negative() && (!negative || negate());
}

void Coefficient::reduce() { limbs_[3] = static_cast<int64_t>(limbs_[2]) < 0 ? ~uint64_t{0} : 0; }

Coefficient Coefficient::multiple_of_power(unsigned exponent) const {
  Coefficient half(1), result = *this;
  // `half` is half of the power, which may be 1/2. Reduced numbers leave room for it.
  (void)half.shift_left(exponent);
  (void)half.shift_right(1);
  (void)result.add(half);
  result.limbs_[0] = result.limbs_[1] = 0;
  result.limbs_[2] = result.limbs_[2] >> exponent << exponent;
  return result;
}

std::optional<uint64_t> Coefficient::residue(unsigned bits) const {
  if (limbs_[0] || limbs_[1]) return std::nullopt;
  return bits < 64 ? limbs_[2] & ((UINT64_C(1) << bits) - 1) : limbs_[2];
}

std::optional<Coefficient::Parts> Coefficient::magnitude() const {
  Coefficient positive = *this;
  if (is_negative() && !positive.negate()) return std::nullopt;
  if (positive.limbs_[0] || positive.limbs_[3]) return std::nullopt;
  return Parts{positive.limbs_[2], positive.limbs_[1]};
}

Form Form::constant(uint64_t value) { return Form().add(Monomial(), Coefficient(value)); }

Form Form::of(const Monomial& monomial) { return Form().add(monomial, Coefficient(1)); }

size_t Form::hash() const {
  // The hash is keyed, since a module chooses what its functions calculate.
  wasm::KeyedHasher hash;
  for (const Term& term : terms_) {
    term.monomial.a.add_to(hash);
    term.monomial.b.add_to(hash);
    term.coefficient.add_to(hash);
  }
  return hash.finish();
}

bool Form::has_low_part() const {
  return std::ranges::any_of(terms_, [](const Term& term) { return term.monomial.has_low_part(); });
}

Form& Form::add(const Monomial& monomial, const Coefficient& coefficient) {
  if (void_ || coefficient.is_zero()) return *this;
  auto place = std::ranges::lower_bound(terms_, monomial, {}, &Term::monomial);
  if (place == terms_.end() || place->monomial != monomial) {
    if (terms_.size() == kMaxTerms)
      void_ = true;
    else
      terms_.insert(place, {monomial, coefficient});
  } else if (!place->coefficient.add(coefficient)) {
    void_ = true;
  } else if (place->coefficient.is_zero()) {
    terms_.erase(place);
  }
  return *this;
}

Form& Form::add_scaled(const Form& other, bool negative) {
  void_ |= other.void_;
  for (Term term : other.terms_) {
    if (negative) void_ |= !term.coefficient.negate();
    add(term.monomial, term.coefficient);
  }
  return *this;
}
Form& Form::add(const Form& other) { return add_scaled(other, false); }
Form& Form::subtract(const Form& other) { return add_scaled(other, true); }

template <class Change>
Form& Form::each(Change change) {
  for (Term& term : terms_) void_ |= !change(term.coefficient);
  llvm::erase_if(terms_, [](const Term& term) { return term.coefficient.is_zero(); });
  return *this;
}
Form& Form::shift_left(unsigned bits) {
  return each([&](Coefficient& c) { return c.shift_left(bits); });
}
Form& Form::shift_right(unsigned bits) {
  return each([&](Coefficient& c) { return c.shift_right(bits); });
}
Form& Form::scale(const Coefficient& factor) {
  return each([&](Coefficient& c) { return c.multiply(factor); });
}
Form& Form::reduce() {
  return each([](Coefficient& c) { return c.reduce(), true; });
}

Form operator*(const Form& x, const Form& y) {
  Form product;
  product.void_ = x.void_ || y.void_;
  for (const Term& s : x.terms_)
    for (const Term& t : y.terms_) {
      if (s.monomial.degree() + t.monomial.degree() > 2) product.void_ = true;
      if (product.void_) return product;
      Coefficient coefficient = s.coefficient;
      product.void_ |= !coefficient.multiply(t.coefficient);
      Monomial monomial = s.monomial.degree() == 2   ? s.monomial
                          : t.monomial.degree() == 2 ? t.monomial
                                                     : Monomial(s.monomial.a, t.monomial.a);
      product.add(monomial, coefficient);
    }
  return product;
}

}  // namespace rotor::jit
