// The reviewed list of commands that are skipped for want of a feature.
//
//   # a comment
//   core/table.wast:12 function-references
//   core/table.wast:40-61 gc
//   core/multi-memory/load1.wast multi-memory
//
// A path matches if it ends with what the list says; `*` is any run of characters. Each command in listed lines must be
// unsupported, for that feature. A file listed whole must hold at least one such command, and may pass some; what fails
// after it is taken to follow from it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rotor/result.h"

namespace rotor::cli {

class SkipList {
 public:
  struct Entry {
    std::string file;  ///< with `*`
    uint64_t first_line = 0;
    uint64_t last_line = UINT64_MAX;
    std::string feature;
    bool is_whole_file() const { return first_line == 0; }
  };

  /// Errors: corrupt (`file:line: what`).
  static Result<SkipList> parse(std::string_view text, const std::string& file);
  /// The list that the tool was built with.
  static SkipList built_in();

  /// nullptr: not listed.
  const Entry* find(std::string_view path, uint64_t line) const;

 private:
  std::vector<Entry> entries_;
};

/// A command that was not run.
struct Unsupported {
  uint64_t line = 0;
  std::string feature;
};
/// Lines of the list for one file. `lines`: those of all its commands, in order, which tell what a range takes in.
std::string skip_lines(std::string_view path, const std::vector<uint64_t>& lines,
                       const std::vector<Unsupported>& skipped);
/// As lists name files: from the last "core" or "proposals" on, else folder and file.
std::string listed_name(std::string_view path);

}  // namespace rotor::cli
