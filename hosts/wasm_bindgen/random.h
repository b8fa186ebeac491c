// Deterministic "random" bytes: xorshift64*, one generator for all threads of a guest and all guests that share it.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>

namespace rotor::wasm_bindgen {

/// A guest's proofs come out byte for byte equal on any host with this generator and this seed.
class SharedRandom {
 public:
  explicit SharedRandom(uint64_t seed = 1) : state_(seed) {}

  void fill(std::span<uint8_t> out) {
    std::lock_guard lock(mutex_);
    for (uint8_t& byte : out) byte = next();
    bytes_drawn_ += out.size();
  }
  uint64_t bytes_drawn() const {
    std::lock_guard lock(mutex_);
    return bytes_drawn_;
  }

 private:
  uint8_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<uint8_t>((state_ * UINT64_C(0x2545F4914F6CDD1D)) >> 56);
  }

  mutable std::mutex mutex_;
  uint64_t state_;
  uint64_t bytes_drawn_ = 0;
};

}  // namespace rotor::wasm_bindgen
