// The fields of a module (spec section 6.6), in two passes: names and types first, for a field may use what comes
// later.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rotor/result.h"
#include "rotor/wat.h"
#include "wasm/text/instruction_parser.h"
#include "wasm/text/module_state.h"
#include "wasm/text/type_parser.h"

namespace rotor::wasm::text {

/// Encodes the module whose fields are the tokens from `begin` up to a `)` or the end.
Result<WatModule> parse_module(const TokenList& tokens, uint32_t begin, std::string_view name,
                               const WatOptions& options);
/// Encodes a text that is `(module ...)` or fields alone.
Result<WatModule> parse_module(const TokenList& tokens, const WatOptions& options);

class ModuleParser {
 public:
  ModuleParser(const TokenList& tokens, uint32_t begin, const WatOptions& options);

  Result<WatModule> run(std::string_view name);

 private:
  // First pass (module_names.cc).
  void collect_names();
  void collect_field();
  void collect_types(uint32_t position);
  void collect_import();
  void collect_definition(Space space);
  /// Takes the next index of a space and, if an id is the next token, names the index by it.
  uint32_t declare(Space space);
  void note_import(uint32_t offset);

  // Second pass: one function a field, the cursor behind its keyword.
  void field();
  void import_field(uint32_t offset);
  void func_field(uint32_t offset);
  void table_field(uint32_t offset);
  void memory_field(uint32_t offset);
  void global_field(uint32_t offset);
  void tag_field(uint32_t offset);
  void export_field(uint32_t offset);
  void start_field(uint32_t offset);

  // Parts that several fields have in common.
  /// Skips a field's id and `(@name)`, which the first pass has read.
  void skip_id();
  void inline_exports(Space space, uint32_t index);
  void add_export(const std::string& name, Space space, uint32_t index, uint32_t offset);
  /// Parses `(import "module" "name")` and the type behind it, if that is what is next.
  bool inline_import(Space space, uint32_t offset);
  /// Begins an import with its two names.
  ByteWriter& begin_import(uint32_t offset);
  void import_type(Space space, ByteWriter& out);
  /// Parses a type use whose parameters become `locals_`; returns the type's index.
  uint32_t func_type();
  void table_type(ByteWriter& out);
  void tag_type(ByteWriter& out);
  uint32_t next(Space space) { return next_[std::to_underlying(space)]++; }

  // Segments (module_segments.cc).
  struct Items {
    bool as_functions = false;  ///< indices, else expressions of `type`
    uint32_t count = 0;
    ByteWriter type;
    SectionWriter writer;

    bool is_func_ref() const;
  };
  struct MemoryForm {
    bool is64;
    bool has_page_size;
    uint32_t page_size_log2;
  };
  void elem_field(uint32_t offset);
  void data_field(uint32_t offset);
  void inline_elements(uint32_t table, bool is64);
  void inline_data(uint32_t memory, MemoryForm form);
  void element_list(Items& items);
  void function_items(Items& items);
  /// Parses function indices as `ref.func` expressions, for a table whose element type has no form of segment with
  /// indices.
  void function_items_as_expressions(Items& items);
  void expression_items(Items& items);
  void active_elements(uint32_t table, const SectionWriter& where, const Items& items);
  static void append_items(const Items& items, SectionWriter& to);
  std::string data_bytes();
  void segment_offset(SectionWriter& out);
  /// Writes the offset, 0, of a segment that is written inline in its table or memory.
  static void zero_offset(bool is64, ByteWriter& out);

  // Annotations (module_annotations.cc).
  void custom_annotation();
  void data_count_annotation();
  uint32_t custom_place();
  void module_name_annotation(bool before_fields);

  const TokenList& tokens_;
  const uint32_t begin_;
  Cursor cursor_;
  ModuleState state_;
  TypeParser types_;
  InstructionParser instructions_;
  /// Positions of the type definitions' tokens.
  std::vector<uint32_t> type_fields_;
  std::array<uint32_t, kSpaceCount> next_{};
  /// The first definition that is no import.
  std::optional<Space> first_definition_;
  bool has_module_name_annotation_ = false;
  IndexSpace locals_;
  std::vector<NamedIndex> local_names_;
};

}  // namespace rotor::wasm::text
