// Reading types (spec section 5.3). What a later proposal added is an error that names the proposal.
#pragma once

#include <cstdint>

#include "wasm/features.h"
#include "wasm/module.h"
#include "wasm/reader.h"

namespace rotor::wasm {

/// What a type may refer to and use.
struct TypeScope {
  const Module& module;  ///< whose types are known
  uint32_t enabled;      ///< one bit a Feature
  uint32_t& used;        ///< receives the bits of the features seen
};

/// Types that are read name canonical types only.
bool read_value_type(ByteReader& reader, const TypeScope& scope, ValType& out);
bool read_ref_type(ByteReader& reader, const TypeScope& scope, ValType& out);
bool read_heap_type(ByteReader& reader, const TypeScope& scope, HeapType& out);

/// The types that sections share.
class TypeReader {
 public:
  TypeReader(ByteReader& reader, const TypeScope& scope) : reader_(reader), scope_(scope) {}

  bool func_type(FuncType& out);
  bool table_type(TableType& out);
  bool memory_type(MemoryType& out);
  bool global_type(GlobalType& out);

 private:
  bool type_list(std::vector<ValType>& out, Message too_many, uint32_t max);
  bool limits(uint8_t flags, SizeLimits& out);
  bool page_size(MemoryType& out);
  /// Notes the feature. False: it is off, and that is an error at `start`.
  bool use(Feature feature, uint64_t start);

  ByteReader& reader_;
  const TypeScope scope_;
};

}  // namespace rotor::wasm
