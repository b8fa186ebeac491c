#include "jit/passes/wide_products.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <functional>
#include <memory>
#include <random>

#include "jit/testing/rewrite.h"
#include "jit/testing/wide_products.h"
#include "jit/testing/written_products.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/PassManager.h"
#include "llvm/Support/raw_ostream.h"

namespace rotor::jit {
namespace {

using Words = std::vector<Word>;

/// A function that is written by `body`: words in, words out.
class Written {
 public:
  Written(unsigned arguments, unsigned results, const std::function<Words(const Words&)>& body)
      : function(words_function(module_, arguments, results)) {
    llvm::IRBuilder<> b(llvm::BasicBlock::Create(context_, "", function));
    Words words;
    for (llvm::Argument& argument : function->args()) words.push_back({&b, &argument});
    return_words(b, body(words));
  }

  std::string text() const {
    std::string text;
    llvm::raw_string_ostream(text) << *function;
    return text;
  }

 private:
  llvm::LLVMContext context_;
  llvm::Module module_{"test", context_};

 public:
  llvm::Function* const function;
};

/// Writes a function, compares it with what the pass makes of it, and says how many multiplications are left. Without
/// what runs before the pass there may be more of them, but the results are the same.
RewriteReport rewritten(unsigned arguments, unsigned results, const std::function<Words(const Words&)>& body,
                        unsigned inputs = 3000) {
  Written written(arguments, results, body);
  RewriteReport alone = check_rewrite(*written.function, Before::nothing, inputs);
  EXPECT_EQ(alone.error, "");
  RewriteReport report = check_rewrite(*written.function, Before::pipeline, inputs);
  EXPECT_EQ(report.error, "");
  return report;
}
unsigned left(unsigned arguments, unsigned results, const std::function<Words(const Words&)>& body) {
  return rewritten(arguments, results, body).multiplications;
}

/// What is left if the product in a function is written in each of these ways.
std::vector<unsigned> left_each(unsigned arguments, unsigned results,
                                const std::function<Words(const Words&, MakeProduct)>& body) {
  std::vector<unsigned> counts;
  for (MakeProduct product : kProducts)
    counts.push_back(left(arguments, results, [&](const Words& a) { return body(a, product); }));
  return counts;
}
using Counts = std::vector<unsigned>;

Words both(Wide x) { return {x.low, x.high}; }

TEST(WideProducts, RunTimeLibrary) {
  EXPECT_EQ(left(2, 2, [](const Words& a) { return both(library_product(a[0], a[1])); }), 1u);
}
TEST(WideProducts, HashMixers) {
  EXPECT_EQ(left(2, 2, [](const Words& a) { return both(mixer_product(a[0], a[1])); }), 1u);
}
TEST(WideProducts, HashMixersFoldBothWords) {
  EXPECT_EQ(left(2, 1,
                 [](const Words& a) -> Words {
                   Wide p = mixer_product(a[0], a[1]);
                   return {p.low ^ p.high};
                 }),
            1u);
}
TEST(WideProducts, Schoolbook) {
  EXPECT_EQ(left(2, 2, [](const Words& a) { return both(schoolbook_product(a[0], a[1])); }), 1u);
}
TEST(WideProducts, Crosswise) {
  EXPECT_EQ(left(2, 2, [](const Words& a) { return both(cross_product(a[0], a[1])); }), 1u);
}
TEST(WideProducts, HackersDelight) {
  EXPECT_EQ(left(2, 2, [](const Words& a) { return both(delight_product(a[0], a[1])); }), 1u);
}
TEST(WideProducts, HighWordAlone) {
  EXPECT_EQ(left_each(2, 1, [&](const Words& a, MakeProduct product) -> Words { return {product(a[0], a[1]).high}; }),
            Counts({1, 1, 1, 1, 1}));
}
TEST(WideProducts, Squares) {
  EXPECT_EQ(left_each(1, 2, [&](const Words& a, MakeProduct product) { return both(product(a[0], a[0])); }),
            Counts({1, 1, 1, 1, 1}));
}
TEST(WideProducts, SquaresWithTheMiddleTermDoubledByShifts) {
  EXPECT_EQ(left(1, 2,
                 [](const Words& a) -> Words {
                   Word x = a[0], lh = x.low() * x.high(), ll = x.low() * x.low(), low = ll + (lh << 33);
                   return {low, x.high() * x.high() + (lh >> 31) + (low < ll).wide()};
                 }),
            1u);
}

// Constants, whose halves are constants.

std::vector<unsigned> left_of_constant(uint64_t c) {
  return left_each(1, 2, [&](const Words& a, MakeProduct product) { return both(product(a[0], a[0].of(c))); });
}
TEST(WideProducts, Constants) {
  struct Case {
    uint64_t c;
    Counts expected;
  };
  // Where the low half is 1, a part of the product looks like a word of its own.
  const Case cases[] = {
      {0x224698fc094cf91b, {1, 3, 1, 1, 1}}, {0x992d30ed00000001, {1, 1, 2, 2, 3}},
      {0x9e3779b97f4a7c15, {1, 3, 1, 1, 1}}, {0xcccccccccccccccd, {1, 3, 1, 1, 1}},
      {0xffffffffffffffff, {1, 2, 1, 1, 1}}, {0xffffffff00000001, {1, 1, 2, 2, 3}},
      {0x8c46eb2100000001, {1, 1, 2, 2, 3}},
  };
  for (const Case& each : cases) EXPECT_EQ(left_of_constant(each.c), each.expected) << std::hex << each.c;
}
TEST(WideProducts, PowersOfTwoAreShifts) {
  for (unsigned exponent : {0, 1, 31, 32, 33, 62, 63})
    EXPECT_EQ(left_of_constant(UINT64_C(1) << exponent), Counts({0, 0, 0, 0, 0})) << exponent;
}
TEST(WideProducts, ConstantsOfOneHalf) {
  for (uint64_t c : {UINT64_C(3), UINT64_C(0xffffffff), UINT64_C(0xfffffffe)})
    EXPECT_EQ(left_of_constant(c), Counts({1, 1, 1, 1, 1})) << std::hex << c;
  for (uint64_t c : {UINT64_C(0xffffffff00000000), UINT64_C(0x300000000)})
    EXPECT_EQ(left_of_constant(c), Counts({1, 1, 1, 1, 1})) << std::hex << c;
}
TEST(WideProducts, NothingTimesZero) { EXPECT_EQ(left_of_constant(0), Counts({0, 0, 0, 0, 0})); }

// Sums.

/// All orders in which the terms of the high word may be added up.
TEST(WideProducts, HighWordInAnyOrder) {
  std::vector<unsigned> order = {0, 1, 2, 3, 4};
  do {
    unsigned count = left(2, 2, [&](const Words& a) -> Words {
      Word x = a[0], y = a[1];
      Word hh = x.high() * y.high(), m0 = x.high() * y.low(), m1 = y.high() * x.low(), ll = x.low() * y.low();
      Word t = ll + (m0 << 32), low = t + (m1 << 32);
      Words terms = {hh, m0.high(), m1.high(), (t < ll).wide(), (low < t).wide()};
      Word high = terms[order[0]];
      for (unsigned i = 1; i < order.size(); ++i) high = high + terms[order[i]];
      return {low, high};
    });
    ASSERT_EQ(count, 1u) << testing::PrintToString(order);
  } while (std::ranges::next_permutation(order).found);
}
TEST(WideProducts, HighWordAmongOtherTerms) {
  EXPECT_EQ(left_each(4, 2,
                      [&](const Words& a, MakeProduct product) -> Words {
                        Wide p = product(a[0], a[1]);
                        return {p.low, (p.high + a[2]) + a[3]};
                      }),
            Counts({1, 1, 1, 1, 1}));
}
TEST(WideProducts, CarriesAddedUpInThirtyTwoBits) {
  EXPECT_EQ(
      left(3, 2,
           [](const Words& a) -> Words {
             Word x = a[0], y = a[1];
             auto narrow = [](Word bit) { return Word{bit.b, bit.b->CreateZExt(bit.value, bit.b->getInt32Ty())}; };
             Word hh = x.high() * y.high(), m0 = x.high() * y.low(), m1 = y.high() * x.low(), ll = x.low() * y.low();
             Word t = ll + (m0 << 32), u = t + (m1 << 32), low = u + a[2];
             Word carries = narrow(t < ll) + narrow(u < t) + narrow(low < u);
             return {low, hh + m0.high() + m1.high() + carries.wide()};
           }),
      1u);
}
TEST(WideProducts, CarriesAsSelects) {
  EXPECT_EQ(left(2, 2,
                 [](const Words& a) -> Words {
                   Word x = a[0].low() * a[1].high(), ll = a[0].low() * a[1].low(),
                        middle = a[0].high() * a[1].low() + x;
                   auto when = [](Word bit, uint64_t c) {
                     return bit.of(bit.b->CreateSelect(bit.value, bit.b->getInt64(c), bit.b->getInt64(0)));
                   };
                   Word low = ll + (middle << 32);
                   return {low, a[0].high() * a[1].high() + when(middle < x, UINT64_C(1) << 32) + middle.high() +
                                    when(ll > low, 1)};
                 }),
            1u);
}
TEST(WideProducts, HalvesByTruncation) {
  EXPECT_EQ(left(2, 2,
                 [](const Words& a) -> Words {
                   Word x0 = a[0].narrow().wide(), x1 = a[0].high().narrow().wide(), y0 = a[1].narrow().wide();
                   Word y1 = a[1].high().narrow().wide();
                   Word ll = x0 * y0, hl = x1 * y0, lh = x0 * y1, cross = ll.high() + hl.narrow().wide() + lh;
                   return {(cross << 32) | ll.narrow().wide(), hl.high() + cross.high() + x1 * y1};
                 }),
            1u);
}
TEST(WideProducts, MasksNarrowedToBitsThatCanBeSet) {
  EXPECT_EQ(left(2, 2,
                 [](const Words& a) -> Words {
                   Word x = a[0] << 1, y = a[1], x0 = x & 0xfffffffe;
                   Word ll = x0 * y.low(), hl = x.high() * y.low(), lh = x0 * y.high(),
                        cross = ll.high() + hl.low() + lh;
                   return {(cross << 32) | (ll & 0xfffffffe), hl.high() + cross.high() + x.high() * y.high()};
                 }),
            1u);
}

/// Something like high words of x * y, where y is a multiple of 2^zeros. What is added to a product with the lower half
/// of y is masked without its lowest bits, and the sum shifted by `shift`; `whole`: and used as it is.
Words products_masked(const Words& a, unsigned bits, unsigned zeros, unsigned shift, bool whole) {
  Word y = a[1] << zeros, low = a[0] * y, high = a[0].of(uint64_t{0});
  const uint64_t mask = UINT32_MAX << bits & UINT32_MAX;
  for (Word x : {a[0], a[2]}) {
    Word y0 = y & (UINT32_MAX << zeros & UINT32_MAX), t = x.high() * y0 + (x.low() * y0).high();
    Word u = x.low() * y0 + (t & mask);
    high = high + x.high() * y.high() + t.high() + (u >> shift);
    if (whole) low = low ^ u;
  }
  return {low, high};
}
TEST(WideProducts, MasksNarrowedToBitsThatAreWanted) {
  auto product = [](Word x, Word y) {
    Word y0 = y & 0xfffffffe, t = y.high() * x.low() + (x.low() * y0).high();
    return Wide{x * y, x.high() * y.high() + t.high() + (x.high() * y0 + (t & 0xfffffffe)).high()};
  };
  EXPECT_EQ(left(4, 2,
                 [&](const Words& a) -> Words {
                   Wide p = product(a[0], a[1] << 1), q = product(a[2], a[3] << 1);
                   Word low = p.low + q.low;
                   return {low, p.high + q.high + (low < p.low).wide()};
                 }),
            2u);
  // Where they are wanted, or what is added has them, nothing is widened.
  for (unsigned bits : {1, 2, 7})
    for (unsigned zeros : {0, 1, 2, 7})
      for (unsigned shift : {0, 1, 6, 7, 31, 32, 33})
        for (bool whole : {false, true}) {
          SCOPED_TRACE(testing::Message() << bits << " " << zeros << " " << shift << " " << whole);
          rewritten(3, 2, [&](const Words& a) { return products_masked(a, bits, zeros, shift, whole); }, 200);
        }
}

// Accumulation.

TEST(WideProducts, MultiplyAndAdd) {
  EXPECT_EQ(left_each(4, 2,
                      [&](const Words& a, MakeProduct product) {
                        return both(accumulate(accumulate(product(a[0], a[1]), a[2]), a[3]));
                      }),
            Counts({1, 1, 1, 1, 1}));
}
TEST(WideProducts, SubtractionFromTheProduct) {
  EXPECT_EQ(left_each(3, 2,
                      [&](const Words& a, MakeProduct product) -> Words {
                        Wide p = product(a[0], a[1]);
                        return {p.low - a[2], p.high - (p.low < a[2]).wide()};
                      }),
            Counts({1, 1, 1, 1, 1}));
}
TEST(WideProducts, SubtractionOfTheProduct) {
  EXPECT_EQ(left_each(4, 2,
                      [&](const Words& a, MakeProduct product) -> Words {
                        Wide p = product(a[0], a[1]);
                        return {a[2] - p.low, a[3] - p.high - (a[2] < p.low).wide()};
                      }),
            Counts({1, 1, 1, 1, 1}));
}

/// x * y + c + d, digit by digit: what is added is added in halves.
Wide digit_product(Word x, Word y, Word c, Word d) {
  Word first = x.low() * y.low() + c.low() + d.low();
  Word second = x.high() * y.low() + c.high() + first.high();
  Word third = x.low() * y.high() + d.high() + second.low();
  return {(third << 32) | first.low(), x.high() * y.high() + second.high() + third.high()};
}
TEST(WideProducts, DigitByDigit) {
  EXPECT_EQ(left(4, 2, [](const Words& a) { return both(digit_product(a[0], a[1], a[2], a[3])); }), 1u);
}
/// High words that were made anew by the time their halves are added to the next product.
TEST(WideProducts, ChainsOfDigits) {
  EXPECT_EQ(left(6, 5,
                 [](const Words& a) -> Words {
                   Word carry = a[4], other = a[5];
                   Words result;
                   for (unsigned i = 0; i < 4; ++i) {
                     Wide p = digit_product(a[i], a[(i + 1) % 4], carry, other);
                     result.push_back(p.low);
                     other = carry;
                     carry = p.high;
                   }
                   result.push_back(carry);
                   return result;
                 }),
            4u);
}

/// Two limbs times two, by columns.
TEST(WideProducts, Columns) {
  EXPECT_EQ(left_each(4, 4,
                      [&](const Words& a, MakeProduct product) -> Words {
                        Wide t = product(a[0], a[2]), u = accumulate(product(a[0], a[3]), t.high);
                        Wide v = accumulate(product(a[1], a[2]), u.low);
                        Wide w = accumulate(accumulate(product(a[1], a[3]), u.high), v.high);
                        return {t.low, v.low, w.low, w.high};
                      }),
            Counts({4, 4, 4, 4, 4}));
}
/// Products added up in three words.
TEST(WideProducts, ThreeWordAccumulators) {
  EXPECT_EQ(left_each(7, 3,
                      [&](const Words& a, MakeProduct product) -> Words {
                        Word c0 = a[4], c1 = a[5], c2 = a[6];
                        for (unsigned i : {0, 2}) {
                          Wide p = accumulate(product(a[i], a[i + 1]), c0);
                          c0 = p.low;
                          Word next = c1 + p.high;
                          c2 = c2 + (next < c1).wide();
                          c1 = next;
                        }
                        return {c0, c1, c2};
                      }),
            Counts({2, 2, 2, 2, 2}));
}
TEST(WideProducts, SumsOfWideProducts) {
  EXPECT_EQ(left_each(4, 2,
                      [&](const Words& a, MakeProduct product) -> Words {
                        Wide p = product(a[0], a[1]), q = product(a[2], a[3]);
                        Word low = p.low + q.low;
                        return {low, p.high + q.high + (low < p.low).wide()};
                      }),
            Counts({2, 2, 2, 2, 2}));
}

/// As clang makes of a limb of curve25519's products: none of the high words is whole before all of them are.
TEST(WideProducts, SumsOfHighWordsInOne) {
  EXPECT_EQ(left(10, 2,
                 [](const Words& a) -> Words {
                   Word low = a[0] * a[1];
                   Words terms;
                   for (unsigned i = 0; i < 10; i += 2) {
                     Word x = a[i], y = a[i + 1], t = x.high() * y.low() + (x.low() * y.low()).high();
                     terms.insert(terms.begin(), x.high() * y.high());
                     terms.push_back(t.high());
                     terms.push_back((t.low() + x.low() * y.high()).high());
                     if (i == 0) continue;
                     Word sum = low + x * y;
                     terms.push_back((sum < low).wide());
                     low = sum;
                   }
                   Word high = terms[0];
                   for (size_t i = 1; i < terms.size(); ++i) high = high + terms[i];
                   return {low, high};
                 }),
            5u);
}

/// x * y / 2^256 modulo the prime of Pallas, up to a last subtraction.
Words montgomery(const Words& a, MakeProduct product) {
  constexpr unsigned kLimbs = 4;
  constexpr uint64_t kPrime[kLimbs] = {0x992d30ed00000001, 0x224698fc094cf91b, 0, 0x4000000000000000};
  constexpr uint64_t kInverse = 0x992d30ecffffffff;
  Words r(kLimbs + 1, a[0].of(uint64_t{0}));
  for (unsigned i = 0; i < kLimbs; ++i) {
    Word carry = a[0].of(uint64_t{0});
    for (unsigned j = 0; j < kLimbs; ++j) {
      Wide t = accumulate(accumulate(product(a[j], a[kLimbs + i]), r[j]), carry);
      r[j] = t.low;
      carry = t.high;
    }
    Word top = carry + r[kLimbs], k = r[0] * a[0].of(kInverse);
    carry = accumulate(product(k, k.of(kPrime[0])), r[0]).high;
    for (unsigned j = 1; j < kLimbs; ++j) {
      Wide t = accumulate(accumulate(product(k, k.of(kPrime[j])), r[j]), carry);
      r[j - 1] = t.low;
      carry = t.high;
    }
    r[kLimbs - 1] = top + carry;
    r[kLimbs] = top.of(uint64_t{0});
  }
  r.pop_back();
  return r;
}
/// 16 products, 4 factors, and 4 times the two limbs of the prime that are neither 0 nor a power of two.
TEST(WideProducts, MontgomeryProductsOfFourLimbs) {
  EXPECT_EQ(left_each(8, 4, [&](const Words& a, MakeProduct product) { return montgomery(a, product); }),
            Counts({28, 36, 28, 30, 36}));
}

/// As in the products of curve25519 that are folded back by 2^255 = 19.
TEST(WideProducts, FactorsThatWereMaskedAndScaled) {
  constexpr uint64_t kLimb = (UINT64_C(1) << 51) - 1;
  EXPECT_EQ(left_each(2, 2,
                      [&](const Words& a, MakeProduct product) {
                        return both(product((a[0] & a[0].of(kLimb)) * a[0].of(uint64_t{19}), a[1]));
                      }),
            Counts({2, 2, 2, 2, 2}));
}

/// A factor that turns out to be a number.
TEST(WideProducts, FactorsThatAreConstant) {
  EXPECT_EQ(left_each(2, 3,
                      [&](const Words& a, MakeProduct product) -> Words {
                        Word p = a[0].low() * a[1].low(), five = (p + a[0].of(5)) - p, c = a[0].of(0x224698fc094cf91b);
                        Wide q = product(five, c);
                        return {q.low, q.high, five * c};
                      }),
            Counts({0, 0, 0, 0, 0}));
}
/// As in squares of it.
TEST(WideProducts, FactorsThatWereDoubled) {
  EXPECT_EQ(left_each(2, 2, [&](const Words& a, MakeProduct product) { return both(product(a[0] << 1, a[1])); }),
            Counts({1, 1, 1, 1, 1}));
}

/// As in kimchi's from_bigint.
TEST(WideProducts, PlainProductBesideTheWideOne) {
  auto left_of = [](uint64_t c) {
    return left_each(1, 3, [c](const Words& a, MakeProduct product) -> Words {
      Wide p = product(a[0], a[0].of(c));
      return {a[0] * a[0].of(c), p.low, p.high};
    });
  };
  EXPECT_EQ(left_of(0x224698fc094cf91b), Counts({1, 3, 1, 1, 1}));
  EXPECT_EQ(left_of(0x992d30ed00000001), Counts({1, 1, 3, 3, 3}));
}

TEST(WideProducts, AcrossBlocks) {
  Written written(3, 2, [](const Words& a) -> Words {
    llvm::IRBuilder<>& b = *a[0].b;
    auto block = [&] { return llvm::BasicBlock::Create(b.getContext(), "", b.GetInsertBlock()->getParent()); };
    Word hh = a[0].high() * a[1].high(), hl = a[0].high() * a[1].low(), ll = a[0].low() * a[1].low();
    llvm::BasicBlock *start = b.GetInsertBlock(), *rest = block(), *join = block();
    b.CreateCondBr((a[2] < a[0]).value, rest, join);
    b.SetInsertPoint(rest);
    Word lh = a[0].low() * a[1].high(), cross = ll.high() + hl.low() + lh;
    Words made = {(cross << 32) | ll.low(), hl.high() + cross.high() + hh}, other = {ll, hl}, merged;
    // Long enough for LLVM not to run it on both ways.
    for (int i = 0; i < 8; ++i) made[0] = made[0] ^ (made[1] << 3) ^ (made[1] >> 5);
    b.CreateBr(join);
    b.SetInsertPoint(join);
    for (int i = 0; i < 2; ++i) {
      llvm::PHINode* phi = b.CreatePHI(b.getInt64Ty(), 2);
      phi->addIncoming(other[i].value, start);
      phi->addIncoming(made[i].value, rest);
      merged.push_back(a[0].of(phi));
    }
    return merged;
  });
  RewriteReport report = check_rewrite(*written.function, Before::pipeline, 3000);
  EXPECT_EQ(report.error, "");
  // Two that the other way needs, and the whole one.
  EXPECT_EQ(report.multiplications, 3u);
}

/// That bits of it are zero is known of the phi's operands only.
TEST(WideProducts, MasksNarrowedToBitsOfAPhi) {
  Written written(3, 2, [](const Words& a) -> Words {
    llvm::IRBuilder<>& b = *a[0].b;
    auto block = [&] { return llvm::BasicBlock::Create(b.getContext(), "", b.GetInsertBlock()->getParent()); };
    llvm::BasicBlock *start = b.GetInsertBlock(), *rest = block(), *join = block();
    Word one = a[0] & ~UINT64_C(2);
    b.CreateCondBr((a[2] < a[0]).value, rest, join);
    b.SetInsertPoint(rest);
    Word two = a[1] & ~UINT64_C(2);
    b.CreateBr(join);
    b.SetInsertPoint(join);
    llvm::PHINode* phi = b.CreatePHI(b.getInt64Ty(), 2);
    phi->addIncoming(one.value, start);
    phi->addIncoming(two.value, rest);
    Word x = a[0].of(phi), y = a[2], x0 = x & 0xfffffffd;
    Word ll = x0 * y.low(), hl = x.high() * y.low(), lh = x0 * y.high(), cross = ll.high() + hl.low() + lh;
    return {(cross << 32) | ll.low(), hl.high() + cross.high() + x.high() * y.high()};
  });
  RewriteReport report = check_rewrite(*written.function, Before::nothing, 3000);
  EXPECT_EQ(report.error, "");
  EXPECT_EQ(report.multiplications, 4u);
}

// What is not quite a product stays as it is.

/// Parts of a product by the mixer's way; a test replaces one of them.
struct Nearly {
  std::function<Word(Word)> low = [](Word x) { return x.low(); };
  std::function<Word(Word)> high = [](Word x) { return x.high(); };
  unsigned shift = 32, middle_shift = 32;
  std::function<Word(Word, Word, Word)> carry = [](Word w, Word x, Word) { return (w < x).wide(); };
  bool last_carry = true;

