// Constants, the NUMERIC group and wide arithmetic.
//
// What LLVM may not assume: wasm floats are not folded across NaN bits. LLVM's `x * 1.0 -> x` and its likes would leave
// a signalling NaN as it is, where wasm quiets it; so +-0 and +-1 are read from memory LLVM thinks unknown (those that
// turn out to be such later are the matter of jit/passes/opaque_floats.h), and a promotion canonicalises, so that
// promote-demote is not folded to nothing.
#include <cmath>

#include "jit/emit/function.h"
#include "jit/passes/opaque_floats.h"
#include "llvm/IR/Intrinsics.h"

namespace rotor::jit {

using llvm::CmpInst;
using llvm::Intrinsic::ID;
using wasm::Opcode;
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

Value FunctionEmitter::divide(Opcode op, Value a, Value b) {
  bool is_signed = op == Opcode::I32DivS || op == Opcode::I64DivS;
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

Value FunctionEmitter::truncate(Opcode op, Value a) {
  bool is_signed = op == Opcode::I32TruncF32S || op == Opcode::I32TruncF64S || op == Opcode::I64TruncF32S ||
                   op == Opcode::I64TruncF64S;
  bool wide = op == Opcode::I64TruncF32S || op == Opcode::I64TruncF32U || op == Opcode::I64TruncF64S ||
              op == Opcode::I64TruncF64U;
  bool from_f32 = a->getType()->isFloatTy();
  llvm::IntegerType* type = wide ? module_.i64 : module_.i32;
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

Value FunctionEmitter::truncate_saturating(Opcode op, Value a) {
  bool is_signed = op == Opcode::I32TruncSatF32S || op == Opcode::I32TruncSatF64S || op == Opcode::I64TruncSatF32S ||
                   op == Opcode::I64TruncSatF64S;
  bool wide = op == Opcode::I64TruncSatF32S || op == Opcode::I64TruncSatF32U || op == Opcode::I64TruncSatF64S ||
              op == Opcode::I64TruncSatF64U;
  return b_.CreateIntrinsic(is_signed ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat,
                            {wide ? module_.i64 : module_.i32, a->getType()}, {a});
}

Value FunctionEmitter::integer_op(Opcode op, Value a, Value b) {
  auto rotate = [&](ID id) { return b_.CreateIntrinsic(id, {a->getType()}, {a, a, b}); };
  switch (op) {
    case Opcode::I32Add:
    case Opcode::I64Add: return b_.CreateAdd(a, b);
    case Opcode::I32Sub:
    case Opcode::I64Sub: return b_.CreateSub(a, b);
    case Opcode::I32Mul:
    case Opcode::I64Mul: return b_.CreateMul(a, b);
    case Opcode::I32DivS:
    case Opcode::I32DivU:
    case Opcode::I64DivS:
    case Opcode::I64DivU: return divide(op, a, b);
    case Opcode::I32RemS:
    case Opcode::I64RemS: return remainder(true, a, b);
    case Opcode::I32RemU:
    case Opcode::I64RemU: return remainder(false, a, b);
    case Opcode::I32And:
    case Opcode::I64And: return b_.CreateAnd(a, b);
    case Opcode::I32Or:
    case Opcode::I64Or: return b_.CreateOr(a, b);
    case Opcode::I32Xor:
    case Opcode::I64Xor: return b_.CreateXor(a, b);
    case Opcode::I32Shl:
    case Opcode::I64Shl: return b_.CreateShl(a, shift_count(a, b));
    case Opcode::I32ShrS:
    case Opcode::I64ShrS: return b_.CreateAShr(a, shift_count(a, b));
    case Opcode::I32ShrU:
    case Opcode::I64ShrU: return b_.CreateLShr(a, shift_count(a, b));
    case Opcode::I32Rotl:
    case Opcode::I64Rotl: return rotate(llvm::Intrinsic::fshl);
    case Opcode::I32Rotr:
    case Opcode::I64Rotr: return rotate(llvm::Intrinsic::fshr);
    case Opcode::I32Eq:
    case Opcode::I64Eq: return compare_int(CmpInst::ICMP_EQ, a, b);
    case Opcode::I32Ne:
    case Opcode::I64Ne: return compare_int(CmpInst::ICMP_NE, a, b);
    case Opcode::I32LtS:
    case Opcode::I64LtS: return compare_int(CmpInst::ICMP_SLT, a, b);
    case Opcode::I32LtU:
    case Opcode::I64LtU: return compare_int(CmpInst::ICMP_ULT, a, b);
    case Opcode::I32GtS:
    case Opcode::I64GtS: return compare_int(CmpInst::ICMP_SGT, a, b);
    case Opcode::I32GtU:
    case Opcode::I64GtU: return compare_int(CmpInst::ICMP_UGT, a, b);
    case Opcode::I32LeS:
    case Opcode::I64LeS: return compare_int(CmpInst::ICMP_SLE, a, b);
    case Opcode::I32LeU:
    case Opcode::I64LeU: return compare_int(CmpInst::ICMP_ULE, a, b);
    case Opcode::I32GeS:
    case Opcode::I64GeS: return compare_int(CmpInst::ICMP_SGE, a, b);
    case Opcode::I32GeU:
    case Opcode::I64GeU: return compare_int(CmpInst::ICMP_UGE, a, b);
    default: return nullptr;
  }
}

Value FunctionEmitter::float_op(Opcode op, std::span<const Value> v) {
  Value a = v[0], b = v.back();
  auto arithmetic = [&](Value result) {
    mark_floats(*function_);
    return module_.canonical_nan(result);
  };
  switch (op) {
    case Opcode::F32Eq:
    case Opcode::F64Eq: return compare_float(CmpInst::FCMP_OEQ, a, b);
    case Opcode::F32Ne:
    case Opcode::F64Ne: return compare_float(CmpInst::FCMP_UNE, a, b);
    case Opcode::F32Lt:
    case Opcode::F64Lt: return compare_float(CmpInst::FCMP_OLT, a, b);
    case Opcode::F32Gt:
    case Opcode::F64Gt: return compare_float(CmpInst::FCMP_OGT, a, b);
    case Opcode::F32Le:
    case Opcode::F64Le: return compare_float(CmpInst::FCMP_OLE, a, b);
    case Opcode::F32Ge:
    case Opcode::F64Ge: return compare_float(CmpInst::FCMP_OGE, a, b);
    case Opcode::F32Abs:
    case Opcode::F64Abs: return unary_intrinsic(llvm::Intrinsic::fabs, a);
    case Opcode::F32Neg:
    case Opcode::F64Neg: return b_.CreateFNeg(a);
    case Opcode::F32Ceil:
    case Opcode::F64Ceil: return module_.canonical_nan(unary_intrinsic(llvm::Intrinsic::ceil, a));
    case Opcode::F32Floor:
    case Opcode::F64Floor: return module_.canonical_nan(unary_intrinsic(llvm::Intrinsic::floor, a));
    case Opcode::F32Trunc:
    case Opcode::F64Trunc: return module_.canonical_nan(unary_intrinsic(llvm::Intrinsic::trunc, a));
    case Opcode::F32Nearest:
    case Opcode::F64Nearest: return module_.canonical_nan(unary_intrinsic(llvm::Intrinsic::roundeven, a));
    case Opcode::F32Sqrt:
    case Opcode::F64Sqrt: return module_.canonical_nan(unary_intrinsic(llvm::Intrinsic::sqrt, a));
    case Opcode::F32Add:
    case Opcode::F64Add: return arithmetic(b_.CreateFAdd(a, b));
    case Opcode::F32Sub:
    case Opcode::F64Sub: return arithmetic(b_.CreateFSub(a, b));
    case Opcode::F32Mul:
    case Opcode::F64Mul: return arithmetic(b_.CreateFMul(a, b));
    case Opcode::F32Div:
    case Opcode::F64Div: return arithmetic(b_.CreateFDiv(a, b));
    case Opcode::F32Min:
    case Opcode::F64Min: return arithmetic(minimum(a, b, false));
    case Opcode::F32Max:
    case Opcode::F64Max: return arithmetic(minimum(a, b, true));
    case Opcode::F32Copysign:
    case Opcode::F64Copysign: return b_.CreateCopySign(a, b);
    default: return nullptr;
  }
}

Value FunctionEmitter::convert(Opcode op, Value a) {
  auto sign_extend_low = [&](llvm::IntegerType* low) { return b_.CreateSExt(b_.CreateTrunc(a, low), a->getType()); };
  switch (op) {
    case Opcode::I32WrapI64: return b_.CreateTrunc(a, module_.i32);
    case Opcode::I64ExtendI32S: return b_.CreateSExt(a, module_.i64);
    case Opcode::I64ExtendI32U: return b_.CreateZExt(a, module_.i64);
    case Opcode::F32ConvertI32S:
    case Opcode::F32ConvertI64S: return b_.CreateSIToFP(a, module_.f32);
    case Opcode::F32ConvertI32U:
    case Opcode::F32ConvertI64U: return b_.CreateUIToFP(a, module_.f32);
    case Opcode::F64ConvertI32S:
    case Opcode::F64ConvertI64S: return b_.CreateSIToFP(a, module_.f64);
    case Opcode::F64ConvertI32U:
    case Opcode::F64ConvertI64U: return b_.CreateUIToFP(a, module_.f64);
    case Opcode::F32DemoteF64: return module_.canonical_nan(b_.CreateFPTrunc(a, module_.f32));
    case Opcode::F64PromoteF32:
      return module_.canonical_nan(b_.CreateFPExt(unary_intrinsic(llvm::Intrinsic::canonicalize, a), module_.f64));
    case Opcode::I32ReinterpretF32: return b_.CreateBitCast(a, module_.i32);
    case Opcode::I64ReinterpretF64: return b_.CreateBitCast(a, module_.i64);
    case Opcode::F32ReinterpretI32: return b_.CreateBitCast(a, module_.f32);
    case Opcode::F64ReinterpretI64: return b_.CreateBitCast(a, module_.f64);
    case Opcode::I32Extend8S:
    case Opcode::I64Extend8S: return sign_extend_low(module_.i8);
    case Opcode::I32Extend16S:
    case Opcode::I64Extend16S: return sign_extend_low(module_.i16);
    case Opcode::I64Extend32S: return sign_extend_low(module_.i32);
    case Opcode::I32Eqz:
    case Opcode::I64Eqz: return from_bool(b_.CreateICmpEQ(a, llvm::ConstantInt::get(a->getType(), 0)));
    case Opcode::I32Clz:
    case Opcode::I64Clz: return b_.CreateBinaryIntrinsic(llvm::Intrinsic::ctlz, a, b_.getFalse());
    case Opcode::I32Ctz:
    case Opcode::I64Ctz: return b_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, a, b_.getFalse());
    case Opcode::I32Popcnt:
    case Opcode::I64Popcnt: return unary_intrinsic(llvm::Intrinsic::ctpop, a);
    case Opcode::I32TruncF32S:
    case Opcode::I32TruncF32U:
    case Opcode::I32TruncF64S:
    case Opcode::I32TruncF64U:
    case Opcode::I64TruncF32S:
    case Opcode::I64TruncF32U:
    case Opcode::I64TruncF64S:
    case Opcode::I64TruncF64U: return truncate(op, a);
    default: return truncate_saturating(op, a);
  }
}

Value FunctionEmitter::numeric(Opcode op, std::span<const Value> v) {
  if (v.size() == 2)
    if (Value integer = integer_op(op, v[0], v[1])) return integer;
  if (Value number = float_op(op, v)) return number;
  return convert(op, v[0]);
}

void FunctionEmitter::wide(Opcode op, std::span<const Value> v, std::span<Value> results) {
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
    case Opcode::I64Add128: result = b_.CreateAdd(pair(v[0], v[1]), pair(v[2], v[3])); break;
    case Opcode::I64Sub128: result = b_.CreateSub(pair(v[0], v[1]), pair(v[2], v[3])); break;
    case Opcode::I64MulWideS: result = b_.CreateMul(signed_wide(v[0]), signed_wide(v[1])); break;
    default: result = b_.CreateMul(unsigned_wide(v[0]), unsigned_wide(v[1])); break;
  }
  results[0] = b_.CreateTrunc(result, module_.i64);
  results[1] = b_.CreateTrunc(b_.CreateLShr(result, 64), module_.i64);
}

}  // namespace rotor::jit
