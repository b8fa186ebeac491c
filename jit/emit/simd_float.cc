// SIMD: floats, conversions and the relaxed instructions.
#include "jit/emit/simd.h"
#include "jit/emit/simd_shapes.h"
#include "jit/passes/opaque_floats.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsX86.h"

namespace rotor::jit {

using llvm::CmpInst;
using wasm::Opcode;
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

Value SimdEmitter::float_compare(Opcode op, Value a, Value b) {
  auto compare = [&](CmpInst::Predicate predicate) { return mask(b_.CreateFCmp(predicate, a, b)); };
  switch (op) {
    case Opcode::F32x4Eq:
    case Opcode::F64x2Eq: return compare(CmpInst::FCMP_OEQ);
    case Opcode::F32x4Ne:
    case Opcode::F64x2Ne: return compare(CmpInst::FCMP_UNE);
    case Opcode::F32x4Lt:
    case Opcode::F64x2Lt: return compare(CmpInst::FCMP_OLT);
    case Opcode::F32x4Gt:
    case Opcode::F64x2Gt: return compare(CmpInst::FCMP_OGT);
    case Opcode::F32x4Le:
    case Opcode::F64x2Le: return compare(CmpInst::FCMP_OLE);
    case Opcode::F32x4Ge:
    case Opcode::F64x2Ge: return compare(CmpInst::FCMP_OGE);
    default: return nullptr;
  }
}

Value SimdEmitter::floating(Opcode op, Operands v) {
  Shape shape = shape_of(op);
  if (!is_float(shape)) return nullptr;
  mark_floats(*b_.GetInsertBlock()->getParent());
  Value a = as(shape, v[0]), b = as(shape, v.size() > 1 ? v[1] : v[0]);
  if (Value result = float_compare(op, a, b)) return result;
  auto canonical = [&](Value result) { return module_.canonical_nan(result); };
  uint64_t sign = UINT64_C(1) << (lane_bits(shape) - 1);
  Shape bits = integer_form(shape);
  switch (op) {
    // Works on bits, not numbers: a NaN's payload stays.
    case Opcode::F32x4Abs:
    case Opcode::F64x2Abs: return b_.CreateAnd(as(bits, v[0]), int_splat(bits, sign - 1));
    case Opcode::F32x4Neg:
    case Opcode::F64x2Neg: return b_.CreateXor(as(bits, v[0]), int_splat(bits, sign));
    case Opcode::F32x4Ceil:
    case Opcode::F64x2Ceil: return canonical(unary(llvm::Intrinsic::ceil, a));
    case Opcode::F32x4Floor:
    case Opcode::F64x2Floor: return canonical(unary(llvm::Intrinsic::floor, a));
    case Opcode::F32x4Trunc:
    case Opcode::F64x2Trunc: return canonical(unary(llvm::Intrinsic::trunc, a));
    case Opcode::F32x4Nearest:
    case Opcode::F64x2Nearest: return canonical(unary(llvm::Intrinsic::roundeven, a));
    case Opcode::F32x4Sqrt:
    case Opcode::F64x2Sqrt: return canonical(unary(llvm::Intrinsic::sqrt, a));
    case Opcode::F32x4Add:
    case Opcode::F64x2Add: return canonical(b_.CreateFAdd(a, b));
    case Opcode::F32x4Sub:
    case Opcode::F64x2Sub: return canonical(b_.CreateFSub(a, b));
    case Opcode::F32x4Mul:
    case Opcode::F64x2Mul: return canonical(b_.CreateFMul(a, b));
    case Opcode::F32x4Div:
    case Opcode::F64x2Div: return canonical(b_.CreateFDiv(a, b));
    case Opcode::F32x4Min:
    case Opcode::F64x2Min: return canonical(minimum(a, b, false));
    case Opcode::F32x4Max:
    case Opcode::F64x2Max: return canonical(minimum(a, b, true));
    // b < a ? b : a, and so on: the result is one of the operands as it is, NaNs included.
    case Opcode::F32x4Pmin:
    case Opcode::F64x2Pmin: return b_.CreateSelect(b_.CreateFCmpOLT(b, a), b, a);
    case Opcode::F32x4Pmax:
    case Opcode::F64x2Pmax: return b_.CreateSelect(b_.CreateFCmpOLT(a, b), b, a);
    default: return nullptr;
  }
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

Value SimdEmitter::convert(Opcode op, Value vector) {
  auto low_half = [&](Shape shape) { return b_.CreateShuffleVector(as(shape, vector), llvm::ArrayRef<int>{0, 1}); };
  switch (op) {
    case Opcode::I32x4TruncSatF32x4S: return trunc_sat_f32(as(Shape::f32x4, vector), true);
    case Opcode::I32x4TruncSatF32x4U: return trunc_sat_f32(as(Shape::f32x4, vector), false);
    case Opcode::I32x4TruncSatF64x2SZero: return trunc_sat_f64(as(Shape::f64x2, vector), true);
    case Opcode::I32x4TruncSatF64x2UZero: return trunc_sat_f64(as(Shape::f64x2, vector), false);
    case Opcode::F32x4ConvertI32x4S: return b_.CreateSIToFP(as(Shape::i32x4, vector), type_of(Shape::f32x4));
    case Opcode::F32x4ConvertI32x4U: return b_.CreateUIToFP(as(Shape::i32x4, vector), type_of(Shape::f32x4));
    case Opcode::F64x2ConvertLowI32x4S: return b_.CreateSIToFP(low_half(Shape::i32x4), type_of(Shape::f64x2));
    case Opcode::F64x2ConvertLowI32x4U: return b_.CreateUIToFP(low_half(Shape::i32x4), type_of(Shape::f64x2));
    // LLVM's fptrunc is not used, since LLVM would fold it with a promotion to nothing: a signalling NaN has to become
    // quiet.
    case Opcode::F32x4DemoteF64x2Zero:
      return module_.canonical_nan(intrinsic(llvm::Intrinsic::x86_sse2_cvtpd2ps, {as(Shape::f64x2, vector)}));
    case Opcode::F64x2PromoteLowF32x4:
      return module_.canonical_nan(b_.CreateFPExt(low_half(Shape::f32x4), type_of(Shape::f64x2)));
    default: return nullptr;
  }
}

// ---- Relaxed SIMD ---------------------------------------------------------------------------------------------------
//
// Each of the spec's parameters (R_fmadd and so on; numerics, "Relaxed operations") is chosen once for the engine: 0,
// the first alternative, if it is to be deterministic, else what the processor does. Which that is depends on nothing
// but the target's features, the same at every tier.

Value SimdEmitter::multiply_add(Shape shape, Operands v, bool negate) {
  mark_floats(*b_.GetInsertBlock()->getParent());
  Value a = as(shape, v[0]), b = as(shape, v[1]), c = as(shape, v[2]);
  if (negate) {
    Shape bits = integer_form(shape);
    uint64_t sign = UINT64_C(1) << (lane_bits(shape) - 1);
    a = b_.CreateBitCast(b_.CreateXor(as(bits, v[0]), int_splat(bits, sign)), type_of(shape));
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

Value SimdEmitter::relaxed(Opcode op, Operands v) {
  Shape shape = shape_of(op);
  bool deterministic = module_.plan.deterministic;
  auto minimum_of = [&](bool want_max) -> Value {
    mark_floats(*b_.GetInsertBlock()->getParent());
    Value a = as(shape, v[0]), b = as(shape, v[1]);
    if (deterministic) return module_.canonical_nan(minimum(a, b, want_max));
    return b_.CreateSelect(want_max ? b_.CreateFCmpOGT(a, b) : b_.CreateFCmpOLT(a, b), a, b);
  };
  switch (op) {
    case Opcode::I8x16RelaxedSwizzle:
      if (deterministic) return integer_special(Opcode::I8x16Swizzle, v);
      return intrinsic(llvm::Intrinsic::x86_ssse3_pshuf_b_128, {as(shape, v[0]), as(shape, v[1])});
    case Opcode::I32x4RelaxedTruncF32x4S:
      if (deterministic) return trunc_sat_f32(as(Shape::f32x4, v[0]), true);
      return intrinsic(llvm::Intrinsic::x86_sse2_cvttps2dq, {as(Shape::f32x4, v[0])});
    case Opcode::I32x4RelaxedTruncF64x2SZero:
      if (deterministic) return trunc_sat_f64(as(Shape::f64x2, v[0]), true);
      return intrinsic(llvm::Intrinsic::x86_sse2_cvttpd2dq, {as(Shape::f64x2, v[0])});
    // Without AVX-512 there is no instruction for the unsigned conversions.
    case Opcode::I32x4RelaxedTruncF32x4U: return trunc_sat_f32(as(Shape::f32x4, v[0]), false);
    case Opcode::I32x4RelaxedTruncF64x2UZero: return trunc_sat_f64(as(Shape::f64x2, v[0]), false);
    case Opcode::F32x4RelaxedMadd:
    case Opcode::F64x2RelaxedMadd: return multiply_add(shape, v, false);
    case Opcode::F32x4RelaxedNmadd:
    case Opcode::F64x2RelaxedNmadd: return multiply_add(shape, v, true);
    case Opcode::I8x16RelaxedLaneselect:
    case Opcode::I16x8RelaxedLaneselect:
    case Opcode::I32x4RelaxedLaneselect:
    case Opcode::I64x2RelaxedLaneselect: {
      if (deterministic) return bitwise(Opcode::V128Bitselect, v);
      Value chosen = b_.CreateICmpSLT(as(shape, v[2]), int_splat(shape, 0));
      return b_.CreateSelect(chosen, as(shape, v[0]), as(shape, v[1]));
    }
    case Opcode::F32x4RelaxedMin:
    case Opcode::F64x2RelaxedMin: return minimum_of(false);
    case Opcode::F32x4RelaxedMax:
    case Opcode::F64x2RelaxedMax: return minimum_of(true);
    case Opcode::I16x8RelaxedQ15mulrS:
      return q15mulr(as(Shape::i16x8, v[0]), as(Shape::i16x8, v[1]), /*saturate=*/deterministic);
    case Opcode::I16x8RelaxedDotI8x16I7x16S: return dot_i8(v[0], v[1]);
    case Opcode::I32x4RelaxedDotI8x16I7x16AddS:
      return b_.CreateAdd(add_pairs(Shape::i16x8, dot_i8(v[0], v[1]), true), as(Shape::i32x4, v[2]));
    default: return nullptr;
  }
}

}  // namespace rotor::jit
