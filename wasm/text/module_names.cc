// The first pass: finds which names stand for which indices, and what the types are.
#include "wasm/text/module_parser.h"

namespace rotor::wasm::text {

void ModuleParser::collect_names() {
  while (!cursor_.failed()) {
    if (cursor_.at(TokenKind::open)) {
      uint32_t field = cursor_.position();
      collect_field();
      cursor_.seek(field);
      cursor_.skip_parenthesis();
    } else if (cursor_.at(TokenKind::annotation)) {
      cursor_.skip_parenthesis();
    } else {
      break;
    }
  }
  for (uint32_t position : type_fields_) {
    cursor_.seek(position);
    types_.type_definition();
  }
  cursor_.seek(begin_);
}

void ModuleParser::collect_field() {
  if (cursor_.at_open("type") || cursor_.at_open("rec")) return collect_types(cursor_.position());
  if (cursor_.at_open("import")) return collect_import();
  for (Space space : kExternSpaces)
    if (cursor_.take_open(space_word(space))) return collect_definition(space);
  if (cursor_.take_open("elem")) {
    declare(Space::elem);
  } else if (cursor_.take_open("data")) {
    declare(Space::data);
  }
}

uint32_t ModuleParser::declare(Space space) {
  uint32_t index = state_.space(space).add();
  if (cursor_.at(TokenKind::id)) {
    uint32_t begin = cursor_.offset();
    std::string_view name = cursor_.id_name(cursor_.next());
    if (!state_.space(space).name(index, name))
      cursor_.fail(begin, std::string("duplicate ") + space_word(space) + " " + show_id(name));
    if (state_.names.wanted) state_.names.spaces[std::to_underlying(space)].emplace_back(index, name);
  }
  if (cursor_.at_annotation("name")) {
    auto name = state_.name_annotation();
    if (name && state_.names.wanted) state_.name_by_annotation(space, index, std::move(*name));
  }
  return index;
}

void ModuleParser::collect_types(uint32_t position) {
  type_fields_.push_back(position);
  if (cursor_.take_open("type")) {
    declare(Space::type);
    return;
  }
  cursor_.take_open("rec");
  while (cursor_.at_open("type")) {
    uint32_t type = cursor_.position();
    cursor_.take_open("type");
    declare(Space::type);
    cursor_.seek(type);
    cursor_.skip_parenthesis();
  }
}

void ModuleParser::note_import(uint32_t offset) {
  if (!first_definition_) return;
  const char* word = *first_definition_ == Space::func ? "function" : space_word(*first_definition_);
  cursor_.fail(offset, std::string("import after ") + word);
}

void ModuleParser::collect_import() {
  note_import(cursor_.offset());
  cursor_.take_open("import");
  cursor_.take(TokenKind::string);
  cursor_.take(TokenKind::string);
  for (Space space : kExternSpaces)
    if (cursor_.take_open(space_word(space))) {
      declare(space);
      return;
    }
}

void ModuleParser::collect_definition(Space space) {
  declare(space);
  while (cursor_.at_open("export")) cursor_.skip_parenthesis();
  if (cursor_.at_open("import")) return note_import(cursor_.offset());
  if (!first_definition_) first_definition_ = space;
  // Segments within a table or memory take an index of their own. What precedes them is short.
  Space segment = space == Space::table ? Space::elem : Space::data;
  if (space != Space::table && space != Space::memory) return;
  while (!cursor_.at(TokenKind::close) && !cursor_.at(TokenKind::end)) {
    if (cursor_.at_open(segment == Space::elem ? "elem" : "data")) {
      state_.space(segment).add();
      return;
    }
    if (cursor_.at(TokenKind::open) || cursor_.at(TokenKind::annotation)) {
      cursor_.skip_parenthesis();
    } else {
      cursor_.next();
    }
  }
}

}  // namespace rotor::wasm::text
