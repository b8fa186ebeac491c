// /tmp/perf-PID.map: where Linux's perf looks for the names of code that lies in no file.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "code/code_image.h"
#include "code/file.h"
#include "memory/fork.h"
#include "rotor/result.h"
#include "wasm/names.h"

namespace rotor::code {

/// Adds a line for each function: "BEGIN SIZE MODULE!FUNCTION [tierN]", numbers in hex without 0x; names as messages
/// have them (rotor/printable.h), with `_` for spaces. Engines of one process share the file: lines go to its end,
/// each write whole. What can't be written (a full disk) is lost. Thread-safe.
class PerfMap {
 public:
  /// Opens this process's file, which is made if need be. Errors: io, naming it; also if what has its name is a link, a
  /// pipe or another user's.
  static Result<std::unique_ptr<PerfMap>> open();
  PerfMap(const PerfMap&) = delete;

  /// Adds functions whose code lies at their offsets from `text`.
  void add(const uint8_t* text, std::span<const FunctionCode> functions, const wasm::Names& names,
           uint32_t imported_funcs);
  /// Adds a line for a module's stubs: `size` bytes of code.
  void add_stubs(const uint8_t* begin, uint64_t size, const wasm::Names& names);

 private:
  explicit PerfMap(Descriptor file) : file_(std::move(file)) {}
  void write(const std::string& lines);

  const Descriptor file_;
  const uint32_t generation_ = memory::fork_generation();
  std::mutex mutex_;
};

}  // namespace rotor::code
