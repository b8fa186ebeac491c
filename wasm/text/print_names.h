// The name section, as ids that may stand in a text.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wasm/keyed_hash.h"
#include "wasm/reader.h"
#include "wasm/text/module_state.h"

namespace rotor::wasm::text {

/// The name of something in the text.
struct PrintedName {
  std::string id;                 ///< `$name`; empty: it has no id, and is called by its index
  bool needs_annotation = false;  ///< the id is not the name: `(@name "...")` says that
  std::string_view name;

  bool exists() const { return !id.empty() || needs_annotation; }
};

class PrintedNames {
 public:
  /// Reads the contents of a name section. Returns false if it is malformed; then there are no names.
  bool read(std::span<const uint8_t> module, uint64_t begin, uint64_t end);
  /// Makes the ids of the module's spaces unique. `counts`: how many members each has.
  void resolve(const std::array<uint32_t, kSpaceCount>& counts);

  std::string_view module_name() const { return module_name_; }
  /// Returns the name of `index`, or an empty name.
  const PrintedName& of(Space space, uint32_t index) const;
  /// Returns the names of a function's locals below `count`, with unique ids: `count` of them, or none if the function
  /// has none.
  std::vector<PrintedName> locals(uint32_t func, uint32_t count) const { return unique(locals_, func, count); }
  std::vector<PrintedName> fields(uint32_t type, uint32_t count) const { return unique(fields_, type, count); }
  /// Returns the names of a function's labels, in order; a label's index counts the blocks before it.
  std::vector<NamedIndex> labels(uint32_t func) const;

 private:
  struct Range {
    uint64_t begin = 0, end = 0;
  };
  using Maps = KeyedMap<uint32_t, Range>;

  bool subsection(ByteReader& reader);
  bool name(ByteReader& reader, std::string_view& out) const;
  bool name_map(ByteReader& reader, std::vector<NamedIndex>* out) const;
  bool indirect(ByteReader& reader, Maps& out) const;
  std::vector<NamedIndex> sorted(const Maps& maps, uint32_t key) const;
  std::vector<PrintedName> unique(const Maps& maps, uint32_t key, uint32_t count) const;

  std::span<const uint8_t> module_;
  std::string_view module_name_;
  std::array<std::vector<NamedIndex>, kSpaceCount> direct_;
  std::array<std::vector<PrintedName>, kSpaceCount> resolved_;
  Maps locals_, labels_, fields_;
};

}  // namespace rotor::wasm::text
