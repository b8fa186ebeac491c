// SIMD: what of floats, conversions and the relaxed instructions takes more than a line.
#include "jit/emit/simd.h"
#include "jit/emit/simd_shapes.h"
#include "jit/passes/opaque_floats.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsX86.h"

namespace rotor::jit {

using llvm::CmpInst;
using Value = SimdEmitter::Value;

Value SimdEmitter::float_splat(Shape shape, double lane) { return llvm::ConstantFP::get(type_of(shape), lane); }

Value SimdEmitter::minimum(Value a, Value b, bool want_max) {
  // Each select is one minps or maxps, which gives its second operand for zeroes and NaNs. So the two differ for a pair
  // of zeroes, where the bits' or is -0 if either is, and their and +0; and for NaNs.
  auto predicate = want_max ? CmpInst::FCMP_OGT : CmpInst::FCMP_OLT;
  Value one = whole(b_.CreateSelect(b_.CreateFCmp(predicate, a, b), a, b));
  Value other = whole(b_.CreateSelect(b_.CreateFCmp(predicate, b, a), b, a));
  Value ordered = b_.CreateBitCast(want_max ? b_.CreateAnd(one, other) : b_.CreateOr(one, other), a->getType());
  // Where a or b is a NaN the result is their sum, which is a quiet NaN.
  return b_.CreateSelect(b_.CreateFCmpUNO(a, b), b_.CreateFAdd(a, b), ordered);
}

// ---- Conversions ----------------------------------------------------------------------------------------------------
//
// cvttps2dq and cvttpd2dq give 0x80000000 for what does not fit, where LLVM's fptosi is poison.

Value SimdEmitter::trunc_sat_f32(Value a, bool is_signed) {
  auto truncate = [&](Value x) { return intrinsic(llvm::Intrinsic::x86_sse2_cvttps2dq, {x}); };
  Value top_bit = int_splat(Shape::i32x4, UINT32_C(1) << 31);
  Value limit = float_splat(Shape::f32x4, 0x1p31);
  if (is_signed) {
    Value number = b_.CreateSelect(b_.CreateFCmpORD(a, a), a, float_splat(Shape::f32x4, 0));
    // Of the numbers that do not fit, only the positive ones get a wrong result: the complement of 0x80000000 is the
    // maximum.
    return b_.CreateXor(truncate(number), mask(b_.CreateFCmpOGE(number, limit)));
  }
  Value zero = float_splat(Shape::f32x4, 0);
  Value number = b_.CreateSelect(b_.CreateFCmpOGT(a, zero), a, zero);
  Value upper = b_.CreateXor(truncate(b_.CreateFSub(number, limit)), top_bit);
  Value large = b_.CreateSelect(b_.CreateFCmpOGE(number, float_splat(Shape::f32x4, 0x1p32)),
                                int_splat(Shape::i32x4, UINT32_MAX), upper);
  return b_.CreateSelect(b_.CreateFCmpOGE(number, limit), large, truncate(number));
}

Value SimdEmitter::trunc_sat_f64(Value a, bool is_signed) {
  Value zero = float_splat(Shape::f64x2, 0);
  if (is_signed) {
    Value number = b_.CreateSelect(b_.CreateFCmpORD(a, a), a, zero);
    Value limit = float_splat(Shape::f64x2, INT32_MAX);
    number = b_.CreateSelect(b_.CreateFCmpOLT(number, limit), number, limit);
    return intrinsic(llvm::Intrinsic::x86_sse2_cvttpd2dq, {number});
  }
  Value limit = float_splat(Shape::f64x2, UINT32_MAX);
  Value number = b_.CreateSelect(b_.CreateFCmpOGT(a, zero), a, zero);
  number = b_.CreateSelect(b_.CreateFCmpOLT(number, limit), number, limit);
  // The low bits of the sum of 2^52 and an integer below it are that integer.
  Value sum = b_.CreateFAdd(unary(llvm::Intrinsic::trunc, number), float_splat(Shape::f64x2, 0x1p52));
  Value words = b_.CreateBitCast(sum, type_of(Shape::i32x4));
  return b_.CreateShuffleVector(words, int_splat(Shape::i32x4, 0), llvm::ArrayRef<int>{0, 2, 4, 5});
}

// ---- Relaxed SIMD ---------------------------------------------------------------------------------------------------
//
// Each of the spec's parameters (R_fmadd and so on; numerics, "Relaxed operations") is chosen once for the engine: 0,
// the first alternative, if it is to be deterministic, else what the processor does. Which that is depends on nothing
// but the target's features, the same at every tier.

Value SimdEmitter::multiply_add(Shape shape, Operands v, bool negate) {
  Value a = as(shape, v[0]), b = as(shape, v[1]), c = as(shape, v[2]);
  if (negate) {
    Shape bits = integer_form(shape);
    a = b_.CreateBitCast(b_.CreateXor(as(bits, v[0]), int_splat(bits, sign_bit(shape))), type_of(shape));
  }
  if (module_.has_fma && !module_.plan.deterministic)
    return b_.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
  return module_.canonical_nan(b_.CreateFAdd(b_.CreateFMul(a, b), c));
}

Value SimdEmitter::dot_i8(Value a, Value b) {
  // pmaddubsw takes its first operand as unsigned, and the sum of a pair saturates. If b has seven bits the result is
  // that of the deterministic form.
  if (!module_.plan.deterministic)
    return intrinsic(llvm::Intrinsic::x86_ssse3_pmadd_ub_sw_128, {as(Shape::i8x16, b), as(Shape::i8x16, a)});
  auto even = [&](Value x) {
    Value shift = int_splat(Shape::i16x8, 8);
    return b_.CreateAShr(b_.CreateShl(as(Shape::i16x8, x), shift), shift);
  };
  auto odd = [&](Value x) { return b_.CreateAShr(as(Shape::i16x8, x), int_splat(Shape::i16x8, 8)); };
  return binary(llvm::Intrinsic::sadd_sat, b_.CreateMul(even(a), even(b)), b_.CreateMul(odd(a), odd(b)));
}

Value SimdEmitter::relaxed_minimum(Value a, Value b, bool want_max) {
  if (module_.plan.deterministic) return module_.canonical_nan(minimum(a, b, want_max));
  return b_.CreateSelect(want_max ? b_.CreateFCmpOGT(a, b) : b_.CreateFCmpOLT(a, b), a, b);
}

}  // namespace rotor::jit
