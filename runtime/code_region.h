// A module's code in memory: [text | read-only data | run page], which grows as functions are compiled, and the table
// that tells whose code a pc lies in.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "jit/code.h"
#include "memory/fork.h"
#include "memory/os.h"
#include "rotor/result.h"

namespace rotor::runtime {

class ModuleImpl;

/// A file's bytes, mapped read-only as long as this lives.
class MappedFile {
 public:
  /// Errors: io, naming the file.
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  std::span<const uint8_t> bytes() const { return bytes_; }
  const memory::os::InputFile& file() const { return file_; }

 private:
  MappedFile(memory::os::InputFile file, std::span<const uint8_t> bytes) : file_(std::move(file)), bytes_(bytes) {}
  const memory::os::InputFile file_;
  const std::span<const uint8_t> bytes_;
};

/// Text is executable and never writable, read-only data is neither, the run page is writable and never executable.
/// Thread-safe.
class CodeRegion {
 public:
  /// Reserves the region; there is no code yet, and the run page is zeroes.
  static Result<std::unique_ptr<CodeRegion>> create(const ModuleImpl& module, const jit::RegionLayout& layout);
  ~CodeRegion();
  CodeRegion(const CodeRegion&) = delete;

  /// Room for code to be linked for. Errors: limit.
  struct Place {
    uint64_t text_offset;
    uint64_t rodata_offset;
  };
  Result<Place> allocate(uint64_t text_bytes, uint64_t rodata_bytes);
  /// Puts linked code in its place, which was allocated, and knows its functions from then on.
  Result<void> add(jit::CodeImage image);
  /// The module's stubs, at the start of text. Pre: nothing was allocated.
  Result<void> add_stubs(const wasm::Module& module);
  /// Maps the code of a file from the region's start. Pre: nothing was allocated; `code` is of that file.
  Result<void> add_file(const jit::CodeFile& code, std::shared_ptr<const MappedFile> file);
  /// The same of a file's bytes in memory: the code is copied.
  Result<void> add_copy(const jit::CodeFile& code, std::shared_ptr<const void> tables_owner);

  const jit::RegionLayout& layout() const { return layout_; }
  const uint8_t* text() const { return base_; }
  uint8_t* run_page() const { return base_ + layout_.run_page(); }
  const ModuleImpl& module() const { return module_; }

  /// The function whose code holds an offset in text, and the offset of the instruction in the module.
  struct Site {
    uint32_t defined_func;
    uint64_t module_offset;
  };
  std::optional<Site> site_at(uint64_t text_offset) const;
  /// Calls `visit(const jit::FunctionCode&)` for all code there is.
  template <class Visit>
  void for_each_function(Visit visit) const {
    memory::ForkPass pass;
    std::scoped_lock lock(mutex_);
    for (const auto& [begin, part] : parts_)
      for (const jit::FunctionCode& function : part.functions) visit(function);
  }
  /// A copy of all code there is, as a code file holds it: `file` views the vectors.
  struct Contents {
    jit::CodeFile file;
    std::vector<uint8_t> text, rodata, lines;
    std::vector<jit::FunctionCode> functions;
  };
  Contents contents() const;
  /// Text and read-only data in use.
  uint64_t code_bytes() const;

 private:
  /// Code that came together; functions ascending by `begin`.
  struct Part {
    Place place;
    uint64_t text_bytes;
    uint64_t rodata_bytes;
    std::span<const jit::FunctionCode> functions;
    std::span<const uint8_t> lines;
    std::shared_ptr<const void> owner;
  };

  /// Config::perf_map.
  void list_for_perf(std::span<const jit::FunctionCode> functions) const;

  CodeRegion(const ModuleImpl& module, const jit::RegionLayout& layout) : module_(module), layout_(layout) {}
  void take_tables(const jit::CodeFile& code, std::shared_ptr<const void> owner);
  Result<void> put(const Place& place, std::span<const uint8_t> text, std::span<const uint8_t> rodata);

  const ModuleImpl& module_;
  const jit::RegionLayout layout_;
  uint8_t* base_ = nullptr;
  mutable std::mutex mutex_;
  uint64_t text_used_ = 0;
  uint64_t rodata_used_ = 0;
  std::map<uint64_t, Part> parts_;  ///< by text_offset; they do not overlap
  bool registered_ = false;
};

/// The region whose text holds `pc`; nullptr: none. Lock-free and async-signal-safe. The result may be used while the
/// caller knows that the module lives (it runs code of it).
const CodeRegion* find_code_region(uintptr_t pc);

/// How many regions find_code_region knows, and how many places it has for them, which are used again and never fewer.
struct CodeRegionCount {
  size_t regions = 0;
  size_t places = 0;
};
CodeRegionCount count_code_regions();

}  // namespace rotor::runtime
