// Counts that the holder of the lease writes.
#pragma once

#include <atomic>
#include <cstdint>

namespace rotor::proxy {

/// A count that one thread at a time writes, and any reads: no exchange on the bus.
class LeaseCount {
 public:
  void add(uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void raise(uint64_t to) {
    if (to > value_.load(std::memory_order_relaxed)) value_.store(to, std::memory_order_relaxed);
  }
  void set(uint64_t to) { value_.store(to, std::memory_order_relaxed); }
  operator uint64_t() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace rotor::proxy
