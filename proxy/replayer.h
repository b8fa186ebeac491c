// Replays recorded calls on a guest.
#pragma once

#include <atomic>
#include <cstdint>

#include "proxy/live_guest.h"
#include "proxy/log_call.h"

namespace rotor::proxy {

/// Returns whether an error says that a replay went another way than the call did.
bool is_divergence(const Error& error);

/// Replays calls, and counts them. Used by any thread.
class Replayer {
 public:
  /// `stop` ends replays when it becomes true.
  Replayer(const Plan& plan, const std::atomic<bool>& stop) : plan_(plan), stop_(stop) {}

  /// Replays one call and notes the handles that it returns. Errors: those of LiveGuest::call; internal (a divergence:
  /// it returned something else than on the active, or called its host differently; or `stop`).
  Result<void> replay(const LogCall& call, LiveGuest& guest);
  /// Returns how many calls were replayed without an error.
  uint64_t calls() const { return calls_; }

 private:
  const Plan& plan_;
  const std::atomic<bool>& stop_;
  std::atomic<uint64_t> calls_ = 0;
};

}  // namespace rotor::proxy
