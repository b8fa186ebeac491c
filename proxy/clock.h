// The clock of pauses, warm-ups and drains.
#pragma once

#include <chrono>
#include <cstdint>

namespace rotor::proxy {

inline uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

}  // namespace rotor::proxy