  Words operator()(const Words& a) const {
    Word x = a[0], y = a[1];
    Word hh = high(x) * high(y), m0 = high(x) * low(y), m1 = high(y) * low(x), ll = low(x) * low(y);
    Word t = ll + (m0 << shift), w = t + (m1 << shift);
    Word sum = hh + (m0 >> middle_shift) + (m1 >> middle_shift) + carry(t, ll, m1 << shift);
    return {w, last_carry ? sum + carry(w, t, ll) : sum};
  }
};

TEST(WideProducts, NearlyIsUnlessSomethingIsReplaced) { EXPECT_EQ(left(2, 2, Nearly{}), 1u); }

TEST(WideProducts, IsNotFooled) {
  Counts left;
  Nearly narrow_mask, short_shift, short_middle, wrong_carry, wrong_order, or_equal, signed_carry, no_carry;
  narrow_mask.low = [](Word x) { return x & 0x7fffffff; };
  short_shift.high = [](Word x) { return x >> 31; };
  short_middle.middle_shift = 31;
  wrong_carry.carry = [](Word w, Word, Word other) { return (w < other).wide(); };
  wrong_order.carry = [](Word w, Word x, Word) { return (w > x).wide(); };
  or_equal.carry = [](Word w, Word x, Word) { return w.of(w.b->CreateICmpULE(w.value, x.value)).wide(); };
  signed_carry.carry = [](Word w, Word x, Word) { return w.of(w.b->CreateICmpSLT(w.value, x.value)).wide(); };
  no_carry.last_carry = false;
  for (const Nearly& nearly :
       {narrow_mask, short_shift, short_middle, wrong_carry, wrong_order, or_equal, signed_carry, no_carry}) {
    RewriteReport report = rewritten(2, 2, nearly);
    EXPECT_EQ(report.multiplications_before, 4u);
    left.push_back(report.multiplications);
  }
  EXPECT_EQ(left, Counts({4, 4, 4, 4, 4, 4, 4, 3}));
}

/// A square is 0 or 1 modulo 4: a mask without bit 1 is still that of a half, one without another bit is not.
TEST(WideProducts, MasksOfSquares) {
  auto left_of = [](uint64_t mask) {
    return left(2, 2, [mask](const Words& a) -> Words {
      Word x = a[0] * a[0], y = a[1], x0 = x & mask;
      Word ll = x0 * y.low(), hl = x.high() * y.low(), lh = x0 * y.high(), cross = ll.high() + hl.low() + lh;
      return {(cross << 32) | ll.low(), hl.high() + cross.high() + x.high() * y.high()};
    });
  };
  EXPECT_EQ(left_of(0xffffffff), 2u);
  EXPECT_EQ(left_of(0xfffffffd), 2u);
  for (uint64_t mask : {0xfffffffbu, 0xfffffffeu, 0xfffffff7u, 0x7ffffffdu})
    EXPECT_EQ(left_of(mask), 5u) << std::hex << mask;
}

/// Halves of two words with their bits united are not their sum.
TEST(WideProducts, UnionsAreNoSums) {
  EXPECT_EQ(left(3, 2,
                 [](const Words& a) -> Words {
                   Word ll = a[0].low() * a[1].low(), hl = a[0].high() * a[1].low(), lh = a[0].low() * a[1].high();
                   Word first = ll.low() | a[2].low(), cross = ll.high() + hl.low() + lh + a[2].high();
                   return {(cross << 32) | first, hl.high() + cross.high() + a[0].high() * a[1].high()};
                 }),
            4u);
}

// What it costs.

/// Runs the pass; whether the dominator tree is there afterwards.
bool asks_for_dominators(llvm::Function& function) {
  llvm::FunctionAnalysisManager analyses;
  register_analyses(analyses);
  WideProductsPass().run(function, analyses);
  return analyses.getCachedResult<llvm::DominatorTreeAnalysis>(function) != nullptr;
}

TEST(WideProducts, AsksForNoAnalysisWithoutHalves) {
  Written plain(3, 1, [](const Words& a) -> Words { return {a[0] * a[1] + (a[2] >> 32) + a[0].low()}; });
  std::string before = plain.text();
  EXPECT_FALSE(asks_for_dominators(*plain.function));
  EXPECT_EQ(plain.text(), before);
  Written wide(2, 2, [](const Words& a) { return both(library_product(a[0], a[1])); });
  EXPECT_TRUE(asks_for_dominators(*wide.function));
}

/// In 512 KiB of stack.
void with_little_stack(const std::function<void()>& run) {
  constexpr size_t kStack = 512 << 10;
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, kStack), 0);
  pthread_t thread;
  auto entry = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, entry, const_cast<std::function<void()>*>(&run)), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

