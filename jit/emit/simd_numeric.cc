// SIMD: the one switch over all instructions that take nothing but operands. What takes more than a line is in
// jit/emit/simd.cc and jit/emit/simd_float.cc.
#include <utility>

#include "jit/emit/simd.h"
#include "jit/emit/simd_shapes.h"
#include "jit/passes/opaque_floats.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsX86.h"

namespace rotor::jit {

using llvm::CmpInst;
using wasm::SimdNumericOp;
using Value = SimdEmitter::Value;

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"

Value SimdEmitter::lanes_of(SimdNumericOp op, Operands v) {
  using enum wasm::SimdNumericOp;
  Shape shape = shape_of(op), from = narrower(shape), bits = integer_form(shape);
  bool deterministic = module_.plan.deterministic;
  // The operands that are vectors, in the lanes of `shape`. LLVM drops a cast that no case uses.
  auto lanes = [&](Value operand) { return operand->getType()->isVectorTy() ? as(shape, operand) : operand; };
  Value a = lanes(v[0]), b = v.size() > 1 ? lanes(v[1]) : a;
  if (is_float(shape) && v[0]->getType()->isVectorTy()) mark_floats(*b_.GetInsertBlock()->getParent());

  auto int_compare = [&](CmpInst::Predicate predicate) { return mask(b_.CreateICmp(predicate, a, b)); };
  auto float_compare = [&](CmpInst::Predicate predicate) { return mask(b_.CreateFCmp(predicate, a, b)); };
  // Wasm takes counts modulo the width; LLVM's are poison past it.
  auto counts = [&] {
    Value count = b_.CreateAnd(v[1], b_.getInt32(lane_bits(shape) - 1));
    return splat(shape, b_.CreateZExtOrTrunc(count, type_of(shape)->getElementType()));
  };
  auto extended = [&](bool high, bool is_signed) { return extend(from, v[0], high, is_signed); };
  auto product = [&](bool high, bool is_signed) {
    return b_.CreateMul(extend(from, v[0], high, is_signed), extend(from, v[1], high, is_signed));
  };
  auto narrow = [&](unsigned id, Shape wide) { return intrinsic(id, {as(wide, v[0]), as(wide, v[1])}); };
  auto low_half = [&](Shape of) { return b_.CreateShuffleVector(as(of, v[0]), llvm::ArrayRef<int>{0, 1}); };

  switch (op) {
    // Splats.
    case I8x16Splat: return splat(shape, b_.CreateTrunc(v[0], module_.i8));
    case I16x8Splat: return splat(shape, b_.CreateTrunc(v[0], module_.i16));
    case I32x4Splat:
    case I64x2Splat:
    case F32x4Splat:
    case F64x2Splat: return splat(shape, v[0]);

    // Bits and tests.
    case V128Not: return b_.CreateNot(v[0]);
    case V128And: return b_.CreateAnd(v[0], v[1]);
    case V128Andnot: return b_.CreateAnd(v[0], b_.CreateNot(v[1]));
    case V128Or: return b_.CreateOr(v[0], v[1]);
    case V128Xor: return b_.CreateXor(v[0], v[1]);
    case V128Bitselect: return bitselect(v);
    case V128AnyTrue: {
      Value is_zero = intrinsic(llvm::Intrinsic::x86_sse41_ptestz, {a, a});
      return b_.CreateZExt(b_.CreateICmpEQ(is_zero, b_.getInt32(0)), module_.i32);
    }
    case I8x16AllTrue:
    case I16x8AllTrue:
    case I32x4AllTrue:
    case I64x2AllTrue: {
      Value zeroes = whole(mask(b_.CreateICmpEQ(a, int_splat(shape, 0))));
      return intrinsic(llvm::Intrinsic::x86_sse41_ptestz, {zeroes, zeroes});
    }
    case I8x16Bitmask: return intrinsic(llvm::Intrinsic::x86_sse2_pmovmskb_128, {a});
    case I16x8Bitmask: {
      // Saturation keeps signs.
      Value bytes = intrinsic(llvm::Intrinsic::x86_sse2_packsswb_128, {a, int_splat(Shape::i16x8, 0)});
      return intrinsic(llvm::Intrinsic::x86_sse2_pmovmskb_128, {bytes});
    }
    case I32x4Bitmask: return intrinsic(llvm::Intrinsic::x86_sse_movmsk_ps, {as(Shape::f32x4, v[0])});
    case I64x2Bitmask: return intrinsic(llvm::Intrinsic::x86_sse2_movmsk_pd, {as(Shape::f64x2, v[0])});

    // Integers.
    case I8x16Add:
    case I16x8Add:
    case I32x4Add:
    case I64x2Add: return b_.CreateAdd(a, b);
    case I8x16Sub:
    case I16x8Sub:
    case I32x4Sub:
    case I64x2Sub: return b_.CreateSub(a, b);
    case I16x8Mul:
    case I32x4Mul:
    case I64x2Mul: return b_.CreateMul(a, b);
    case I8x16AddSatS:
    case I16x8AddSatS: return binary(llvm::Intrinsic::sadd_sat, a, b);
    case I8x16AddSatU:
    case I16x8AddSatU: return binary(llvm::Intrinsic::uadd_sat, a, b);
    case I8x16SubSatS:
    case I16x8SubSatS: return binary(llvm::Intrinsic::ssub_sat, a, b);
    case I8x16SubSatU:
    case I16x8SubSatU: return binary(llvm::Intrinsic::usub_sat, a, b);
    case I8x16MinS:
    case I16x8MinS:
    case I32x4MinS: return binary(llvm::Intrinsic::smin, a, b);
    case I8x16MinU:
    case I16x8MinU:
    case I32x4MinU: return binary(llvm::Intrinsic::umin, a, b);
    case I8x16MaxS:
    case I16x8MaxS:
    case I32x4MaxS: return binary(llvm::Intrinsic::smax, a, b);
    case I8x16MaxU:
    case I16x8MaxU:
    case I32x4MaxU: return binary(llvm::Intrinsic::umax, a, b);
    case I8x16AvgrU: return intrinsic(llvm::Intrinsic::x86_sse2_pavg_b, {a, b});
    case I16x8AvgrU: return intrinsic(llvm::Intrinsic::x86_sse2_pavg_w, {a, b});
    case I16x8Q15mulrSatS: return q15mulr(a, b, /*saturate=*/true);
    case I8x16Abs:
    case I16x8Abs:
    case I32x4Abs:
    case I64x2Abs: return binary(llvm::Intrinsic::abs, a, b_.getFalse());
    case I8x16Neg:
    case I16x8Neg:
    case I32x4Neg:
    case I64x2Neg: return b_.CreateNeg(a);
    case I8x16Popcnt: return unary(llvm::Intrinsic::ctpop, a);
    case I8x16NarrowI16x8S: return narrow(llvm::Intrinsic::x86_sse2_packsswb_128, Shape::i16x8);
    case I8x16NarrowI16x8U: return narrow(llvm::Intrinsic::x86_sse2_packuswb_128, Shape::i16x8);
    case I16x8NarrowI32x4S: return narrow(llvm::Intrinsic::x86_sse2_packssdw_128, Shape::i32x4);
    case I16x8NarrowI32x4U: return narrow(llvm::Intrinsic::x86_sse41_packusdw, Shape::i32x4);
    case I8x16Swizzle: return swizzle(a, b);

    // Comparisons of integers.
    case I8x16Eq:
    case I16x8Eq:
    case I32x4Eq:
    case I64x2Eq: return int_compare(CmpInst::ICMP_EQ);
    case I8x16Ne:
    case I16x8Ne:
    case I32x4Ne:
    case I64x2Ne: return int_compare(CmpInst::ICMP_NE);
    case I8x16LtS:
    case I16x8LtS:
    case I32x4LtS:
    case I64x2LtS: return int_compare(CmpInst::ICMP_SLT);
    case I8x16LtU:
    case I16x8LtU:
    case I32x4LtU: return int_compare(CmpInst::ICMP_ULT);
    case I8x16GtS:
    case I16x8GtS:
    case I32x4GtS:
    case I64x2GtS: return int_compare(CmpInst::ICMP_SGT);
    case I8x16GtU:
    case I16x8GtU:
    case I32x4GtU: return int_compare(CmpInst::ICMP_UGT);
    case I8x16LeS:
    case I16x8LeS:
    case I32x4LeS:
    case I64x2LeS: return int_compare(CmpInst::ICMP_SLE);
    case I8x16LeU:
    case I16x8LeU:
    case I32x4LeU: return int_compare(CmpInst::ICMP_ULE);
    case I8x16GeS:
    case I16x8GeS:
    case I32x4GeS:
    case I64x2GeS: return int_compare(CmpInst::ICMP_SGE);
    case I8x16GeU:
    case I16x8GeU:
    case I32x4GeU: return int_compare(CmpInst::ICMP_UGE);

    // Shifts.
    case I8x16Shl:
    case I16x8Shl:
    case I32x4Shl:
    case I64x2Shl: return b_.CreateShl(a, counts());
    case I8x16ShrS:
    case I16x8ShrS:
    case I32x4ShrS:
    case I64x2ShrS: return b_.CreateAShr(a, counts());
    case I8x16ShrU:
    case I16x8ShrU:
    case I32x4ShrU:
    case I64x2ShrU: return b_.CreateLShr(a, counts());

    // Integers of twice the width.
    case I16x8ExtendLowI8x16S:
    case I32x4ExtendLowI16x8S:
    case I64x2ExtendLowI32x4S: return extended(false, true);
    case I16x8ExtendHighI8x16S:
    case I32x4ExtendHighI16x8S:
    case I64x2ExtendHighI32x4S: return extended(true, true);
    case I16x8ExtendLowI8x16U:
    case I32x4ExtendLowI16x8U:
    case I64x2ExtendLowI32x4U: return extended(false, false);
    case I16x8ExtendHighI8x16U:
    case I32x4ExtendHighI16x8U:
    case I64x2ExtendHighI32x4U: return extended(true, false);
    case I16x8ExtmulLowI8x16S:
    case I32x4ExtmulLowI16x8S:
    case I64x2ExtmulLowI32x4S: return product(false, true);
    case I16x8ExtmulHighI8x16S:
    case I32x4ExtmulHighI16x8S:
    case I64x2ExtmulHighI32x4S: return product(true, true);
    case I16x8ExtmulLowI8x16U:
    case I32x4ExtmulLowI16x8U:
    case I64x2ExtmulLowI32x4U: return product(false, false);
    case I16x8ExtmulHighI8x16U:
    case I32x4ExtmulHighI16x8U:
    case I64x2ExtmulHighI32x4U: return product(true, false);
    case I16x8ExtaddPairwiseI8x16S:
    case I32x4ExtaddPairwiseI16x8S: return add_pairs(from, v[0], true);
    case I16x8ExtaddPairwiseI8x16U:
    case I32x4ExtaddPairwiseI16x8U: return add_pairs(from, v[0], false);
    case I32x4DotI16x8S:
      return intrinsic(llvm::Intrinsic::x86_sse2_pmadd_wd, {as(Shape::i16x8, v[0]), as(Shape::i16x8, v[1])});

    // Floats.
    case F32x4Eq:
    case F64x2Eq: return float_compare(CmpInst::FCMP_OEQ);
    case F32x4Ne:
    case F64x2Ne: return float_compare(CmpInst::FCMP_UNE);
    case F32x4Lt:
    case F64x2Lt: return float_compare(CmpInst::FCMP_OLT);
    case F32x4Gt:
    case F64x2Gt: return float_compare(CmpInst::FCMP_OGT);
    case F32x4Le:
    case F64x2Le: return float_compare(CmpInst::FCMP_OLE);
    case F32x4Ge:
    case F64x2Ge: return float_compare(CmpInst::FCMP_OGE);
    // Works on bits, not numbers: a NaN's payload stays.
    case F32x4Abs:
    case F64x2Abs: return b_.CreateAnd(as(bits, v[0]), int_splat(bits, sign_bit(shape) - 1));
    case F32x4Neg:
    case F64x2Neg: return b_.CreateXor(as(bits, v[0]), int_splat(bits, sign_bit(shape)));
    case F32x4Ceil:
    case F64x2Ceil: return module_.canonical_nan(unary(llvm::Intrinsic::ceil, a));
    case F32x4Floor:
    case F64x2Floor: return module_.canonical_nan(unary(llvm::Intrinsic::floor, a));
    case F32x4Trunc:
    case F64x2Trunc: return module_.canonical_nan(unary(llvm::Intrinsic::trunc, a));
    case F32x4Nearest:
    case F64x2Nearest: return module_.canonical_nan(unary(llvm::Intrinsic::roundeven, a));
    case F32x4Sqrt:
    case F64x2Sqrt: return module_.canonical_nan(unary(llvm::Intrinsic::sqrt, a));
    case F32x4Add:
    case F64x2Add: return module_.canonical_nan(b_.CreateFAdd(a, b));
    case F32x4Sub:
    case F64x2Sub: return module_.canonical_nan(b_.CreateFSub(a, b));
    case F32x4Mul:
    case F64x2Mul: return module_.canonical_nan(b_.CreateFMul(a, b));
    case F32x4Div:
    case F64x2Div: return module_.canonical_nan(b_.CreateFDiv(a, b));
    case F32x4Min:
    case F64x2Min: return module_.canonical_nan(minimum(a, b, false));
    case F32x4Max:
    case F64x2Max: return module_.canonical_nan(minimum(a, b, true));
    // b < a ? b : a, and so on: the result is one of the operands as it is, NaNs included.
    case F32x4Pmin:
    case F64x2Pmin: return b_.CreateSelect(b_.CreateFCmpOLT(b, a), b, a);
    case F32x4Pmax:
    case F64x2Pmax: return b_.CreateSelect(b_.CreateFCmpOLT(a, b), b, a);

    // Conversions.
    case I32x4TruncSatF32x4S: return trunc_sat_f32(as(Shape::f32x4, v[0]), true);
    case I32x4TruncSatF32x4U: return trunc_sat_f32(as(Shape::f32x4, v[0]), false);
    case I32x4TruncSatF64x2SZero: return trunc_sat_f64(as(Shape::f64x2, v[0]), true);
    case I32x4TruncSatF64x2UZero: return trunc_sat_f64(as(Shape::f64x2, v[0]), false);
    case F32x4ConvertI32x4S: return b_.CreateSIToFP(as(Shape::i32x4, v[0]), type_of(Shape::f32x4));
    case F32x4ConvertI32x4U: return b_.CreateUIToFP(as(Shape::i32x4, v[0]), type_of(Shape::f32x4));
    case F64x2ConvertLowI32x4S: return b_.CreateSIToFP(low_half(Shape::i32x4), type_of(Shape::f64x2));
    case F64x2ConvertLowI32x4U: return b_.CreateUIToFP(low_half(Shape::i32x4), type_of(Shape::f64x2));
    // LLVM's fptrunc is not used, since LLVM would fold it with a promotion to nothing: a signalling NaN has to become
    // quiet.
    case F32x4DemoteF64x2Zero:
      return module_.canonical_nan(intrinsic(llvm::Intrinsic::x86_sse2_cvtpd2ps, {as(Shape::f64x2, v[0])}));
    case F64x2PromoteLowF32x4:
      return module_.canonical_nan(b_.CreateFPExt(low_half(Shape::f32x4), type_of(Shape::f64x2)));

    // Relaxed SIMD.
    case I8x16RelaxedSwizzle:
      if (deterministic) return swizzle(a, b);
      return intrinsic(llvm::Intrinsic::x86_ssse3_pshuf_b_128, {a, b});
    case I32x4RelaxedTruncF32x4S:
      if (deterministic) return trunc_sat_f32(as(Shape::f32x4, v[0]), true);
      return intrinsic(llvm::Intrinsic::x86_sse2_cvttps2dq, {as(Shape::f32x4, v[0])});
    case I32x4RelaxedTruncF64x2SZero:
      if (deterministic) return trunc_sat_f64(as(Shape::f64x2, v[0]), true);
      return intrinsic(llvm::Intrinsic::x86_sse2_cvttpd2dq, {as(Shape::f64x2, v[0])});
    // Without AVX-512 there is no instruction for the unsigned conversions.
    case I32x4RelaxedTruncF32x4U: return trunc_sat_f32(as(Shape::f32x4, v[0]), false);
    case I32x4RelaxedTruncF64x2UZero: return trunc_sat_f64(as(Shape::f64x2, v[0]), false);
    case F32x4RelaxedMadd:
    case F64x2RelaxedMadd: return multiply_add(shape, v, false);
    case F32x4RelaxedNmadd:
    case F64x2RelaxedNmadd: return multiply_add(shape, v, true);
    case I8x16RelaxedLaneselect:
    case I16x8RelaxedLaneselect:
    case I32x4RelaxedLaneselect:
    case I64x2RelaxedLaneselect:
      if (deterministic) return bitselect(v);
      return b_.CreateSelect(b_.CreateICmpSLT(as(shape, v[2]), int_splat(shape, 0)), a, b);
    case F32x4RelaxedMin:
    case F64x2RelaxedMin: return relaxed_minimum(a, b, false);
    case F32x4RelaxedMax:
    case F64x2RelaxedMax: return relaxed_minimum(a, b, true);
    case I16x8RelaxedQ15mulrS: return q15mulr(a, b, /*saturate=*/deterministic);
    case I16x8RelaxedDotI8x16I7x16S: return dot_i8(v[0], v[1]);
    case I32x4RelaxedDotI8x16I7x16AddS:
      return b_.CreateAdd(add_pairs(Shape::i16x8, dot_i8(v[0], v[1]), true), as(Shape::i32x4, v[2]));
  }
  std::unreachable();
}

#pragma GCC diagnostic pop

Value SimdEmitter::numeric(SimdNumericOp op, Operands v) { return whole(lanes_of(op, v)); }

}  // namespace rotor::jit
