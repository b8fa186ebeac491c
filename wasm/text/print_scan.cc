// The printer's first pass: finds where the sections are, how many items they have, and the names.
#include <algorithm>
#include <utility>

#include "wasm/limits.h"
#include "wasm/text/binary_codes.h"
#include "wasm/text/print_module.h"

namespace rotor::wasm::text {

bool ModulePrinter::scan() {
  if (state_.module.size() > kMaxModuleBytes)
    return reader_.fail_limit(Message::limit_module_size, 0, state_.module.size(), kMaxModuleBytes);
  if (!reader_.module_header()) return false;
  uint32_t slot = 0;
  while (!reader_.at_end())
    if (!section(slot)) return false;
  if (!check_lengths(state_.module.size())) return false;
  const Custom* names = only("name");
  if (names && (!options_.names || state_.names.read(state_.module, names->begin, names->end))) names_ = names;
  state_.names.resolve(state_.counts);
  const Custom* hints = annotate_hints_ ? only(kBranchHint) : nullptr;
  if (hints && read_hints(*hints)) hints_section_ = hints;
  return true;
}

bool ModulePrinter::section(uint32_t& slot) {
  uint64_t start = reader_.offset();
  SectionId id{};
  uint32_t size = 0;
  if (!reader_.section_id(id)) return false;
  if (!pass_section(id, slot)) return reader_.fail(Message::content_after_last_section, start);
  if (!reader_.length(size)) return false;
  uint64_t end = reader_.offset() + size;
  reader_.set_end(end);
  Section& section = sections_[std::to_underlying(id)];
  if (id == SectionId::custom) {
    if (!custom(end, slot)) return false;
  } else {
    section.exists = true;
    section.begin = reader_.offset();
    section.end = end;
    if (!scan_contents(id, section)) return false;
  }
  reader_.set_end(state_.module.size());
  reader_.seek(end);
  return true;
}

bool ModulePrinter::custom(uint64_t end, uint32_t slot) {
  Custom& custom = customs_.emplace_back();
  custom.after = slot;
  custom.end = end;
  if (!reader_.name(custom.name)) return false;
  custom.begin = reader_.offset();
  return true;
}

bool ModulePrinter::scan_contents(SectionId id, Section& section) {
  ByteReader counter(state_.module, section.begin, section.end);
  // The items that the count announces are read in the second pass; an error there is as good.
  if (id != SectionId::start && !counter.u32(section.count)) return reader_.u32(section.count);
  auto counts = [&](Space space) {
    if (section.count > counter.remaining()) return reader_.fail(Message::unexpected_end, section.end);
    state_.count(space) += section.count;
    return true;
  };
  bool read_all = true;
  switch (id) {
    case SectionId::type: read_all = types_.section(); break;
    case SectionId::import: read_all = scan_imports(); break;
    case SectionId::function: read_all = counts(Space::func) && scan_functions(); break;
    case SectionId::table: return counts(Space::table);
    case SectionId::memory: return counts(Space::memory);
    case SectionId::tag: return counts(Space::tag);
    case SectionId::global: return counts(Space::global);
    case SectionId::element: return counts(Space::elem);
    case SectionId::data: return counts(Space::data);
    case SectionId::code:
      return section.count == func_types_.size() || reader_.fail(Message::code_length_mismatch, section.begin);
    case SectionId::data_count: read_all = reader_.u32(section.count); break;
    default: return true;
  }
  if (!read_all) return false;
  return reader_.at_end() || reader_.fail(Message::section_size_mismatch, reader_.offset());
}

bool ModulePrinter::scan_imports() {
  uint32_t count = 0;
  if (!reader_.count(count)) return false;
  for (uint32_t i = 0; i < count; ++i) {
    std::string module, name;
    BinaryExtern type;
    if (!reader_.name(module) || !reader_.name(name) || !types_.extern_type(type)) return false;
    ++state_.count(type.space);
  }
  return true;
}

bool ModulePrinter::scan_functions() {
  uint32_t count = 0;
  if (!reader_.count(count)) return false;
  func_types_.resize(count);
  for (uint32_t& type : func_types_)
    if (!reader_.u32(type)) return false;
  return true;
}

bool ModulePrinter::check_lengths(uint64_t offset) {
  if (at(SectionId::code).count != func_types_.size()) return reader_.fail(Message::code_length_mismatch, offset);
  if (at(SectionId::data_count).exists && at(SectionId::data_count).count != at(SectionId::data).count)
    return reader_.fail(Message::data_length_mismatch, offset);
  return true;
}

const ModulePrinter::Custom* ModulePrinter::only(std::string_view name) const {
  const Custom* found = nullptr;
  for (const Custom& custom : customs_) {
    if (custom.name != name) continue;
    if (found) return nullptr;
    found = &custom;
  }
  return found;
}

bool ModulePrinter::read_hints(const Custom& custom) {
  ByteReader reader(state_.module, custom.begin, custom.end);
  if (read_hints(reader) && reader.at_end()) return true;
  hinted_.clear();
  hints_.clear();
  return false;
}

/// Reads the branch hints. Returns false if they can't be put as annotations.
bool ModulePrinter::read_hints(ByteReader& reader) {
  uint32_t functions = 0;
  if (!reader.count(functions)) return false;
  for (uint32_t i = 0; i < functions; ++i) {
    Hints of{.func = 0, .first = static_cast<uint32_t>(hints_.size()), .count = 0};
    if (!reader.u32(of.func) || !reader.count(of.count)) return false;
    if (i > 0 && of.func <= hinted_.back().func) return false;
    hinted_.push_back(of);
    for (uint32_t j = 0; j < of.count; ++j) {
      BranchHint hint;
      uint32_t size = 0;
      if (!reader.u32(hint.offset) || !reader.u32(size) || size != 1 || !reader.u8(hint.value)) return false;
      if (hint.value > 1 || (j > 0 && hint.offset <= hints_.back().offset)) return false;
      hints_.push_back(hint);
    }
  }
  return true;
}

}  // namespace rotor::wasm::text
