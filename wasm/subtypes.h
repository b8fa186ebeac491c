// Subtyping (spec section 3.3) among the types of a module.
#pragma once

#include <cstdint>

#include "wasm/errors.h"
#include "wasm/module.h"

namespace rotor::wasm {

/// Returns whether something of type `actual` may stand where one of type `wanted` is required. The indices of defined
/// types are canonical on both sides: equal types have equal indices.
bool matches(const Module& module, HeapType actual, HeapType wanted);
bool matches(const Module& module, ValType actual, ValType wanted);
/// Does the same for fields: of one that can be changed the types are equal.
bool matches(const Module& module, const FieldType& actual, const FieldType& wanted);

/// Returns the heap type that all those match which have something in common with this one: any, func, extern or exn.
HeapType::Abstract top_of(const Module& module, HeapType type);

/// Returns what the value in a field is on the stack: an i32 for a packed integer.
inline ValType unpacked(const FieldType& field) {
  return field.packed == FieldType::Packed::none ? field.type : ValType::i32;
}

/// Checks that a type is one of the kind that its declared supertype is (spec section 3.2.12). Pre: the types before it
/// were checked, and its `depth` is set. Errors: sub type; limit (kMaxSubtypingDepth).
bool check_supertype(ErrorSlot& errors, const Module& module, TypeIndex index, uint64_t offset);

}  // namespace rotor::wasm