/// A value that goes through `link` many times.
Word chain(Word start, unsigned length, const std::function<Word(Word, unsigned)>& link) {
  for (unsigned i = 0; i < length; ++i) start = link(start, i);
  return start;
}

TEST(WideProducts, LongChainsNeedNoStack) {
  constexpr unsigned kLength = 200'000;
  const std::function<Words(const Words&)> bodies[] = {
      // Sums in which low parts are left.
      [](const Words& a) -> Words {
        Word low = a[0].low(), high = a[1].high();
        return {chain(low * high, kLength, [&](Word x, unsigned i) { return x + (i % 2 ? low : high); })};
      },
      // Numbers of 32 bits: nobody asks for them until they are extended.
      [](const Words& a) -> Words {
        Word sum = chain(a[0].narrow(), kLength, [](Word x, unsigned) { return x + x.of(x.b->getInt32(1)); });
        return {sum.wide() * a[1].high()};
      },
      // Words that have nothing to do with a product.
      [](const Words& a) -> Words {
        Word sum = chain(a[0] + a[1], kLength, [&](Word x, unsigned i) { return (x << 1) + a[i % 2]; });
        return {sum ^ library_product(a[0], a[1]).high};
      },
  };
  for (const auto& body : bodies) {
    Written written(2, 1, body);
    with_little_stack([&] { asks_for_dominators(*written.function); });
  }
}

