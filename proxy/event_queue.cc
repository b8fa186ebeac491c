#include "proxy/event_queue.h"

#include "rotor/guard.h"

namespace rotor::proxy {

Result<void> EventQueue::tell_all(std::unique_lock<std::mutex>& lock) {
  if (events_.empty()) return {};
  const std::vector<ProxyEvent> events = std::exchange(events_, {});
  if (!tell_) return {};
  lock.unlock();
  Result<void> told;
  for (const ProxyEvent& event : events)
    if (auto one = detail::guarded("on_event", [&] { tell_(event); }); !one) told = std::move(one);
  lock.lock();
  return told;
}

}  // namespace rotor::proxy
