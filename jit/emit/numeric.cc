// Constants, the NUMERIC group and wide arithmetic.
//
// What LLVM may not assume: wasm floats are not folded across NaN bits. LLVM's `x * 1.0 -> x` and its likes would leave
// a signalling NaN as it is, where wasm quiets it; so +-0 and +-1 are read from memory LLVM thinks unknown (those that
// turn out to be such later are the matter of jit/passes/opaque_floats.h), and a promotion canonicalises, so that
// promote-demote is not folded to nothing.
#include <cmath>
#include <utility>

#include "jit/emit/function.h"
#include "jit/passes/opaque_floats.h"
#include "llvm/IR/Intrinsics.h"

namespace rotor::jit {

using llvm::CmpInst;
using llvm::Intrinsic::ID;
using wasm::NumericOp;
using wasm::WideOp;
using Value = FunctionEmitter::Value;

Value FunctionEmitter::constant(ValType type, uint64_t bits) {
  switch (type.kind()) {
    case ValType::Kind::i32: return int32(static_cast<uint32_t>(bits));
    case ValType::Kind::f32: {
      float v = std::bit_cast<float>(static_cast<uint32_t>(bits));
      if (v == 0 || std::fabs(v) == 1) return module_.opaque_float(module_.f32, bits & 0xffffffff);
      return llvm::ConstantFP::get(module_.context, llvm::APFloat(llvm::APFloat::IEEEsingle(), llvm::APInt(32, bits)));
    }
    case ValType::Kind::f64: {
      double v = std::bit_cast<double>(bits);
      if (v == 0 || std::fabs(v) == 1) return module_.opaque_float(module_.f64, bits);
      return llvm::ConstantFP::get(module_.context, llvm::APFloat(llvm::APFloat::IEEEdouble(), llvm::APInt(64, bits)));
    }
    default: return int64(bits);
  }
}

Value FunctionEmitter::select(ValType, Value condition, Value if_true, Value if_false) {
  return b_.CreateSelect(to_bool(condition), if_true, if_false);
}

Value FunctionEmitter::unary_intrinsic(unsigned id, Value a) { return b_.CreateUnaryIntrinsic(static_cast<ID>(id), a); }

Value FunctionEmitter::compare_int(unsigned predicate, Value a, Value b) {
  return from_bool(b_.CreateICmp(static_cast<CmpInst::Predicate>(predicate), a, b));
}

Value FunctionEmitter::compare_float(unsigned predicate, Value a, Value b) {
  return from_bool(b_.CreateFCmp(static_cast<CmpInst::Predicate>(predicate), a, b));
}

/// Wasm takes shift counts modulo the width; LLVM's are poison past it.
Value FunctionEmitter::shift_count(Value a, Value count) {
  return b_.CreateAnd(count, llvm::ConstantInt::get(a->getType(), a->getType()->getIntegerBitWidth() - 1));
}

Value FunctionEmitter::divide(bool is_signed, Value a, Value b) {
  trap_if(b_.CreateICmpEQ(b, llvm::ConstantInt::get(b->getType(), 0)), TrapKind::integer_divide_by_zero);
  if (!is_signed) return b_.CreateUDiv(a, b);
  unsigned bits = a->getType()->getIntegerBitWidth();
  Value overflow =
      b_.CreateAnd(b_.CreateICmpEQ(a, llvm::ConstantInt::get(module_.context, llvm::APInt::getSignedMinValue(bits))),
                   b_.CreateICmpEQ(b, llvm::ConstantInt::getSigned(b->getType(), -1)));
  trap_if(overflow, TrapKind::integer_overflow);
  return b_.CreateSDiv(a, b);
}

Value FunctionEmitter::remainder(bool is_signed, Value a, Value b) {
  trap_if(b_.CreateICmpEQ(b, llvm::ConstantInt::get(b->getType(), 0)), TrapKind::integer_divide_by_zero);
  if (!is_signed) return b_.CreateURem(a, b);
  // min % -1 is 0 in wasm and a fault in hardware; x % 1 is 0 too.
  Value minus_one = b_.CreateICmpEQ(b, llvm::ConstantInt::getSigned(b->getType(), -1));
  return b_.CreateSRem(a, b_.CreateSelect(minus_one, llvm::ConstantInt::get(b->getType(), 1), b));
}

Value FunctionEmitter::minimum(Value a, Value b, bool want_max) {
  // Equal operands differ at most in the sign of zero: the bits' or is -0 if either is, their and +0.
  llvm::Type* integer = a->getType()->isFloatTy() ? module_.i32 : module_.i64;
  Value ai = b_.CreateBitCast(a, integer), bi = b_.CreateBitCast(b, integer);
  Value equal = b_.CreateBitCast(want_max ? b_.CreateAnd(ai, bi) : b_.CreateOr(ai, bi), a->getType());
  Value first = want_max ? b_.CreateFCmpOGT(a, b) : b_.CreateFCmpOLT(a, b);
  Value second = want_max ? b_.CreateFCmpOLT(a, b) : b_.CreateFCmpOGT(a, b);
  Value unequal = b_.CreateSelect(first, a, b_.CreateSelect(second, b, equal));
  // The sum of a NaN and anything is a quiet NaN.
  return b_.CreateSelect(b_.CreateFCmpUNO(a, b), b_.CreateFAdd(a, b), unequal);
}

Value FunctionEmitter::truncate(Value a, llvm::IntegerType* type, bool is_signed) {
  bool wide = type == module_.i64;
  bool from_f32 = a->getType()->isFloatTy();
  trap_if(b_.CreateFCmpUNO(a, a), TrapKind::invalid_conversion_to_integer);
  double below, above;  // the first values that do not fit
  bool below_fits = false;
  if (is_signed) {
    above = wide ? 0x1p63 : 0x1p31;
    below = -above;
    below_fits = wide || from_f32;  // -2^31 - 1 is no f32 and -2^63 - 1 no f64: compare with the minimum itself
    if (!below_fits) below -= 1;
  } else {
    above = wide ? 0x1p64 : 0x1p32;
    below = -1;
  }
  Value low = llvm::ConstantFP::get(a->getType(), below), high = llvm::ConstantFP::get(a->getType(), above);
  Value fits_low = below_fits ? b_.CreateFCmpOGE(a, low) : b_.CreateFCmpOGT(a, low);
  trap_if(b_.CreateNot(b_.CreateAnd(fits_low, b_.CreateFCmpOLT(a, high))), TrapKind::integer_overflow);
  return is_signed ? b_.CreateFPToSI(a, type) : b_.CreateFPToUI(a, type);
}

Value FunctionEmitter::truncate_saturating(Value a, llvm::IntegerType* type, bool is_signed) {
  return b_.CreateIntrinsic(is_signed ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat, {type, a->getType()},
                            {a});
}

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"

Value FunctionEmitter::numeric(NumericOp op, std::span<const Value> v) {
  using enum wasm::NumericOp;
  Value a = v[0], b = v.back();
  auto rotate = [&](ID id) { return b_.CreateIntrinsic(id, {a->getType()}, {a, a, b}); };
  auto arithmetic = [&](Value result) {
    mark_floats(*function_);
    return module_.canonical_nan(result);
  };
  auto sign_extend_low = [&](llvm::IntegerType* low) { return b_.CreateSExt(b_.CreateTrunc(a, low), a->getType()); };
  switch (op) {
    // Integers.
    case I32Add:
    case I64Add: return b_.CreateAdd(a, b);
    case I32Sub:
    case I64Sub: return b_.CreateSub(a, b);
    case I32Mul:
    case I64Mul: return b_.CreateMul(a, b);
    case I32DivS:
    case I64DivS: return divide(true, a, b);
    case I32DivU:
    case I64DivU: return divide(false, a, b);
    case I32RemS:
    case I64RemS: return remainder(true, a, b);
    case I32RemU:
    case I64RemU: return remainder(false, a, b);
    case I32And:
    case I64And: return b_.CreateAnd(a, b);
    case I32Or:
    case I64Or: return b_.CreateOr(a, b);
    case I32Xor:
    case I64Xor: return b_.CreateXor(a, b);
    case I32Shl:
    case I64Shl: return b_.CreateShl(a, shift_count(a, b));
    case I32ShrS:
    case I64ShrS: return b_.CreateAShr(a, shift_count(a, b));
    case I32ShrU:
    case I64ShrU: return b_.CreateLShr(a, shift_count(a, b));
    case I32Rotl:
    case I64Rotl: return rotate(llvm::Intrinsic::fshl);
    case I32Rotr:
    case I64Rotr: return rotate(llvm::Intrinsic::fshr);
    case I32Eq:
    case I64Eq: return compare_int(CmpInst::ICMP_EQ, a, b);
    case I32Ne:
    case I64Ne: return compare_int(CmpInst::ICMP_NE, a, b);
    case I32LtS:
    case I64LtS: return compare_int(CmpInst::ICMP_SLT, a, b);
    case I32LtU:
    case I64LtU: return compare_int(CmpInst::ICMP_ULT, a, b);
    case I32GtS:
    case I64GtS: return compare_int(CmpInst::ICMP_SGT, a, b);
    case I32GtU:
    case I64GtU: return compare_int(CmpInst::ICMP_UGT, a, b);
    case I32LeS:
    case I64LeS: return compare_int(CmpInst::ICMP_SLE, a, b);
    case I32LeU:
    case I64LeU: return compare_int(CmpInst::ICMP_ULE, a, b);
    case I32GeS:
    case I64GeS: return compare_int(CmpInst::ICMP_SGE, a, b);
    case I32GeU:
    case I64GeU: return compare_int(CmpInst::ICMP_UGE, a, b);

    // Floats.
    case F32Eq:
    case F64Eq: return compare_float(CmpInst::FCMP_OEQ, a, b);
    case F32Ne:
    case F64Ne: return compare_float(CmpInst::FCMP_UNE, a, b);
    case F32Lt:
    case F64Lt: return compare_float(CmpInst::FCMP_OLT, a, b);
    case F32Gt:
    case F64Gt: return compare_float(CmpInst::FCMP_OGT, a, b);
    case F32Le:
    case F64Le: return compare_float(CmpInst::FCMP_OLE, a, b);
    case F32Ge:
    case F64Ge: return compare_float(CmpInst::FCMP_OGE, a, b);
    case F32Abs:
    case F64Abs: return unary_intrinsic(llvm::Intrinsic::fabs, a);
    case F32Neg:
    case F64Neg: return b_.CreateFNeg(a);
    case F32Ceil:
    case F64Ceil: return module_.canonical_nan(unary_intrinsic(llvm::Intrinsic::ceil, a));
    case F32Floor:
    case F64Floor: return module_.canonical_nan(unary_intrinsic(llvm::Intrinsic::floor, a));
    case F32Trunc:
    case F64Trunc: return module_.canonical_nan(unary_intrinsic(llvm::Intrinsic::trunc, a));
    case F32Nearest:
    case F64Nearest: return module_.canonical_nan(unary_intrinsic(llvm::Intrinsic::roundeven, a));
    case F32Sqrt:
    case F64Sqrt: return module_.canonical_nan(unary_intrinsic(llvm::Intrinsic::sqrt, a));
    case F32Add:
    case F64Add: return arithmetic(b_.CreateFAdd(a, b));
    case F32Sub:
    case F64Sub: return arithmetic(b_.CreateFSub(a, b));
    case F32Mul:
    case F64Mul: return arithmetic(b_.CreateFMul(a, b));
    case F32Div:
    case F64Div: return arithmetic(b_.CreateFDiv(a, b));
    case F32Min:
    case F64Min: return arithmetic(minimum(a, b, false));
    case F32Max:
    case F64Max: return arithmetic(minimum(a, b, true));
    case F32Copysign:
    case F64Copysign: return b_.CreateCopySign(a, b);

    // One operand, and conversions.
    case I32WrapI64: return b_.CreateTrunc(a, module_.i32);
    case I64ExtendI32S: return b_.CreateSExt(a, module_.i64);
    case I64ExtendI32U: return b_.CreateZExt(a, module_.i64);
    case F32ConvertI32S:
    case F32ConvertI64S: return b_.CreateSIToFP(a, module_.f32);
    case F32ConvertI32U:
    case F32ConvertI64U: return b_.CreateUIToFP(a, module_.f32);
    case F64ConvertI32S:
    case F64ConvertI64S: return b_.CreateSIToFP(a, module_.f64);
    case F64ConvertI32U:
    case F64ConvertI64U: return b_.CreateUIToFP(a, module_.f64);
    case F32DemoteF64: return module_.canonical_nan(b_.CreateFPTrunc(a, module_.f32));
    case F64PromoteF32:
      return module_.canonical_nan(b_.CreateFPExt(unary_intrinsic(llvm::Intrinsic::canonicalize, a), module_.f64));
    case I32ReinterpretF32: return b_.CreateBitCast(a, module_.i32);
    case I64ReinterpretF64: return b_.CreateBitCast(a, module_.i64);
    case F32ReinterpretI32: return b_.CreateBitCast(a, module_.f32);
    case F64ReinterpretI64: return b_.CreateBitCast(a, module_.f64);
    case I32Extend8S:
    case I64Extend8S: return sign_extend_low(module_.i8);
    case I32Extend16S:
    case I64Extend16S: return sign_extend_low(module_.i16);
    case I64Extend32S: return sign_extend_low(module_.i32);
    case I32Eqz:
    case I64Eqz: return from_bool(b_.CreateICmpEQ(a, llvm::ConstantInt::get(a->getType(), 0)));
    case I32Clz:
    case I64Clz: return b_.CreateBinaryIntrinsic(llvm::Intrinsic::ctlz, a, b_.getFalse());
    case I32Ctz:
    case I64Ctz: return b_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, a, b_.getFalse());
    case I32Popcnt:
    case I64Popcnt: return unary_intrinsic(llvm::Intrinsic::ctpop, a);
    case I32TruncF32S:
    case I32TruncF64S: return truncate(a, module_.i32, true);
    case I32TruncF32U:
    case I32TruncF64U: return truncate(a, module_.i32, false);
    case I64TruncF32S:
    case I64TruncF64S: return truncate(a, module_.i64, true);
    case I64TruncF32U:
    case I64TruncF64U: return truncate(a, module_.i64, false);
    case I32TruncSatF32S:
    case I32TruncSatF64S: return truncate_saturating(a, module_.i32, true);
    case I32TruncSatF32U:
    case I32TruncSatF64U: return truncate_saturating(a, module_.i32, false);
    case I64TruncSatF32S:
    case I64TruncSatF64S: return truncate_saturating(a, module_.i64, true);
    case I64TruncSatF32U:
    case I64TruncSatF64U: return truncate_saturating(a, module_.i64, false);
  }
  std::unreachable();
}

