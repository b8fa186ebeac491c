// SIMD: constants, lanes, and what of bits and integers takes more than a line.
#include "jit/emit/simd.h"

#include <utility>

#include "jit/emit/simd_shapes.h"
#include "llvm/Analysis/ConstantFolding.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsX86.h"

namespace rotor::jit {

using llvm::CmpInst;
using llvm::Intrinsic::ID;
using wasm::SimdLaneOp;
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

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"

Value SimdEmitter::lane(SimdLaneOp op, uint8_t index, Operands v) {
  using enum wasm::SimdLaneOp;
  Shape shape = shape_of(op);
  Value vector = as(shape, v[0]);
  auto extract = [&] { return b_.CreateExtractElement(vector, uint64_t{index}); };
  auto replace = [&](Value number) { return whole(b_.CreateInsertElement(vector, number, uint64_t{index})); };
  switch (op) {
    case I8x16ExtractLaneS:
    case I16x8ExtractLaneS: return b_.CreateSExt(extract(), module_.i32);
    case I8x16ExtractLaneU:
    case I16x8ExtractLaneU: return b_.CreateZExt(extract(), module_.i32);
    case I32x4ExtractLane:
    case I64x2ExtractLane:
    case F32x4ExtractLane:
    case F64x2ExtractLane: return extract();
    case I8x16ReplaceLane:
    case I16x8ReplaceLane: return replace(b_.CreateTrunc(v[1], type_of(shape)->getElementType()));
    case I32x4ReplaceLane:
    case I64x2ReplaceLane:
    case F32x4ReplaceLane:
    case F64x2ReplaceLane: return replace(v[1]);
  }
  std::unreachable();
}

#pragma GCC diagnostic pop

// ---- Bits and integers ----------------------------------------------------------------------------------------------

Value SimdEmitter::bitselect(Operands v) {
  return b_.CreateOr(b_.CreateAnd(v[0], v[2]), b_.CreateAnd(v[1], b_.CreateNot(v[2])));
}

Value SimdEmitter::swizzle(Value bytes, Value index) {
  // pshufb gives 0 for an index with the top bit set, and looks at no more than four bits of another: 16 and above
  // get the top bit.
  Value limited = binary(llvm::Intrinsic::uadd_sat, index, int_splat(Shape::i8x16, 0x70));
  return intrinsic(llvm::Intrinsic::x86_ssse3_pshuf_b_128, {bytes, limited});
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

}  // namespace rotor::jit
