#include "wasm/const_expr.h"

#include <array>
#include <utility>

#include "wasm/limits.h"

namespace rotor::wasm {

namespace {

/// Returns whether an opcode is an instruction of a proposal that this engine supports.
bool is_plain_opcode(Opcode op) {
  switch (op) {
#define ROTOR_OP(code, Name, text, immediate, signature, feature) \
  case Opcode::Name: return feature_state(Feature::feature) != FeatureState::unsupported;
#include "wasm/opcodes.def"
  }
  return false;
}

bool read_index(ByteReader& reader, uint64_t& out) {
  uint32_t index = 0;
  if (!reader.u32(index)) return false;
  out = index;
  return true;
}

bool read_immediate(ByteReader& reader, const TypeScope& scope, uint64_t start, ConstInstr& out) {
  switch (out.op) {
    case Opcode::I32Const: {
      int32_t value = 0;
      if (!reader.s32(value)) return false;
      out.bits = static_cast<uint32_t>(value);
      return true;
    }
    case Opcode::I64Const: {
      int64_t value = 0;
      if (!reader.s64(value)) return false;
      out.bits = static_cast<uint64_t>(value);
      return true;
    }
    case Opcode::F32Const: {
      uint32_t bits = 0;
      if (!reader.f32_bits(bits)) return false;
      out.bits = bits;
      return true;
    }
    case Opcode::F64Const: return reader.f64_bits(out.bits);
    case Opcode::V128Const:
      if (!(scope.enabled & feature_bit(Feature::simd))) return reader.fail_unsupported(Feature::simd, start);
      scope.used |= feature_bit(Feature::simd);
      return reader.f64_bits(out.bits) && reader.f64_bits(out.high_bits);
    case Opcode::GlobalGet: return read_index(reader, out.bits);
    case Opcode::RefNull: {
      HeapType heap = HeapType::Abstract::func;
      if (!read_heap_type(reader, scope, heap)) return false;
      out.type = ValType::ref(heap, /*nullable=*/true);
      scope.used |= feature_bit(Feature::reference_types);
      return true;
    }
    case Opcode::RefFunc: scope.used |= feature_bit(Feature::reference_types); return read_index(reader, out.bits);
    case Opcode::I32Add:
    case Opcode::I32Sub:
    case Opcode::I32Mul:
    case Opcode::I64Add:
    case Opcode::I64Sub:
    case Opcode::I64Mul:
      if (!(scope.enabled & feature_bit(Feature::extended_const))) {
        return reader.fail_unsupported(Feature::extended_const, start);
      }
      scope.used |= feature_bit(Feature::extended_const);
      return true;
    default:
      if (is_plain_opcode(out.op)) return reader.fail(Message::constant_expression_required, start);
      return reader.fail_opcode(start, std::to_underlying(out.op));
  }
}

/// The type of an instruction's result, and the number of its operands.
struct Effect {
  ValType type;
  uint32_t operands = 0;
};

bool effect_of(ErrorSlot& errors, const Module& module, const ConstExpr& expr, const ConstInstr& instr,
               size_t visible_globals, Effect& out) {
  switch (instr.op) {
    case Opcode::I32Const: out = {ValType::i32}; return true;
    case Opcode::I64Const: out = {ValType::i64}; return true;
    case Opcode::F32Const: out = {ValType::f32}; return true;
    case Opcode::F64Const: out = {ValType::f64}; return true;
    case Opcode::V128Const: out = {ValType::v128}; return true;
    case Opcode::RefNull: out = {instr.type}; return true;
    case Opcode::RefFunc:
      if (instr.bits >= module.funcs.size()) {
        return errors.fail_index(Message::unknown_function, expr.offset, instr.bits);
      }
      // An imported or defined function's type is valid here: function types were checked first.
      out = {module.ref_type(module.funcs[instr.bits])};
      return true;
    case Opcode::GlobalGet: {
      if (instr.bits >= visible_globals) return errors.fail_index(Message::unknown_global, expr.offset, instr.bits);
      const GlobalType& type = module.globals[instr.bits].type;
      if (type.is_mutable) return errors.fail(Message::constant_expression_required, expr.offset);
      out = {type.value};
      return true;
    }
    case Opcode::I32Add:
    case Opcode::I32Sub:
    case Opcode::I32Mul: out = {ValType::i32, 2}; return true;
    case Opcode::I64Add:
    case Opcode::I64Sub:
    case Opcode::I64Mul: out = {ValType::i64, 2}; return true;
    default: return errors.fail(Message::constant_expression_required, expr.offset);
  }
}

}  // namespace

bool read_const_expr(ByteReader& reader, const TypeScope& scope, ConstExpr& out) {
  out.offset = reader.offset();
  for (;;) {
    uint64_t start = reader.offset();
    uint32_t code = 0;
    if (!reader.opcode(code)) return false;
    ConstInstr instr{.op = Opcode(code), .bits = 0, .type = {}, .high_bits = 0};
    if (instr.op == Opcode::End) return true;
    if (out.code.size() == kMaxConstInstructions) {
      return reader.fail_limit(Message::limit_const_expr, start, out.code.size() + 1, kMaxConstInstructions);
    }
    if (!read_immediate(reader, scope, start, instr)) return false;
    out.code.push_back(instr);
  }
}

bool check_const_expr(ErrorSlot& errors, const Module& module, const ConstExpr& expr, ValType wanted,
                      size_t visible_globals) {
  const std::array<ValType, 1> want = {wanted};
  std::vector<ValType> stack;
  for (const ConstInstr& instr : expr.code) {
    Effect effect;
    if (!effect_of(errors, module, expr, instr, visible_globals, effect)) return false;
    if (effect.operands == 2) {
      const std::array<ValType, 2> operands = {effect.type, effect.type};
      size_t have = stack.size();
      if (have < 2 || stack[have - 1] != effect.type || stack[have - 2] != effect.type) {
        return errors.fail_stack(expr.offset, operands, stack);
      }
      stack.resize(have - 2);
    }
    stack.push_back(effect.type);
  }
  if (stack.size() != 1 || !matches(stack[0], wanted)) return errors.fail_stack(expr.offset, want, stack);
  return true;
}

}  // namespace rotor::wasm
