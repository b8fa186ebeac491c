// A module as the user has it: a binary, or its text.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "rotor/wat.h"
#include "tools/rotor/cli.h"

namespace rotor::cli {

struct ModuleFile {
  std::string path;
  WatModule module;   ///< for a file that is no text, its bytes as they are
  std::string text;   ///< empty: the file is no text
  uint64_t size = 0;  ///< of the file
  bool is_code_file = false;
  std::string look;   ///< what the file looks like, if that is neither a module nor a text; empty: nobody knows
};

/// Reads a file, and encodes it if it is a text. A text that is none ends the command, with the line and a caret.
/// Names are kept, for backtraces.
ModuleFile read_module_file_or_die(const std::string& path);
/// Does the same for bytes that were read already.
ModuleFile module_file_or_die(const std::string& path, std::vector<uint8_t> bytes, const WatOptions& options);

/// Returns whether the bytes are a binary module, judged by the first ones.
bool is_binary_module(std::span<const uint8_t> bytes);

struct LoadedModule {
  Module module;
  bool from_code_file = false;
  double load_ms = 0;       ///< in all, compiling included
  uint64_t file_bytes = 0;  ///< of the file
};

/// A module that could not be loaded.
struct LoadFailure {
  ModuleFile file;
  Error error;
};
/// Loads a module: a .wasm or .wat file is compiled, with progress on a terminal; any other is taken as a code file. A
/// file that can't be read, or a text that is none, ends the command.
std::expected<LoadedModule, LoadFailure> load_module(const Engine& engine, const std::string& path);

/// Does the same; a module that could not be loaded ends the command.
LoadedModule load_module_or_die(const Engine& engine, const std::string& path);

/// Ends the command with an error about the module; for a text, with the line that the error is about.
[[noreturn]] void die(const ModuleFile& file, const Error& error);

template <class T>
T value_or_die(const ModuleFile& file, Result<T>&& result) {
  if (!result) die(file, result.error());
  return std::move(*result);
}

}  // namespace rotor::cli
