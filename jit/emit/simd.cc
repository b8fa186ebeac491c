// SIMD: constants, lanes, bits and integers.
#include "jit/emit/simd.h"

#include "jit/emit/simd_shapes.h"
#include "llvm/Analysis/ConstantFolding.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsX86.h"

namespace rotor::jit {

using llvm::CmpInst;
using llvm::Intrinsic::ID;
using wasm::Opcode;
using Value = SimdEmitter::Value;

// ---- Tools ----------------------------------------------------------------------------------------------------------

llvm::FixedVectorType* SimdEmitter::type_of(Shape shape) {
  switch (shape) {
    case Shape::i8x16: return llvm::FixedVectorType::get(module_.i8, 16);
    case Shape::i16x8: return llvm::FixedVectorType::get(module_.i16, 8);
    case Shape::i32x4: return llvm::FixedVectorType::get(module_.i32, 4);
    case Shape::f32x4: return llvm::FixedVectorType::get(module_.f32, 4);
    case Shape::f64x2: return llvm::FixedVectorType::get(module_.f64, 2);
    default: return module_.v128;
  }
}

Value SimdEmitter::as(Shape shape, Value vector) {
  llvm::FixedVectorType* type = type_of(shape);
  // The builder alone would leave a constant as an expression, which nobody looks into.
  if (auto* constant = llvm::dyn_cast<llvm::Constant>(vector))
    return llvm::ConstantFoldCastOperand(llvm::Instruction::BitCast, constant, type,
                                         module_.llvm_module->getDataLayout());
  return b_.CreateBitCast(vector, type);
}

Value SimdEmitter::whole(Value value) {
  return value->getType()->isVectorTy() ? b_.CreateBitCast(value, module_.v128) : value;
}

Value SimdEmitter::splat(Shape shape, Value lane) {
  return b_.CreateVectorSplat(type_of(shape)->getNumElements(), lane);
}

Value SimdEmitter::int_splat(Shape shape, uint64_t lane) {
  return llvm::ConstantInt::get(type_of(shape), llvm::APInt(lane_bits(shape), lane));
}

Value SimdEmitter::intrinsic(unsigned id, llvm::ArrayRef<Value> args) {
  return b_.CreateIntrinsic(static_cast<ID>(id), llvm::ArrayRef<llvm::Type*>(), args);
}
Value SimdEmitter::unary(unsigned id, Value a) { return b_.CreateUnaryIntrinsic(static_cast<ID>(id), a); }
Value SimdEmitter::binary(unsigned id, Value a, Value b) { return b_.CreateBinaryIntrinsic(static_cast<ID>(id), a, b); }

Value SimdEmitter::mask(Value bits) {
  auto* type = llvm::cast<llvm::FixedVectorType>(bits->getType());
  unsigned lanes = type->getNumElements();
  return b_.CreateSExt(bits, llvm::FixedVectorType::get(b_.getIntNTy(128 / lanes), lanes));
}

Value SimdEmitter::extend(Shape from, Value vector, bool high, bool is_signed) {
  llvm::FixedVectorType* type = type_of(from);
  int lanes = static_cast<int>(type->getNumElements()) / 2;
  llvm::SmallVector<int, 8> picked;
  for (int i = 0; i < lanes; ++i) picked.push_back(high ? lanes + i : i);
  Value half = b_.CreateShuffleVector(as(from, vector), picked);
  auto* wide = llvm::FixedVectorType::get(b_.getIntNTy(2 * lane_bits(from)), static_cast<unsigned>(lanes));
  return is_signed ? b_.CreateSExt(half, wide) : b_.CreateZExt(half, wide);
}

// ---- Constants and lanes --------------------------------------------------------------------------------------------

Value SimdEmitter::constant(const V128& value) {
  auto halves = value.lanes<uint64_t>();
  return llvm::ConstantDataVector::get(module_.context, llvm::ArrayRef<uint64_t>(halves));
}

Value SimdEmitter::shuffle(const std::array<uint8_t, 16>& lanes, Value a, Value b) {
  llvm::SmallVector<int, 16> picked(lanes.begin(), lanes.end());
  return whole(b_.CreateShuffleVector(as(Shape::i8x16, a), as(Shape::i8x16, b), picked));
}

Value SimdEmitter::lane(Opcode op, uint8_t index, Operands v) {
  Shape shape = shape_of(op);
  Value vector = as(shape, v[0]);
  llvm::Type* element = type_of(shape)->getElementType();
  if (v.size() == 2) {
    Value number = v[1];
    if (lane_bits(shape) < 32) number = b_.CreateTrunc(number, element);
    return whole(b_.CreateInsertElement(vector, number, uint64_t{index}));
  }
  Value number = b_.CreateExtractElement(vector, uint64_t{index});
  if (lane_bits(shape) >= 32) return number;
  bool is_signed = op == Opcode::I8x16ExtractLaneS || op == Opcode::I16x8ExtractLaneS;
  return is_signed ? b_.CreateSExt(number, module_.i32) : b_.CreateZExt(number, module_.i32);
}

Value SimdEmitter::make_splat(Opcode op, Value lane) {
  switch (op) {
    case Opcode::I8x16Splat: return splat(Shape::i8x16, b_.CreateTrunc(lane, module_.i8));
    case Opcode::I16x8Splat: return splat(Shape::i16x8, b_.CreateTrunc(lane, module_.i16));
    case Opcode::I32x4Splat:
    case Opcode::I64x2Splat:
    case Opcode::F32x4Splat:
    case Opcode::F64x2Splat: return splat(shape_of(op), lane);
    default: return nullptr;
  }
}

// ---- Bits and tests -------------------------------------------------------------------------------------------------

Value SimdEmitter::bitwise(Opcode op, Operands v) {
  switch (op) {
    case Opcode::V128Not: return b_.CreateNot(v[0]);
    case Opcode::V128And: return b_.CreateAnd(v[0], v[1]);
    case Opcode::V128Andnot: return b_.CreateAnd(v[0], b_.CreateNot(v[1]));
    case Opcode::V128Or: return b_.CreateOr(v[0], v[1]);
    case Opcode::V128Xor: return b_.CreateXor(v[0], v[1]);
    case Opcode::V128Bitselect: return b_.CreateOr(b_.CreateAnd(v[0], v[2]), b_.CreateAnd(v[1], b_.CreateNot(v[2])));
    default: return nullptr;
  }
}

Value SimdEmitter::test(Opcode op, Value vector) {
  Shape shape = shape_of(op);
  Value is_zero = nullptr;  // an i32, by ptest
  switch (op) {
    case Opcode::V128AnyTrue:
      is_zero = intrinsic(llvm::Intrinsic::x86_sse41_ptestz, {vector, vector});
      return b_.CreateZExt(b_.CreateICmpEQ(is_zero, b_.getInt32(0)), module_.i32);
    case Opcode::I8x16AllTrue:
    case Opcode::I16x8AllTrue:
    case Opcode::I32x4AllTrue:
    case Opcode::I64x2AllTrue: {
      Value zeroes = whole(mask(b_.CreateICmpEQ(as(shape, vector), int_splat(shape, 0))));
      return intrinsic(llvm::Intrinsic::x86_sse41_ptestz, {zeroes, zeroes});
    }
    case Opcode::I8x16Bitmask: return intrinsic(llvm::Intrinsic::x86_sse2_pmovmskb_128, {as(Shape::i8x16, vector)});
    case Opcode::I16x8Bitmask: {
      // Saturation keeps signs.
      Value bytes =
          intrinsic(llvm::Intrinsic::x86_sse2_packsswb_128, {as(Shape::i16x8, vector), int_splat(Shape::i16x8, 0)});
      return intrinsic(llvm::Intrinsic::x86_sse2_pmovmskb_128, {bytes});
    }
    case Opcode::I32x4Bitmask: return intrinsic(llvm::Intrinsic::x86_sse_movmsk_ps, {as(Shape::f32x4, vector)});
    case Opcode::I64x2Bitmask: return intrinsic(llvm::Intrinsic::x86_sse2_movmsk_pd, {as(Shape::f64x2, vector)});
    default: return nullptr;
  }
}

// ---- Integers -------------------------------------------------------------------------------------------------------

Value SimdEmitter::integer_arithmetic(Opcode op, Value a, Value b) {
  switch (op) {
    case Opcode::I8x16Add:
    case Opcode::I16x8Add:
    case Opcode::I32x4Add:
    case Opcode::I64x2Add: return b_.CreateAdd(a, b);
    case Opcode::I8x16Sub:
    case Opcode::I16x8Sub:
    case Opcode::I32x4Sub:
    case Opcode::I64x2Sub: return b_.CreateSub(a, b);
    case Opcode::I16x8Mul:
    case Opcode::I32x4Mul:
    case Opcode::I64x2Mul: return b_.CreateMul(a, b);
    case Opcode::I8x16AddSatS:
    case Opcode::I16x8AddSatS: return binary(llvm::Intrinsic::sadd_sat, a, b);
    case Opcode::I8x16AddSatU:
    case Opcode::I16x8AddSatU: return binary(llvm::Intrinsic::uadd_sat, a, b);
    case Opcode::I8x16SubSatS:
    case Opcode::I16x8SubSatS: return binary(llvm::Intrinsic::ssub_sat, a, b);
    case Opcode::I8x16SubSatU:
    case Opcode::I16x8SubSatU: return binary(llvm::Intrinsic::usub_sat, a, b);
    case Opcode::I8x16MinS:
    case Opcode::I16x8MinS:
    case Opcode::I32x4MinS: return binary(llvm::Intrinsic::smin, a, b);
    case Opcode::I8x16MinU:
    case Opcode::I16x8MinU:
    case Opcode::I32x4MinU: return binary(llvm::Intrinsic::umin, a, b);
    case Opcode::I8x16MaxS:
    case Opcode::I16x8MaxS:
    case Opcode::I32x4MaxS: return binary(llvm::Intrinsic::smax, a, b);
    case Opcode::I8x16MaxU:
    case Opcode::I16x8MaxU:
    case Opcode::I32x4MaxU: return binary(llvm::Intrinsic::umax, a, b);
    case Opcode::I8x16AvgrU: return intrinsic(llvm::Intrinsic::x86_sse2_pavg_b, {a, b});
    case Opcode::I16x8AvgrU: return intrinsic(llvm::Intrinsic::x86_sse2_pavg_w, {a, b});
    case Opcode::I16x8Q15mulrSatS: return q15mulr(a, b, /*saturate=*/true);
    default: return nullptr;
  }
}

Value SimdEmitter::integer_compare(Opcode op, Value a, Value b) {
  auto compare = [&](CmpInst::Predicate predicate) { return mask(b_.CreateICmp(predicate, a, b)); };
  switch (op) {
    case Opcode::I8x16Eq:
    case Opcode::I16x8Eq:
    case Opcode::I32x4Eq:
    case Opcode::I64x2Eq: return compare(CmpInst::ICMP_EQ);
    case Opcode::I8x16Ne:
    case Opcode::I16x8Ne:
    case Opcode::I32x4Ne:
    case Opcode::I64x2Ne: return compare(CmpInst::ICMP_NE);
    case Opcode::I8x16LtS:
    case Opcode::I16x8LtS:
    case Opcode::I32x4LtS:
    case Opcode::I64x2LtS: return compare(CmpInst::ICMP_SLT);
    case Opcode::I8x16LtU:
    case Opcode::I16x8LtU:
    case Opcode::I32x4LtU: return compare(CmpInst::ICMP_ULT);
    case Opcode::I8x16GtS:
    case Opcode::I16x8GtS:
    case Opcode::I32x4GtS:
    case Opcode::I64x2GtS: return compare(CmpInst::ICMP_SGT);
    case Opcode::I8x16GtU:
    case Opcode::I16x8GtU:
    case Opcode::I32x4GtU: return compare(CmpInst::ICMP_UGT);
    case Opcode::I8x16LeS:
    case Opcode::I16x8LeS:
    case Opcode::I32x4LeS:
    case Opcode::I64x2LeS: return compare(CmpInst::ICMP_SLE);
    case Opcode::I8x16LeU:
    case Opcode::I16x8LeU:
    case Opcode::I32x4LeU: return compare(CmpInst::ICMP_ULE);
    case Opcode::I8x16GeS:
    case Opcode::I16x8GeS:
    case Opcode::I32x4GeS:
    case Opcode::I64x2GeS: return compare(CmpInst::ICMP_SGE);
    case Opcode::I8x16GeU:
    case Opcode::I16x8GeU:
    case Opcode::I32x4GeU: return compare(CmpInst::ICMP_UGE);
    default: return nullptr;
  }
}

Value SimdEmitter::shift(Opcode op, Operands v) {
  Shape shape = shape_of(op);
  // Wasm takes counts modulo the width; LLVM's are poison past it.
  auto counts = [&] {
    Value count = b_.CreateAnd(v[1], b_.getInt32(lane_bits(shape) - 1));
    return splat(shape, b_.CreateZExtOrTrunc(count, type_of(shape)->getElementType()));
  };
  switch (op) {
    case Opcode::I8x16Shl:
    case Opcode::I16x8Shl:
    case Opcode::I32x4Shl:
    case Opcode::I64x2Shl: return b_.CreateShl(as(shape, v[0]), counts());
    case Opcode::I8x16ShrS:
    case Opcode::I16x8ShrS:
    case Opcode::I32x4ShrS:
    case Opcode::I64x2ShrS: return b_.CreateAShr(as(shape, v[0]), counts());
    case Opcode::I8x16ShrU:
    case Opcode::I16x8ShrU:
    case Opcode::I32x4ShrU:
    case Opcode::I64x2ShrU: return b_.CreateLShr(as(shape, v[0]), counts());
    default: return nullptr;
  }
}

Value SimdEmitter::q15mulr(Value a, Value b, bool saturate) {
  Value product = intrinsic(llvm::Intrinsic::x86_ssse3_pmul_hr_sw_128, {a, b});
  if (!saturate) return product;
  // The one product that does not fit, of the minimum and itself, comes out as the minimum; only that one does.
  return b_.CreateXor(product, mask(b_.CreateICmpEQ(product, int_splat(Shape::i16x8, 0x8000))));
}

Value SimdEmitter::add_pairs(Shape from, Value vector, bool is_signed) {
  // The odd lanes lie in the upper halves of the wider ones, the even in the lower.
  Shape wide = static_cast<Shape>(static_cast<uint8_t>(from) + 1);
  Value all = as(wide, vector), half = int_splat(wide, lane_bits(from));
  if (is_signed) return b_.CreateAdd(b_.CreateAShr(all, half), b_.CreateAShr(b_.CreateShl(all, half), half));
  return b_.CreateAdd(b_.CreateLShr(all, half), b_.CreateLShr(b_.CreateShl(all, half), half));
}

Value SimdEmitter::widen(Opcode op, Operands v) {
  Shape from = narrower(shape_of(op));
  auto one = [&](bool high, bool is_signed) { return extend(from, v[0], high, is_signed); };
  auto product = [&](bool high, bool is_signed) {
    return b_.CreateMul(extend(from, v[0], high, is_signed), extend(from, v[1], high, is_signed));
  };
  switch (op) {
    case Opcode::I16x8ExtendLowI8x16S:
    case Opcode::I32x4ExtendLowI16x8S:
    case Opcode::I64x2ExtendLowI32x4S: return one(false, true);
    case Opcode::I16x8ExtendHighI8x16S:
    case Opcode::I32x4ExtendHighI16x8S:
    case Opcode::I64x2ExtendHighI32x4S: return one(true, true);
    case Opcode::I16x8ExtendLowI8x16U:
    case Opcode::I32x4ExtendLowI16x8U:
    case Opcode::I64x2ExtendLowI32x4U: return one(false, false);
    case Opcode::I16x8ExtendHighI8x16U:
    case Opcode::I32x4ExtendHighI16x8U:
    case Opcode::I64x2ExtendHighI32x4U: return one(true, false);
    case Opcode::I16x8ExtmulLowI8x16S:
    case Opcode::I32x4ExtmulLowI16x8S:
    case Opcode::I64x2ExtmulLowI32x4S: return product(false, true);
    case Opcode::I16x8ExtmulHighI8x16S:
    case Opcode::I32x4ExtmulHighI16x8S:
    case Opcode::I64x2ExtmulHighI32x4S: return product(true, true);
    case Opcode::I16x8ExtmulLowI8x16U:
    case Opcode::I32x4ExtmulLowI16x8U:
    case Opcode::I64x2ExtmulLowI32x4U: return product(false, false);
    case Opcode::I16x8ExtmulHighI8x16U:
    case Opcode::I32x4ExtmulHighI16x8U:
    case Opcode::I64x2ExtmulHighI32x4U: return product(true, false);
    case Opcode::I16x8ExtaddPairwiseI8x16S:
    case Opcode::I32x4ExtaddPairwiseI16x8S: return add_pairs(from, v[0], true);
    case Opcode::I16x8ExtaddPairwiseI8x16U:
    case Opcode::I32x4ExtaddPairwiseI16x8U: return add_pairs(from, v[0], false);
    case Opcode::I32x4DotI16x8S:
      return intrinsic(llvm::Intrinsic::x86_sse2_pmadd_wd, {as(Shape::i16x8, v[0]), as(Shape::i16x8, v[1])});
    default: return nullptr;
  }
}

Value SimdEmitter::integer_special(Opcode op, Operands v) {
  Shape shape = shape_of(op);
  auto narrow = [&](unsigned id, Shape from) { return intrinsic(id, {as(from, v[0]), as(from, v[1])}); };
  switch (op) {
    case Opcode::I8x16Abs:
    case Opcode::I16x8Abs:
    case Opcode::I32x4Abs:
    case Opcode::I64x2Abs: return binary(llvm::Intrinsic::abs, as(shape, v[0]), b_.getFalse());
    case Opcode::I8x16Neg:
    case Opcode::I16x8Neg:
    case Opcode::I32x4Neg:
    case Opcode::I64x2Neg: return b_.CreateNeg(as(shape, v[0]));
    case Opcode::I8x16Popcnt: return unary(llvm::Intrinsic::ctpop, as(shape, v[0]));
    case Opcode::I8x16NarrowI16x8S: return narrow(llvm::Intrinsic::x86_sse2_packsswb_128, Shape::i16x8);
    case Opcode::I8x16NarrowI16x8U: return narrow(llvm::Intrinsic::x86_sse2_packuswb_128, Shape::i16x8);
    case Opcode::I16x8NarrowI32x4S: return narrow(llvm::Intrinsic::x86_sse2_packssdw_128, Shape::i32x4);
    case Opcode::I16x8NarrowI32x4U: return narrow(llvm::Intrinsic::x86_sse41_packusdw, Shape::i32x4);
    case Opcode::I8x16Swizzle: {
      // pshufb gives 0 for an index with the top bit set, and looks at no more than four bits of another: 16 and above
      // get the top bit.
      Value index = binary(llvm::Intrinsic::uadd_sat, as(shape, v[1]), int_splat(shape, 0x70));
      return intrinsic(llvm::Intrinsic::x86_ssse3_pshuf_b_128, {as(shape, v[0]), index});
    }
    default: return nullptr;
  }
}

Value SimdEmitter::integer(Opcode op, Operands v) {
  Shape shape = shape_of(op);
  if (is_float(shape)) return nullptr;
  if (v.size() == 2 && v[1]->getType()->isVectorTy()) {
    Value a = as(shape, v[0]), b = as(shape, v[1]);
    if (Value result = integer_arithmetic(op, a, b)) return result;
    if (Value result = integer_compare(op, a, b)) return result;
  }
  if (Value result = shift(op, v)) return result;
  if (Value result = widen(op, v)) return result;
  return integer_special(op, v);
}

Value SimdEmitter::numeric(Opcode op, Operands v) {
  if (!v[0]->getType()->isVectorTy()) return whole(make_splat(op, v[0]));
  Value result = bitwise(op, v);
  if (!result) result = test(op, v[0]);
  if (!result) result = integer(op, v);
  if (!result) result = floating(op, v);
  if (!result) result = convert(op, v[0]);
  if (!result) result = relaxed(op, v);
  return whole(result);
}

}  // namespace rotor::jit
