#include "wasm/text/module_parser.h"

#include "wasm/text/binary_codes.h"

namespace rotor::wasm::text {
namespace {

/// Returns the code of a space in imports and exports.
uint8_t extern_code(Space space) {
  uint8_t code = 0;
  while (kExternSpaces[code] != space) ++code;
  return code;
}

}  // namespace

Result<WatModule> parse_module(const TokenList& tokens, uint32_t begin, std::string_view name,
                               const WatOptions& options) {
  return ModuleParser(tokens, begin, options).run(name);
}

Result<WatModule> parse_module(const TokenList& tokens, const WatOptions& options) {
  Cursor cursor(tokens);
  uint32_t begin = 0;
  std::string name;
  uint32_t module = cursor.position();
  // An annotation before the module belongs to the fields if there is no `(module`; else it is misplaced.
  if (cursor.take_open("module")) {
    if (auto id = cursor.take_id()) name = *id;
    begin = cursor.position();
    cursor.seek(module);
    cursor.skip_parenthesis();
    // The fields are parsed first: an error in them comes before whatever follows the module.
    auto result = parse_module(tokens, begin, name, options);
    if (!result) return result;
    if (!cursor.at(TokenKind::end) || !tokens.error.empty()) cursor.unexpected("the end of the text");
    if (cursor.failed()) return std::unexpected(cursor.take_error());
    return result;
  }
  return parse_module(tokens, begin, name, options);
}

ModuleParser::ModuleParser(const TokenList& tokens, uint32_t begin, const WatOptions& options)
    : tokens_(tokens),
      begin_(begin),
      cursor_(tokens, begin),
      state_(cursor_),
      types_(state_),
      instructions_(state_, types_) {
  state_.names.wanted = options.names;
}

Result<WatModule> ModuleParser::run(std::string_view name) {
  state_.names.module = name;
  collect_names();
  bool before_fields = true;
  while (!cursor_.failed()) {
    if (cursor_.at(TokenKind::open)) {
      field();
      before_fields = false;
    } else if (cursor_.at_annotation("custom")) {
      custom_annotation();
    } else if (cursor_.at_annotation(kDataCount)) {
      data_count_annotation();
    } else if (cursor_.at_annotation("name")) {
      module_name_annotation(before_fields);
    } else if (cursor_.at_annotation(kBranchHint)) {
      cursor_.fail(cursor_.offset(), "@metadata.code.branch_hint annotation: not in a function");
    } else {
      break;
    }
  }
  if (begin_ == 0 ? !cursor_.at(TokenKind::end) || !tokens_.error.empty() : !cursor_.at(TokenKind::close))
    cursor_.unexpected("a module field");
  if (cursor_.failed()) return std::unexpected(cursor_.take_error());
  return assemble(state_);
}

void ModuleParser::field() {
  uint32_t offset = cursor_.offset();
  if (cursor_.at_open("type") || cursor_.at_open("rec")) return cursor_.skip_parenthesis();
  struct Field {
    const char* word;
    void (ModuleParser::*parse)(uint32_t offset);
  };
  constexpr Field kFields[] = {
      {"func", &ModuleParser::func_field},     {"import", &ModuleParser::import_field},
      {"export", &ModuleParser::export_field}, {"global", &ModuleParser::global_field},
      {"data", &ModuleParser::data_field},     {"elem", &ModuleParser::elem_field},
      {"table", &ModuleParser::table_field},   {"memory", &ModuleParser::memory_field},
      {"tag", &ModuleParser::tag_field},       {"start", &ModuleParser::start_field},
  };
  for (const Field& field : kFields)
    if (cursor_.take_open(field.word)) {
      (this->*field.parse)(offset);
      return cursor_.expect_close();
    }
  cursor_.next();
  cursor_.unexpected("a module field");
}

// ---- what fields have in common -----------------------------------------------------------------------------------

void ModuleParser::skip_id() {
  cursor_.take_id();
  if (cursor_.at_annotation("name")) cursor_.skip_parenthesis();
}

void ModuleParser::add_export(const std::string& name, Space space, uint32_t index, uint32_t offset) {
  SectionWriter& section = state_.section(SectionId::export_);
  section.note(offset);
  ++section.count;
  section.bytes.string(name);
  section.bytes.u8(extern_code(space));
  section.bytes.u32(index);
}

void ModuleParser::inline_exports(Space space, uint32_t index) {
  while (cursor_.at_open("export")) {
    uint32_t offset = cursor_.offset();
    cursor_.take_open("export");
    add_export(cursor_.expect_name(), space, index, offset);
    cursor_.expect_close();
  }
}

ByteWriter& ModuleParser::begin_import(uint32_t offset) {
  SectionWriter& section = state_.section(SectionId::import);
  section.note(offset);
  ++section.count;
  section.bytes.string(cursor_.expect_name());
  section.bytes.string(cursor_.expect_name());
  return section.bytes;
}

bool ModuleParser::inline_import(Space space, uint32_t offset) {
  if (!cursor_.take_open("import")) return false;
  ByteWriter& out = begin_import(offset);
  out.u8(extern_code(space));
  cursor_.expect_close();
  import_type(space, out);
  return true;
}

void ModuleParser::import_type(Space space, ByteWriter& out) {
  switch (space) {
    case Space::func: return out.u32(func_type());
    case Space::table: return table_type(out);
    case Space::memory: return types_.memory_type(out);
    case Space::global: return types_.global_type(out);
    default: return tag_type(out);
  }
}

uint32_t ModuleParser::func_type() {
  uint32_t begin = cursor_.offset();
  locals_.reset();
  local_names_.clear();
  TypeUse use = types_.type_use(&locals_, state_.names.wanted ? &local_names_ : nullptr);
  return types_.resolve(use, begin);
}

void ModuleParser::table_type(ByteWriter& out) {
  // Limits come first in the text, the type in the binary.
  ByteWriter limits;
  types_.table_limits(limits);
  types_.ref_type(out);
  out.bytes(limits.view());
}

void ModuleParser::tag_type(ByteWriter& out) {
  out.u8(0);  // an exception
  out.u32(func_type());
}

// ---- fields -------------------------------------------------------------------------------------------------------

void ModuleParser::import_field(uint32_t offset) {
  ByteWriter& out = begin_import(offset);
  for (Space space : kExternSpaces) {
    if (!cursor_.take_open(space_word(space))) continue;
    uint32_t index = next(space);
    skip_id();
    out.u8(extern_code(space));
    import_type(space, out);
    if (space == Space::func && state_.names.wanted) NameTables::add(state_.names.locals, index, local_names_);
    return cursor_.expect_close();
  }
  cursor_.unexpected("(func, (table, (memory, (global or (tag");
}

void ModuleParser::func_field(uint32_t offset) {
  uint32_t index = next(Space::func);
  skip_id();
  inline_exports(Space::func, index);
  if (!inline_import(Space::func, offset)) {
    uint32_t type = func_type();
    SectionWriter& section = state_.section(SectionId::function);
    section.note(offset);
    ++section.count;
    section.bytes.u32(type);
    // A type that is named without its parameters has them all the same.
    locals_.add_up_to(state_.types.params(type));
    instructions_.function(index, locals_, state_.names.wanted ? &local_names_ : nullptr);
  }
  if (state_.names.wanted) NameTables::add(state_.names.locals, index, local_names_);
}

void ModuleParser::table_field(uint32_t offset) {
  uint32_t index = next(Space::table);
  skip_id();
  inline_exports(Space::table, index);
  if (inline_import(Space::table, offset)) return;
  SectionWriter& section = state_.section(SectionId::table);
  section.note(offset);
  ++section.count;
  uint32_t type_begin = cursor_.position();
  bool is64 = types_.address_type();
  if (types_.at_ref_type()) return inline_elements(index, is64);
  cursor_.seek(type_begin);
  ByteWriter type;
  table_type(type);
  bool has_init = !cursor_.at(TokenKind::close);
  if (has_init) section.bytes.bytes(kTableInit);
  section.bytes.bytes(type.view());
  if (has_init) instructions_.expression(section);
}

void ModuleParser::memory_field(uint32_t offset) {
  uint32_t index = next(Space::memory);
  skip_id();
  inline_exports(Space::memory, index);
  if (inline_import(Space::memory, offset)) return;
  SectionWriter& section = state_.section(SectionId::memory);
  section.note(offset);
  ++section.count;
  uint32_t type = cursor_.position();
  bool is64 = types_.address_type();
  uint32_t page_size_log2 = 16;
  bool has_page_size = types_.page_size(page_size_log2);
  if (cursor_.at_open("data")) return inline_data(index, {is64, has_page_size, page_size_log2});
  cursor_.seek(type);
  types_.memory_type(section.bytes);
}

void ModuleParser::global_field(uint32_t offset) {
  uint32_t index = next(Space::global);
  skip_id();
  inline_exports(Space::global, index);
  if (inline_import(Space::global, offset)) return;
  SectionWriter& section = state_.section(SectionId::global);
  section.note(offset);
  ++section.count;
  types_.global_type(section.bytes);
  instructions_.expression(section);
}

void ModuleParser::tag_field(uint32_t offset) {
  uint32_t index = next(Space::tag);
  skip_id();
  inline_exports(Space::tag, index);
  if (inline_import(Space::tag, offset)) return;
  SectionWriter& section = state_.section(SectionId::tag);
  section.note(offset);
  ++section.count;
  tag_type(section.bytes);
}

void ModuleParser::export_field(uint32_t offset) {
  std::string name = cursor_.expect_name();
  for (Space space : kExternSpaces) {
    if (!cursor_.take_open(space_word(space))) continue;
    add_export(name, space, state_.index(space), offset);
    return cursor_.expect_close();
  }
  cursor_.unexpected("(func, (table, (memory, (global or (tag");
}

void ModuleParser::start_field(uint32_t offset) {
  SectionWriter& section = state_.section(SectionId::start);
  if (section.count++ > 0) return cursor_.fail(offset, "multiple start sections");
  section.note(offset);
  section.bytes.u32(state_.index(Space::func));
}

}  // namespace rotor::wasm::text
