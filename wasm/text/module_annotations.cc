// `(@custom ...)` and `(@name ...)` (spec appendix A.5 and A.6), and `(@rotor.data_count)`, which says that a module
// has the section where it needs none: to others it is a comment.
#include "wasm/text/module_parser.h"

namespace rotor::wasm::text {

namespace {

constexpr uint32_t kLastSlot = std::size(kSectionOrder);
/// The slot behind all sections, and behind the name section, too.
constexpr uint32_t kVeryLastSlot = kLastSlot + 1;

uint32_t slot_before(SectionId id) {
  uint32_t slot = 0;
  while (kSectionOrder[slot] != id) ++slot;
  return slot;
}

}  // namespace

uint32_t ModuleParser::custom_place() {
  if (!cursor_.at(TokenKind::open)) return kLastSlot;
  uint32_t begin = cursor_.offset();
  cursor_.next();
  bool before = cursor_.take_keyword("before");
  if (!before && !cursor_.take_keyword("after")) {
    cursor_.fail(begin, "@custom annotation: malformed placement");
    return kLastSlot;
  }
  uint32_t slot = kLastSlot;
  bool known = false;
  if (cursor_.take_keyword(before ? "first" : "last")) {
    slot = before ? 0 : kVeryLastSlot;
    known = true;
  }
  for (const SectionWord& section : kSectionWords)
    if (!known && cursor_.take_keyword(section.word)) {
      slot = slot_before(section.id) + !before;
      known = true;
    }
  if (!known) cursor_.fail(cursor_.offset(), "@custom annotation: malformed section kind");
  if (!cursor_.take(TokenKind::close)) cursor_.fail(cursor_.offset(), "@custom annotation: unexpected token");
  return slot;
}

void ModuleParser::custom_annotation() {
  CustomSection section;
  section.text_offset = cursor_.offset();
  cursor_.next();
  if (!cursor_.at(TokenKind::string)) return cursor_.fail(cursor_.offset(), "@custom annotation: missing section name");
  uint32_t name_offset = cursor_.offset();
  section.name = cursor_.expect_string();
  if (!is_utf8(section.name)) return cursor_.fail(name_offset, "@custom annotation: malformed UTF-8 encoding");
  section.slot = custom_place();
  section.contents = data_bytes();
  if (!cursor_.take(TokenKind::close)) return cursor_.fail(cursor_.offset(), "@custom annotation: unexpected token");
  state_.customs.push_back(std::move(section));
}

void ModuleParser::data_count_annotation() {
  cursor_.next();
  if (!cursor_.take(TokenKind::close)) cursor_.fail(cursor_.offset(), "@rotor.data_count annotation: unexpected token");
  state_.needs_data_count = true;
}

void ModuleParser::module_name_annotation(bool before_fields) {
  uint32_t offset = cursor_.offset();
  if (!before_fields) return cursor_.unexpected("a module field");
  if (has_module_name_annotation_) return cursor_.fail(offset, "@name annotation: multiple module");
  has_module_name_annotation_ = true;
  if (auto name = state_.name_annotation()) state_.names.module = std::move(*name);
}

}  // namespace rotor::wasm::text
