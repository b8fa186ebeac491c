// A module's code in memory: [text | read-only data | run page], and the table that tells whose code a pc lies in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "jit/code.h"
#include "rotor/result.h"

namespace rotor::runtime {

class ModuleImpl;

/// Text is executable and never writable, read-only data is neither, the run page is writable and never executable.
class CodeRegion {
 public:
  /// Maps linked code from memory (`image.bytes`).
  static Result<std::unique_ptr<CodeRegion>> map(const ModuleImpl& module, const jit::CodeImage& image);
  /// Maps it from a code file.
  static Result<std::unique_ptr<CodeRegion>> map_file(const ModuleImpl& module, const jit::CodeImage& image,
                                                      const std::string& path, uint64_t file_offset);
  ~CodeRegion();
  CodeRegion(const CodeRegion&) = delete;

  const uint8_t* text() const { return base_; }
  uint64_t text_bytes() const { return text_bytes_; }
  /// Text and read-only data.
  std::span<const uint8_t> contents() const { return {base_, text_bytes_ + rodata_bytes_}; }
  uint8_t* run_page() const { return base_ + text_bytes_ + rodata_bytes_; }
  const ModuleImpl& module() const { return module_; }

 private:
  explicit CodeRegion(const ModuleImpl& module) : module_(module) {}
  static Result<std::unique_ptr<CodeRegion>> reserve(const ModuleImpl& module, const jit::CodeImage& image);
  Result<void> finish(const jit::CodeImage& image);

  const ModuleImpl& module_;
  uint8_t* base_ = nullptr;
  uint64_t text_bytes_ = 0;
  uint64_t rodata_bytes_ = 0;
  uint64_t total_bytes_ = 0;
  bool registered_ = false;
};

/// The region whose text holds `pc`; nullptr: none. Lock-free and async-signal-safe. The result may be used while the
/// caller knows that the module lives (it runs code of it).
const CodeRegion* find_code_region(uintptr_t pc);

}  // namespace rotor::runtime
