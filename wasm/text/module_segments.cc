// Element and data segments, including those that are written inline in a table or memory.
#include "wasm/text/binary_codes.h"
#include "wasm/text/module_parser.h"

namespace rotor::wasm::text {
namespace { constexpr uint8_t kFuncRef = 0x70; }  // namespace

void ModuleParser::segment_offset(SectionWriter& out) {
  if (cursor_.take_open("offset")) {
    instructions_.expression(out);
    cursor_.expect_close();
  } else {
    instructions_.folded_expression(out);
  }
}

// ---- elements -----------------------------------------------------------------------------------------------------

void ModuleParser::function_items(Items& items) {
  items.as_functions = true;
  for (; cursor_.at_index(); ++items.count) items.writer.bytes.u32(state_.index(Space::func));
}

void ModuleParser::function_items_as_expressions(Items& items) {
  ByteWriter& out = items.writer.bytes;
  for (; cursor_.at_index(); ++items.count) {
    items.writer.note(cursor_.offset());
    out.opcode(std::to_underlying(Opcode::RefFunc));
    out.u32(state_.index(Space::func));
    out.opcode(std::to_underlying(Opcode::End));
  }
}

void ModuleParser::expression_items(Items& items) {
  for (; cursor_.at(TokenKind::open); ++items.count) {
    if (cursor_.take_open("item")) {
      instructions_.expression(items.writer);
      cursor_.expect_close();
    } else {
      instructions_.folded_expression(items.writer);
    }
  }
}

void ModuleParser::element_list(Items& items) {
  if (cursor_.take_keyword("func")) {
    function_items(items);
  } else if (types_.at_ref_type()) {
    types_.ref_type(items.type);
    expression_items(items);
  } else {
    cursor_.unexpected("func or a reference type");
  }
}

void ModuleParser::append_items(const Items& items, SectionWriter& to) {
  to.bytes.u32(items.count);
  uint32_t base = static_cast<uint32_t>(to.bytes.size());
  for (const WatSourceMap::Entry& entry : items.writer.map) to.map.push_back({base + entry.binary, entry.text});
  to.bytes.bytes(items.writer.bytes.view());
}

bool ModuleParser::Items::is_func_ref() const { return type.size() == 1 && type.view()[0] == kFuncRef; }

void ModuleParser::elem_field(uint32_t offset) {
  next(Space::elem);
  skip_id();
  SectionWriter& section = state_.section(SectionId::element);
  section.note(offset);
  ++section.count;
  Items items;
  if (bool declarative = cursor_.take_keyword("declare");
      declarative || cursor_.at_keyword("func") || types_.at_ref_type()) {
    element_list(items);
    section.bytes.u8(
        static_cast<uint8_t>(kNotActive | (declarative ? kDeclarative : 0) | (items.as_functions ? 0 : kExpressions)));
    if (items.as_functions) {
      section.bytes.u8(0);
    } else {
      section.bytes.bytes(items.type.view());
    }
    return append_items(items, section);
  }
  // The form of WebAssembly 1.0 has the table's bare index.
  const bool is_bare = cursor_.at_index();
  uint32_t table = state_.index_or(Space::table, 0);
  bool names_table = !is_bare && cursor_.take_open("table");
  if (names_table) {
    table = state_.index(Space::table);
    cursor_.expect_close();
  }
  SectionWriter where;
  segment_offset(where);
  // Without `(table)` the word `func` may be left out.
  if (!names_table && !cursor_.at_keyword("func") && !types_.at_ref_type()) {
    function_items(items);
  } else {
    element_list(items);
  }
  active_elements(table, where, items);
}

void ModuleParser::active_elements(uint32_t table, const SectionWriter& where, const Items& items) {
  SectionWriter& section = state_.section(SectionId::element);
  // A segment of another type needs the form with a table, even if that is table 0.
  bool is_short = table == 0 && (items.as_functions || items.is_func_ref());
  section.bytes.u8(static_cast<uint8_t>((is_short ? 0 : kExplicitTable) | (items.as_functions ? 0 : kExpressions)));
  if (!is_short) section.bytes.u32(table);
  uint32_t base = static_cast<uint32_t>(section.bytes.size());
  for (const WatSourceMap::Entry& entry : where.map) section.map.push_back({base + entry.binary, entry.text});
  section.bytes.bytes(where.bytes.view());
  if (!is_short && items.as_functions) section.bytes.u8(0);
  if (!is_short && !items.as_functions) section.bytes.bytes(items.type.view());
  append_items(items, section);
}

void ModuleParser::inline_elements(uint32_t table, bool is64) {
  next(Space::elem);
  Items items;
  types_.ref_type(items.type);
  uint32_t offset = cursor_.offset();
  cursor_.expect_open("elem");
  if (cursor_.at(TokenKind::open)) {
    expression_items(items);
  } else if (items.is_func_ref()) {
    function_items(items);
  } else {
    function_items_as_expressions(items);
  }
  cursor_.expect_close();
  ByteWriter& out = state_.section(SectionId::table).bytes;
  out.bytes(items.type.view());
  out.u8(is64 ? kHasMax | kIs64 : kHasMax);
  out.u32(items.count);
  out.u32(items.count);
  SectionWriter where;
  zero_offset(is64, where.bytes);
  SectionWriter& section = state_.section(SectionId::element);
  section.note(offset);
  ++section.count;
  active_elements(table, where, items);
}

// ---- data ---------------------------------------------------------------------------------------------------------

void ModuleParser::zero_offset(bool is64, ByteWriter& out) {
  out.opcode(std::to_underlying(is64 ? Opcode::I64Const : Opcode::I32Const));
  out.u8(0);
  out.opcode(std::to_underlying(Opcode::End));
}

std::string ModuleParser::data_bytes() {
  std::string bytes;
  while (cursor_.at(TokenKind::string)) decode_string(cursor_.text(cursor_.next()), bytes);
  return bytes;
}

void ModuleParser::data_field(uint32_t offset) {
  next(Space::data);
  skip_id();
  SectionWriter& section = state_.section(SectionId::data);
  section.note(offset);
  ++section.count;
  if (cursor_.at(TokenKind::open) || cursor_.at_index()) {
    // The form of WebAssembly 1.0 has the memory's bare index.
    const bool is_bare = cursor_.at_index();
    uint32_t memory = state_.index_or(Space::memory, 0);
    if (!is_bare && cursor_.take_open("memory")) {
      memory = state_.index(Space::memory);
      cursor_.expect_close();
    }
    section.bytes.u8(memory == 0 ? kActive : kActiveWithMemory);
    if (memory != 0) section.bytes.u32(memory);
    segment_offset(section);
  } else {
    section.bytes.u8(kPassive);
  }
  section.bytes.string(data_bytes());
}

void ModuleParser::inline_data(uint32_t memory, MemoryForm form) {
  next(Space::data);
  uint32_t offset = cursor_.offset();
  cursor_.expect_open("data");
  std::string bytes = data_bytes();
  cursor_.expect_close();
  // The memory is just large enough. A page size over 2^63 is refused by the validator, whatever the number of pages.
  uint64_t page = uint64_t{1} << form.page_size_log2;
  uint64_t pages = bytes.size() / page + (bytes.size() % page != 0);
  ByteWriter& out = state_.section(SectionId::memory).bytes;
  out.u8(static_cast<uint8_t>(kHasMax | (form.is64 ? kIs64 : 0) | (form.has_page_size ? kHasPageSize : 0)));
  out.u64(pages);
  out.u64(pages);
  if (form.has_page_size) out.u32(form.page_size_log2);
  SectionWriter& section = state_.section(SectionId::data);
  section.note(offset);
  ++section.count;
  section.bytes.u8(memory == 0 ? kActive : kActiveWithMemory);
  if (memory != 0) section.bytes.u32(memory);
  zero_offset(form.is64, section.bytes);
  section.bytes.string(bytes);
}

}  // namespace rotor::wasm::text
