// The instructions of structs, arrays and i31 (spec section 3.4.6 on), as the body decoder reads them. No sink is told
// of them yet: a module that has some is validated, and refused where it would be compiled.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "wasm/body_reader.h"
#include "wasm/module.h"
#include "wasm/opcodes.h"
#include "wasm/subtypes.h"

namespace rotor::wasm {

/// A part of the body decoder `Decoder`.
template <class Decoder>
class GcDecoder {
 protected:
  template <Opcode op>
  using Is = IsOpcode<op>;

  bool on(Is<Opcode::RefEq>) { return take({eqref(), eqref()}) && push(ValType::i32); }

  // Structs.
  bool on(Is<Opcode::StructNew>) {
    TypeIndex type{};
    const StructType* structure = reader().struct_type(type);
    if (!structure) return false;
    operands_.clear();
    for (const FieldType& field : structure->fields) operands_.push_back(unpacked(field));
    return take(operands_) && push_new(type);
  }
  bool on(Is<Opcode::StructNewDefault>) {
    TypeIndex type{};
    const StructType* structure = reader().struct_type(type);
    if (!structure) return false;
    for (const FieldType& field : structure->fields)
      if (!has_default(field)) return false;
    return push_new(type);
  }
  bool on(Is<Opcode::StructGet>) { return struct_get(/*is_packed=*/false); }
  bool on(Is<Opcode::StructGetS>) { return struct_get(/*is_packed=*/true); }
  bool on(Is<Opcode::StructGetU>) { return struct_get(/*is_packed=*/true); }
  bool on(Is<Opcode::StructSet>) {
    TypeIndex type{};
    const StructType* structure = reader().struct_type(type);
    const FieldType* field = structure ? reader().field(*structure) : nullptr;
    if (!field) return false;
    if (!field->is_mutable) return fail(Message::immutable_field);
    return take({ref_null(type), unpacked(*field)});
  }

  // Arrays.
  bool on(Is<Opcode::ArrayNew>) {
    TypeIndex type{};
    const ArrayType* array = reader().array_type(type);
    return array && take({unpacked(array->element), ValType::i32}) && push_new(type);
  }
  bool on(Is<Opcode::ArrayNewDefault>) {
    TypeIndex type{};
    const ArrayType* array = reader().array_type(type);
    return array && has_default(array->element) && take({ValType::i32}) && push_new(type);
  }
  bool on(Is<Opcode::ArrayNewFixed>) {
    TypeIndex type{};
    uint32_t count = 0;
    const ArrayType* array = reader().array_type(type);
    if (!array || !reader().fixed_count(count)) return false;
    operands_.assign(count, unpacked(array->element));
    return take(operands_) && push_new(type);
  }
  bool on(Is<Opcode::ArrayNewData>) {
    TypeIndex type{};
    const ArrayType* array = array_and_data(type);
    return array && take({ValType::i32, ValType::i32}) && push_new(type);
  }
  bool on(Is<Opcode::ArrayNewElem>) {
    TypeIndex type{};
    const ArrayType* array = array_and_elements(type);
    return array && take({ValType::i32, ValType::i32}) && push_new(type);
  }
  bool on(Is<Opcode::ArrayGet>) { return array_get(/*is_packed=*/false); }
  bool on(Is<Opcode::ArrayGetS>) { return array_get(/*is_packed=*/true); }
  bool on(Is<Opcode::ArrayGetU>) { return array_get(/*is_packed=*/true); }
  bool on(Is<Opcode::ArraySet>) {
    TypeIndex type{};
    const ArrayType* array = mutable_array(type);
    return array && take({ref_null(type), ValType::i32, unpacked(array->element)});
  }
  bool on(Is<Opcode::ArrayLen>) {
    return take({ValType::ref(HeapType::Abstract::array, /*nullable=*/true)}) && push(ValType::i32);
  }
  bool on(Is<Opcode::ArrayFill>) {
    TypeIndex type{};
    const ArrayType* array = mutable_array(type);
    return array && take({ref_null(type), ValType::i32, unpacked(array->element), ValType::i32});
  }
  bool on(Is<Opcode::ArrayCopy>) {
    TypeIndex to_type{}, from_type{};
    const ArrayType* to = reader().array_type(to_type);
    const ArrayType* from = to ? reader().array_type(from_type) : nullptr;
    if (!from) return false;
    if (!to->element.is_mutable) return fail(Message::immutable_array);
    const bool fits =
        to->element.packed == from->element.packed && matches(module(), unpacked(from->element), unpacked(to->element));
    if (!fits) return fail(Message::array_types_differ);
    return take({ref_null(to_type), ValType::i32, ref_null(from_type), ValType::i32, ValType::i32});
  }
  bool on(Is<Opcode::ArrayInitData>) {
    TypeIndex type{};
    const ArrayType* array = array_and_data(type);
    if (!array) return false;
    if (!array->element.is_mutable) return fail(Message::immutable_array);
    return take({ref_null(type), ValType::i32, ValType::i32, ValType::i32});
  }
  bool on(Is<Opcode::ArrayInitElem>) {
    TypeIndex type{};
    const ArrayType* array = array_and_elements(type);
    if (!array) return false;
    if (!array->element.is_mutable) return fail(Message::immutable_array);
    return take({ref_null(type), ValType::i32, ValType::i32, ValType::i32});
  }

