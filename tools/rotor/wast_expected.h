// The reviewed list of commands that are known to fail, each with the proposal it needs.
//
//   # a comment
//   core/table.wast:12 gc
//   core/exceptions/throw.wast:3-54 exceptions
//
// A path matches if it ends with the listed one; `*` is any run of characters. Each command in the listed lines must
// fail, and if its failure says which proposal is lacking, it must be the listed one.
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
  /// Returns the list that the tool was built with. Errors: those of parse.
  static Result<ExpectedFailures> built_in();

  /// Returns the entry that lists a command, or nullptr.
  const Entry* find(std::string_view path, uint64_t line) const;

 private:
  std::vector<Entry> entries_;
};

/// A command that failed.
struct Failure {
  uint64_t line = 0;
  std::string feature;
};
/// Returns the list's lines for one file. `lines` are those of all its commands, in order, so that it is known which
/// commands a range takes in.
std::string failure_lines(std::string_view path, const std::vector<uint64_t>& lines,
                          const std::vector<Failure>& failures);
/// Returns a path as lists name it: from the last "core" or "proposals" on, else folder and file.
std::string listed_name(std::string_view path);

}  // namespace rotor::cli
