#include "jit/passes/wide_form.h"

#include <gtest/gtest.h>

#include <random>

#include "llvm/ADT/APInt.h"

namespace rotor::jit {
namespace {

using llvm::APInt;

/// The reference counts in units of 2^-128, in 512 bits.
constexpr unsigned kBits = 512, kPoint = 128, kWidth = 256;
APInt number(uint64_t x) { return APInt(kBits, x); }
APInt power(unsigned exponent) { return number(1).shl(exponent); }
const APInt kOne = power(kPoint), kLimit = power(kWidth - 1);
bool fits(const APInt& x) { return x.isSignedIntN(kWidth); }
/// Of magnitude below 2^127: the least number is its own negative, and not all operations do with it.
bool fits_both_ways(const APInt& x) { return fits(x) && fits(-x); }

/// Pre: fits(x).
Coefficient coefficient(const APInt& x) {
  if (x == -kLimit) {
    Coefficient half = coefficient(-kLimit.lshr(1));
    EXPECT_TRUE(half.shift_left(1));
    return half;
  }
  APInt magnitude = x.abs();
  Coefficient result;
  for (unsigned i = 0; i < 4; ++i) {
    Coefficient limb(magnitude.extractBitsAsZExtValue(64, 64 * i));
    EXPECT_TRUE(i < 2 ? limb.shift_right(128 - 64 * i) : limb.shift_left(64 * i - 128));
    EXPECT_TRUE(result.add(limb));
  }
  EXPECT_TRUE(!x.isNegative() || result.negate());
  return result;
}

/// Edges of limbs, of the point and of the range, and random numbers of all lengths.
const std::vector<APInt>& numbers() {
  static const std::vector<APInt> all = [] {
    std::vector<APInt> result = {number(0), -kLimit};
    for (unsigned exponent : {0, 1, 32, 63, 64, 65, 127, 128, 129, 160, 191, 192, 193, 253, 254})
      for (int delta : {-1, 0, 1}) {
        APInt x = power(exponent) + APInt(kBits, static_cast<uint64_t>(int64_t{delta}), /*isSigned=*/true);
        result.insert(result.end(), {x, -x});
      }
    result.insert(result.end(), {kLimit - 1, number(0x992d30ed00000001).shl(kPoint), kOne * 3, -kOne * 3});
    std::mt19937_64 random(7);
    for (int i = 0; i < 60; ++i) {
      APInt x(kWidth, {random(), random(), random(), random()});
      result.push_back(x.ashr(random() % kWidth).shl(random() % kWidth).sext(kBits));
    }
    return result;
  }();
  return all;
}

/// An operation that says that it is exact has given `expected`; it says so whenever `expected` fits.
void expect(bool exact, const Coefficient& got, const APInt& expected, bool should_be_exact) {
  EXPECT_EQ(exact, should_be_exact);
  if (exact && fits(expected)) {
    EXPECT_EQ(got, coefficient(expected));
  }
}

TEST(Coefficient, SaysWhatItIs) {
  for (const APInt& x : numbers()) {
    Coefficient c = coefficient(x);
    EXPECT_EQ(c.is_zero(), x.isZero());
    EXPECT_EQ(c.is_negative(), x.isNegative());
    EXPECT_EQ(c.is_one(), x == kOne);
    EXPECT_EQ(c == Coefficient(3), x == kOne * 3);
  }
}

TEST(Coefficient, Adds) {
  for (const APInt& x : numbers())
    for (const APInt& y : numbers()) {
      Coefficient sum = coefficient(x);
      bool exact = sum.add(coefficient(y));
      expect(exact, sum, x + y, fits(x + y));
    }
}

TEST(Coefficient, Negates) {
  for (const APInt& x : numbers()) {
    Coefficient c = coefficient(x);
    bool exact = c.negate();
    expect(exact, c, -x, fits(-x));
  }
}

TEST(Coefficient, Multiplies) {
  for (const APInt& x : numbers())
    for (const APInt& y : numbers()) {
      Coefficient product = coefficient(x);
      bool exact = product.multiply(coefficient(y));
      APInt expected = (x * y).ashr(kPoint);
      bool whole = (x * y).countr_zero() >= kPoint;
      expect(exact, product, expected, whole && fits_both_ways(x) && fits_both_ways(y) && fits_both_ways(expected));
    }
}

TEST(Coefficient, MultipliesInPlaceByItself) {
  Coefficient c(5);
  EXPECT_TRUE(c.multiply(c));
  EXPECT_EQ(c, Coefficient(25));
}

TEST(Coefficient, ShiftsLeft) {
  for (const APInt& x : numbers())
    for (unsigned bits = 0; bits < kWidth; ++bits) {
      Coefficient c = coefficient(x);
      bool exact = c.shift_left(bits);
      expect(exact, c, x.shl(bits), fits(x.shl(bits)) && x.shl(bits).ashr(bits) == x);
    }
}

TEST(Coefficient, ShiftsRight) {
  for (const APInt& x : numbers())
    for (unsigned bits = 0; bits < kWidth; ++bits) {
      Coefficient c = coefficient(x);
      bool exact = c.shift_right(bits);
      expect(exact, c, x.ashr(bits), x.isZero() || x.countr_zero() >= bits);
    }
}

TEST(Coefficient, ReducesToTheLeastMagnitude) {
  const APInt modulus = power(kPoint + 64), half = power(kPoint + 63);
  for (const APInt& x : numbers()) {
    APInt expected = x.srem(modulus);
    if (expected.isNegative()) expected += modulus;
    if (expected.uge(half)) expected -= modulus;
    Coefficient c = coefficient(x);
    c.reduce();
    EXPECT_EQ(c, coefficient(expected));
  }
}

TEST(Coefficient, MultiplesOfPowersAreTheNearest) {
  for (const APInt& x : numbers()) {
    Coefficient reduced = coefficient(x);
    reduced.reduce();
    APInt value = x.trunc(kPoint + 64).sext(kBits);
    for (unsigned exponent = 0; exponent < 64; ++exponent) {
      APInt step = power(kPoint + exponent),
            expected = (value + step.lshr(1)).ashr(kPoint + exponent).shl(kPoint + exponent);
      EXPECT_EQ(reduced.multiple_of_power(exponent), coefficient(expected));
    }
  }
}

TEST(Coefficient, ResiduesAreOfIntegers) {
  for (const APInt& x : numbers())
    for (unsigned bits : {1, 31, 32, 33, 63, 64}) {
      auto residue = coefficient(x).residue(bits);
      ASSERT_EQ(residue.has_value(), x.isZero() || x.countr_zero() >= kPoint);
      if (residue) {
        EXPECT_EQ(*residue, x.extractBitsAsZExtValue(bits, kPoint));
      }
    }
}

TEST(Coefficient, MagnitudeIsThereIfItFits) {
  for (const APInt& x : numbers()) {
    auto parts = coefficient(x).magnitude();
    APInt magnitude = x.abs();
    ASSERT_EQ(parts.has_value(), magnitude.extractBitsAsZExtValue(64, 0) == 0 && magnitude.ult(power(kPoint + 64)));
    if (!parts) continue;
    EXPECT_EQ(parts->whole, magnitude.extractBitsAsZExtValue(64, kPoint));
    EXPECT_EQ(parts->fraction, magnitude.extractBitsAsZExtValue(64, 64));
  }
}

TEST(Atom, KnowsItsValueAndBits) {
  EXPECT_FALSE(Atom());
  for (uint32_t value : {0u, 1u, 1000u, Atom::kMaxValues - 1})
    for (unsigned bits = 1; bits <= 64; ++bits) {
      Atom atom(value, bits);
      EXPECT_TRUE(atom);
      EXPECT_EQ(atom.value(), value);
      EXPECT_EQ(atom.bits(), bits);
      EXPECT_EQ(atom.is_low_part(), bits != 64);
      EXPECT_EQ(atom.whole(), Atom(value));
    }
}

TEST(Monomial, HasNoOrder) {
  Atom x(3), y(7, 32);
  EXPECT_EQ(Monomial(x, y), Monomial(y, x));
  EXPECT_EQ(Monomial(Atom(), x), Monomial(x));
  EXPECT_EQ(Monomial().degree(), 0u);
  EXPECT_EQ(Monomial(x).degree(), 1u);
  EXPECT_EQ(Monomial(x, x).degree(), 2u);
  EXPECT_TRUE(Monomial(x, y).has_low_part());
  EXPECT_FALSE(Monomial(x, x).has_low_part());
  EXPECT_NE(Monomial(Atom(7, 31)), Monomial(y));
}

// Forms, as what they come to if atom i is the i-th of some numbers.

/// In units of 2^-64.
APInt value_of(const Form& form, llvm::ArrayRef<int64_t> atoms) {
  APInt sum(kBits, 0);
  EXPECT_FALSE(form.is_void());
  for (const Term& term : form.terms()) {
    auto parts = term.coefficient.magnitude();
    if (!parts) {
      ADD_FAILURE() << "a coefficient that the test did not expect";
      continue;
    }
    APInt value = number(parts->whole).shl(64) + number(parts->fraction);
    if (term.coefficient.is_negative()) value.negate();
    for (Atom atom : {term.monomial.a, term.monomial.b})
      if (atom) value *= APInt(kBits, static_cast<uint64_t>(atoms[atom.value()]), /*isSigned=*/true);
    sum += value;
  }
  return sum;
}

class Forms {
 public:
  static constexpr int64_t kAtoms[] = {3, -1'000'003, INT64_C(1) << 40, 77};

