// Polynomials over the integers of a program, for jit/passes/wide_products.h: exact arithmetic, no LLVM values.
//
// An atom is a value x of 64 bits, or its low part lo_n(x) = x mod 2^n. A form is a sum of terms k * a * b, k * a and
// k, where a and b are atoms and k is a dyadic fraction: shifts to the right divide. What does not fit (a coefficient
// of more than 127 bits before or 128 behind the point, a third factor, too many terms) makes a form void, and stays so
// through whatever is done with it, so that no result is based on a form that is almost right.
#pragma once

#include <cstdint>
#include <optional>

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "wasm/keyed_hash.h"

namespace rotor::jit {

/// A number of 256 bits in two's complement, 128 of them behind the binary point. Operations say whether the result is
/// exact; if not, the number is left unspecified.
class Coefficient {
 public:
  Coefficient() = default;
  explicit Coefficient(uint64_t whole) : limbs_{0, 0, whole, 0} {}

  bool is_zero() const { return !(limbs_[0] | limbs_[1] | limbs_[2] | limbs_[3]); }
  bool is_negative() const { return static_cast<int64_t>(limbs_[3]) < 0; }
  bool operator==(const Coefficient&) const = default;
  void add_to(wasm::KeyedHasher& hash) const {
    for (uint64_t limb : limbs_) hash.add(limb);
  }
  bool is_one() const { return *this == Coefficient(1); }

  [[nodiscard]] bool add(const Coefficient& other);
  [[nodiscard]] bool negate();
  [[nodiscard]] bool shift_left(unsigned bits);   ///< below 256
  [[nodiscard]] bool shift_right(unsigned bits);  ///< below 256
  [[nodiscard]] bool multiply(const Coefficient& other);

  /// Replaces the number by its representative modulo 2^64 of least magnitude.
  void reduce();
  /// Returns the nearest multiple of 2^exponent, or the upper one if two are equally near. Pre: exponent < 64; reduced.
  Coefficient multiple_of_power(unsigned exponent) const;
  /// Returns the number modulo 2^bits, if it is an integer. Pre: bits <= 64.
  std::optional<uint64_t> residue(unsigned bits) const;

  /// The magnitude as whole + fraction / 2^64, if it is below 2^64 and has no bits behind those.
  struct Parts {
    uint64_t whole;
    uint64_t fraction;
  };
  std::optional<Parts> magnitude() const;

 private:
  uint64_t limbs_[4] = {};  // the least first
};

/// A value or its low bits; the value is named by its number. Atoms of one value are adjacent in the order.
class Atom {
 public:
  static constexpr unsigned kWhole = 64;
  Atom() = default;  ///< none
  explicit Atom(uint32_t value, unsigned bits = kWhole) : code_((value + 1) * 64 + (bits & 63)) {}
  explicit operator bool() const { return code_ != 0; }
  uint32_t value() const { return code_ / 64 - 1; }
  /// Returns how many bits the low part has, 1 to 63, or kWhole.
  unsigned bits() const { return code_ % 64 ? code_ % 64 : kWhole; }
  bool is_low_part() const { return code_ % 64 != 0; }
  Atom whole() const { return Atom(value()); }
  auto operator<=>(const Atom&) const = default;
  void add_to(wasm::KeyedHasher& hash) const { hash.add(code_); }

  /// The number of possible values: they are numbered from 0, below this.
  static constexpr uint32_t kMaxValues = UINT32_MAX / 64 - 1;

 private:
  uint32_t code_ = 0;
};

/// A product of at most two atoms: the larger one first, an absent one last.
struct Monomial {
  Monomial() = default;
  explicit Monomial(Atom x, Atom y = {}) : a(x < y ? y : x), b(x < y ? x : y) {}
  Atom a, b;
  unsigned degree() const { return !!a + !!b; }
  bool has_low_part() const { return a.is_low_part() || b.is_low_part(); }
  auto operator<=>(const Monomial&) const = default;
};

struct Term {
  Monomial monomial;
  Coefficient coefficient;
  bool operator==(const Term&) const = default;
};

class Form {
 public:
  /// The most terms of a form: more make it void. A field product of four limbs takes 3 to 8 in each of its values.
  static constexpr unsigned kMaxTerms = 40;

  Form() = default;  ///< zero
  static Form constant(uint64_t value);
  static Form of(Atom atom) { return of(Monomial(atom)); }
  static Form of(const Monomial& monomial);

  bool is_void() const { return void_; }
  bool is_zero() const { return !void_ && terms_.empty(); }
  bool is_atom() const {
    return !void_ && terms_.size() == 1 && terms_[0].monomial.degree() == 1 && terms_[0].coefficient.is_one();
  }
  bool has_low_part() const;
  llvm::ArrayRef<Term> terms() const { return terms_; }  ///< by monomial, none zero
  /// A void form equals no form, not even itself.
  bool operator==(const Form& other) const { return !void_ && !other.void_ && terms_ == other.terms_; }
  size_t hash() const;

  Form& add(const Monomial& monomial, const Coefficient& coefficient);
  Form& add(const Form& other);
  Form& subtract(const Form& other);
  Form& shift_left(unsigned bits);   ///< below 64
  Form& shift_right(unsigned bits);  ///< 64 or less
  Form& scale(const Coefficient& factor);
  Form& reduce();  ///< Coefficient::reduce
  friend Form operator*(const Form& x, const Form& y);

 private:
  template <class Change>
  Form& each(Change change);
  Form& add_scaled(const Form& other, bool negative);

  llvm::SmallVector<Term, 8> terms_;
  bool void_ = false;
};

}  // namespace rotor::jit
