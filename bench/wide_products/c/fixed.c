// Fixed point and high words alone: 64.64 bits, signed fractions of 63 bits, division by a reciprocal, and a random
// number brought into a range.
#include "wide.h"

// The middle 128 bits of a product of 256.
static Wide multiply(Wide x, Wide y) {
  const u64 xl = wide_low(x), xh = wide_high(x), yl = wide_low(y), yh = wide_high(y);
  const Wide unlike = wide_add(wide_mul(xh, yl), wide_mul(xl, yh));
  return wide_add(unlike, wide_of(wide_high(wide_mul(xl, yl)), xh * yh));
}

// The logistic map r x (1 - x): chaotic, so that every bit counts.
EXPORT(fixed_logistic)(u64 n) {
  Wide x = wide_of(0x5851f42d4c957f2d, 0);
  const Wide r = wide_of(0xfd70a3d70a3d70a4, 3);
  for (u64 turn = 0; turn < n; turn++) {
    const Wide rest = wide_add(wide_of(~wide_low(x), ~wide_high(x)), wide_of(1, 1));
    x = multiply(r, multiply(x, rest));
  }
  return wide_low(x) ^ wide_high(x);
}

// A vector turned by one radian, over and over. Its length is kept only nearly, its bits are what they are.
EXPORT(fixed_rotate)(u64 n) {
  const u64 cosine = 0x4528a03ed41a3000, sine = 0x6bb5523c2433b800;
  u64 x = 0x4000000000000000, y = 0x0123456789abcdef;
  for (u64 turn = 0; turn < n; turn++) {
    const u64 turned = signed_high(x, cosine) - signed_high(y, sine);
    y = (signed_high(x, sine) + signed_high(y, cosine)) << 1;
    x = turned << 1;
  }
  return x ^ y;
}

// The sum of the decimal digits; x / 10 is x (2^67 + 2) / 10, rounded down, over 2^67.
EXPORT(decimal_digits)(u64 n) {
  u64 state = 0x2545f4914f6cdd1d, sum = 0;
  for (u64 turn = 0; turn < n; turn++) {
    state = state * 0x5851f42d4c957f2d + 0x14057b7ef767814f;
    for (u64 rest = state; rest != 0;) {
      const u64 quotient = wide_high(wide_mul(rest, 0xcccccccccccccccd)) >> 3;
      sum += rest - 10 * quotient;
      rest = quotient;
    }
  }
  return sum;
}

// A random number below a bound is the high word of their product.
EXPORT(random_below)(u64 n) {
  u64 state = 0x853c49e6748fea9b, bound = 0xda3e39cb94b95bdb, sum = 0;
  for (u64 turn = 0; turn < n; turn++) {
    state = state * 0x5851f42d4c957f2d + 0x14057b7ef767814f;
    sum ^= wide_high(wide_mul(state, bound));
    bound += sum;
  }
  return sum;
}