  /// Of at most this degree, with coefficients below 2^8 of at most 8 bits behind the point.
  Form form(unsigned degree) {
    Form result;
    for (unsigned terms = random_() % 6; terms > 0; --terms) {
      Coefficient c(random_() % (1u << 16));
      EXPECT_TRUE(c.shift_right(8));
      EXPECT_TRUE(random_() % 2 || c.negate());
      unsigned of = random_() % (degree + 1);
      Monomial monomial = of == 0 ? Monomial() : of == 1 ? Monomial(atom()) : Monomial(atom(), atom());
      result.add(monomial, c);
    }
    return result;
  }

 private:
  Atom atom() { return Atom(random_() % std::size(kAtoms)); }
  std::mt19937_64 random_{11};
};

TEST(Form, ArithmeticIsThatOfWhatItStandsFor) {
  Forms forms;
  auto value = [](const Form& form) { return value_of(form, Forms::kAtoms); };
  for (int i = 0; i < 2000; ++i) {
    Form x = forms.form(2), y = forms.form(2), s = forms.form(1), t = forms.form(1);
    EXPECT_EQ(value(Form(x).add(y)), value(x) + value(y));
    EXPECT_EQ(value(Form(x).subtract(y)), value(x) - value(y));
    EXPECT_EQ((value(s * t)).shl(64), value(s) * value(t));
    EXPECT_EQ(value(Form(x).shift_left(9)), value(x).shl(9));
    EXPECT_EQ(value(Form(x).shift_right(9)).shl(9), value(x));
    EXPECT_EQ(value(Form(x).scale(Coefficient(77))), value(x) * 77);
    EXPECT_EQ(s * t, t * s);
    Form back = Form(x).add(y).subtract(x);
    EXPECT_TRUE(back == y);
    EXPECT_EQ(back.hash(), y.hash());
    EXPECT_TRUE(Form(x).subtract(x).is_zero());
  }
}

TEST(Form, TermsAreInOrderAndNoneIsZero) {
  Forms forms;
  for (int i = 0; i < 1000; ++i) {
    Form x = forms.form(2).add(forms.form(2));
    for (const Term& term : x.terms()) EXPECT_FALSE(term.coefficient.is_zero());
    for (size_t k = 1; k < x.terms().size(); ++k) EXPECT_LT(x.terms()[k - 1].monomial, x.terms()[k].monomial);
  }
  EXPECT_TRUE(Form::constant(0).is_zero());
  EXPECT_EQ(Form(Form::of(Atom(1))).shift_left(2).terms()[0].coefficient, Coefficient(4));
}

TEST(Form, ReducingDropsMultiplesOfTheWord) {
  Coefficient c(1);
  ASSERT_TRUE(c.shift_left(64));
  Form form = Form::of(Atom(0));
  form.add(Monomial(Atom(1)), c);
  EXPECT_EQ(form.reduce(), Form::of(Atom(0)));
  // 2^64 - 1 is -1, and 2^63 is -2^63: one of the two, always the same.
  Form minus = Form::constant(0).subtract(Form::constant(1));
  EXPECT_EQ(Form::constant(UINT64_MAX).reduce(), minus);
  Form least = Form::constant(0).subtract(Form::constant(UINT64_C(1) << 63));
  EXPECT_EQ(Form::constant(UINT64_C(1) << 63).reduce(), least);
  EXPECT_EQ(Form(least).reduce(), least);
}

TEST(Form, LowPartsAreAtomsOfTheirOwn) {
  Form form = Form::of(Atom(0, 32)).subtract(Form::of(Atom(0)));
  EXPECT_EQ(form.terms().size(), 2u);
  EXPECT_TRUE(form.has_low_part());
  EXPECT_FALSE(Form::of(Atom(0)).has_low_part());
  EXPECT_TRUE(Form::of(Monomial(Atom(1), Atom(0, 1))).has_low_part());
}

Form void_form() {
  Form square = Form::of(Monomial(Atom(0), Atom(0)));
  return square * Form::of(Atom(0));
}

TEST(Form, AThirdFactorMakesItVoid) {
  Form square = Form::of(Monomial(Atom(0), Atom(0)));
  EXPECT_TRUE((square * Form::of(Atom(0))).is_void());
  EXPECT_TRUE((Form::of(Atom(0)) * square).is_void());
  EXPECT_TRUE((square * square).is_void());
  EXPECT_FALSE((square * Form::constant(3)).is_void());
  EXPECT_FALSE((Form::constant(3) * square).is_void());
}

TEST(Form, TooManyTermsMakeItVoid) {
  Form form;
  for (uint32_t i = 0; i < Form::kMaxTerms; ++i) form.add(Form::of(Atom(i)));
  EXPECT_FALSE(form.is_void());
  Form twice = form;
  EXPECT_FALSE(twice.add(form).is_void());
  EXPECT_TRUE(form.add(Form::of(Atom(Form::kMaxTerms))).is_void());
}

TEST(Form, ACoefficientThatDoesNotFitMakesItVoid) {
  Form large = Form::constant(1).shift_left(63).shift_left(63);
  EXPECT_FALSE(large.is_void());
  EXPECT_TRUE(Form(large).add(large).is_void());
  EXPECT_TRUE(Form(large).shift_left(1).is_void());
  EXPECT_TRUE(Form(large).scale(Coefficient(2)).is_void());
  EXPECT_TRUE((large * Form::constant(2)).is_void());
  // 128 bits behind the point, and no more.
  Form small = Form::constant(1).shift_right(64).shift_right(64);
  EXPECT_FALSE(small.is_void());
  EXPECT_TRUE(Form(small).shift_right(1).is_void());
  Coefficient tiny(1);
  ASSERT_TRUE(tiny.shift_right(1));
  EXPECT_TRUE(Form(small).scale(tiny).is_void());
  EXPECT_TRUE((small * Form::constant(1).shift_right(1)).is_void());
  // The least coefficient has no negative.
  Form least = Form::constant(0).subtract(large).subtract(large);
  EXPECT_FALSE(least.is_void());
  EXPECT_TRUE(Form().subtract(least).is_void());
}

TEST(Form, AVoidOneStaysSoAndEqualsNothing) {
  const Form none = void_form(), x = Form::of(Atom(0));
  ASSERT_TRUE(none.is_void());
  EXPECT_FALSE(none.is_zero());
  EXPECT_FALSE(none == none);
  EXPECT_FALSE(none == Form());
  EXPECT_TRUE(Form(none).add(x).is_void());
  EXPECT_TRUE(Form(x).add(none).is_void());
  EXPECT_TRUE(Form(x).subtract(none).is_void());
  EXPECT_TRUE(Form(none).subtract(x).is_void());
  EXPECT_TRUE((none * Form()).is_void());
  EXPECT_TRUE((Form() * none).is_void());
  EXPECT_TRUE((x * none).is_void());
  EXPECT_TRUE(Form(none).shift_left(1).is_void());
  EXPECT_TRUE(Form(none).shift_right(1).is_void());
  EXPECT_TRUE(Form(none).scale(Coefficient(0)).is_void());
  EXPECT_TRUE(Form(none).reduce().is_void());
  EXPECT_TRUE(Form(none).add(Monomial(), Coefficient(1)).is_void());
}

}  // namespace
}  // namespace rotor::jit
