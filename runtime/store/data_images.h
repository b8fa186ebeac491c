// What the memories that a module defines hold first, as its active data segments leave them: an instance maps it
// copy-on-write, which costs the same whatever the segments hold, or finds it in a slot that an instance before it
// left. A code file carries what is worth it, and whoever loads the module maps that: nothing is copied then.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "code/abi.h"
#include "code/code_file.h"
#include "code/mapped_file.h"
#include "memory/slot_pool.h"
#include "rotor/module.h"
#include "wasm/module.h"

namespace rotor::runtime {

/// Belongs to a module. Thread-safe; takes no lock, so that a fork finds none taken.
class DataImages {
 public:
  /// Data that end below this offset are copied into a memory, if they are of fewer than kLeastBytes; else mapped. In a
  /// slab all are copied.
  static constexpr uint64_t kMostCopiedExtent = 64 << 10;
  /// A mapping and its faults cost as much as a copy of so many bytes.
  static constexpr uint64_t kLeastBytes = 32 << 10;

  /// What a code file carries.
  struct Stored {
    std::shared_ptr<const code::MappedFile> file;  ///< null: nothing
    std::vector<code::DataImage> images;
  };

  explicit DataImages(Stored stored) : stored_(std::move(stored)) {}
  ~DataImages() { delete made_.load(); }
  DataImages(const DataImages&) = delete;

  /// What the first instantiation made.
  struct Made {
    /// By index of the memory; null for one that is imported.
    std::vector<std::shared_ptr<const memory::SlotContents>> contents;
    /// Whether the contents are those that the data give; else they are zeroes, and every instance writes its data by
    /// itself.
    bool have_data = false;
    Module::DataInit how = Module::DataInit::copied;
  };
  /// Makes the contents the first time. `bytes`: the module's, which hold the segments' contents; `checks`: those of
  /// its memories.
  const Made& of(const wasm::Module& module, std::span<const uint8_t> bytes,
                 std::span<const code::MemoryCheck> checks) const;
  /// Returns what was made; nullptr before the first instantiation.
  const Made* made() const { return made_.load(std::memory_order_acquire); }
  /// Returns those that a code file shall carry, of what was made: large ones that consist of data for the most part.
  /// They live as long as `made`.
  static std::vector<code::DataImage> worth_storing(const Made& made);

 private:
  Made make(const wasm::Module& module, std::span<const uint8_t> bytes,
            std::span<const code::MemoryCheck> checks) const;
  /// Returns the image that the file carries for a memory, if it does and `size_bytes` is right.
  std::shared_ptr<const memory::SlotContents> stored(uint32_t memory, uint64_t size_bytes) const;

  const Stored stored_;
  mutable std::atomic<const Made*> made_{nullptr};
};

}  // namespace rotor::runtime
