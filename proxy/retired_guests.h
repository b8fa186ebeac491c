// Retired guests, from when no call is in them any more until they are freed.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "proxy/live_guest.h"
#include "rotor/proxy.h"

namespace rotor::proxy {

/// The retired guests that are to be freed, and what is counted of them. Guarded by the Warmer's mutex.
class RetiredGuests {
 public:
  using Guests = std::vector<std::unique_ptr<LiveGuest>>;

  void add(std::unique_ptr<LiveGuest> guest);
  bool empty() const { return waiting_.empty(); }
  /// Takes the guests out, to be freed with no lock held. They count as retired until note_freed.
  Guests take() { return std::exchange(waiting_, {}); }
  /// Frees guests, and returns an event for each. Called with no lock held.
  static std::vector<ProxyEvent> free(Guests guests);
  void note_freed(const ProxyEvent& drained);
  /// Forgets the guests that another thread was freeing: in the child of a fork it is gone.
  void after_fork_in_child();

  uint64_t bytes() const { return bytes_; }
  /// Sets the counters that are counted here.
  void report(ProxyCounters& to) const;

 private:
  Guests waiting_;
  uint64_t count_ = 0;  ///< with those that are being freed
  uint64_t bytes_ = 0;  ///< of the memories of these
  uint64_t drained_ = 0;
  uint64_t drain_ns_last_ = 0;
  uint64_t drain_ns_total_ = 0;
};

}  // namespace rotor::proxy
