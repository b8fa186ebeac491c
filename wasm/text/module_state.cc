#include "wasm/text/module_state.h"

namespace rotor::wasm::text {

const char* space_word(Space space) {
  constexpr const char* kWords[] = {"type", "func", "table", "memory", "global", "tag", "elem segment", "data segment"};
  return kWords[std::to_underlying(space)];
}

void TypeTable::add(std::string_view func, uint32_t params, bool simple) {
  uint32_t index = count();
  std::string_view kept;
  if (!func.empty()) kept = encodings_.emplace_back(func);
  types_.push_back({kept, params});
  if (simple && !kept.empty()) simple_.emplace(kept, index);
}

uint32_t TypeTable::intern(std::string_view func, uint32_t params, SectionWriter& types) {
  auto found = simple_.find(func);
  if (found != simple_.end()) return found->second;
  add(func, params, true);
  types.bytes.bytes({reinterpret_cast<const uint8_t*>(func.data()), func.size()});
  ++types.count;
  return count() - 1;
}

void ModuleState::name_by_annotation(Space which, uint32_t index, std::string name) {
  std::vector<NamedIndex>& names_of_space = names.spaces[std::to_underlying(which)];
  if (!names_of_space.empty() && names_of_space.back().first == index) names_of_space.pop_back();
  names_of_space.emplace_back(index, names.from_annotations.emplace_back(std::move(name)));
}

std::optional<std::string> ModuleState::name_annotation() {
  cursor.next();
  if (!cursor.at(TokenKind::string)) {
    cursor.fail(cursor.offset(), "@name annotation: missing name");
    return std::nullopt;
  }
  uint32_t offset = cursor.offset();
  std::string name = cursor.expect_string();
  if (!is_utf8(name)) cursor.fail(offset, "@name annotation: malformed UTF-8 encoding");
  if (!cursor.take(TokenKind::close)) cursor.fail(cursor.offset(), "@name annotation: unexpected token");
  return name;
}

bool ModuleState::inner_name(IndexSpace& space, uint32_t index, const char* noun, std::vector<NamedIndex>* kept) {
  const bool has_id = cursor.at(TokenKind::id);
  std::optional<std::string_view> name;
  if (has_id) {
    uint32_t begin = cursor.offset();
    name = cursor.id_name(cursor.next());
    if (!space.name(index, *name)) cursor.fail(begin, std::string("duplicate ") + noun + " " + show_id(*name));
  }
  if (cursor.at_annotation("name")) {
    auto given = name_annotation();
    if (!given) return true;
    name = names.from_annotations.emplace_back(std::move(*given));
  }
  if (name && kept) kept->emplace_back(index, *name);
  return name.has_value();
}

uint32_t ModuleState::index(Space which) { return index(space(which), space_word(which)); }

uint32_t ModuleState::index(const IndexSpace& space, const char* noun) {
  if (!cursor.at(TokenKind::id)) {
    if (cursor.at(TokenKind::natural)) return static_cast<uint32_t>(cursor.expect_natural(UINT32_MAX, "i32"));
    cursor.unexpected(std::string("the index or name of a ") + noun);
    return 0;
  }
  uint32_t begin = cursor.offset();
  std::string_view name = cursor.id_name(cursor.next());
  const uint32_t* found = space.find(name);
  if (!found) cursor.fail(begin, std::string("unknown ") + noun + " " + show_id(name));
  return found ? *found : 0;
}

}  // namespace rotor::wasm::text
