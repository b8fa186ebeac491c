// The lanes of SIMD instructions, from the text column of opcodes.def ("i32x4.add").
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "wasm/opcodes.h"

namespace rotor::jit {

/// How an instruction divides a vector into lanes.
enum class Shape : uint8_t { i8x16, i16x8, i32x4, i64x2, f32x4, f64x2, v128 };

consteval Shape parse_shape(std::string_view text) {
  std::string_view lanes = text.substr(0, text.find('.'));
  if (lanes == "i8x16") return Shape::i8x16;
  if (lanes == "i16x8") return Shape::i16x8;
  if (lanes == "i32x4") return Shape::i32x4;
  if (lanes == "i64x2") return Shape::i64x2;
  if (lanes == "f32x4") return Shape::f32x4;
  if (lanes == "f64x2") return Shape::f64x2;
  return Shape::v128;
}

/// Returns the shape that an instruction is named by: the result's, where the instruction changes it.
constexpr Shape shape_of(wasm::Opcode op) {
  switch (op) {
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
#define ROTOR_SHAPE(code, Name, text, immediate, signature, feature) \
  case wasm::Opcode::Name: return parse_shape(text);
#define ROTOR_OP_SIMD_LANE ROTOR_SHAPE
#define ROTOR_OP_SIMD_NUMERIC ROTOR_SHAPE
#include "wasm/opcodes.def"
#undef ROTOR_SHAPE
    default: std::unreachable();
  }
}
/// Returns the same of an instruction of a group.
template <class GroupOp>
constexpr Shape shape_of(GroupOp op) {
  return shape_of(static_cast<wasm::Opcode>(op));
}

/// Returns the integer shape whose lanes are half as wide.
constexpr Shape narrower(Shape shape) { return static_cast<Shape>(static_cast<uint8_t>(shape) - 1); }
constexpr uint32_t lane_bits(Shape shape) {
  constexpr uint32_t kBits[] = {8, 16, 32, 64, 32, 64, 128};
  return kBits[static_cast<uint8_t>(shape)];
}
/// Returns a lane's sign bit, for lanes of up to 64 bits.
constexpr uint64_t sign_bit(Shape shape) { return UINT64_C(1) << (lane_bits(shape) - 1); }
constexpr bool is_float(Shape shape) { return shape == Shape::f32x4 || shape == Shape::f64x2; }
/// Returns the integer shape with lanes of the same width.
constexpr Shape integer_form(Shape shape) {
  return shape == Shape::f32x4 ? Shape::i32x4 : shape == Shape::f64x2 ? Shape::i64x2 : shape;
}

}  // namespace rotor::jit
