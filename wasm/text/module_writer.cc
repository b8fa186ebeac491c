// Puts the sections of a module together.
#include "wasm/text/binary_codes.h"
#include "wasm/text/module_state.h"

namespace rotor::wasm::text {
namespace {

constexpr uint8_t kMagicAndVersion[] = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00};

class ModuleWriter {
 public:
  explicit ModuleWriter(ModuleState& state) : state_(state) {}

  WatModule run() {
    out_.bytes(kMagicAndVersion);
    for (uint32_t slot = 0;; ++slot) {
      customs(slot);
      if (slot == std::size(kSectionOrder)) break;
      SectionId id = kSectionOrder[slot];
      if (id == SectionId::code) branch_hints();
      if (id == SectionId::data_count) {
        data_count();
      } else {
        section(id);
      }
    }
    if (state_.names.wanted) names();
    customs(std::size(kSectionOrder) + 1);
    result_.bytes = out_.take();
    return std::move(result_);
  }

 private:
  void map(std::span<const WatSourceMap::Entry> entries) {
    uint32_t base = static_cast<uint32_t>(out_.size());
    for (const WatSourceMap::Entry& entry : entries)
      result_.source_map.entries.push_back({base + entry.binary, entry.text});
  }

  void section(SectionId id) {
    const SectionWriter& contents = state_.section(id);
    if (contents.count == 0) return;
    ByteWriter count;
    if (id != SectionId::start) count.u32(contents.count);
    out_.u8(std::to_underlying(id));
    out_.u64(count.size() + contents.bytes.size());
    out_.bytes(count.view());
    map(contents.map);
    out_.bytes(contents.bytes.view());
  }

  void data_count() {
    if (!state_.needs_data_count) return;
    ByteWriter count;
    count.u32(state_.section(SectionId::data).count);
    out_.u8(std::to_underlying(SectionId::data_count));
    out_.u64(count.size());
    out_.bytes(count.view());
  }

  void custom(std::string_view name, std::span<const uint8_t> contents) {
    ByteWriter length;
    length.u64(name.size());
    out_.u8(std::to_underlying(SectionId::custom));
    out_.u64(length.size() + name.size() + contents.size());
    out_.string(name);
    out_.bytes(contents);
  }

  void customs(uint32_t slot) {
    for (const CustomSection& section : state_.customs) {
      if (section.slot != slot) continue;
      result_.source_map.entries.push_back({static_cast<uint32_t>(out_.size()), section.text_offset});
      custom(section.name, {reinterpret_cast<const uint8_t*>(section.contents.data()), section.contents.size()});
    }
  }

  void branch_hints() {
    if (state_.hinted_functions == 0) return;
    ByteWriter contents;
    contents.u32(state_.hinted_functions);
    contents.bytes(state_.branch_hints.view());
    custom(kBranchHint, contents.view());
  }

  // ---- names ------------------------------------------------------------------------------------------------------

  static void subsection(ByteWriter& out, NameId id, const ByteWriter& contents) {
    out.u8(std::to_underlying(id));
    out.u64(contents.size());
    out.bytes(contents.view());
  }
  static void direct(ByteWriter& out, NameId id, const std::vector<NamedIndex>& names) {
    if (names.empty()) return;
    ByteWriter contents;
    contents.u64(names.size());
    for (const auto& [index, name] : names) {
      contents.u32(index);
      contents.string(name);
    }
    subsection(out, id, contents);
  }
  static void indirect(ByteWriter& out, NameId id, const SectionWriter& names) {
    if (names.count == 0) return;
    ByteWriter contents;
    contents.u32(names.count);
    contents.bytes(names.bytes.view());
    subsection(out, id, contents);
  }

  void names() {
    const NameTables& names = state_.names;
    auto of = [&](Space space) -> const std::vector<NamedIndex>& { return names.spaces[std::to_underlying(space)]; };
    ByteWriter out;
    if (!names.module.empty()) {
      ByteWriter contents;
      contents.string(names.module);
      subsection(out, NameId::module, contents);
    }
    direct(out, NameId::func, of(Space::func));
    indirect(out, NameId::local, names.locals);
    indirect(out, NameId::label, names.labels);
    direct(out, NameId::type, of(Space::type));
    direct(out, NameId::table, of(Space::table));
    direct(out, NameId::memory, of(Space::memory));
    direct(out, NameId::global, of(Space::global));
    direct(out, NameId::elem, of(Space::elem));
    direct(out, NameId::data, of(Space::data));
    indirect(out, NameId::field, names.fields);
    direct(out, NameId::tag, of(Space::tag));
    if (!out.empty()) custom("name", out.view());
  }

  ModuleState& state_;
  ByteWriter out_;
  WatModule result_;
};

}  // namespace

void NameTables::add(SectionWriter& to, uint32_t index, const std::vector<NamedIndex>& names) {
  if (names.empty()) return;
  ++to.count;
  to.bytes.u32(index);
  to.bytes.u64(names.size());
  for (const auto& [inner, name] : names) {
    to.bytes.u32(inner);
    to.bytes.string(name);
  }
}

WatModule assemble(ModuleState& state) { return ModuleWriter(state).run(); }

}  // namespace rotor::wasm::text
