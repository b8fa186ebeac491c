// The instructions of structs, arrays and i31 (spec section 3.4.6 on), as the body decoder reads them.
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

  bool on(Is<Opcode::RefEq>) {
    return apply({eqref(), eqref()}, ValType::i32, [&](auto v) { return sink().ref_eq(v[0], v[1]); });
  }

  // Structs.
  bool on(Is<Opcode::StructNew>) {
    TypeIndex type{};
    const StructType* structure = reader().struct_type(type);
    if (!structure) return false;
    operands_.clear();
    for (const FieldType& field : structure->fields) operands_.push_back(unpacked(field));
    return apply(operands_, module().ref_type(type), [&](auto v) { return sink().struct_new(type, *structure, v); });
  }
  bool on(Is<Opcode::StructNewDefault>) {
    TypeIndex type{};
    const StructType* structure = reader().struct_type(type);
    if (!structure) return false;
    for (const FieldType& field : structure->fields)
      if (!has_default(field)) return false;
    return apply({}, module().ref_type(type), [&](auto) { return sink().struct_new_default(type, *structure); });
  }
  bool on(Is<Opcode::StructGet>) { return struct_get(Extension::none); }
  bool on(Is<Opcode::StructGetS>) { return struct_get(Extension::is_signed); }
  bool on(Is<Opcode::StructGetU>) { return struct_get(Extension::is_unsigned); }
  bool on(Is<Opcode::StructSet>) {
    TypeIndex type{};
    uint32_t index = 0;
    const StructType* structure = reader().struct_type(type);
    const FieldType* field = structure ? reader().field(*structure, index) : nullptr;
    if (!field) return false;
    if (!field->is_mutable) return fail(Message::immutable_field);
    const ValType ref_type = actual(1, ref_null(type));
    return apply({ref_null(type), unpacked(*field)},
                 [&](auto v) { sink().struct_set(type, *structure, index, ref_type, v[0], v[1]); });
  }

  // Arrays.
  bool on(Is<Opcode::ArrayNew>) {
    TypeIndex type{};
    const ArrayType* array = reader().array_type(type);
    return array && apply({unpacked(array->element), ValType::i32}, module().ref_type(type),
                          [&](auto v) { return sink().array_new(type, *array, v[0], v[1]); });
  }
  bool on(Is<Opcode::ArrayNewDefault>) {
    TypeIndex type{};
    const ArrayType* array = reader().array_type(type);
    return array && has_default(array->element) && apply({ValType::i32}, module().ref_type(type), [&](auto v) {
             return sink().array_new_default(type, *array, v[0]);
           });
  }
  bool on(Is<Opcode::ArrayNewFixed>) {
    TypeIndex type{};
    uint32_t count = 0;
    const ArrayType* array = reader().array_type(type);
    if (!array || !reader().fixed_count(count)) return false;
    operands_.assign(count, unpacked(array->element));
    return apply(operands_, module().ref_type(type), [&](auto v) { return sink().array_new_fixed(type, *array, v); });
  }
  bool on(Is<Opcode::ArrayNewData>) {
    TypeIndex type{};
    DataIndex segment{};
    return array_and_data(type, segment) && apply({ValType::i32, ValType::i32}, module().ref_type(type), [&](auto v) {
             return sink().array_new_data(type, segment, v[0], v[1]);
           });
  }
  bool on(Is<Opcode::ArrayNewElem>) {
    TypeIndex type{};
    ElemIndex segment{};
    return array_and_elements(type, segment) &&
           apply({ValType::i32, ValType::i32}, module().ref_type(type),
                 [&](auto v) { return sink().array_new_elem(type, segment, v[0], v[1]); });
  }
  bool on(Is<Opcode::ArrayGet>) { return array_get(Extension::none); }
  bool on(Is<Opcode::ArrayGetS>) { return array_get(Extension::is_signed); }
  bool on(Is<Opcode::ArrayGetU>) { return array_get(Extension::is_unsigned); }
  bool on(Is<Opcode::ArraySet>) {
    TypeIndex type{};
    const ArrayType* array = mutable_array(type);
    if (!array) return false;
    const ValType ref_type = actual(2, ref_null(type));
    return apply({ref_null(type), ValType::i32, unpacked(array->element)},
                 [&](auto v) { sink().array_set(*array, ref_type, v[0], v[1], v[2]); });
  }
  bool on(Is<Opcode::ArrayLen>) {
    const ValType arrayref = ValType::ref(HeapType::Abstract::array, /*nullable=*/true);
    const ValType ref_type = actual(0, arrayref);
    return apply({arrayref}, ValType::i32, [&](auto v) { return sink().array_len(ref_type, v[0]); });
  }
  bool on(Is<Opcode::ArrayFill>) {
    TypeIndex type{};
    const ArrayType* array = mutable_array(type);
    if (!array) return false;
    const ValType ref_type = actual(3, ref_null(type));
    return apply({ref_null(type), ValType::i32, unpacked(array->element), ValType::i32},
                 [&](auto v) { sink().array_fill(*array, ref_type, v[0], v[1], v[2], v[3]); });
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
    return apply({ref_null(to_type), ValType::i32, ref_null(from_type), ValType::i32, ValType::i32},
                 [&](auto v) { sink().array_copy(*to, v[0], v[1], v[2], v[3], v[4]); });
  }
  bool on(Is<Opcode::ArrayInitData>) {
    TypeIndex type{};
    DataIndex segment{};
    const ArrayType* array = array_and_data(type, segment);
    if (!array) return false;
    if (!array->element.is_mutable) return fail(Message::immutable_array);
    return apply({ref_null(type), ValType::i32, ValType::i32, ValType::i32},
                 [&](auto v) { sink().array_init_data(*array, segment, v[0], v[1], v[2], v[3]); });
  }
  bool on(Is<Opcode::ArrayInitElem>) {
    TypeIndex type{};
    ElemIndex segment{};
    const ArrayType* array = array_and_elements(type, segment);
    if (!array) return false;
    if (!array->element.is_mutable) return fail(Message::immutable_array);
    return apply({ref_null(type), ValType::i32, ValType::i32, ValType::i32},
                 [&](auto v) { sink().array_init_elem(*array, segment, v[0], v[1], v[2], v[3]); });
  }

  // Casts.
  bool on(Is<Opcode::RefTest>) { return test(/*nullable=*/false); }
  bool on(Is<Opcode::RefTestNull>) { return test(/*nullable=*/true); }
  bool on(Is<Opcode::RefCast>) { return cast(/*nullable=*/false); }
  bool on(Is<Opcode::RefCastNull>) { return cast(/*nullable=*/true); }
  bool on(Is<Opcode::BrOnCast>) { return branch_on_cast(/*on_failure=*/false); }
  bool on(Is<Opcode::BrOnCastFail>) { return branch_on_cast(/*on_failure=*/true); }
  bool on(Is<Opcode::AnyConvertExtern>) {
    return convert(HeapType::Abstract::extern_, HeapType::Abstract::any,
                   [&](auto v) { return sink().any_convert_extern(v[0]); });
  }
  bool on(Is<Opcode::ExternConvertAny>) {
    return convert(HeapType::Abstract::any, HeapType::Abstract::extern_,
                   [&](auto v) { return sink().extern_convert_any(v[0]); });
  }

  // i31.
  bool on(Is<Opcode::RefI31>) {
    return apply({ValType::i32}, i31ref().non_null(), [&](auto v) { return sink().ref_i31(v[0]); });
  }
  bool on(Is<Opcode::I31GetS>) { return i31_get(/*is_signed=*/true); }
  bool on(Is<Opcode::I31GetU>) { return i31_get(/*is_signed=*/false); }

 private:
  static ValType eqref() { return ValType::ref(HeapType::Abstract::eq, /*nullable=*/true); }
  static ValType i31ref() { return ValType::ref(HeapType::Abstract::i31, /*nullable=*/true); }
  Decoder& self() { return static_cast<Decoder&>(*this); }
  BodyReader& reader() { return self().reader_; }
  auto& state() { return self().state_; }
  auto& sink() { return *self().sink_; }
  const Module& module() { return self().module_; }
  ValType ref_null(TypeIndex type) { return module().ref_type(type).nullable_form(); }

  bool fail(Message message) { return reader().fail(message, state().offset()); }
  /// Returns the type of an operand, counted from the top of the stack: what it is known to be, which is `wanted` or
  /// more. Called before the operands are required; what does not match is found there.
  ValType actual(uint32_t depth, ValType wanted) {
    const ValType type = state().type_at(depth);
    return type.is_ref() ? type : wanted;
  }
  /// Requires operands and takes them off the stack, and reports them through `event(operands)`.
  template <class Event>
  bool apply(std::span<const ValType> types, Event event) {
    if (!state().require(types)) return false;
    const auto count = static_cast<uint32_t>(types.size());
    if (state().live()) event(state().window(count));
    state().drop(count);
    return true;
  }
  /// Does the same where `event` returns a result, of type `result`.
  template <class Event>
  bool apply(std::span<const ValType> types, ValType result, Event event) {
    if (!state().require(types)) return false;
    const auto count = static_cast<uint32_t>(types.size());
    typename Decoder::Value value{};
    if (state().live()) value = event(state().window(count));
    state().drop(count);
    state().push(result, value);
    return true;
  }
  template <class Event>
  bool apply(std::initializer_list<ValType> types, Event event) {
    return apply(std::span(types.begin(), types.size()), event);
  }
  template <class Event>
  bool apply(std::initializer_list<ValType> types, ValType result, Event event) {
    return apply(std::span(types.begin(), types.size()), result, event);
  }
  bool has_default(const FieldType& field) {
    if (unpacked(field).is_defaultable()) return true;
    return reader().fail_detail(Message::type_mismatch, state().offset(),
                                to_string(field.type) + " has no default value");
  }
  /// How an instruction extends what is packed.
  enum class Extension : uint8_t { none, is_signed, is_unsigned };
  /// Checks that an instruction says how to extend what is packed, and only that.
  bool right_extension(const FieldType& field, Extension extension) {
    const bool is_packed = extension != Extension::none;
    if ((field.packed != FieldType::Packed::none) == is_packed) return true;
    return reader().fail_detail(Message::type_mismatch, state().offset(),
                                is_packed ? "what is read is not packed" : "what is read is packed");
  }

  bool struct_get(Extension extension) {
    TypeIndex type{};
    uint32_t index = 0;
    const StructType* structure = reader().struct_type(type);
    const FieldType* field = structure ? reader().field(*structure, index) : nullptr;
    if (!field || !right_extension(*field, extension)) return false;
    const ValType ref_type = actual(0, ref_null(type));
    return apply({ref_null(type)}, unpacked(*field), [&](auto v) {
      return sink().struct_get(type, *structure, index, extension == Extension::is_signed, ref_type, v[0]);
    });
  }
  bool array_get(Extension extension) {
    TypeIndex type{};
    const ArrayType* array = reader().array_type(type);
    if (!array || !right_extension(array->element, extension)) return false;
    const ValType ref_type = actual(1, ref_null(type));
    return apply({ref_null(type), ValType::i32}, unpacked(array->element), [&](auto v) {
      return sink().array_get(*array, extension == Extension::is_signed, ref_type, v[0], v[1]);
    });
  }
  bool i31_get(bool is_signed) {
    const ValType ref_type = actual(0, i31ref());
    return apply({i31ref()}, ValType::i32, [&](auto v) { return sink().i31_get(is_signed, ref_type, v[0]); });
  }
  const ArrayType* mutable_array(TypeIndex& type) {
    const ArrayType* array = reader().array_type(type);
    if (!array || array->element.is_mutable) return array;
    fail(Message::immutable_array);
    return nullptr;
  }
  /// Reads an array type and a data segment that it can be filled from.
  const ArrayType* array_and_data(TypeIndex& type, DataIndex& segment) {
    const ArrayType* array = reader().array_type(type);
    if (!array || !reader().data_index(segment) || !reader().known(segment)) return nullptr;
    if (!unpacked(array->element).is_ref()) return array;
    fail(Message::array_of_references);
    return nullptr;
  }
  /// Reads an array type and an element segment that it can be filled from.
  const ArrayType* array_and_elements(TypeIndex& type, ElemIndex& segment) {
    const ArrayType* array = reader().array_type(type);
    if (!array || !reader().elem_index(segment) || !reader().known(segment)) return nullptr;
    const ValType have = module().elements[raw(segment)].type;
    const ValType wanted = unpacked(array->element);
    if (matches(module(), have, wanted)) return array;
    reader().fail_detail(Message::type_mismatch, state().offset(),
                         "elements are " + to_string(have) + ", not " + to_string(wanted));
    return nullptr;
  }

  /// Reads the type that a test or cast is for; `from` is what it takes, and `known` what the operand is known to be.
  bool castable(bool nullable, ValType& from, ValType& to, ValType& known) {
    HeapType heap = HeapType::Abstract::any;
    if (!reader().heap_type(heap)) return false;
    from = ValType::ref(top_of(module(), heap), /*nullable=*/true);
    to = ValType::ref(heap, nullable);
    known = actual(0, from);
    return true;
  }
  bool test(bool nullable) {
    ValType from, to, known;
    return castable(nullable, from, to, known) &&
           apply({from}, ValType::i32, [&](auto v) { return sink().ref_test(known, to, v[0]); });
  }
  bool cast(bool nullable) {
    ValType from, to, known;
    return castable(nullable, from, to, known) &&
           apply({from}, to, [&](auto v) { return sink().ref_cast(known, to, v[0]); });
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
    const ValType known = actual(0, from);
    if (!state().require({&from, 1})) return false;
    const auto value = state().top();
    auto replace = [&](ValType type) {
      state().drop(1);
      state().push(type, value);
    };
    replace(on_failure ? rest : to);
    if (!state().require(wanted)) return false;
    if (state().live()) {
      target->branched = true;
      const auto args = state().window(static_cast<uint32_t>(wanted.size()));
      if (on_failure)
        sink().br_on_cast_fail(target->control, known, to, args);
      else
        sink().br_on_cast(target->control, known, to, args);
    }
    replace(on_failure ? to : rest);
    return true;
  }
  /// Reports a conversion between a reference of the host's and one of the guest's, null or not as it is.
  template <class Event>
  bool convert(HeapType from, HeapType to, Event event) {
    const ValType wanted = ValType::ref(from, /*nullable=*/true);
    const bool nullable = actual(0, wanted).nullable();
    return apply({wanted}, ValType::ref(to, nullable), event);
  }

  std::vector<ValType> operands_;
};

}  // namespace rotor::wasm
