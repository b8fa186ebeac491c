// Images of the memories that a module defines, as its active data segments leave them: an instance maps them
// copy-on-write, which costs the same whatever the segments hold.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "memory/image.h"
#include "rotor/module.h"
#include "wasm/module.h"

namespace rotor::runtime {

/// Belongs to a module. Thread-safe; takes no lock, so that a fork finds none taken.
class DataImages {
 public:
  /// Data of fewer bytes are copied into each instance: a mapping and its faults cost as much as a copy of so many.
  static constexpr uint64_t kLeastBytes = 32 << 10;

  DataImages() = default;
  ~DataImages() { delete made_.load(); }
  DataImages(const DataImages&) = delete;

  /// What the first instantiation made.
  struct Made {
    /// By index of the memory; null for one that is imported or has little data. Empty if every instance has to write
    /// its data by itself.
    std::vector<std::shared_ptr<const memory::Image>> images;
    Module::DataInit how = Module::DataInit::copied;
  };
  /// Makes the images the first time. `bytes`: the module's, which hold the segments' contents.
  const Made& of(const wasm::Module& module, std::span<const uint8_t> bytes) const;
  /// Returns what was made; nullptr before the first instantiation.
  const Made* made() const { return made_.load(std::memory_order_acquire); }

 private:
  mutable std::atomic<const Made*> made_{nullptr};
};

}  // namespace rotor::runtime
