// Inside decode_module: the section readers and the validator share the module under construction.
#pragma once

#include <vector>

#include "wasm/const_expr.h"
#include "wasm/decode_options.h"
#include "wasm/decode_types.h"
#include "wasm/module.h"
#include "wasm/reader.h"
#include "wasm/rec_groups.h"

namespace rotor::wasm {

/// Byte offsets of what the module holds, in the order of its vectors (imports excluded): for errors only.
struct ModuleOffsets {
  std::vector<uint64_t> funcs, tables, memories, tags, globals, exports, elements, data;
  uint64_t start = 0;
};

/// Checks the whole module but its bodies, and fills `declared_funcs` (spec section 3.4).
bool validate_module(ErrorSlot& errors, Module& module, const ModuleOffsets& offsets);

/// Reads sections into a Module. Indices that were read are checked by validate_module, once all are known.
class ModuleDecoder {
 public:
  ModuleDecoder(std::span<const uint8_t> bytes, const DecodeOptions& options)
      : bytes_(bytes),
        options_(options),
        reader_(bytes),
        scope_{module_, enabled_features(options.features), module_.used_features},
        types_(reader_, scope_) {}

  bool decode();
  Module take_module() { return std::move(module_); }
  Error take_error() { return reader_.take_error(); }

 private:
  // decode_module.cc
  bool section();
  bool custom_section(Section& section);
  bool check_lengths();

  // decode_sections.cc
  bool contents(SectionId id, uint64_t start);
  bool type_section();
  /// Reads a recursion group: `rec` with its types, or a type alone.
  bool rec_group();
  void canonicalise(RecGroup group);
  bool import_section();
  bool function_section();
  bool table_section();
  bool memory_section();
  bool tag_section();
  bool global_section();
  bool export_section();
  bool start_section();
  bool element_section();
  bool code_section();
  bool data_section();
  bool data_count_section();

  bool import_desc(Import& import);
  /// Reads the attribute and type of a tag at `start`.
  bool tag_desc(TagDesc& out, uint64_t start);
  bool table_init_prefix(uint64_t start);
  bool add_memory(const MemoryType& type, uint64_t start);
  bool add_table(Table table, uint64_t start);
  bool element(ElementSegment& segment);
  bool element_items(ElementSegment& segment, bool are_exprs);
  bool data(DataSegment& segment);
  bool const_expr(ConstExpr& out) { return read_const_expr(reader_, scope_, out); }
  /// Reads a vector's length. Errors: it exceeds what the rest of the section can hold; with the `have` items that
  /// exist already it exceeds `max` (the error `too_many`).
  bool count(uint32_t& out, size_t have, Message too_many, uint32_t max);
  void use(Feature feature) { module_.used_features |= feature_bit(feature); }

  std::span<const uint8_t> bytes_;
  const DecodeOptions& options_;
  Module module_;
  ByteReader reader_;
  const TypeScope scope_;
  TypeReader types_;
  RecGroups rec_groups_;
  ModuleOffsets offsets_;
  uint32_t sections_passed_ = 0;  ///< see pass_section
  bool has_code_ = false;
};

}  // namespace rotor::wasm
