#include "wasm/subtypes.h"

#include <algorithm>

#include "wasm/limits.h"

namespace rotor::wasm {

namespace {

using Abstract = HeapType::Abstract;

/// Returns the abstract heap type that a defined type is one of.
Abstract kind_of(const Module& module, HeapType type) {
  const CompositeType& composite = module.types[type.type_index()].composite;
  if (std::holds_alternative<FuncType>(composite)) return Abstract::func;
  return std::holds_alternative<StructType>(composite) ? Abstract::struct_ : Abstract::array;
}

/// Returns whether a defined type is another, or has it among its supertypes. There are at most kMaxSubtypingDepth.
bool descends(const Module& module, uint32_t type, uint32_t from) {
  while (type != from) {
    const SubType& known = module.types[type];
    if (known.supertypes.empty()) return false;
    type = raw(known.supertypes.front());
  }
  return true;
}

bool all_match(const Module& module, const std::vector<ValType>& actual, const std::vector<ValType>& wanted) {
  return std::ranges::equal(actual, wanted, [&](ValType a, ValType b) { return matches(module, a, b); });
}

bool composite_matches(const Module& module, const FuncType& actual, const FuncType& wanted) {
  return all_match(module, wanted.params, actual.params) && all_match(module, actual.results, wanted.results);
}

bool composite_matches(const Module& module, const StructType& actual, const StructType& wanted) {
  if (actual.fields.size() < wanted.fields.size()) return false;
  for (size_t i = 0; i < wanted.fields.size(); ++i)
    if (!matches(module, actual.fields[i], wanted.fields[i])) return false;
  return true;
}

bool composite_matches(const Module& module, const ArrayType& actual, const ArrayType& wanted) {
  return matches(module, actual.element, wanted.element);
}

}  // namespace

bool matches(const Module& module, HeapType actual, HeapType wanted) {
  if (actual == wanted) return true;
  if (actual.is_concrete()) {
    if (wanted.is_concrete()) return descends(module, actual.type_index(), wanted.type_index());
    return matches(kind_of(module, actual), wanted.abstract());
  }
  if (!wanted.is_concrete()) return matches(actual.abstract(), wanted.abstract());
  if (actual == HeapType(Abstract::bottom)) return true;
  return actual == HeapType(kind_of(module, wanted) == Abstract::func ? Abstract::nofunc : Abstract::none);
}

bool matches(const Module& module, ValType actual, ValType wanted) {
  if (actual == wanted || actual.is_bottom()) return true;
  if (!actual.is_ref() || !wanted.is_ref()) return false;
  return (wanted.nullable() || !actual.nullable()) && matches(module, actual.heap(), wanted.heap());
}

bool matches(const Module& module, const FieldType& actual, const FieldType& wanted) {
  if (actual.is_mutable != wanted.is_mutable || actual.packed != wanted.packed) return false;
  return actual.is_mutable ? actual.type == wanted.type : matches(module, actual.type, wanted.type);
}

HeapType::Abstract top_of(const Module& module, HeapType type) {
  using enum HeapType::Abstract;
  switch (type.is_concrete() ? kind_of(module, type) : type.abstract()) {
    case func:
    case nofunc: return func;
    case extern_:
    case noextern: return extern_;
    case exn:
    case noexn: return exn;
    default: return any;
  }
}

bool check_supertype(ErrorSlot& errors, const Module& module, TypeIndex index, uint64_t offset) {
  const SubType& type = module.types[raw(index)];
  if (type.supertypes.empty()) return true;
  const auto fail = [&](const char* why) {
    return errors.fail_detail(Message::sub_type, offset, "type " + std::to_string(raw(index)) + ' ' + why);
  };
  if (type.supertypes.size() > 1) return fail("has more than one supertype");
  const SubType& super = module.types[raw(type.supertypes.front())];
  if (super.is_final) return fail("has a supertype that is final");
  if (type.depth > kMaxSubtypingDepth)
    return errors.fail_limit(Message::limit_subtyping, offset, type.depth, kMaxSubtypingDepth);
  const bool fits = std::visit(
      [&](const auto& composite) {
        const auto* wanted = std::get_if<std::remove_cvref_t<decltype(composite)>>(&super.composite);
        return wanted && composite_matches(module, composite, *wanted);
      },
      type.composite);
  return fits || fail("does not match its supertype");
}

}  // namespace rotor::wasm
