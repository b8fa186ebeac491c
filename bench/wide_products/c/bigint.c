// Integers of 256 bits: the schoolbook's product, and Montgomery's for a modulus of all 256 bits.
#include "wide.h"

enum { kWords = 4 };

static void multiply(u64 product[2 * kWords], const u64 a[kWords], const u64 b[kWords]) {
  for (int i = 0; i < kWords; i++) product[i] = 0;
  UNROLL
  for (int i = 0; i < kWords; i++) {
    u64 carry = 0;
    UNROLL
    for (int j = 0; j < kWords; j++) {
      const Wide t = wide_mul_add(a[i], b[j], product[i + j], carry);
      product[i + j] = wide_low(t);
      carry = wide_high(t);
    }
    product[i + kWords] = carry;
  }
}

EXPORT(multiply_256)(u64 n) {
  u64 a[kWords] = {0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89};
  u64 b[kWords] = {0x452821e638d01377, 0xbe5466cf34e90c6c, 0xc0ac29b7c97c50dd, 0x3f84d5b5b5470917};
  u64 product[2 * kWords];
  for (u64 turn = 0; turn < n; turn++) {
    multiply(product, a, b);
    for (int i = 0; i < kWords; i++) {
      a[i] = product[i] ^ product[i + kWords];
      b[i] += product[i + kWords];
    }
  }
  return a[0] ^ a[1] ^ a[2] ^ a[3];
}

// The order of the group secp256k1, and -1 / kModulus modulo 2^64.
static const u64 kModulus[kWords] = {0xbfd25e8cd0364141, 0xbaaedce6af48a03b, 0xfffffffffffffffe, 0xffffffffffffffff};
static const u64 kNegatedInverse = 0x4b0dff665588b13f;

// value (below 2 kModulus, its top bit in `top`) modulo kModulus.
static void reduce(u64 value[kWords], u64 top) {
  u64 difference[kWords], borrow = 0;
  for (int i = 0; i < kWords; i++) {
    const u64 once = value[i] - kModulus[i];
    difference[i] = once - borrow;
    borrow = (u64)(value[i] < kModulus[i]) | (once < borrow);
  }
  const u64 keep = 0 - (u64)(top < borrow);
  for (int i = 0; i < kWords; i++) value[i] = (value[i] & keep) | (difference[i] & ~keep);
}

// product = a b / 2^256 modulo kModulus; it may be a or b.
static void montgomery(u64 product[kWords], const u64 a[kWords], const u64 b[kWords]) {
  u64 t[kWords] = {0}, top = 0;
  UNROLL
  for (int i = 0; i < kWords; i++) {
    u64 carry = 0;
    UNROLL
    for (int j = 0; j < kWords; j++) {
      const Wide w = wide_mul_add(a[j], b[i], t[j], carry);
      t[j] = wide_low(w);
      carry = wide_high(w);
    }
    const Wide sum = wide_add(wide_of(top, 0), wide_of(carry, 0));
    const u64 quotient = t[0] * kNegatedInverse;
    carry = wide_high(wide_mul_add(quotient, kModulus[0], t[0], 0));
    UNROLL
    for (int j = 1; j < kWords; j++) {
      const Wide w = wide_mul_add(quotient, kModulus[j], t[j], carry);
      t[j - 1] = wide_low(w);
      carry = wide_high(w);
    }
    const Wide last = wide_add(sum, wide_of(carry, 0));
    t[kWords - 1] = wide_low(last);
    top = wide_high(last);
  }
  reduce(t, top);
  for (int i = 0; i < kWords; i++) product[i] = t[i];
}

EXPORT(montgomery_256)(u64 n) {
  u64 a[kWords] = {0x9216d5d98979fb1b, 0xd1310ba698dfb5ac, 0x2ffd72dbd01adfb7, 0xb8e1afed6a267e96};
  const u64 b[kWords] = {0xba7c9045f12c7f99, 0x24a19947b3916cf7, 0x0801f2e2858efc16, 0x636920d871574e69};
  for (u64 turn = 0; turn < n; turn++) montgomery(a, a, b);
  return a[0] ^ a[1] ^ a[2] ^ a[3];
}
