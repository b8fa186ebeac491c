// Reading types (spec section 5.3). What a later proposal added is an error that names the proposal.
#pragma once

#include <cstdint>

#include "rotor/config.h"
#include "wasm/features.h"
#include "wasm/reader.h"
#include "wasm/types.h"

namespace rotor::wasm {

/// Which features a type may use.
struct TypeScope {
  uint32_t enabled;  ///< one bit a Feature
  uint32_t& used;    ///< receives the bits of the features seen
};

bool read_value_type(ByteReader& reader, const TypeScope& scope, ValType& out);
bool read_ref_type(ByteReader& reader, ValType& out);
/// The operand of ref.null: as the reference type to null of it.
bool read_heap_type(ByteReader& reader, ValType& out);

/// The types that sections share. `used`: receives the bits of the features seen.
class TypeReader {
 public:
  TypeReader(ByteReader& reader, const Features& features, uint32_t& used)
      : reader_(reader), features_(features), used_(used), scope_{enabled_features(features), used} {}

  bool func_type(FuncType& out);
  bool table_type(TableType& out);
  bool memory_type(MemoryType& out);
  bool global_type(GlobalType& out);

 private:
  bool type_list(std::vector<ValType>& out, Message too_many, uint32_t max);
  bool limits(uint8_t flags, SizeLimits& out);

  ByteReader& reader_;
  const Features& features_;
  uint32_t& used_;
  const TypeScope scope_;
};

}  // namespace rotor::wasm
