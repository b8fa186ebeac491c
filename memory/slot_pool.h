// Slots: address space that is ready to be the next memory of an image, reserved and with the image mapped.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "memory/os.h"
#include "rotor/result.h"

namespace rotor::memory {

/// What slots are filled with: the interface by which they know an image.
class SlotContents {
 public:
  virtual uint64_t mapped_bytes() const = 0;
  virtual Result<void> map(void* address) const = 0;
  virtual void fault_in(const void* address) const = 0;
  /// The mappings that a memory's reservation can be divided into: the contents, what the memory has grown by, and the
  /// rest (os::reserve).
  static constexpr uint32_t kMappings = 3;

 protected:
  ~SlotContents() = default;
};

/// The slots of one image. A slot costs page tables and address space, no memory. Thread-safe.
class SlotPool {
 public:
  SlotPool() = default;
  SlotPool(const SlotPool&) = delete;
  ~SlotPool();

  /// Keeps `count` slots from now on, and makes those that are missing. Errors: io (there are fewer).
  Result<void> keep(const SlotContents& contents, size_t count, uint64_t reserved_bytes);
  /// Takes a slot of that size, which is the caller's from then on, and returns its base; null if there is none.
  uint8_t* take(uint64_t reserved_bytes);
  /// Takes over a reservation that begins with a private mapping of the contents, of which the first `used_bytes` are
  /// accessible (whole pages of the system). Post: nothing that was written there is left. Returns false if it was not
  /// taken over and is still the caller's.
  bool give(const SlotContents& contents, uint8_t* base, uint64_t reserved_bytes, uint64_t used_bytes);

 private:
  struct Slot {
    uint8_t* base;
    uint64_t reserved_bytes;
  };

  /// Ends the making of a slot (`coming_`); `base` is null if that failed.
  void add(uint8_t* base, uint64_t reserved_bytes);

  std::mutex mutex_;
  size_t count_ = 0;   ///< to keep
  size_t coming_ = 0;  ///< being made
  std::vector<Slot> slots_;
};

}  // namespace rotor::memory