/// The product is in each of these sums' forms.
TEST(WideProducts, LongChainsOfWholeWordsNeedNoStack) {
  constexpr unsigned kLength = 200'000;
  Written written(2, 1, [](const Words& a) -> Words {
    return {chain(library_product(a[0], a[1]).high, kLength, [&](Word x, unsigned i) { return x + a[i % 2]; })};
  });
  with_little_stack([&] { EXPECT_TRUE(asks_for_dominators(*written.function)); });
}

/// All in one block. It would take minutes if a product cost as much as there are others.
TEST(WideProducts, ManyProductsNeedNoStack) {
  constexpr unsigned kProducts = 10'000;
  Written written(2, 1, [](const Words& a) -> Words {
    return {chain(a[0], kProducts, [&](Word x, unsigned i) {
      Wide p = mixer_product(a[1] + x.of(i), x);
      return p.low ^ p.high;
    })};
  });
  with_little_stack([&] { EXPECT_TRUE(asks_for_dominators(*written.function)); });
  EXPECT_EQ(count_multiplications(*written.function), kProducts);
}

// At random: fuzz/wide_products.cc goes on where this stops.

TEST(WideProducts, RandomFunctionsStayEqual) {
  constexpr unsigned kFunctions = 1500, kInputs = 24;
  std::mt19937_64 random(1);
  unsigned count = 0;
  for (unsigned i = 0; i < kFunctions; ++i) {
    std::vector<uint8_t> bytes(random() % 600);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    WideProductsReport report = check_wide_products(bytes, kInputs);
    ASSERT_EQ(report.error, "") << "function " << i;
    count += report.rewritten;
  }
  EXPECT_GT(count, kFunctions / 2) << "most should have something to rewrite";
}

}  // namespace
}  // namespace rotor::jit
