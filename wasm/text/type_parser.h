// Types of the text format (spec section 6.4), encoded as they are read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wasm/text/module_state.h"

namespace rotor::wasm::text {

/// A type use as it is written: its parts are in the parser, valid until the next one is read.
struct TypeUse {
  bool has_type = false;  ///< (type x)
  uint32_t type = 0;
  uint32_t params = 0;  ///< of those written inline
  uint32_t results = 0;
};

class TypeParser {
 public:
  explicit TypeParser(ModuleState& state) : state_(state), cursor_(state.cursor) {}

  // Each reads one and appends its encoding.
  void value_type(ByteWriter& out);
  void ref_type(ByteWriter& out);
  void heap_type(ByteWriter& out);
  void global_type(ByteWriter& out);
  /// Returns whether the next tokens begin a reference type.
  bool at_ref_type() const;
  /// Reads a reference type in parts: appends its heap type, and returns whether it is nullable.
  bool ref_type_parts(ByteWriter& heap);

  /// Read limits, or a memory type, and append their flags and values.
  void table_limits(ByteWriter& out);
  void memory_type(ByteWriter& out);
  /// Takes `i32` or `i64`, where neither means i32. Returns whether it is i64.
  bool address_type();
  /// Takes `(pagesize n)` and gives the base-2 logarithm of n. Returns false if there is none.
  bool page_size(uint32_t& log2);

  /// Reads `(type x)? (param ..)* (result ..)*`. Parameters may be named if `locals` is given: names go there, and
  /// `local_names` gets them for the name section.
  TypeUse type_use(IndexSpace* locals, std::vector<NamedIndex>* local_names);
  /// Returns the type index of the use just read, and appends the type if nobody defined it. `offset` is that of the
  /// use, for errors.
  uint32_t resolve(const TypeUse& use, uint32_t offset);
  /// Returns the encoding of the only result of the use just read.
  std::span<const uint8_t> single_result() const { return results_.view(); }

  /// Reads a `(type ...)` or `(rec ...)`, whose types have their names from the first pass.
  void type_definition();

 private:
  void definition(ByteWriter& out, bool alone);
  void composite(ByteWriter& out, bool simple);
  void field_types(ByteWriter& out, uint32_t type);
  void field_type(ByteWriter& out);
  void storage_type(ByteWriter& out);
  void params(TypeUse& use, IndexSpace* locals, std::vector<NamedIndex>* local_names);
  std::string_view encode_func(const TypeUse& use);

  ModuleState& state_;
  Cursor& cursor_;
  // Reused, so that a type use allocates nothing.
  ByteWriter heap_, params_, results_, func_;
};

}  // namespace rotor::wasm::text
