// Hashes whose mixing step is a product's two words, exclusive-or'd: a generator of random numbers made of it, and a
// hash of 128 bytes that adds eight of them up.
#include "wide.h"

static u64 mix(u64 a, u64 b) {
  const Wide product = wide_mul(a, b);
  return wide_low(product) ^ wide_high(product);
}

EXPORT(mix_random)(u64 n) {
  u64 state = 0xb6636521e7b9f9b7, sum = 0;
  for (u64 turn = 0; turn < n; turn++) {
    state += 0x9e3779b97f4a7c15;
    sum += mix(state, state ^ 0xe7037ed1a0b428db);
  }
  return sum;
}

enum { kInputWords = 16 };
static const u64 kSecret[kInputWords] = {
    0xb8fe6c3923a44bbe, 0x7c01812cf721ad1c, 0xded46de9839097db, 0x7240a4a4b7b3671f,
    0xcb79e64eccc0e578, 0x825ad07dccff7221, 0xb8084674f743248e, 0xe03590e6813a264c,
    0x3c2852bb91c300cb, 0x88d0658b1b532ea3, 0x71644897a20df94e, 0x3819ef46a9deacd8,
    0xa8fa763fe39c343f, 0xf9dcbbc7c70b4f1d, 0x8a51e04bcdb45931, 0xc89f7ec9d9787364};

EXPORT(mix_block)(u64 n) {
  u64 input[kInputWords], seed = 0x165667919e3779f9;
  for (int i = 0; i < kInputWords; i++) input[i] = seed ^ kSecret[kInputWords - 1 - i];
  for (u64 turn = 0; turn < n; turn++) {
    u64 sum = seed * kInputWords;
    for (int i = 0; i < kInputWords; i += 2)
      sum += mix(input[i] ^ (kSecret[i] + seed), input[i + 1] ^ (kSecret[i + 1] - seed));
    sum ^= sum >> 37;
    seed = sum;
    input[turn % kInputWords] = seed;
  }
  return seed;
}
