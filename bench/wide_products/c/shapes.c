// A product in each of the surroundings that compilers were seen to spread its pieces over: doubled and masked factors,
// constants, signs, sums, chains of carries. Each shape is a function; the export of its name calls it with `n` sets of
// inputs, half of them near the places where carries change, and returns a checksum.
#include "wide.h"

enum { kInputs = 6 };
static const u64 kMask51 = (1ull << 51) - 1;

static u64 next_random(u64* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static u64 next_input(u64* state) {
  static const u64 corners[16] = {0,
                                  1,
                                  2,
                                  19,
                                  0x7fffffff,
                                  0x80000000,
                                  0xffffffff,
                                  0x100000000,
                                  0x1ffffffff,
                                  kMask51,
                                  kMask51 + 1,
                                  0x7fffffffffffffff,
                                  0x8000000000000000,
                                  0xfffffffeffffffff,
                                  0xffffffff00000000,
                                  0xffffffffffffffff};
  const u64 kind = next_random(state), value = next_random(state), corner = corners[value & 15];
  switch (kind & 7) {
    case 0:
    case 1: return corner;
    case 2: return corner + (value >> 4 & 3) - 2;
    case 3: return corner << 32 | low_half(corners[value >> 4 & 15]);
    case 4: return value >> (kind >> 8 & 63);
    default: return value;
  }
}

typedef struct {
  u64 state, sum, x[kInputs];
} Inputs;

typedef Wide Shape(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);

__attribute__((noinline)) static u64 checksum(Shape* shape, u64 n) {
  u64 state = 0x9e3779b97f4a7c15, sum = 0, x[kInputs];
  for (u64 turn = 0; turn < n; turn++) {
    for (int i = 0; i < kInputs; i++) x[i] = next_input(&state);
    const Wide result = shape(x[0], x[1], x[2], x[3], x[4], x[5]);
    sum = (sum << 7 | sum >> 57) ^ wide_low(result);
    sum = (sum << 7 | sum >> 57) ^ wide_high(result);
  }
  return sum;
}

// The test counts the multiplications of shape_NAME.
#define SHAPE(name, ...)                                                                         \
  __attribute__((noinline)) static Wide shape_##name(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) { \
    (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;                                        \
    __VA_ARGS__                                                                                  \
  }                                                                                              \
  EXPORT(name)(u64 n) { return checksum(shape_##name, n); }

// One product.
SHAPE(plain, return wide_mul(a, b);)
SHAPE(high_only, return wide_of(wide_high(wide_mul(a, b)), 0);)
SHAPE(squared, return wide_square(a);)
SHAPE(same_factor, return wide_mul(a, a);)
SHAPE(doubled, return wide_mul(2 * a, b);)
SHAPE(times_19, return wide_mul(19 * a, b);)
SHAPE(times_38, return wide_mul(38 * a, b);)
SHAPE(times_19_same, return wide_mul(19 * a, a);)
SHAPE(inverted, return wide_mul(~a, b);)
SHAPE(inverted_same, return wide_mul(~a, a);)
SHAPE(negated, return wide_mul(0 - a, b);)
SHAPE(xored, return wide_mul(a ^ 0xe7037ed1a0b428db, b);)
SHAPE(shifted_right, return wide_mul(a >> 7, b);)
SHAPE(shifted_left, return wide_mul(a << 5, b);)
SHAPE(short_factor, return wide_mul(a, (u32)b);)
SHAPE(of_sum, return wide_mul(a + b, c);)
SHAPE(of_difference, return wide_mul(a - b, c + d);)

// Limbs of 51 bits.
SHAPE(masked, return wide_mul(a & kMask51, b);)
SHAPE(masked_both, return wide_mul(a & kMask51, b& kMask51);)
SHAPE(masked_squared, return wide_square(a & kMask51);)
SHAPE(masked_doubled, return wide_mul(2 * (a & kMask51), b& kMask51);)
SHAPE(masked_times_38, return wide_mul(38 * (a & kMask51), b& kMask51);)
SHAPE(masked_plus_carry, return wide_mul((a & kMask51) + (c >> 51), b);)
SHAPE(masked_sum, return wide_add(wide_mul(2 * (a & kMask51), b& kMask51), wide_mul(19 * (c & kMask51), c& kMask51));)
SHAPE(limb_of_product, const Wide t = wide_mul(a, b);
      return wide_mul(wide_low(t) & kMask51, wide_shift_right(t, 51) + c);)

// By constants.
SHAPE(constant, return wide_mul(a, 0xbaaedce6af48a03b);)
SHAPE(constant_high, return wide_of(wide_high(wide_mul(a, 0xbaaedce6af48a03b)), 0);)
SHAPE(constant_divide, return wide_of(wide_high(wide_mul(a, 0xcccccccccccccccd)) >> 3, 0);)
SHAPE(constant_modulo, return wide_of(a - 10 * (wide_high(wide_mul(a, 0xcccccccccccccccd)) >> 3), 0);)
SHAPE(constant_all_ones, return wide_mul(a, 0xffffffffffffffff);)
SHAPE(constant_nearly_all_ones, return wide_mul(a, 0xfffffffffffffffe);)
SHAPE(constant_small_halves, return wide_mul(a, 3ull << 32 | 5);)
SHAPE(constant_3, return wide_mul(a, 3);)
SHAPE(constant_add, return wide_mul_add(a, 0xbaaedce6af48a03b, b, c);)
SHAPE(constant_all_ones_add, return wide_mul_add(a, 0xffffffffffffffff, b, c);)
SHAPE(constant_nearly_all_ones_add, return wide_mul_add(a, 0xfffffffffffffffe, b, c);)

// Sums.
SHAPE(add_one, return wide_mul_add(a, b, c, 0);)
SHAPE(add_two, return wide_mul_add(a, b, c, d);)
SHAPE(sum_of_two, return wide_add(wide_mul(a, b), wide_mul(c, d));)
SHAPE(sum_of_three, return wide_add(wide_add(wide_mul(a, b), wide_mul(c, d)), wide_mul(e, f));)
SHAPE(sum_with_square, return wide_add(wide_square(a), wide_add(wide_mul(38 * b, c), wide_mul(38 * d, e)));)
SHAPE(sum_of_doubled, return wide_add(wide_mul(2 * a, b), wide_add(wide_mul(38 * c, d), wide_mul(19 * e, e)));)
SHAPE(product_twice, const Wide t = wide_mul(a, b); return wide_add(wide_add(t, t), wide_of(c, 0));)
SHAPE(bit_51, const Wide t = wide_add(wide_mul(a, b), wide_of(c, 0));
      return wide_of(wide_low(t) & kMask51, wide_shift_right(t, 51));)

// Carries from product to product.
SHAPE(chain, const Wide t = wide_mul_add(a, b, c, 0); const Wide s = wide_mul_add(a, d, e, wide_high(t));
      return wide_of(wide_low(t) ^ wide_low(s), wide_high(s));)
SHAPE(chain_from_product, const Wide t = wide_mul(a, b); const Wide s = wide_mul_add(a, c, wide_high(t), 0);
      return wide_of(wide_low(t) ^ wide_low(s), wide_high(s));)
SHAPE(
    chain_of_four, u64 x[4] = {b, c, d, e}; u64 carry = 0; u64 sum = 0; UNROLL for (int i = 0; i < 4; i++) {
      const Wide t = wide_mul_add(a, x[i], carry, 0);
      sum ^= wide_low(t);
      carry = wide_high(t);
    } return wide_of(sum, carry);)
SHAPE(
    square_of_two_words, u64 x[2] = {a, b}; u64 y[2] = {c, d}; u64 t[4] = {0}; UNROLL for (int i = 0; i < 2; i++) {
      u64 carry = 0;
      UNROLL for (int j = 0; j < 2; j++) {
        const Wide w = wide_mul_add(x[i], y[j], t[i + j], carry);
        t[i + j] = wide_low(w);
        carry = wide_high(w);
      }
      t[i + 2] = carry;
    } return wide_of(t[0] ^ t[2], t[1] ^ t[3]);)
SHAPE(reduction, const u64 quotient = a * 0x4b0dff665588b13f;
      const u64 carry = wide_high(wide_mul_add(quotient, 0xbfd25e8cd0364141, a, 0));
      const Wide t = wide_mul_add(quotient, 0xbaaedce6af48a03b, b, carry);
      return wide_add(wide_of(wide_low(t) ^ c, 0), wide_of(wide_high(t), 0));)
SHAPE(reduction_all_ones, const u64 quotient = a * 0x4b0dff665588b13f;
      const u64 carry = wide_high(wide_mul_add(quotient, 0xbfd25e8cd0364141, a, 0));
      const Wide t = wide_mul_add(quotient, 0xfffffffffffffffe, b, carry);
      const Wide s = wide_mul_add(quotient, 0xffffffffffffffff, c, wide_high(t));
      return wide_of(wide_low(t) ^ wide_low(s), wide_high(s));)

// Signs, and high words subtracted.
SHAPE(signed_product, return wide_of(signed_high(a, b), 0);)
SHAPE(signed_doubled, return wide_of(signed_high(a, b) << 1, 0);)
SHAPE(signed_constant, return wide_of(signed_high(a, 0x4528a03ed41a3000), 0);)
SHAPE(signed_difference, return wide_of(signed_high(a, c) - signed_high(b, d), 0);)
SHAPE(signed_difference_constants,
      return wide_of(signed_high(a, 0x4528a03ed41a3000) - signed_high(b, 0x6bb5523c2433b800), 0);)
SHAPE(high_difference, return wide_of(wide_high(wide_mul(a, c)) - wide_high(wide_mul(b, d)), 0);)
SHAPE(middle_words, const Wide unlike = wide_add(wide_mul(b, c), wide_mul(a, d));
      return wide_add(unlike, wide_of(wide_high(wide_mul(a, c)), b* d));)
SHAPE(middle_words_constant, const Wide unlike = wide_add(wide_mul(b, 0xfd70a3d70a3d70a4), wide_mul(a, 3));
      return wide_add(unlike, wide_of(wide_high(wide_mul(a, 0xfd70a3d70a3d70a4)), 3 * b));)
