// The field of 2^255 - 19 elements, in five limbs of 51 bits: sums of products of 128 bits, and 2^255 = 19.
#include "wide.h"

enum { kLimbs = 5, kLimbBits = 51 };
static const u64 kLimbMask = (1ull << kLimbBits) - 1;

// Carries from limb to limb; leaves each below 2^52.
static void carry_over(u64 limbs[kLimbs], const Wide sums[kLimbs]) {
  Wide sum = sums[0];
  for (int i = 0; i < kLimbs; i++) {
    limbs[i] = wide_low(sum) & kLimbMask;
    const u64 carry = wide_shift_right(sum, kLimbBits);
    if (i + 1 < kLimbs)
      sum = wide_add(sums[i + 1], wide_of(carry, 0));
    else
      limbs[0] += 19 * carry;
  }
  limbs[1] += limbs[0] >> kLimbBits;
  limbs[0] &= kLimbMask;
}

static void multiply(u64 product[kLimbs], const u64 a[kLimbs], const u64 b[kLimbs]) {
  Wide sums[kLimbs];
  UNROLL
  for (int i = 0; i < kLimbs; i++) {
    sums[i] = wide_mul(a[0], b[i]);
    UNROLL
    for (int j = 1; j < kLimbs; j++)
      sums[i] = wide_add(sums[i], j <= i ? wide_mul(a[j], b[i - j]) : wide_mul(a[j], 19 * b[i - j + kLimbs]));
  }
  carry_over(product, sums);
}

// Each product of two unlike limbs stands for two.
static void square(u64 result[kLimbs], const u64 a[kLimbs]) {
  Wide sums[kLimbs];
  sums[0] = wide_add(wide_square(a[0]), wide_add(wide_mul(38 * a[1], a[4]), wide_mul(38 * a[2], a[3])));
  sums[1] = wide_add(wide_mul(2 * a[0], a[1]), wide_add(wide_mul(38 * a[2], a[4]), wide_mul(19 * a[3], a[3])));
  sums[2] = wide_add(wide_mul(2 * a[0], a[2]), wide_add(wide_square(a[1]), wide_mul(38 * a[3], a[4])));
  sums[3] = wide_add(wide_mul(2 * a[0], a[3]), wide_add(wide_mul(2 * a[1], a[2]), wide_mul(19 * a[4], a[4])));
  sums[4] = wide_add(wide_mul(2 * a[0], a[4]), wide_add(wide_mul(2 * a[1], a[3]), wide_square(a[2])));
  carry_over(result, sums);
}

static const u64 kSeed[kLimbs] = {0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe, 0x216936d3cd6e5};

static u64 checksum(const u64 a[kLimbs]) { return a[0] ^ a[1] << 13 ^ a[2] << 3 ^ a[3] << 7 ^ a[4] << 11; }

EXPORT(field_multiply)(u64 n) {
  u64 a[kLimbs], b[kLimbs];
  for (int i = 0; i < kLimbs; i++) a[i] = b[i] = kSeed[i];
  for (u64 turn = 0; turn < n; turn++) {
    u64 product[kLimbs];
    multiply(product, a, b);
    for (int i = 0; i < kLimbs; i++) a[i] = b[i], b[i] = product[i];
  }
  return checksum(b);
}

EXPORT(field_square)(u64 n) {
  u64 a[kLimbs];
  for (int i = 0; i < kLimbs; i++) a[i] = kSeed[i];
  for (u64 turn = 0; turn < n; turn++) square(a, a);
  return checksum(a);
}
