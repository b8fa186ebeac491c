// What the parts of random programs that throw (runtime/testing/throwing_program.h) agree on.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "runtime/testing/throwing_program.h"

namespace rotor::runtime::test {

using Kind = Step::Kind;

inline constexpr uint32_t kFunctionLabel = 0;  ///< of a block around each function's body
inline constexpr uint32_t kHostThrows = 1000;  ///< and a tag, as the target of a Kind::host
inline constexpr uint32_t kLocals = 8, kFloats = 4, kSlots = 4;
inline constexpr uint64_t kFactor = 6364136223846793005;

/// The types of what exceptions carry: i i32, l i64, d f64, x exnref.
inline constexpr std::array<std::string_view, ThrowingProgram::kTags> kCarried = {"", "i", "ld", "lllll", "xl", "i"};
inline constexpr uint32_t kHostTag = 1, kTagKept = 3, kTagOfB = 5;
/// Tags that the host may throw.
inline constexpr uint32_t kHostTags = 4;

inline bool is_of_b(uint32_t function) { return function % 2 != 0; }

inline uint64_t condition_bit(const Step& step) { return uint64_t{1} << (32 + step.number % 32); }

inline uint64_t carried_value(char type, size_t place, uint64_t state) {
  switch (type) {
    case 'i': return static_cast<uint32_t>(state);
    case 'l': return state + place;
    default: return std::bit_cast<uint64_t>(static_cast<double>(static_cast<int64_t>(state)));
  }
}

}  // namespace rotor::runtime::test
