// A module as the user has it: a binary, or its text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rotor/wat.h"
#include "tools/rotor/cli.h"

namespace rotor::cli {

struct ModuleFile {
  std::string path;
  WatModule module;   ///< of a file that is no text: its bytes as they are
  std::string text;   ///< empty: the file is no text
  uint64_t size = 0;  ///< of the file
};

/// Reads a file, and encodes it if it is a text. A text that is none ends the command, with the line and a caret.
/// Names are kept, for backtraces.
ModuleFile read_module_file_or_die(const std::string& path);
/// The same of bytes that were read already.
ModuleFile module_file_or_die(const std::string& path, std::vector<uint8_t> bytes, const WatOptions& options);

/// Ends the command with an error about the module: of a text with the line where it lies.
[[noreturn]] void die(const ModuleFile& file, const Error& error);

template <class T>
T value_or_die(const ModuleFile& file, Result<T> result) {
  if (!result) die(file, result.error());
  return std::move(*result);
}

}  // namespace rotor::cli
