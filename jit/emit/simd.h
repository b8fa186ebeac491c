// SIMD instructions on values: LLVM vectors of 128 bits in, the same or an i32 out. Those that access memory are
// FunctionEmitter's (emit_simd_memory.cc).
//
// What the code must not leave to LLVM is the same as with scalars (emit_numeric.cc): no poison, no call of a library,
// no folding across NaN bits. A vector constant may become a float operand in more ways than a scalar one, so all
// functions that have float instructions on vectors get kVectorFloatsAttribute, and jit/passes/opaque_floats.h sees to
// them.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "jit/emit/module.h"
#include "jit/emit/simd_shapes.h"
#include "wasm/opcodes.h"

namespace rotor::jit {

class SimdEmitter {
 public:
  using Value = llvm::Value*;

  explicit SimdEmitter(ModuleEmitter& module) : module_(module), b_(module.builder) {}

  // What the sink is told (wasm/body_sink.h); vectors are of ModuleEmitter::v128.
  Value constant(const V128& value);
  Value shuffle(const std::array<uint8_t, 16>& lanes, Value a, Value b);
  Value lane(wasm::Opcode op, uint8_t lane, std::span<const Value> operands);
  Value numeric(wasm::Opcode op, std::span<const Value> operands);

  llvm::FixedVectorType* type_of(Shape shape);
  /// The vector divided into lanes.
  Value as(Shape shape, Value vector);
  /// The other way; what is no vector stays what it is.
  Value whole(Value value);
  Value splat(Shape shape, Value lane);
  /// Half of the lanes at twice the width: of the lower half, or of the upper.
  Value extend(Shape from, Value vector, bool high, bool is_signed);

 private:
  using Operands = std::span<const Value>;
  // Families of instructions: nullptr if it is of another.
  Value bitwise(wasm::Opcode op, Operands v);
  Value integer(wasm::Opcode op, Operands v);
  Value integer_arithmetic(wasm::Opcode op, Value a, Value b);
  Value integer_compare(wasm::Opcode op, Value a, Value b);
  Value integer_special(wasm::Opcode op, Operands v);
  Value shift(wasm::Opcode op, Operands v);
  Value widen(wasm::Opcode op, Operands v);
  Value test(wasm::Opcode op, Value vector);
  Value make_splat(wasm::Opcode op, Value lane);
  Value floating(wasm::Opcode op, Operands v);
  Value float_compare(wasm::Opcode op, Value a, Value b);
  Value convert(wasm::Opcode op, Value vector);
  Value relaxed(wasm::Opcode op, Operands v);

  Value intrinsic(unsigned id, llvm::ArrayRef<Value> args);
  Value unary(unsigned id, Value a);
  Value binary(unsigned id, Value a, Value b);
  Value int_splat(Shape shape, uint64_t lane);
  Value float_splat(Shape shape, double lane);
  /// All bits of a lane for true.
  Value mask(Value bits);
  Value minimum(Value a, Value b, bool want_max);
  Value trunc_sat_f32(Value a, bool is_signed);
  Value trunc_sat_f64(Value a, bool is_signed);
  Value q15mulr(Value a, Value b, bool saturate);
  Value dot_i8(Value a, Value b);
  Value multiply_add(Shape shape, Operands v, bool negate);
  Value add_pairs(Shape from, Value vector, bool is_signed);

  ModuleEmitter& module_;
  llvm::IRBuilder<>& b_;
};

}  // namespace rotor::jit
