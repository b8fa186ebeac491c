// Events that wait until they can be told with no lock held.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "rotor/proxy.h"

namespace rotor::proxy {

/// Guarded by the Warmer's mutex.
class EventQueue {
 public:
  /// `tell` may be null, and must live as long as this.
  explicit EventQueue(const std::function<void(const ProxyEvent&)>& tell) : tell_(tell) {}

  void push(ProxyEvent event) { events_.push_back(std::move(event)); }
  bool empty() const { return events_.empty(); }
  /// Tells all events, with `lock` released meanwhile. Errors: host (what the embedder's code threw last).
  Result<void> tell_all(std::unique_lock<std::mutex>& lock);

 private:
  const std::function<void(const ProxyEvent&)>& tell_;
  std::vector<ProxyEvent> events_;
};

}  // namespace rotor::proxy
