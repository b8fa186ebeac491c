// Verifies images: replays their calls once more and compares.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "proxy/live_guest.h"
#include "proxy/replayer.h"
#include "rotor/proxy.h"

namespace rotor::proxy {

/// Used by any thread, with no lock held.
class Verifier {
 public:
  Verifier(const Plan& plan, GuestSource& source, Replayer& replayer)
      : plan_(plan), source_(source), replayer_(replayer) {}

  /// Replays the image's calls on a fresh guest, and compares. Errors: see Proxy::verify.
  Result<VerifyReport> verify(const StandbyImage& image);
  /// Sets the counters that are counted here.
  void report(ProxyCounters& to) const;

 private:
  Result<VerifyReport> replay_and_compare(const StandbyImage& image);

  const Plan& plan_;
  GuestSource& source_;
  Replayer& replayer_;
  std::atomic<uint64_t> verified_ = 0;
  std::atomic<uint64_t> failed_ = 0;  ///< written first, read last: it includes all that `verified_` counts
};

/// Returns whether a verification found nothing wrong.
bool passed(const Result<VerifyReport>& report);
/// Returns what a verification found wrong, for people; empty if it passed.
std::string fault_of(const Result<VerifyReport>& report);

}  // namespace rotor::proxy
