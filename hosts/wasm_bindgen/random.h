// A guest's random bytes: those of a generator with a seed, so that runs can be compared, or the system's.
#pragma once

#include <sys/random.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "rotor/result.h"

namespace rotor::wasm_bindgen {

/// One source for all threads of a guest and all guests that share it. With a seed it is xorshift64*, and a guest's
/// proofs come out byte for byte equal on any host: for tests and traces, as nothing that it gives is secret.
class SharedRandom {
 public:
  explicit SharedRandom(uint64_t seed = 1) : state_(seed) {}
  /// Makes a source of the system's random bytes.
  static std::shared_ptr<SharedRandom> of_system() {
    auto random = std::make_shared<SharedRandom>();
    random->state_.reset();
    return random;
  }
  /// Fills `out`. Errors: io (the system has none).
  Result<void> fill(std::span<uint8_t> out) {
    std::lock_guard lock(mutex_);
    bytes_drawn_ += out.size();
    if (!state_) return fill_from_system(out);
    for (uint8_t& byte : out) byte = next();
    return {};
  }
  uint64_t bytes_drawn() const {
    std::lock_guard lock(mutex_);
    return bytes_drawn_;
  }

 private:
  static Result<void> fill_from_system(std::span<uint8_t> out) {
    while (!out.empty()) {
      ssize_t size = getrandom(out.data(), out.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return fail(ErrorKind::io, std::string("no random bytes: ") + std::strerror(errno));
      out = out.subspan(static_cast<size_t>(size));
    }
    return {};
  }
  uint8_t next() {
    *state_ ^= *state_ >> 12;
    *state_ ^= *state_ << 25;
    *state_ ^= *state_ >> 27;
    return static_cast<uint8_t>((*state_ * UINT64_C(0x2545F4914F6CDD1D)) >> 56);
  }

  mutable std::mutex mutex_;
  std::optional<uint64_t> state_;  ///< nullopt: the system's
  uint64_t bytes_drawn_ = 0;
};

}  // namespace rotor::wasm_bindgen
