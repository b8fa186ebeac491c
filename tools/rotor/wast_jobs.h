// Runs scripts, each in a process of its own (a crash or a hang is that file's failure), or all in this one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "rotor/config.h"
#include "tools/rotor/wast_script.h"

namespace rotor::cli {

struct WastJobs {
  Config config;
  unsigned jobs = 1;        ///< processes at once; 0: this one runs them all, one after the other
  unsigned timeout_s = 60;  ///< for one file, in a process of its own
};

struct CommandResult {
  uint64_t line = 0;
  Outcome outcome;
};
struct FileResult {
  std::string path;
  std::vector<CommandResult> commands;
  /// Line of the last command that was begun, if the process ended badly; 0: none.
  uint64_t last_line = 0;
  /// How the process ended badly ("crashed with signal 11", "timed out after 60 s"); empty if it ended well.
  std::string ending;
};

/// Calls `on_file` for each file, in order of completion. Errors: io (no process).
Result<void> run_wast_files(const WastJobs& jobs, const std::vector<std::string>& paths,
                            const std::function<void(FileResult&&)>& on_file);

}  // namespace rotor::cli
