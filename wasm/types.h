// Index spaces and defined types (spec section 2.3), modelled for WebAssembly 3.0.
#pragma once

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "rotor/value.h"

namespace rotor::wasm {

// Indices are distinct types: a function index is no type index.
enum class TypeIndex : uint32_t {};
enum class FuncIndex : uint32_t {};
enum class TableIndex : uint32_t {};
enum class MemoryIndex : uint32_t {};
enum class GlobalIndex : uint32_t {};
enum class ElemIndex : uint32_t {};
enum class DataIndex : uint32_t {};
enum class LocalIndex : uint32_t {};
enum class TagIndex : uint32_t {};

/// Returns the number in an index.
template <class Index>
constexpr uint32_t raw(Index index) {
  return std::to_underlying(index);
}

/// Return the type of a memory's addresses, or of a table's indices.
inline ValType index_type(const MemoryType& type) { return type.is64 ? ValType::i64 : ValType::i32; }
inline ValType index_type(const TableType& type) { return type.is64 ? ValType::i64 : ValType::i32; }

/// Storage of a field (GC): a value type or a packed integer.
struct FieldType {
  enum class Packed : uint8_t { none, i8, i16 };
  ValType type;
  Packed packed = Packed::none;
  bool is_mutable = false;
  bool operator==(const FieldType&) const = default;
};
struct StructType {
  std::vector<FieldType> fields;
  bool operator==(const StructType&) const = default;
};
struct ArrayType {
  FieldType element;
  bool operator==(const ArrayType&) const = default;
};
using CompositeType = std::variant<FuncType, StructType, ArrayType>;

/// One defined type: a composite type, its declared supertypes and whether it may have subtypes.
struct SubType {
  bool is_final = true;
  std::vector<TypeIndex> supertypes;  ///< one at most
  CompositeType composite;
  uint32_t depth = 0;  ///< the number of types above it
};

/// A recursion group: types [first, first + count) of the module's type index space.
struct RecGroup {
  uint32_t first = 0;
  uint32_t count = 1;
};

/// Calls `visit` with each value type that a composite type is made of.
template <class Composite, class Visit>
void for_each_type(Composite& composite, Visit&& visit) {
  if (auto* func = std::get_if<FuncType>(&composite)) {
    for (auto& type : func->params) visit(type);
    for (auto& type : func->results) visit(type);
  } else if (auto* structure = std::get_if<StructType>(&composite)) {
    for (auto& field : structure->fields) visit(field.type);
  } else {
    visit(std::get<ArrayType>(composite).element.type);
  }
}

/// Returns whether an abstract heap type is `wanted`, or lies below it (spec section 3.3.3).
bool matches(HeapType::Abstract actual, HeapType::Abstract wanted);

}  // namespace rotor::wasm
