// What a command's options say of the outside that a WASI guest sees.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rotor/wasi.h"
#include "tools/rotor/cli.h"

namespace rotor::cli {

/// Where a guest's standard output and error go.
enum class WasiOutputs : bool { none, inherited };

struct WasiOptions {
  std::vector<std::string> folders;    ///< HOST[::GUEST][:ro]
  std::vector<std::string> variables;  ///< NAME=VALUE
  std::string input = "-";             ///< a file; "none": nothing; "-": the process's own

  void add_to(CLI::App& command);
  /// Makes an environment, or ends the command.
  wasi::Environment environment_or_die(const std::string& file, std::vector<std::string> args,
                                       WasiOutputs outputs) const;
};

}  // namespace rotor::cli
