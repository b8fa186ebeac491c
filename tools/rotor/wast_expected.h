// The reviewed list of commands that are known to fail, each with the proposal it needs.
//
//   # a comment
//   core/table.wast:12 gc
//   core/exceptions/throw.wast:3-54 exceptions
//
// A path matches if it ends with what the list says; `*` is any run of characters. Each command in listed lines must
// fail, and if it says which proposal it lacks, it must be that one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rotor/result.h"

namespace rotor::cli {

class ExpectedFailures {
 public:
  struct Entry {
    std::string file;  ///< with `*`
    uint64_t first_line = 0;
    uint64_t last_line = 0;
    std::string feature;
  };

  /// Errors: corrupt (`file:line: what`).
  static Result<ExpectedFailures> parse(std::string_view text, const std::string& file);
  /// The list that the tool was built with. Errors: those of parse.
  static Result<ExpectedFailures> built_in();

  /// nullptr: not listed.
  const Entry* find(std::string_view path, uint64_t line) const;

 private:
  std::vector<Entry> entries_;
};

/// A command that failed.
struct Failure {
  uint64_t line = 0;
  std::string feature;
};
/// Lines of the list for one file. `lines`: those of all its commands, in order, which tell what a range takes in.
std::string failure_lines(std::string_view path, const std::vector<uint64_t>& lines,
                          const std::vector<Failure>& failures);
/// As lists name files: from the last "core" or "proposals" on, else folder and file.
std::string listed_name(std::string_view path);

}  // namespace rotor::cli
