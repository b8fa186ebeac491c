#include "wasm/names.h"

#include "wasm/reader.h"

namespace rotor::wasm {

namespace {

constexpr uint8_t kModuleName = 0, kFunctionNames = 1;

/// Reads a subsection of function names. Damage ends it; names that were read before are kept.
void read_function_names(ByteReader& reader, size_t func_count, Names& names) {
  uint32_t count = 0;
  if (!reader.count(count)) return;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t index = 0;
    std::string name;
    if (!reader.u32(index) || !reader.name(name)) return;
    if (index < func_count) names.functions.try_emplace(index, std::move(name));
  }
}

}  // namespace

Names decode_names(const Module& module, std::span<const uint8_t> bytes) {
  Names names;
  for (const Section& section : module.sections) {
    if (section.id != SectionId::custom || section.name != "name" || section.end > bytes.size()) continue;
    ByteReader sections(bytes, section.begin, section.end);
    while (!sections.at_end()) {
      uint8_t id = 0;
      uint32_t size = 0;
      if (!sections.u8(id) || !sections.length(size)) break;
      ByteReader reader(bytes, sections.offset(), sections.offset() + size);
      if (id == kModuleName) reader.name(names.module);
      if (id == kFunctionNames) read_function_names(reader, module.funcs.size(), names);
      sections.skip(size);
    }
  }
  return names;
}

Names decode_display_names(const Module& module, std::span<const uint8_t> bytes) {
  Names names = decode_names(module, bytes);
  for (const Export& item : module.exports)
    if (item.kind == ExternKind::func) names.functions.try_emplace(item.index, item.name);
  return names;
}

}  // namespace rotor::wasm
