// A linear memory's address space: reserved whole, so that it never moves; committed as it grows.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "rotor/result.h"

namespace rotor::memory {

/// [base, base + reserved): the first size_bytes() are accessible, the rest faults. Thread-safe: several threads may
/// grow it and read its size at once (memories that threads share).
class LinearMemory {
 public:
  static constexpr uint64_t kPageBytes = 65536;

  /// Pre: min_bytes <= max_bytes <= reserved_bytes, all multiples of kPageBytes but reserved_bytes (of the system's
  /// page). Errors: io (no address space or memory).
  static Result<std::unique_ptr<LinearMemory>> create(uint64_t min_bytes, uint64_t max_bytes, uint64_t reserved_bytes);
  ~LinearMemory();
  LinearMemory(const LinearMemory&) = delete;

  uint8_t* base() const { return base_; }
  uint64_t size_bytes() const { return size_bytes_->load(std::memory_order_acquire); }
  uint64_t max_bytes() const { return max_bytes_; }
  uint64_t reserved_bytes() const { return reserved_bytes_; }
  /// Grows by `delta_bytes` (a multiple of kPageBytes): the old size in bytes, or UINT64_MAX if max_bytes or the system
  /// forbids. Post: new bytes are zero. `size` as compiled code reads it (attach_size) is stored after the commit, so a
  /// thread that sees the new size can use the bytes.
  uint64_t grow(uint64_t delta_bytes);
  /// Keeps the size in `*size` from now on (the field of jit::MemoryDef that compiled code reads).
  void attach_size(std::atomic<uint64_t>* size);
  /// True if `address` lies in the reservation: a fault there is the guest's.
  bool contains(uintptr_t address) const { return address - reinterpret_cast<uintptr_t>(base_) < reserved_bytes_; }

 private:
  LinearMemory() = default;
  uint8_t* base_ = nullptr;
  uint64_t max_bytes_ = 0;
  uint64_t reserved_bytes_ = 0;
  std::atomic<uint64_t> own_size_{0};
  std::atomic<uint64_t>* size_bytes_ = &own_size_;
  std::mutex grow_mutex_;
};

}  // namespace rotor::memory