void FunctionEmitter::wide(WideOp op, std::span<const Value> v, std::span<Value> results) {
  using enum wasm::WideOp;
  // The fast instruction selector knows no 128-bit integers.
  begin_slow_block();
  llvm::IntegerType* i128 = b_.getInt128Ty();
  auto unsigned_wide = [&](Value a) { return b_.CreateZExt(a, i128); };
  auto signed_wide = [&](Value a) { return b_.CreateSExt(a, i128); };
  auto pair = [&](Value low, Value high) {
    return b_.CreateOr(unsigned_wide(low), b_.CreateShl(unsigned_wide(high), 64));
  };
  Value result = nullptr;
  switch (op) {
    case I64Add128: result = b_.CreateAdd(pair(v[0], v[1]), pair(v[2], v[3])); break;
    case I64Sub128: result = b_.CreateSub(pair(v[0], v[1]), pair(v[2], v[3])); break;
    case I64MulWideS: result = b_.CreateMul(signed_wide(v[0]), signed_wide(v[1])); break;
    case I64MulWideU: result = b_.CreateMul(unsigned_wide(v[0]), unsigned_wide(v[1])); break;
  }
  results[0] = b_.CreateTrunc(result, module_.i64);
  results[1] = b_.CreateTrunc(b_.CreateLShr(result, 64), module_.i64);
}

}  // namespace rotor::jit
