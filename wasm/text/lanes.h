// Lanes of v128 constants, in modules and in scripts.
#pragma once

#include <cstdint>
#include <optional>

#include "wasm/text/cursor.h"

namespace rotor::wasm::text {

/// The shapes in which the lanes of a v128 are written.
enum class LaneShape : uint8_t { i8x16, i16x8, i32x4, i64x2, f32x4, f64x2 };

constexpr unsigned lane_count(LaneShape shape) {
  constexpr unsigned kCounts[] = {16, 8, 4, 2, 4, 2};
  return kCounts[static_cast<unsigned>(shape)];
}
constexpr bool has_float_lanes(LaneShape shape) { return shape >= LaneShape::f32x4; }

/// Takes `i32x4` and the like. Returns nullopt if the cursor has failed.
std::optional<LaneShape> take_lane_shape(Cursor& cursor);
/// Returns whether exactly `count` numbers, of whatever form, are next; if not, the cursor has failed with `message`.
bool expect_numbers(Cursor& cursor, unsigned count, const char* message);
/// Reads one lane and returns its bits, or nullopt if the cursor has failed.
std::optional<uint64_t> read_lane(Cursor& cursor, LaneShape shape);

}  // namespace rotor::wasm::text
