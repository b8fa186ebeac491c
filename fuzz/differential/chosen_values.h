// The values that differential runs give to functions and imports. fuzz/differential/wasmtime_side.py chooses the same
// ones: what is here and its class ChosenValues change together.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "rotor/value.h"

namespace rotor::differential {

/// A sequence of values that its seed decides (splitmix64).
class ChosenValues {
 public:
  explicit ChosenValues(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    state_ += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
  }

  /// Returns the bits of a number: a quarter are at the edges of some instruction, a quarter are small.
  uint64_t bits(ValType::Kind kind) {
    uint64_t r = next();
    uint64_t bits = r >> 2 & 0xff;
    if ((r & 3) == 0) {
      std::span<const uint64_t> edges = edges_of(kind);
      bits = edges[(r >> 2) % edges.size()];
    } else if ((r & 3) != 1) {
      bits = next();
    }
    bool is_32 = kind == ValType::Kind::i32 || kind == ValType::Kind::f32;
    return is_32 ? bits & 0xffffffff : bits;
  }

 private:
  static std::span<const uint64_t> edges_of(ValType::Kind kind) {
    static constexpr std::array<uint64_t, 12> i32 = {0,  1,    0xffffffff, 0x7fffffff, 0x80000000, 31,
                                                     32, 0xff, 0x8000,     0xffff,     0x10000,    0xfffffffe};
    static constexpr std::array<uint64_t, 12> i64 = {
        0,  1,  0xffffffffffffffff, 0x7fffffffffffffff, 0x8000000000000000, 63,
        64, 32, 0x80000000,         0xffffffff,         0x100000000,        0x7fffffff};
    // ±0, ±1, ±infinity, NaNs (quiet, negative, signalling), the smallest, the largest, the edges of i32 and i64.
    static constexpr std::array<uint64_t, 16> f32 = {
        0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001,
        0x7fa00000, 0x00000001, 0x7f7fffff, 0x4f000000, 0xcf000000, 0x4f800000, 0x5f000000, 0xdf000000};
    static constexpr std::array<uint64_t, 16> f64 = {
        0x0000000000000000, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000,
        0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0xfff8000000000001,
        0x7ff4000000000000, 0x0000000000000001, 0x7fefffffffffffff, 0x41dfffffffc00000,
        0xc1e0000000200000, 0x41f0000000000000, 0x43e0000000000000, 0xc3e0000000000000};
    switch (kind) {
      case ValType::Kind::i32: return i32;
      case ValType::Kind::f32: return f32;
      case ValType::Kind::f64: return f64;
      default: return i64;
    }
  }

  uint64_t state_;
};

}  // namespace rotor::differential
