// The state that the parsers of one module share: names, types, and the sections that come into being.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rotor/wat.h"
#include "wasm/encode.h"
#include "wasm/keyed_hash.h"
#include "wasm/sections.h"
#include "wasm/text/cursor.h"

namespace rotor::wasm::text {

/// Index spaces of a module.
enum class Space : uint8_t { type, func, table, memory, global, tag, elem, data };
inline constexpr size_t kSpaceCount = 8;
/// Returns the word for a member of a space ("func"), as in the text and in errors.
const char* space_word(Space space);
/// The spaces of what is imported and exported, in the order of their codes (spec section 5.5.5).
inline constexpr Space kExternSpaces[] = {Space::func, Space::table, Space::memory, Space::global, Space::tag};

/// An index and the name it has in the text.
using NamedIndex = std::pair<uint32_t, std::string_view>;

/// Names of one index space. Names live as long as the cursor.
class IndexSpace {
 public:
  /// Takes the next index, whether it gets a name or not, and returns it.
  uint32_t add() { return count_++; }
  /// Takes indices until at least `count` are taken.
  void add_up_to(uint32_t count) { count_ = std::max(count_, count); }
  /// Names an index. Returns false if the name is taken.
  bool name(uint32_t index, std::string_view name) { return indices_.emplace(name, index).second; }
  const uint32_t* find(std::string_view name) const {
    auto found = indices_.find(name);
    return found == indices_.end() ? nullptr : &found->second;
  }
  uint32_t count() const { return count_; }
  /// Empties the space, in time proportional to what it holds, not to what it once held.
  void reset() {
    count_ = 0;
    if (indices_.empty()) return;
    constexpr size_t kFewBuckets = 64;
    if (indices_.bucket_count() > kFewBuckets) {
      indices_ = decltype(indices_)();  // `= {}` would keep the buckets
    } else {
      indices_.clear();
    }
  }

 private:
  uint32_t count_ = 0;
  KeyedMap<std::string_view, uint32_t> indices_;
};

/// A section under construction: count, contents, and where each part comes from.
struct SectionWriter {
  uint32_t count = 0;
  ByteWriter bytes;
  std::vector<WatSourceMap::Entry> map;  ///< offsets in `bytes`

  void note(uint32_t text_offset) { map.push_back({static_cast<uint32_t>(bytes.size()), text_offset}); }
};

/// The word for a section that `(@custom ...)` names to say its place.
struct SectionWord {
  std::string_view word;
  SectionId id;
};
inline constexpr SectionWord kSectionWords[] = {
    {"type", SectionId::type},     {"import", SectionId::import},        {"func", SectionId::function},
    {"table", SectionId::table},   {"memory", SectionId::memory},        {"tag", SectionId::tag},
    {"global", SectionId::global}, {"export", SectionId::export_},       {"start", SectionId::start},
    {"elem", SectionId::element},  {"datacount", SectionId::data_count}, {"code", SectionId::code},
    {"data", SectionId::data},
};

/// A custom section and its place: behind the first `slot` sections of kSectionOrder, and if it is one more than there
/// are, behind the name section.
struct CustomSection {
  uint32_t slot = 0;
  uint32_t text_offset = 0;
  std::string name;
  std::string contents;
};

struct BranchHint {
  uint32_t offset = 0;  ///< of the branch, from the body's local declarations on
  uint8_t value = 0;
};

/// Names that the name section holds; collected only when it is asked for.
struct NameTables {
  bool wanted = false;
  std::string module;
  std::array<std::vector<NamedIndex>, kSpaceCount> spaces;
  std::deque<std::string> from_annotations;
  // Names within functions or types, encoded: each an index and a name map.
  SectionWriter locals, labels, fields;

  static void add(SectionWriter& to, uint32_t index, const std::vector<NamedIndex>& names);
};

/// The defined types: the explicit ones in order, then those that type uses imply.
class TypeTable {
 public:
  /// Adds the next type. `func` is its encoding if it is a function type; a `simple` one (final, without supertypes,
  /// alone in its recursion group) is what an inline function type may mean.
  void add(std::string_view func, uint32_t params, bool simple);
  /// Returns the index of the type that an inline function type means, which is appended to `types` if there is none
  /// yet.
  uint32_t intern(std::string_view func, uint32_t params, SectionWriter& types);
  /// Returns the encoding of a function type; empty if the index is of another type, or of none.
  std::string_view func(uint32_t index) const {
    return index < types_.size() ? types_[index].func : std::string_view();
  }
  uint32_t params(uint32_t index) const { return index < types_.size() ? types_[index].params : 0; }
  uint32_t count() const { return static_cast<uint32_t>(types_.size()); }

 private:
  struct Entry {
    std::string_view func;
    uint32_t params = 0;
  };
  std::vector<Entry> types_;
  std::deque<std::string> encodings_;
  KeyedMap<std::string_view, uint32_t> simple_;
};

struct ModuleState {
  explicit ModuleState(Cursor& tokens) : cursor(tokens) {}

  Cursor& cursor;
  std::array<IndexSpace, kSpaceCount> spaces;
  TypeTable types;
  /// Field names, by type; only of types that have some.
  KeyedMap<uint32_t, IndexSpace> fields;
  std::array<SectionWriter, kSectionCount> sections;
  std::vector<CustomSection> customs;
  ByteWriter branch_hints;  ///< a function index and a vector of hints each
  uint32_t hinted_functions = 0;
  bool needs_data_count = false;
  NameTables names;

  IndexSpace& space(Space which) { return spaces[std::to_underlying(which)]; }
  SectionWriter& section(SectionId id) { return sections[std::to_underlying(id)]; }
  /// Reads an index, or a name that stands for one.
  uint32_t index(Space which);
  /// Reads an index of a space that is not one of the module's (locals, fields); `noun` is what errors call its
  /// members.
  uint32_t index(const IndexSpace& space, const char* noun);
  /// Reads `(@name "...")`. Pre: it is next.
  std::optional<std::string> name_annotation();
  /// Reads the name of a local, parameter or field: its id and then its annotation. Returns false if neither is next.
  /// `index` is its index in `space`, `noun` what errors call it; `kept` gets the name, unless it is null.
  bool inner_name(IndexSpace& space, uint32_t index, const char* noun, std::vector<NamedIndex>* kept);
  /// Replaces the id of an index by the name that an annotation gives.
  void name_by_annotation(Space which, uint32_t index, std::string name);
  /// Reads an index if one is next; else returns `otherwise`.
  uint32_t index_or(Space which, uint32_t otherwise) { return cursor.at_index() ? index(which) : otherwise; }
};

/// Returns the module's bytes, once all is parsed.
WatModule assemble(ModuleState& state);

}  // namespace rotor::wasm::text
