// The body decoder's cursor: immediates of instructions, and checks of the indices in them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

#include "rotor/config.h"
#include "wasm/decode_types.h"
#include "wasm/features.h"
#include "wasm/immediates.h"
#include "wasm/keyed_hash.h"
#include "wasm/module.h"
#include "wasm/reader.h"

namespace rotor::wasm {

/// The part of reading a function body that does not depend on the sink.
class BodyReader : public ByteReader {
 public:
  BodyReader(const Module& module, std::span<const uint8_t> bytes, const Features& features)
      : ByteReader(bytes), module_(module), enabled_(enabled_features(features)) {}

  /// Reads the local declarations and appends their types to `locals`, which holds those of the parameters.
  bool locals(std::vector<ValType>& locals);
  bool block_type(BlockSignature& out) {
    switch (peek()) {
      case 0x40: out = {}; break;
      case 0x7f: out = single_result(0); break;
      case 0x7e: out = single_result(1); break;
      case 0x7d: out = single_result(2); break;
      case 0x7c: out = single_result(3); break;
      default: return other_block_type(out);
    }
    return skip(1);
  }
  /// Reads a memory argument. `exact`: its alignment must be the natural one (atomics).
  bool mem_arg(uint32_t natural_log2, bool exact, MemArg& out);
  bool memory_index(MemoryIndex& out);
  bool table_index(TableIndex& out);
  bool func_index(FuncIndex& out);
  bool func_type_index(TypeIndex& out);
  /// Read the index of a struct or array type, and return the type; nullptr after an error.
  const StructType* struct_type(TypeIndex& out) { return composite<StructType>(out, "struct"); }
  const ArrayType* array_type(TypeIndex& out) { return composite<ArrayType>(out, "array"); }
  /// Reads the index of a field, and returns the field; nullptr after an error.
  const FieldType* field(const StructType& type, uint32_t& number);
  /// Reads the number of operands of an array.new_fixed.
  bool fixed_count(uint32_t& out) { return read_fixed_count(*this, out); }
  /// Reads a heap type of an instruction.
  bool heap_type(HeapType& out) { return read_heap_type(*this, scope(), out); }
  bool global_index(GlobalIndex& out);
  bool tag_index(TagIndex& out);
  /// Read segment indices, which are checked separately, with known(): the memory or table that follows is checked
  /// first.
  bool data_index(DataIndex& out);
  bool elem_index(ElemIndex& out);
  bool known(DataIndex segment);
  bool known(ElemIndex segment);
  /// Reads the result types of a typed select, of which there must be exactly one.
  bool select_type(ValType& out);
  /// Reads the heap type of a ref.null; `out` is the nullable reference type of its result.
  bool ref_null_type(ValType& out);
  /// Reads a lane index, which must be below `lanes`.
  bool lane_index(uint32_t lanes, uint8_t& out);
  /// Reads the 16 lane indices of an i8x16.shuffle, each below 32: the bytes of two vectors.
  bool shuffle_lanes(std::array<uint8_t, 16>& out);
  bool zero_byte();

  template <Feature feature>
  bool use() {
    used_ |= feature_bit(feature);
    if constexpr (feature_state(feature) != FeatureState::always) {
      if (!(enabled_ & feature_bit(feature))) [[unlikely]]
        return fail_unsupported(feature, instr_offset_);
    }
    return true;
  }
  uint32_t used() const { return used_; }
  void set_instr_offset(uint64_t offset) { instr_offset_ = offset; }

 private:
  static BlockSignature single_result(size_t i) {
    static constexpr ValType kTypes[] = {ValType::i32,     ValType::i64,       ValType::f32, ValType::f64,
                                         ValType::funcref, ValType::externref, ValType::v128};
    return {.params_data = nullptr, .params_count = 0, .results_data = &kTypes[i], .results_count = 1};
  }
  bool other_block_type(BlockSignature& out);
  bool fail_kind(uint64_t start, uint32_t type, const char* wanted);
  template <class Composite>
  const Composite* composite(TypeIndex& out, const char* kind) {
    uint64_t start = offset();
    uint32_t number = 0;
    if (!index(number, module_.types.size(), Message::unknown_type)) return nullptr;
    out = TypeIndex(number);
    const auto* type = std::get_if<Composite>(&module_.types[number].composite);
    if (!type) fail_kind(start, number, kind);
    return type;
  }
  bool index(uint32_t& out, size_t count, Message unknown) {
    uint64_t start = offset();
    if (!u32(out)) return false;
    if (out >= count) [[unlikely]]
      return fail_index(unknown, start, out);
    return true;
  }

  TypeScope scope() { return {module_, enabled_, used_}; }

  struct TypeHash {
    size_t operator()(ValType type) const { return KeyedHash()(type.bits()); }
  };
  const Module& module_;
  std::unordered_set<ValType, TypeHash> block_types_;  ///< results of blocks: their addresses are kept
  uint32_t enabled_;
  uint64_t instr_offset_ = 0;
  uint32_t used_ = 0;
};

}  // namespace rotor::wasm