  // Casts.
  bool on(Is<Opcode::RefTest>) { return test(); }
  bool on(Is<Opcode::RefTestNull>) { return test(); }
  bool on(Is<Opcode::RefCast>) { return cast(/*nullable=*/false); }
  bool on(Is<Opcode::RefCastNull>) { return cast(/*nullable=*/true); }
  bool on(Is<Opcode::BrOnCast>) { return branch_on_cast(/*on_failure=*/false); }
  bool on(Is<Opcode::BrOnCastFail>) { return branch_on_cast(/*on_failure=*/true); }
  bool on(Is<Opcode::AnyConvertExtern>) { return convert(HeapType::Abstract::extern_, HeapType::Abstract::any); }
  bool on(Is<Opcode::ExternConvertAny>) { return convert(HeapType::Abstract::any, HeapType::Abstract::extern_); }

  // i31.
  bool on(Is<Opcode::RefI31>) { return take({ValType::i32}) && push(i31ref().non_null()); }
  bool on(Is<Opcode::I31GetS>) { return take({i31ref()}) && push(ValType::i32); }
  bool on(Is<Opcode::I31GetU>) { return take({i31ref()}) && push(ValType::i32); }

 private:
  static ValType eqref() { return ValType::ref(HeapType::Abstract::eq, /*nullable=*/true); }
  static ValType i31ref() { return ValType::ref(HeapType::Abstract::i31, /*nullable=*/true); }
  Decoder& self() { return static_cast<Decoder&>(*this); }
  BodyReader& reader() { return self().reader_; }
  auto& state() { return self().state_; }
  const Module& module() { return self().module_; }
  ValType ref_null(TypeIndex type) { return module().ref_type(type).nullable_form(); }

  bool fail(Message message) { return reader().fail(message, state().offset()); }
  bool take(std::span<const ValType> types) {
    if (!state().require(types)) return false;
    state().drop(static_cast<uint32_t>(types.size()));
    return true;
  }
  bool take(std::initializer_list<ValType> types) { return take(std::span(types.begin(), types.size())); }
  bool push(ValType type) {
    state().push(type, {});
    return true;
  }
  bool push_new(TypeIndex type) { return push(module().ref_type(type)); }
  bool has_default(const FieldType& field) {
    if (unpacked(field).is_defaultable()) return true;
    return reader().fail_detail(Message::type_mismatch, state().offset(),
                                to_string(field.type) + " has no default value");
  }
  /// Checks that an instruction says how to extend what is packed, and only that.
  bool right_extension(const FieldType& field, bool is_packed) {
    if ((field.packed != FieldType::Packed::none) == is_packed) return true;
    return reader().fail_detail(Message::type_mismatch, state().offset(),
                                is_packed ? "what is read is not packed" : "what is read is packed");
  }

