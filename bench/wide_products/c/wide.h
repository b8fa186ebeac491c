// Numbers of 128 bits, as C programs write them: `unsigned __int128`, or the product cut in halves by hand in one of
// the usual ways. WIDE_INT128, WIDE_ROWS, WIDE_CARRIES, WIDE_CROSS, WIDE_MIDDLE or WIDE_DIGITS says which; all compute
// the same. With a = ah 2^32 + al and b likewise, all cut versions are about
//
//   a b = ah bh 2^64 + (ah bl + al bh) 2^32 + al bl
#pragma once

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

#if defined(__wasm__)
#define EXPORT(name) __attribute__((export_name(#name))) u64 name
#else
#define EXPORT(name) __attribute__((visibility("default"))) u64 name
#endif

// Loops over words are unrolled by whoever wants speed, whatever the compiler thinks.
#define UNROLL _Pragma("clang loop unroll(full)")

static inline u64 low_half(u64 x) { return x & 0xffffffffu; }
static inline u64 high_half(u64 x) { return x >> 32; }

#if defined(WIDE_INT128)

typedef unsigned __int128 Wide;

static inline u64 wide_low(Wide x) { return (u64)x; }
static inline u64 wide_high(Wide x) { return (u64)(x >> 64); }
static inline Wide wide_of(u64 low, u64 high) { return (Wide)high << 64 | low; }
static inline Wide wide_add(Wide x, Wide y) { return x + y; }
static inline u64 wide_shift_right(Wide x, unsigned n) { return (u64)(x >> n); }
static inline Wide wide_mul(u64 a, u64 b) { return (Wide)a * b; }
static inline Wide wide_square(u64 a) { return (Wide)a * a; }
static inline Wide wide_mul_add(u64 a, u64 b, u64 c, u64 d) { return (Wide)a * b + c + d; }
static inline u64 signed_high(u64 a, u64 b) { return (u64)((__int128)(s64)a * (s64)b >> 64); }

#else

typedef struct {
  u64 low, high;
} Wide;

static inline u64 wide_low(Wide x) { return x.low; }
static inline u64 wide_high(Wide x) { return x.high; }
static inline Wide wide_of(u64 low, u64 high) { return (Wide){low, high}; }

static inline Wide wide_add(Wide x, Wide y) {
  const u64 low = x.low + y.low;
  return wide_of(low, x.high + y.high + (low < x.low));
}

static inline u64 wide_shift_right(Wide x, unsigned n) { return x.low >> n | x.high << (64 - n); }

#if defined(WIDE_ROWS)
// A row of the schoolbook at a time; no sum of a row exceeds 64 bits. The low word is the machine's product.
static inline Wide wide_mul(u64 a, u64 b) {
  const u64 row = high_half(a) * low_half(b) + high_half(low_half(a) * low_half(b));
  const u64 next = low_half(a) * high_half(b) + low_half(row);
  return wide_of(a * b, high_half(a) * high_half(b) + high_half(row) + high_half(next));
}

#elif defined(WIDE_CARRIES)
// The two middle products are added to the low word one by one, and the carries to the high word.
static inline Wide wide_mul(u64 a, u64 b) {
  const u64 first = high_half(a) * low_half(b), second = low_half(a) * high_half(b), least = low_half(a) * low_half(b);
  const u64 sum = least + (first << 32), low = sum + (second << 32);
  const u64 carries = (u64)(sum < least) + (low < sum);
  return wide_of(low, high_half(a) * high_half(b) + high_half(first) + high_half(second) + carries);
}

#elif defined(WIDE_CROSS)
// All that belongs to the middle is added up in one number, of halves that can't overflow it.
static inline Wide wide_mul(u64 a, u64 b) {
  const u64 least = low_half(a) * low_half(b), first = high_half(a) * low_half(b), second = low_half(a) * high_half(b);
  const u64 middle = high_half(least) + low_half(first) + second;
  return wide_of(middle << 32 | low_half(least), high_half(first) + high_half(middle) + high_half(a) * high_half(b));
}

#elif defined(WIDE_MIDDLE)
// The middle products are added up first; their sum may carry, into bit 96.
static inline Wide wide_mul(u64 a, u64 b) {
  u64 low = low_half(a) * low_half(b), high = high_half(a) * high_half(b);
  const u64 first = high_half(a) * low_half(b), middle = first + low_half(a) * high_half(b);
  high += ((u64)(middle < first) << 32) + high_half(middle);
  low += middle << 32;
  high += low < middle << 32;
  return wide_of(low, high);
}

#elif defined(WIDE_DIGITS)
// Numbers are strings of 32-bit digits, and what is to be added is added digit by digit.
static inline Wide wide_mul_add(u64 a, u64 b, u64 c, u64 d) {
  const u64 t0 = low_half(a) * low_half(b) + low_half(c) + low_half(d);
  const u64 t1 = low_half(a) * high_half(b) + high_half(t0) + high_half(c);
  const u64 t2 = high_half(a) * low_half(b) + low_half(t1) + high_half(d);
  const u64 t3 = high_half(a) * high_half(b) + high_half(t1) + high_half(t2);
  return wide_of(low_half(t0) | t2 << 32, t3);
}

static inline Wide wide_mul(u64 a, u64 b) { return wide_mul_add(a, b, 0, 0); }

#else
#error "which idiom?"
#endif

#if !defined(WIDE_DIGITS)
static inline Wide wide_mul_add(u64 a, u64 b, u64 c, u64 d) {
  return wide_add(wide_add(wide_mul(a, b), wide_of(c, 0)), wide_of(d, 0));
}
#endif

#if defined(WIDE_CARRIES) || defined(WIDE_MIDDLE)
// A square's middle products are one.
static inline Wide wide_square(u64 a) {
  const u64 least = low_half(a) * low_half(a), middle = low_half(a) * high_half(a), low = least + (middle << 33);
  return wide_of(low, high_half(a) * high_half(a) + (middle >> 31) + (low < least));
}
#else
static inline Wide wide_square(u64 a) { return wide_mul(a, a); }
#endif

#if defined(WIDE_ROWS)
// The rows once more, with signed high halves.
static inline u64 signed_high(u64 a, u64 b) {
  const s64 ah = (s64)a >> 32, bh = (s64)b >> 32, al = (s64)low_half(a), bl = (s64)low_half(b);
  const s64 row = ah * bl + (s64)high_half(low_half(a) * low_half(b));
  const s64 next = al * bh + (s64)low_half((u64)row);
  return (u64)(ah * bh + (row >> 32) + (next >> 32));
}
#else
// a as a signed number is a - 2^64 if its sign is set: so b comes off the high word.
static inline u64 signed_high(u64 a, u64 b) {
  return wide_high(wide_mul(a, b)) - ((u64)((s64)a >> 63) & b) - ((u64)((s64)b >> 63) & a);
}
#endif

#endif
