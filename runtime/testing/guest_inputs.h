// Inputs for functions of which only the signature is known: numbers that carries and halves trip over, field elements,
// and areas of guest memory that pointers lead to, some laid out like vectors and structs.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <span>
#include <vector>

#include "rotor/func.h"
#include "rotor/value.h"

namespace rotor::runtime::test {

/// splitmix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t bits() {
    uint64_t z = state_ += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
  }
  uint32_t below(uint32_t count) { return static_cast<uint32_t>((bits() >> 32) * count >> 32); }
  bool one_in(uint32_t count) { return below(count) == 0; }
  template <class T, size_t n>
  T one_of(const T (&items)[n]) {
    return items[below(n)];
  }

 private:
  uint64_t state_;
};

inline uint32_t corner_half(Random& random) {
  static constexpr uint32_t kCorners[] = {0, 0, 1, 2, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0xffffffff};
  return random.one_in(8) ? static_cast<uint32_t>(random.bits()) : random.one_of(kCorners);
}
/// 0, 1, 2^32-1, 2^32, 2^63, 2^64-1, or such halves mixed.
inline uint64_t corner_word(Random& random) {
  static constexpr uint64_t kCorners[] = {0, 1, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
  if (random.one_in(2)) return random.one_of(kCorners);
  return uint64_t{corner_half(random)} << 32 | corner_half(random);
}

using Element = std::array<uint64_t, 4>;  ///< 256 bits, the low limb first

/// Of the Pasta curves' fields, reduced or not; or any 256 bits.
inline Element element(Random& random) {
  static constexpr Element kModuli[] = {{0x992d30ed00000001, 0x224698fc094cf91b, 0, 0x4000000000000000},
                                        {0x8c46eb2100000001, 0x224698fc0994a8dd, 0, 0x4000000000000000}};
  Element e;
  switch (random.below(8)) {
    case 0:  // reduced
    case 1:
      for (uint64_t& limb : e) limb = random.bits();
      e[3] >>= 2;
      break;
    case 2:
    case 3:
      for (uint64_t& limb : e) limb = corner_word(random);
      break;
    case 4:
      for (uint64_t& limb : e) limb = random.one_in(2) ? corner_word(random) : random.bits();
      break;
    case 5:  // about a modulus
      e = random.one_of(kModuli);
      e[random.one_in(2) ? 0 : random.below(4)] += random.below(5) - uint64_t{2};
      break;
    case 6:  // a small number
      e = {random.one_in(2) ? random.below(4) : corner_word(random), 0, 0, 0};
      break;
    default:
      for (uint64_t& limb : e) limb = random.bits();
  }
  return e;
}

/// Areas of memory that lie one after another; arguments and the areas themselves point into them.
struct Areas {
  static constexpr uint32_t kCount = 8, kAreaBytes = 512, kBytes = kCount * kAreaBytes;
  uint32_t address = 0;  ///< in the guest, of the first
  alignas(8) std::array<uint8_t, kBytes> bytes;

  uint32_t address_of(uint32_t area) const { return address + area % kCount * kAreaBytes; }
};

/// How an input is laid out, as a number decides; what it holds beside addresses and lengths is drawn anew each time. A
/// layout by which a function was seen to return is worth more inputs.
class Layout {
 public:
  /// An area of field elements for each argument.
  static constexpr uint64_t kPlain = 0;

  explicit Layout(uint64_t number) : number_(number), random_(number) {}

  void make(std::span<const ValType> params, Random& values, Areas& areas, Slot* slots) {
    if (number_ == kPlain) {
      for (uint32_t area = 0; area < Areas::kCount; ++area) elements(values, areas, area, 0);
      plain_arguments(params, values, areas, slots);
      return;
    }
    for (uint32_t area = 0; area < Areas::kCount; ++area) {
      switch (random_.below(4)) {
        case 0: elements(values, areas, area, 0); break;
        case 1: vectors(areas, area); break;
        case 2: elements(values, areas, area, words(values, areas, area, 4 + 4 * random_.below(16))); break;
        default: words(values, areas, area, Areas::kAreaBytes);
      }
    }
    for (uint32_t i = 0; i < params.size(); ++i)
      slots[i] = params[i] == ValType::i32 ? address_or_number(values, areas, i) : number(params[i], values);
  }

 private:
  static Slot number(ValType type, Random& values) {
    switch (type.kind()) {
      case ValType::Kind::i64:
      case ValType::Kind::f64: return values.one_in(2) ? corner_word(values) : values.bits();
      case ValType::Kind::f32: return static_cast<uint32_t>(values.bits());
      default: return 0;  // a null reference
    }
  }

  static void plain_arguments(std::span<const ValType> params, Random& values, const Areas& areas, Slot* slots) {
    for (uint32_t i = 0; i < params.size(); ++i) {
      if (params[i] != ValType::i32) {
        slots[i] = number(params[i], values);
        continue;
      }
      slots[i] = areas.address_of(i);
      // Aliased, or overlapping. An odd address is as good as any in wasm.
      if (i && values.one_in(4)) slots[i] = slots[values.below(i)] + (values.one_in(4) ? 8 * values.below(5) : 0);
      if (values.one_in(64)) slots[i] += values.below(8);
    }
  }

  Slot address_or_number(Random& values, const Areas& areas, uint32_t i) {
    switch (random_.below(8)) {
      case 0:
      case 1: return random_.below(9);
      case 2: return areas.address_of(random_.below(Areas::kCount)) + 32 * random_.below(4);
      case 3: return random_.one_in(4) ? corner_half(values) : random_.below(65);
      default: return areas.address_of(i);
    }
  }

  static void elements(Random& values, Areas& areas, uint32_t area, uint32_t offset) {
    uint8_t* bytes = areas.bytes.data() + area * Areas::kAreaBytes;
    for (; offset + sizeof(Element) <= Areas::kAreaBytes; offset += sizeof(Element)) {
      Element e = element(values);
      std::memcpy(bytes + offset, e.data(), sizeof e);
    }
  }

  /// Capacity, address and length of vectors, in one of the orders that compilers choose.
  void vectors(Areas& areas, uint32_t area) {
    uint32_t address_at = random_.below(3);
    for (uint32_t offset = 0; offset + 12 <= Areas::kAreaBytes; offset += 12) {
      uint32_t length = random_.below(5);
      uint32_t triple[3] = {length, length, length};
      if (random_.one_in(4)) triple[0] += 1;
      triple[address_at] = areas.address_of(random_.below(Areas::kCount));
      std::memcpy(areas.bytes.data() + area * Areas::kAreaBytes + offset, triple, sizeof triple);
    }
  }

  /// Words each of which is an address, a small number or any. Where they end.
  uint32_t words(Random& values, Areas& areas, uint32_t area, uint32_t size_bytes) {
    uint8_t* bytes = areas.bytes.data() + area * Areas::kAreaBytes;
    for (uint32_t offset = 0; offset + 4 <= size_bytes; offset += 4) {
      uint32_t word = 0;
      switch (random_.below(4)) {
        case 0: word = areas.address_of(random_.below(Areas::kCount)) + 32 * random_.below(4); break;
        case 1: word = random_.below(5); break;
        case 2: word = 0; break;
        default: word = corner_half(values);
      }
      std::memcpy(bytes + offset, &word, sizeof word);
    }
    return size_bytes;
  }

  uint64_t number_;
  Random random_;
};

}  // namespace rotor::runtime::test
