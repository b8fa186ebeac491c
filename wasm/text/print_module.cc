#include "wasm/text/print_module.h"

#include <algorithm>

#include "wasm/limits.h"
#include "wasm/text/binary_codes.h"
#include "wasm/text/lexer.h"

namespace rotor::wasm::text {
namespace {

/// Returns the longest text, in bytes, for a module: more than any but a contrived one needs, no more than the parser
/// takes.
uint64_t text_limit(uint64_t module_bytes) {
  constexpr uint64_t kBase = uint64_t{1} << 24, kFactor = 256;
  return std::min<uint64_t>(kBase + kFactor * module_bytes, kMaxSourceBytes);
}

}  // namespace

ModulePrinter::ModulePrinter(std::span<const uint8_t> module, const WatPrintOptions& options, bool annotate_hints)
    : options_(options),
      annotate_hints_(annotate_hints && options.custom_sections),
      state_(module, text_limit(module.size())),
      reader_(state_.reader),
      out_(state_.out),
      types_(state_),
      bodies_(state_, types_) {
  state_.source_map = options.source_map;
  if (options.source_map) options.source_map->entries.clear();
}

Result<std::string> ModulePrinter::run(bool& hints_fit) {
  if (!scan() || !print()) return std::unexpected(reader_.take_error());
  hints_fit = !hints_section_ || bodies_.hints_put() == hints_.size();
  return out_.take();
}

void ModulePrinter::begin_field(Space space) {
  constexpr std::string_view kWords[] = {"type", "func", "table", "memory", "global", "tag", "elem", "data"};
  out_.line(1);
  out_.put('(');
  out_.put(kWords[std::to_underlying(space)]);
  state_.definition(space, next(space));
}

bool ModulePrinter::fields(SectionId id, bool (ModulePrinter::*field)()) {
  const Section& section = at(id);
  if (!section.exists) return true;
  reader_.seek(section.begin);
  reader_.set_end(section.end);
  uint32_t count = 1;
  if (id != SectionId::start && !reader_.count(count)) return false;
  for (uint32_t i = 0; i < count; ++i) {
    if (!(this->*field)()) return false;
    if (out_.over()) return reader_.fail_detail(Message::limit_module_size, reader_.offset(), "its text");
  }
  return reader_.at_end() || reader_.fail(Message::section_size_mismatch, reader_.offset());
}

bool ModulePrinter::print() {
  out_.put("(module");
  if (!state_.names.module_name().empty()) {
    out_.put(' ');
    out_.put(id_of(state_.names.module_name()));
    state_.has_put_name = true;
  }
  size_t fields_begin = out_.position();
  types_.put_definitions();
  if (!fields(SectionId::import, &ModulePrinter::import_field) ||
      !fields(SectionId::table, &ModulePrinter::table_field) ||
      !fields(SectionId::memory, &ModulePrinter::memory_field) || !fields(SectionId::tag, &ModulePrinter::tag_field) ||
      !fields(SectionId::global, &ModulePrinter::global_field) ||
      !fields(SectionId::export_, &ModulePrinter::export_field) ||
      !fields(SectionId::start, &ModulePrinter::start_field) ||
      !fields(SectionId::element, &ModulePrinter::elem_field) || !code_section() ||
      !fields(SectionId::data, &ModulePrinter::data_field))
    return false;
  // Bodies come before the data section: without a count one pass could not check their indices (spec 5.5.16).
  if (state_.needs_data_count && !at(SectionId::data_count).exists)
    return reader_.fail(Message::data_count_required, state_.data_instruction_offset);
  if (at(SectionId::data_count).exists && !state_.needs_data_count) {
    out_.line(1);
    out_.put("(@");
    out_.put(kDataCount);
    out_.put(')');
  }
  if (options_.custom_sections) customs();
  if (out_.position() > fields_begin) out_.line(0);
  out_.put(")\n");
  return !out_.over() || reader_.fail_detail(Message::limit_module_size, state_.module.size(), "its text");
}

// ---- fields -------------------------------------------------------------------------------------------------------

bool ModulePrinter::import_field() {
  std::string module, name;
  BinaryExtern type;
  if (!reader_.name(module) || !reader_.name(name) || !types_.extern_type(type)) return false;
  out_.line(1);
  out_.put("(import ");
  out_.name(module);
  out_.put(' ');
  out_.name(name);
  out_.put(" (");
  out_.put(space_word(type.space));
  uint32_t index = next(type.space);
  state_.definition(type.space, index);
  if (type.space == Space::func) {
    uint32_t params = static_cast<uint32_t>(types_.params(type.type).size());
    types_.put_use(type.type, state_.names.locals(index, params));
  } else {
    types_.put_extern(type);
  }
  out_.put("))");
  return true;
}

bool ModulePrinter::table_field() {
  uint64_t start = reader_.offset();
  bool has_init = reader_.peek() == kTableInit[0];
  uint8_t zero = 0;
  if (has_init && (!reader_.skip(1) || !reader_.u8(zero))) return false;
  if (zero != kTableInit[1]) return reader_.fail(Message::zero_byte_expected, start);
  BinaryExtern type;
  if (!types_.table_type(type)) return false;
  begin_field(Space::table);
  types_.put_extern(type);
  if (has_init && !bodies_.expression()) return false;
  out_.put(')');
  return true;
}

bool ModulePrinter::memory_field() {
  BinaryExtern type;
  type.space = Space::memory;
  if (!types_.memory_limits(type.limits)) return false;
  begin_field(Space::memory);
  types_.put_extern(type);
  out_.put(')');
  return true;
}

bool ModulePrinter::tag_field() {
  uint32_t type = 0;
  if (!types_.tag_type(type)) return false;
  begin_field(Space::tag);
  types_.put_use(type);
  out_.put(')');
  return true;
}

bool ModulePrinter::global_field() {
  BinaryExtern type;
  type.space = Space::global;
  if (!types_.global_type(type.value)) return false;
  begin_field(Space::global);
  types_.put_extern(type);
  if (!bodies_.expression()) return false;
  out_.put(')');
  return true;
}

bool ModulePrinter::export_field() {
  std::string name;
  if (!reader_.name(name)) return false;
  uint64_t start = reader_.offset();
  uint8_t code = 0;
  uint32_t index = 0;
  if (!reader_.u8(code)) return false;
  if (code >= std::size(kExternSpaces)) return reader_.fail(Message::malformed_export_kind, start);
  if (!reader_.u32(index)) return false;
  out_.line(1);
  out_.put("(export ");
  out_.name(name);
  out_.put(" (");
  out_.put(space_word(kExternSpaces[code]));
  state_.index(kExternSpaces[code], index);
  out_.put("))");
  return true;
}

bool ModulePrinter::start_field() {
  uint32_t func = 0;
  if (!reader_.u32(func)) return false;
  out_.line(1);
  out_.put("(start");
  state_.index(Space::func, func);
  out_.put(')');
  return true;
}

bool ModulePrinter::elem_field() {
  uint64_t start = reader_.offset();
  uint32_t flags = 0;
  if (!reader_.u32(flags)) return false;
  if (flags > (kNotActive | kDeclarative | kExpressions)) return reader_.fail(Message::malformed_elem_segment, start);
  begin_field(Space::elem);
  if (flags & kNotActive) {
    if (flags & kDeclarative) out_.put(" declare");
  } else {
    uint32_t table = 0;
    if ((flags & kExplicitTable) && !reader_.u32(table)) return false;
    if (table != 0) {
      out_.put(" (table");
      state_.index(Space::table, table);
      out_.put(')');
    }
    if (!bodies_.wrapped_expression("offset")) return false;
  }
  if (!elem_items(flags)) return false;
  out_.put(')');
  return true;
}

bool ModulePrinter::elem_items(uint32_t flags) {
  bool has_type = flags & (kNotActive | kExplicitTable);
  if (flags & kExpressions) {
    BinaryType type{.code = kRefNull, .heap = -0x10};  // funcref
    if (has_type && !types_.ref_type(type)) return false;
    out_.put(' ');
    types_.put(type);
  } else {
    uint64_t start = reader_.offset();
    uint8_t kind = 0;
    if (has_type && !reader_.u8(kind)) return false;
    if (kind != 0) return reader_.fail(Message::malformed_elem_kind, start);
    out_.put(" func");
  }
  uint32_t items = 0;
  if (!reader_.count(items)) return false;
  for (uint32_t i = 0; i < items; ++i) {
    uint32_t func = 0;
    if (flags & kExpressions) {
      if (!bodies_.wrapped_expression("item")) return false;
      continue;
    }
    if (!reader_.u32(func)) return false;
    state_.index(Space::func, func);
  }
  return true;
}

bool ModulePrinter::data_field() {
  uint64_t start = reader_.offset();
  uint32_t flags = 0, memory = 0, size = 0;
  if (!reader_.u32(flags)) return false;
  if (flags > kActiveWithMemory) return reader_.fail(Message::malformed_data_segment, start);
  begin_field(Space::data);
  if (flags != kPassive) {
    if (flags == kActiveWithMemory && !reader_.u32(memory)) return false;
    if (memory != 0) {
      out_.put(" (memory");
      state_.index(Space::memory, memory);
      out_.put(')');
    }
    if (!bodies_.wrapped_expression("offset")) return false;
  }
  if (!reader_.length(size)) return false;
  out_.put(' ');
  out_.data(state_.module.subspan(reader_.offset(), size));
  out_.put(')');
  return reader_.skip(size);
}

bool ModulePrinter::code_section() {
  const Section& section = at(SectionId::code);
  if (!section.exists) return true;
  reader_.seek(section.begin);
  reader_.set_end(section.end);
  uint32_t count = 0;
  if (!reader_.u32(count)) return false;
  auto hinted = hinted_.begin();
  for (uint32_t type : func_types_) {
    uint32_t size = 0;
    if (!reader_.length(size)) return false;
    uint64_t end = reader_.offset() + size;
    uint32_t index = next(Space::func);
    std::span<const BranchHint> hints;
    while (hinted != hinted_.end() && hinted->func < index) ++hinted;
    if (hinted != hinted_.end() && hinted->func == index)
      hints = std::span(hints_).subspan(hinted->first, hinted->count);
    reader_.set_end(end);
    if (!bodies_.function(index, type, hints)) return false;
    reader_.set_end(section.end);
  }
  return reader_.at_end() || reader_.fail(Message::section_size_mismatch, reader_.offset());
}

// ---- custom sections ----------------------------------------------------------------------------------------------

bool ModulePrinter::is_written(SectionId id) const {
  if (id == SectionId::data_count) return at(id).exists;
  return at(id).exists && (id == SectionId::start || at(id).count > 0);
}

uint32_t ModulePrinter::written_before(uint32_t slot) const {
  while (slot > 0 && !is_written(kSectionOrder[slot - 1])) --slot;
  return slot;
}

void ModulePrinter::customs() {
  const uint32_t last = written_before(std::size(kSectionOrder));
  for (const Custom& custom : customs_) {
    if (&custom == names_ || &custom == hints_section_) continue;
    out_.line(1);
    out_.put("(@custom ");
    out_.name(custom.name);
    // A section that is left out can't mark the place of a custom section. Names of what the module does not have are
    // left out, too.
    const uint32_t slot = written_before(custom.after);
    if (names_ && state_.has_put_name && custom.begin > names_->begin && slot == last) {
      out_.put(" (after last) ");
    } else if (slot == 0) {
      out_.put(" (before first) ");
    } else {
      SectionId last = kSectionOrder[slot - 1];
      out_.put(" (after ");
      out_.put(std::ranges::find(kSectionWords, last, &SectionWord::id)->word);
      out_.put(") ");
    }
    out_.data(state_.module.subspan(custom.begin, custom.end - custom.begin));
    out_.put(')');
  }
}

}  // namespace rotor::wasm::text

namespace rotor {

Result<std::string> wasm_to_wat(std::span<const uint8_t> module, const WatPrintOptions& options) {
  using wasm::text::ModulePrinter;
  bool hints_fit = true;
  auto text = ModulePrinter(module, options, /*annotate_hints=*/true).run(hints_fit);
  // Hints at instructions that are no branches can't be annotations: they stay a section.
  if (!hints_fit) text = ModulePrinter(module, options, /*annotate_hints=*/false).run(hints_fit);
  return text;
}

}  // namespace rotor
