// A module's code in memory: [text | read-only data | run page], which grows as functions are compiled.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "code/code_file.h"
#include "code/code_image.h"
#include "code/mapped_file.h"
#include "code/perf_map.h"
#include "memory/fork.h"
#include "rotor/result.h"
#include "rotor/trap.h"
#include "wasm/names.h"

namespace rotor::code {

/// The module whose code a region holds.
class CodeOwner {
 public:
  virtual const wasm::Module& wasm() const = 0;
  /// Returns what messages call the module and its functions.
  virtual const wasm::Names& names() const = 0;
  /// Returns what is known of an address in the region's text; nullopt if it lies in no function.
  virtual std::optional<Frame> frame_at(uintptr_t pc) const = 0;
  /// Returns Module::id of it. Async-signal-safe.
  virtual uint64_t id() const = 0;
  /// Returns a reference that keeps it; null if it is being destroyed.
  virtual std::shared_ptr<const CodeOwner> keep() const = 0;

 protected:
  ~CodeOwner() = default;
};

/// Text is executable and never writable, read-only data is neither, the run page is writable and never executable.
/// Thread-safe.
class CodeRegion {
 public:
  /// Reserves the region; there is no code yet, and the run page is zeroes. Its functions are listed in `perf_map`,
  /// unless that is null. `owner` and `perf_map` must outlive it.
  static Result<std::unique_ptr<CodeRegion>> create(const CodeOwner& owner, PerfMap* perf_map,
                                                    const RegionLayout& layout);
  ~CodeRegion();
  CodeRegion(const CodeRegion&) = delete;

  /// Room that is allocated for code, which is then linked for it. Errors of `allocate`: limit.
  struct Place {
    uint64_t text_offset;
    uint64_t rodata_offset;
  };
  Result<Place> allocate(uint64_t text_bytes, uint64_t rodata_bytes);
  /// Puts linked code in its place, which was allocated, and knows its functions from then on.
  Result<void> add(CodeImage image);
  /// Puts the module's stubs at the start of text. Pre: nothing was allocated.
  Result<void> add_stubs();
  /// Maps the code of a file from the region's start. Pre: nothing was allocated; `code` is of that file.
  Result<void> add_file(const CodeFile& code, std::shared_ptr<const MappedFile> file);
  /// Copies the code of a file whose bytes are in memory. `tables_owner` keeps those alive. Pre: nothing was allocated.
  Result<void> add_copy(const CodeFile& code, std::shared_ptr<const void> tables_owner);

  const RegionLayout& layout() const { return layout_; }
  const uint8_t* text() const { return base_; }
  uint8_t* run_page() const { return base_ + layout_.run_page(); }
  const CodeOwner& owner() const { return owner_; }

  /// The function whose code holds an offset in text, and the offset of the instruction in the module.
  struct Site {
    uint32_t defined_func;
    uint64_t module_offset;
  };
  std::optional<Site> site_at(uint64_t text_offset) const;
  /// Returns the code of a function that holds an offset in text; null if none does. Async-signal-safe. It lives as
  /// long as the region.
  const FunctionCode* function_at(uint64_t text_offset) const;
  /// How an exception leaves a call, by the call's return address.
  struct Unwind {
    uint32_t saved;  ///< FunctionCode::saved of the function that called
    uint32_t pad;    ///< 0: it goes on to the caller of that
    uint32_t pushed_bytes;
  };
  /// Returns it for an offset in text; nullopt if no function made such a call. Takes no lock. Pre: the code runs, so
  /// it was added before.
  std::optional<Unwind> unwind_at(uint64_t return_offset) const;
  /// Calls `visit(const FunctionCode&)` for all code there is.
  template <class Visit>
  void for_each_function(Visit visit) const {
    memory::ForkPass pass;
    std::scoped_lock lock(mutex_);
    for (const auto& [begin, part] : parts_)
      for (const FunctionCode& function : part.functions) visit(function);
  }
  /// A copy of all code there is, as a code file holds it: `file` views the vectors.
  struct Contents {
    CodeFile file;
    std::vector<uint8_t> text, rodata, lines;
    std::vector<FunctionCode> functions;
    std::vector<LandingPad> pads;
  };
  Contents contents() const;
  /// Returns the bytes of text and read-only data in use.
  uint64_t code_bytes() const;

 private:
  /// Code that was added in one step; functions ascending by `begin`.
  struct Part {
    Place place;
    uint64_t text_bytes;
    uint64_t rodata_bytes;
    std::span<const FunctionCode> functions;
    std::span<const uint8_t> lines;
    std::span<const LandingPad> pads;
    std::shared_ptr<const void> owner;
    /// Returns the function whose code holds an offset in text; null if none does.
    const FunctionCode* function_at(uint32_t offset) const;
  };

  /// Code by the page of text that it lies in, for who takes no lock: the part at text's beginning, and of the others
  /// chunks of pointers, made when the first of them is added.
  struct Pages {
    static constexpr uint32_t kChunkPages = 512;
    using Chunk = std::array<std::atomic<const Part*>, kChunkPages>;
    explicit Pages(uint64_t text_bytes) : chunks(text_bytes / kCodePageBytes / kChunkPages + 1) {}
    ~Pages() {
      for (auto& chunk : chunks) delete chunk.load(std::memory_order_relaxed);
    }
    std::vector<std::atomic<Chunk*>> chunks;
  };
  /// Makes a part known. Pre: mutex_ is held.
  void add_part(Part part);
  const Part* part_at(uint64_t text_offset) const;

  void list_for_perf(std::span<const FunctionCode> functions) const;

  CodeRegion(const CodeOwner& owner, PerfMap* perf_map, const RegionLayout& layout)
      : owner_(owner), perf_map_(perf_map), layout_(layout) {}
  void take_tables(const CodeFile& code, std::shared_ptr<const void> owner);
  Result<void> put(const Place& place, std::span<const uint8_t> text, std::span<const uint8_t> rodata);

  const CodeOwner& owner_;
  PerfMap* const perf_map_;
  const RegionLayout layout_;
  uint8_t* base_ = nullptr;
  mutable std::mutex mutex_;
  uint64_t text_used_ = 0;
  uint64_t rodata_used_ = 0;
  std::map<uint64_t, Part> parts_;  ///< by text_offset; they do not overlap
  std::atomic<const Part*> first_part_{nullptr};
  std::atomic<Pages*> pages_{nullptr};
  bool registered_ = false;
};

}  // namespace rotor::code
