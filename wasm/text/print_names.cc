#include "wasm/text/print_names.h"

#include <algorithm>
#include <atomic>
#include <memory>

#include "rotor/detail/made_once.h"
#include "wasm/text/binary_codes.h"
#include "wasm/text/print_text.h"

namespace rotor::wasm::text {
namespace {

/// Makes the names of one scope unique.
class UniqueNames {
 public:
  PrintedName make(std::string_view name, uint32_t index) {
    // No id is empty, but a name may be.
    if (name.empty()) return {.id = {}, .needs_annotation = true, .name = name};
    const std::string made = unique(name, index);
    return {.id = id_of(made), .needs_annotation = made != name, .name = name};
  }

 private:
  /// Returns `name`, or one made of it and the index if it is taken.
  std::string unique(std::string_view name, uint32_t index) {
    std::string made(name);
    if (taken_.insert(made).second) return made;
    made += "#" + std::to_string(index);
    while (!taken_.insert(made).second) made += '#';
    return made;
  }

  KeyedSet<std::string> taken_;
};

/// Sorts names by index, keeps the first of several names of one index, and drops those of indices at `limit` or above.
void tidy(std::vector<NamedIndex>& names, uint32_t limit) {
  std::erase_if(names, [&](const NamedIndex& name) { return name.first >= limit; });
  std::ranges::stable_sort(names, {}, &NamedIndex::first);
  auto repeated = std::ranges::unique(names, {}, &NamedIndex::first);
  names.erase(repeated.begin(), repeated.end());
}

}  // namespace

// ---- reading ------------------------------------------------------------------------------------------------------

bool PrintedNames::name(ByteReader& reader, std::string_view& out) const {
  uint32_t size = 0;
  if (!reader.length(size)) return false;
  auto bytes = module_.subspan(reader.offset(), size);
  out = {reinterpret_cast<const char*>(bytes.data()), size};
  return is_utf8(out) && reader.skip(size);
}

bool PrintedNames::name_map(ByteReader& reader, std::vector<NamedIndex>* out) const {
  uint32_t count = 0;
  if (!reader.count(count)) return false;
  for (uint32_t i = 0; i < count; ++i) {
    NamedIndex entry;
    if (!reader.u32(entry.first) || !name(reader, entry.second)) return false;
    if (out) out->push_back(entry);
  }
  return true;
}

bool PrintedNames::indirect(ByteReader& reader, Maps& out) const {
  uint32_t count = 0;
  if (!reader.count(count)) return false;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t index = 0;
    if (!reader.u32(index)) return false;
    uint64_t begin = reader.offset();
    if (!name_map(reader, nullptr)) return false;
    out.try_emplace(index, Range{begin, reader.offset()});
  }
  return true;
}

bool PrintedNames::subsection(ByteReader& reader) {
  uint8_t id = 0;
  uint32_t size = 0;
  if (!reader.u8(id) || !reader.length(size)) return false;
  uint64_t end = reader.offset() + size;
  ByteReader part(module_, reader.offset(), end);
  reader.seek(end);
  auto direct = [&](Space space) { return name_map(part, &direct_[std::to_underlying(space)]); };
  bool ok = true;
  switch (static_cast<NameId>(id)) {
    case NameId::module: ok = name(part, module_name_); break;
    case NameId::func: ok = direct(Space::func); break;
    case NameId::local: ok = indirect(part, locals_); break;
    case NameId::label: ok = indirect(part, labels_); break;
    case NameId::type: ok = direct(Space::type); break;
    case NameId::table: ok = direct(Space::table); break;
    case NameId::memory: ok = direct(Space::memory); break;
    case NameId::global: ok = direct(Space::global); break;
    case NameId::elem: ok = direct(Space::elem); break;
    case NameId::data: ok = direct(Space::data); break;
    case NameId::field: ok = indirect(part, fields_); break;
    case NameId::tag: ok = direct(Space::tag); break;
    default: return true;  // of a later version
  }
  return ok && part.at_end();
}

bool PrintedNames::read(std::span<const uint8_t> module, uint64_t begin, uint64_t end) {
  module_ = module;
  ByteReader reader(module, begin, end);
  while (!reader.at_end()) {
    if (subsection(reader)) continue;
    *this = PrintedNames();
    return false;
  }
  return true;
}

// ---- ids ----------------------------------------------------------------------------------------------------------

void PrintedNames::resolve(const std::array<uint32_t, kSpaceCount>& counts) {
  for (size_t space = 0; space < kSpaceCount; ++space) {
    std::vector<NamedIndex>& names = direct_[space];
    tidy(names, counts[space]);
    if (names.empty()) continue;
    std::vector<PrintedName>& ids = resolved_[space];
    ids.resize(names.back().first + 1);
    UniqueNames unique;
    for (const auto& [index, name] : names) {
      ids[index] = unique.make(name, index);
    }
  }
}

const PrintedName& PrintedNames::of(Space space, uint32_t index) const {
  static constinit std::atomic<const PrintedName*> none{nullptr};
  const std::vector<PrintedName>& ids = resolved_[std::to_underlying(space)];
  if (index < ids.size()) return ids[index];
  return detail::made_once(none, [] { return std::make_unique<const PrintedName>(); });
}

std::vector<NamedIndex> PrintedNames::sorted(const Maps& maps, uint32_t key) const {
  std::vector<NamedIndex> names;
  auto found = maps.find(key);
  if (found == maps.end()) return names;
  ByteReader reader(module_, found->second.begin, found->second.end);
  name_map(reader, &names);  // can't fail: it was read before
  tidy(names, UINT32_MAX);
  return names;
}

std::vector<PrintedName> PrintedNames::unique(const Maps& maps, uint32_t key, uint32_t count) const {
  std::vector<PrintedName> names;
  UniqueNames unique;
  for (const auto& [index, name] : sorted(maps, key)) {
    if (index >= count) break;
    names.resize(count);
    names[index] = unique.make(name, index);
  }
  return names;
}

std::vector<NamedIndex> PrintedNames::labels(uint32_t func) const {
  std::vector<NamedIndex> names = sorted(labels_, func);
  std::erase_if(names, [](const NamedIndex& name) { return name.second.empty(); });
  return names;
}

}  // namespace rotor::wasm::text
