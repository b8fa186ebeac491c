// Slots: address space that is ready to be the next memory of an image, reserved and with the image mapped.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "memory/os.h"
#include "rotor/result.h"

namespace rotor::memory {

/// What slots are filled with: an image, as they know it.
class SlotContents {
 public:
  virtual uint64_t mapped_bytes() const = 0;
  virtual Result<void> map(void* address) const = 0;
  virtual void fault_in(const void* address) const = 0;
  /// Of a memory's reservation: the contents, what the memory has grown by, and the rest (os::reserve).
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
  /// The base of a slot of that size, which is the caller's now. Null: there is none.
  uint8_t* take(uint64_t reserved_bytes);
  /// Takes over a reservation that begins with a private mapping of the contents, of which the first `used_bytes` are
  /// accessible (whole pages of the system). Post: nothing that was written there is left. False: it is still the
  /// caller's.
  bool give(const SlotContents& contents, uint8_t* base, uint64_t reserved_bytes, uint64_t used_bytes);

 private:
  struct Slot {
    uint8_t* base;
    uint64_t reserved_bytes;
  };

  /// Ends a pending reservation; null if it failed.
  void add(uint8_t* base, uint64_t reserved_bytes);

  std::mutex mutex_;
  size_t count_ = 0;   ///< to keep
  size_t coming_ = 0;  ///< being made
  std::vector<Slot> slots_;
};

}  // namespace rotor::memory
