// What the compiler calls for a product of two 128-bit numbers on wasm32, where a C program would get it from its
// run-time library. The interface is the compiler's: a pointer to the result first, then low and high words.
#include "wide.h"

__attribute__((visibility("hidden"))) unsigned __int128 __multi3(unsigned __int128 x, unsigned __int128 y) {
  const u64 a = wide_low(x), b = wide_low(y);
  const u64 least = low_half(a) * low_half(b), first = high_half(a) * low_half(b);
  const u64 row = first + high_half(least), next = low_half(a) * high_half(b) + low_half(row);
  const u64 high = high_half(a) * high_half(b) + high_half(row) + high_half(next);
  return wide_of(next << 32 | low_half(least), high + a * wide_high(y) + wide_high(x) * b);
}
