#include "wasm/text/lanes.h"

#include "wasm/text/number.h"

namespace rotor::wasm::text {
namespace {

bool is_number(TokenKind kind) {
  return kind == TokenKind::natural || kind == TokenKind::integer || kind == TokenKind::real;
}

}  // namespace

std::optional<LaneShape> take_lane_shape(Cursor& cursor) {
  constexpr std::string_view kWords[] = {"i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2"};
  for (const std::string_view& word : kWords)
    if (cursor.take_keyword(word)) return static_cast<LaneShape>(&word - kWords);
  cursor.unexpected("the shape of a vector");
  return std::nullopt;
}

bool expect_numbers(Cursor& cursor, unsigned count, const char* message) {
  unsigned found = 0;
  while (is_number(cursor.peek(found).kind)) ++found;
  TokenKind after = cursor.peek(found).kind;
  if (after == TokenKind::reserved || (found < count && after == TokenKind::keyword)) {
    cursor.seek(cursor.position() + found);
    cursor.unexpected("a number");
  } else if (found != count) {
    cursor.fail(cursor.offset(), message);
  }
  return !cursor.failed();
}

std::optional<uint64_t> read_lane(Cursor& cursor, LaneShape shape) {
  TokenKind kind = cursor.peek().kind;
  if (!is_number(kind) || (kind == TokenKind::real && !has_float_lanes(shape))) {
    cursor.unexpected("a number");
    return std::nullopt;
  }
  std::string_view word = cursor.text(cursor.peek());
  std::optional<uint64_t> bits;
  if (shape == LaneShape::f32x4) {
    if (auto value = parse_f32(word)) bits = *value;
  } else if (shape == LaneShape::f64x2) {
    bits = parse_f64(word);
  } else {
    bits = parse_integer(word, 128 / lane_count(shape));
  }
  if (!bits) {
    cursor.fail(cursor.offset(), "constant out of range");
    return std::nullopt;
  }
  cursor.next();
  return bits;
}

}  // namespace rotor::wasm::text
