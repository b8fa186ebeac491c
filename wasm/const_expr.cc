#include "wasm/const_expr.h"

#include <array>
#include <span>
#include <string>
#include <utility>

#include "wasm/limits.h"
#include "wasm/subtypes.h"

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
      return use_feature(reader, scope, Feature::simd, start) && reader.f64_bits(out.bits) &&
             reader.f64_bits(out.high_bits);
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
    case Opcode::I64Mul: return use_feature(reader, scope, Feature::extended_const, start);
    case Opcode::StructNew:
    case Opcode::StructNewDefault:
    case Opcode::ArrayNew:
    case Opcode::ArrayNewDefault: return use_feature(reader, scope, Feature::gc, start) && read_index(reader, out.bits);
    case Opcode::ArrayNewFixed: {
      uint32_t count = 0;
      if (!use_feature(reader, scope, Feature::gc, start) || !read_index(reader, out.bits) ||
          !read_fixed_count(reader, count))
        return false;
      out.high_bits = count;
      return true;
    }
    case Opcode::RefI31:
    case Opcode::AnyConvertExtern:
    case Opcode::ExternConvertAny: return use_feature(reader, scope, Feature::gc, start);
    default:
      if (is_plain_opcode(out.op)) return reader.fail(Message::constant_expression_required, start);
      return reader.fail_opcode(start, std::to_underlying(out.op));
  }
}

/// Checks one expression: a machine over the types of its operands.
class ConstChecker {
 public:
  ConstChecker(ErrorSlot& errors, const Module& module, const ConstExpr& expr, size_t visible_globals)
      : errors_(errors), module_(module), expr_(expr), visible_globals_(visible_globals) {}

  bool run(ValType wanted) {
    for (const ConstInstr& instr : expr_.code)
      if (!step(instr)) return false;
    if (stack_.size() != 1 || !matches(module_, stack_[0], wanted))
      return errors_.fail_stack(expr_.offset, std::array{wanted}, stack_);
    return true;
  }

 private:
  bool push(ValType type) {
    stack_.push_back(type);
    return true;
  }
  /// Takes operands of these types off the stack.
  bool take(std::span<const ValType> wanted) {
    if (stack_.size() < wanted.size()) return errors_.fail_stack(expr_.offset, wanted, stack_);
    const auto actual = std::span(stack_).last(wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i)
      if (!matches(module_, actual[i], wanted[i])) return errors_.fail_stack(expr_.offset, wanted, stack_);
    stack_.resize(stack_.size() - wanted.size());
    return true;
  }
  bool binary(ValType type) { return take(std::array{type, type}) && push(type); }

  template <class Composite>
  const Composite* type_of(const ConstInstr& instr) {
    if (instr.bits >= module_.types.size()) {
      errors_.fail_index(Message::unknown_type, expr_.offset, instr.bits);
      return nullptr;
    }
    const auto* type = std::get_if<Composite>(&module_.types[instr.bits].composite);
    if (!type)
      errors_.fail_detail(Message::type_mismatch, expr_.offset,
                          "type " + std::to_string(instr.bits) + " is of another kind");
    return type;
  }
  bool default_of(const FieldType& field) {
    if (unpacked(field).is_defaultable()) return true;
    return errors_.fail_detail(Message::type_mismatch, expr_.offset, to_string(field.type) + " has no default value");
  }
  bool push_new(const ConstInstr& instr) {
    return push(module_.ref_type(TypeIndex(static_cast<uint32_t>(instr.bits))));
  }

  bool structure(const ConstInstr& instr) {
    const auto* type = type_of<StructType>(instr);
    if (!type) return false;
    std::vector<ValType> operands;
    for (const FieldType& field : type->fields) {
      if (instr.op == Opcode::StructNew)
        operands.push_back(unpacked(field));
      else if (!default_of(field))
        return false;
    }
    return take(operands) && push_new(instr);
  }
  bool array(const ConstInstr& instr) {
    const auto* type = type_of<ArrayType>(instr);
    if (!type) return false;
    const ValType element = unpacked(type->element);
    if (instr.op == Opcode::ArrayNewFixed) return take(std::vector(instr.high_bits, element)) && push_new(instr);
    if (!take(std::array{ValType::i32})) return false;
    return (instr.op == Opcode::ArrayNew ? take(std::array{element}) : default_of(type->element)) && push_new(instr);
  }
  /// Converts between a reference of the host's and one of the guest's, null or not as it is.
  bool convert(HeapType from, HeapType to) {
    const bool nullable = stack_.empty() || stack_.back().nullable();
    return take(std::array{ValType::ref(from, true)}) && push(ValType::ref(to, nullable));
  }

  bool step(const ConstInstr& instr) {
    switch (instr.op) {
      case Opcode::I32Const: return push(ValType::i32);
      case Opcode::I64Const: return push(ValType::i64);
      case Opcode::F32Const: return push(ValType::f32);
      case Opcode::F64Const: return push(ValType::f64);
      case Opcode::V128Const: return push(ValType::v128);
      case Opcode::RefNull: return push(instr.type);
      case Opcode::RefFunc:
        if (instr.bits >= module_.funcs.size())
          return errors_.fail_index(Message::unknown_function, expr_.offset, instr.bits);
        // An imported or defined function's type is valid here: function types were checked first.
        return push(module_.ref_type(module_.funcs[instr.bits]));
      case Opcode::GlobalGet: {
        if (instr.bits >= visible_globals_)
          return errors_.fail_index(Message::unknown_global, expr_.offset, instr.bits);
        const GlobalType& type = module_.globals[instr.bits].type;
        if (type.is_mutable) return errors_.fail(Message::constant_expression_required, expr_.offset);
        return push(type.value);
      }
      case Opcode::I32Add:
      case Opcode::I32Sub:
      case Opcode::I32Mul: return binary(ValType::i32);
      case Opcode::I64Add:
      case Opcode::I64Sub:
      case Opcode::I64Mul: return binary(ValType::i64);
      case Opcode::StructNew:
      case Opcode::StructNewDefault: return structure(instr);
      case Opcode::ArrayNew:
      case Opcode::ArrayNewDefault:
      case Opcode::ArrayNewFixed: return array(instr);
      case Opcode::RefI31:
        return take(std::array{ValType::i32}) && push(ValType::ref(HeapType::Abstract::i31, /*nullable=*/false));
      case Opcode::AnyConvertExtern: return convert(HeapType::Abstract::extern_, HeapType::Abstract::any);
      case Opcode::ExternConvertAny: return convert(HeapType::Abstract::any, HeapType::Abstract::extern_);
      default: return errors_.fail(Message::constant_expression_required, expr_.offset);
    }
  }

  ErrorSlot& errors_;
  const Module& module_;
  const ConstExpr& expr_;
  const size_t visible_globals_;
  std::vector<ValType> stack_;
};

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
  return ConstChecker(errors, module, expr, visible_globals).run(wanted);
}

}  // namespace rotor::wasm