  bool struct_get(bool is_packed) {
    TypeIndex type{};
    const StructType* structure = reader().struct_type(type);
    const FieldType* field = structure ? reader().field(*structure) : nullptr;
    return field && right_extension(*field, is_packed) && take({ref_null(type)}) && push(unpacked(*field));
  }
  bool array_get(bool is_packed) {
    TypeIndex type{};
    const ArrayType* array = reader().array_type(type);
    return array && right_extension(array->element, is_packed) && take({ref_null(type), ValType::i32}) &&
           push(unpacked(array->element));
  }
  const ArrayType* mutable_array(TypeIndex& type) {
    const ArrayType* array = reader().array_type(type);
    if (!array || array->element.is_mutable) return array;
    fail(Message::immutable_array);
    return nullptr;
  }
  /// Reads an array type and a data segment that it can be filled from.
  const ArrayType* array_and_data(TypeIndex& type) {
    DataIndex segment{};
    const ArrayType* array = reader().array_type(type);
    if (!array || !reader().data_index(segment) || !reader().known(segment)) return nullptr;
    if (!unpacked(array->element).is_ref()) return array;
    fail(Message::array_of_references);
    return nullptr;
  }
  /// Reads an array type and an element segment that it can be filled from.
  const ArrayType* array_and_elements(TypeIndex& type) {
    ElemIndex segment{};
    const ArrayType* array = reader().array_type(type);
    if (!array || !reader().elem_index(segment) || !reader().known(segment)) return nullptr;
    const ValType have = module().elements[raw(segment)].type;
    const ValType wanted = unpacked(array->element);
    if (matches(module(), have, wanted)) return array;
    reader().fail_detail(Message::type_mismatch, state().offset(),
                         "elements are " + to_string(have) + ", not " + to_string(wanted));
    return nullptr;
  }

  /// Reads a heap type, and takes a reference off the stack that may be to something of it.
  bool take_castable(HeapType& type) {
    return reader().heap_type(type) && take({ValType::ref(top_of(module(), type), /*nullable=*/true)});
  }
  bool test() {
    HeapType type = HeapType::Abstract::any;
    return take_castable(type) && push(ValType::i32);
  }
  bool cast(bool nullable) {
    HeapType type = HeapType::Abstract::any;
    return take_castable(type) && push(ValType::ref(type, nullable));
  }
  bool branch_on_cast(bool on_failure) {
    const uint64_t start = reader().offset();
    uint8_t flags = 0;
    if (!reader().u8(flags)) return false;
    if (flags > 3) return reader().fail(Message::malformed_cast_flags, start);
    auto* target = self().label();
    HeapType from_heap = HeapType::Abstract::any, to_heap = HeapType::Abstract::any;
    if (!target || !reader().heap_type(from_heap) || !reader().heap_type(to_heap)) return false;
    const ValType from = ValType::ref(from_heap, flags & 1), to = ValType::ref(to_heap, flags & 2);
    if (!matches(module(), to, from))
      return reader().fail_detail(Message::type_mismatch, state().offset(),
                                  to_string(to) + " is no subtype of " + to_string(from));
    // Where the cast fails the reference is not null, if null would have passed.
    const ValType rest = to.nullable() ? from.non_null() : from;
    const auto wanted = target->label_types();
    if (wanted.empty())
      return reader().fail_detail(Message::type_mismatch, state().offset(), "the label takes no reference");
    if (!take({from}) || !push(on_failure ? rest : to) || !state().require(wanted)) return false;
    if (state().live()) target->branched = true;
    state().drop(1);
    return push(on_failure ? to : rest);
  }
  /// Converts between a reference of the host's and one of the guest's, null or not as it is.
  bool convert(HeapType from, HeapType to) {
    const bool nullable = state().has_operand() && state().top_type().is_ref() && state().top_type().nullable();
    return take({ValType::ref(from, /*nullable=*/true)}) && push(ValType::ref(to, nullable));
  }

  std::vector<ValType> operands_;
};

}  // namespace rotor::wasm
