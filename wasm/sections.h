// The sections of a module (spec section 5.5).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace rotor::wasm {

/// Section ids of the binary format.
enum class SectionId : uint8_t {
  custom,
  type,
  import,
  function,
  table,
  memory,
  global,
  export_,
  start,
  element,
  code,
  data,
  data_count,
  tag,
};
inline constexpr size_t kSectionCount = 14;
/// The order in which sections stand in a module; custom ones stand anywhere.
inline constexpr SectionId kSectionOrder[] = {
    SectionId::type,       SectionId::import, SectionId::function, SectionId::table, SectionId::memory,
    SectionId::tag,        SectionId::global, SectionId::export_,  SectionId::start, SectionId::element,
    SectionId::data_count, SectionId::code,   SectionId::data};
static_assert(std::size(kSectionOrder) == kSectionCount - 1);

/// The name that people read ("data count").
constexpr const char* section_text(SectionId id) {
  constexpr std::array<const char*, kSectionCount> kNames = {"custom", "type",   "import",     "function", "table",
                                                             "memory", "global", "export",     "start",    "element",
                                                             "code",   "data",   "data count", "tag"};
  return kNames[static_cast<size_t>(id)];
}

/// Goes past a section: `passed` is the number of kSectionOrder's sections that lie behind it, and is moved on; custom
/// sections leave it. Returns false if the section may not come any more.
constexpr bool pass_section(SectionId id, uint32_t& passed) {
  if (id == SectionId::custom) return true;
  const auto* place = std::find(std::begin(kSectionOrder) + passed, std::end(kSectionOrder), id);
  if (place == std::end(kSectionOrder)) return false;
  passed = static_cast<uint32_t>(place - std::begin(kSectionOrder)) + 1;
  return true;
}

}  // namespace rotor::wasm
