// A binary module's sections, as the fields of a text. Two passes: the first finds the sections, what they count and
// the names; the second puts the text.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rotor/wat.h"
#include "wasm/text/print_body.h"
#include "wasm/text/print_types.h"

namespace rotor::wasm::text {

class ModulePrinter {
 public:
  ModulePrinter(std::span<const uint8_t> module, const WatPrintOptions& options, bool annotate_hints);

  /// Prints the module. `hints_fit` gets false if a branch hint was left out because it stands at no branch.
  Result<std::string> run(bool& hints_fit);

 private:
  struct Section {
    bool exists = false;
    uint64_t begin = 0, end = 0;
    uint32_t count = 0;
  };
  struct Custom {
    std::string name;
    uint64_t begin = 0, end = 0;
    uint32_t after = 0;  ///< how many of kSectionOrder's sections may precede it
  };
  /// The hints of one function.
  struct Hints {
    uint32_t func = 0;
    uint32_t first = 0, count = 0;
  };

  // First pass.
  bool scan();
  bool section(uint32_t& slot);
  bool custom(uint64_t end, uint32_t slot);
  bool scan_contents(SectionId id, Section& section);
  bool scan_imports();
  bool scan_functions();
  bool check_lengths(uint64_t offset);
  /// Returns the only custom section of that name; nullptr if there is none, or several, which are then put as they
  /// are.
  const Custom* only(std::string_view name) const;
  bool read_hints(const Custom& custom);
  bool read_hints(ByteReader& reader);

  // Second pass.
  bool print();
  bool fields(SectionId id, bool (ModulePrinter::*field)());
  bool import_field();
  bool table_field();
  bool memory_field();
  bool tag_field();
  bool global_field();
  bool export_field();
  bool start_field();
  bool elem_field();
  bool elem_items(uint32_t flags);
  bool data_field();
  bool code_section();
  void customs();
  void begin_field(Space space);
  /// Returns whether the encoder will write this section when it reads the text.
  bool is_written(SectionId id) const;
  /// Returns the slot behind the last section, of the first `slot` ones, that the encoder will write.
  uint32_t written_before(uint32_t slot) const;

  const Section& at(SectionId id) const { return sections_[std::to_underlying(id)]; }
  uint32_t next(Space space) { return next_[std::to_underlying(space)]++; }

  WatPrintOptions options_;
  bool annotate_hints_;
  PrintState state_;
  ByteReader& reader_;
  TextOut& out_;
  PrintTypes types_;
  BodyPrinter bodies_;
  std::array<Section, kSectionCount> sections_;
  std::vector<Custom> customs_;
  const Custom* names_ = nullptr;
  const Custom* hints_section_ = nullptr;
  std::vector<Hints> hinted_;
  std::vector<BranchHint> hints_;
  std::vector<uint32_t> func_types_;  ///< of the module's own functions
  uint32_t imported_funcs_ = 0;
  std::array<uint32_t, kSpaceCount> next_{};
};

}  // namespace rotor::wasm::text
