// SIMD instructions on values: LLVM vectors of 128 bits in, such vectors or a scalar out. Those that access memory are
// FunctionEmitter's (jit/emit/simd_memory.cc).
//
// What the code must not leave to LLVM is the same as with scalars (jit/emit/numeric.cc): no poison, no call of a
// library, no folding across NaN bits. A vector constant may become a float operand in more ways than a scalar one, so
// all functions that have float instructions on vectors are marked (mark_floats), and the pass in
// jit/passes/opaque_floats.h treats them.
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
  Value lane(wasm::SimdLaneOp op, uint8_t lane, std::span<const Value> operands);
  Value numeric(wasm::SimdNumericOp op, std::span<const Value> operands);

  llvm::FixedVectorType* type_of(Shape shape);
  /// Casts a vector to the lanes of `shape`.
  Value as(Shape shape, Value vector);
  /// Casts lanes back to ModuleEmitter::v128; a value that is no vector stays what it is.
  Value whole(Value value);
  Value splat(Shape shape, Value lane);
  /// Extends half of the lanes, the upper ones if `high`, to twice their width.
  Value extend(Shape from, Value vector, bool high, bool is_signed);

 private:
  using Operands = std::span<const Value>;
  /// Returns the result of an instruction in whatever lanes it has.
  Value lanes_of(wasm::SimdNumericOp op, Operands v);
  Value bitselect(Operands v);
  Value swizzle(Value bytes, Value index);

  Value intrinsic(unsigned id, llvm::ArrayRef<Value> args);
  Value unary(unsigned id, Value a);
  Value binary(unsigned id, Value a, Value b);
  Value int_splat(Shape shape, uint64_t lane);
  Value float_splat(Shape shape, double lane);
  /// Sets all bits of each lane whose bit is true.
  Value mask(Value bits);
  Value minimum(Value a, Value b, bool want_max);
  Value relaxed_minimum(Value a, Value b, bool want_max);
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
