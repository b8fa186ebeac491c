// When a warm-up may begin after others have failed.
#pragma once

#include <algorithm>
#include <cstdint>

#include "proxy/clock.h"
#include "proxy/policy.h"

namespace rotor::proxy {

/// Doubles the pause after each failure, up to a bound. Guarded by the Warmer's mutex.
class Backoff {
 public:
  explicit Backoff(const Policy& policy) : policy_(policy) {}

  /// Notes that a warm-up failed; `futile`: since the state itself is too big.
  void note_failure(bool futile) {
    const uint64_t pause_ms = failures_ < 32 ? policy_.backoff_first_ms << failures_ : policy_.backoff_max_ms;
    next_try_ns_ = now_ns() + std::min(pause_ms, policy_.backoff_max_ms) * 1'000'000;
    failures_++;
    futile_ = futile;
  }
  void note_success() { failures_ = 0; }
  /// Returns whether a warm-up may begin. `at_any_use`: one that is used whatever the size of the state, which a futile
  /// one before it is no reason to put off.
  bool lets_try(bool at_any_use) const { return failures_ == 0 || now_ns() >= next_try_ns_ || (at_any_use && futile_); }

 private:
  const Policy& policy_;
  uint64_t failures_ = 0;  ///< since the last success
  uint64_t next_try_ns_ = 0;
  bool futile_ = false;  ///< why the last one failed
};

}  // namespace rotor::proxy
