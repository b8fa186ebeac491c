// Reading types (spec section 5.3). A type that an unsupported proposal added is an error that names the proposal.
#pragma once

#include <cstdint>

#include "wasm/features.h"
#include "wasm/module.h"
#include "wasm/reader.h"

namespace rotor::wasm {

/// The types that a type may refer to, and the features that it may use.
struct TypeScope {
  const Module& module;  ///< whose types are known
  uint32_t enabled;      ///< one bit a Feature
  uint32_t& used;        ///< receives the bits of the features seen
};

/// Notes a feature as used. Returns false, with an error at `offset`, if it is off.
bool use_feature(ByteReader& reader, const TypeScope& scope, Feature feature, uint64_t offset);

/// Reads the number of operands of an array.new_fixed. Errors: limit.
bool read_fixed_count(ByteReader& reader, uint32_t& out);

/// Read a type. The index of a concrete heap type is replaced by that of its canonical type.
bool read_value_type(ByteReader& reader, const TypeScope& scope, ValType& out);
bool read_ref_type(ByteReader& reader, const TypeScope& scope, ValType& out);
bool read_heap_type(ByteReader& reader, const TypeScope& scope, HeapType& out);

/// Reads the types that several sections share.
class TypeReader {
 public:
  TypeReader(ByteReader& reader, const TypeScope& scope) : reader_(reader), scope_(scope) {}

  bool func_type(FuncType& out);
  /// Reads a type of a recursion group, which is to be type `index` of the module.
  bool sub_type(SubType& out, uint32_t index);
  bool table_type(TableType& out);
  bool memory_type(MemoryType& out);
  bool global_type(GlobalType& out);

 private:
  bool supertypes(SubType& out, uint32_t index);
  bool composite_type(CompositeType& out);
  bool field_type(FieldType& out);
  bool type_list(std::vector<ValType>& out, Message too_many, uint32_t max);
  bool limits(uint8_t flags, SizeLimits& out);
  bool page_size(MemoryType& out);
  bool mutability(bool& out);
  bool use(Feature feature, uint64_t start) { return use_feature(reader_, scope_, feature, start); }

  ByteReader& reader_;
  const TypeScope scope_;
};

}  // namespace rotor::wasm
