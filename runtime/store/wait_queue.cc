#include "runtime/store/wait_queue.h"

#include <chrono>

namespace rotor::runtime {

WaitQueue::Outcome WaitQueue::block(std::unique_lock<std::mutex>& lock, Waiter& self, uint64_t address,
                                    int64_t timeout_ns) {
  using Clock = std::chrono::steady_clock;
  auto& queue = waiters_[address];
  auto place = queue.insert(queue.end(), &self);
  auto is_woken = [&] { return self.woken || self.interrupted; };
  // A deadline past the clock's range is no deadline.
  Clock::time_point now = Clock::now();
  bool infinite = timeout_ns < 0 || std::chrono::nanoseconds(timeout_ns) >= Clock::time_point::max() - now;
  if (infinite)
    self.wake.wait(lock, is_woken);
  else
    self.wake.wait_until(lock, now + std::chrono::nanoseconds(timeout_ns), is_woken);
  if (self.woken) return Outcome::woken;  // notify took it off the queue
  queue.erase(place);
  if (queue.empty()) waiters_.erase(address);
  return self.interrupted ? Outcome::interrupted : Outcome::timed_out;
}

void WaitQueue::interrupt(Waiter& waiter) {
  std::lock_guard lock(mutex());
  waiter.interrupted = true;
  waiter.wake.notify_one();
}

uint32_t WaitQueue::notify(uint64_t address, uint32_t count) {
  std::lock_guard lock(mutex());
  auto it = waiters_.find(address);
  if (it == waiters_.end()) return 0;
  uint32_t woken = 0;
  while (woken < count && !it->second.empty()) {
    Waiter* waiter = it->second.front();
    it->second.pop_front();
    waiter->woken = true;
    waiter->wake.notify_one();  // under the lock: the waiter's own stack holds it until it gets the lock back
    ++woken;
  }
  if (it->second.empty()) waiters_.erase(it);
  return woken;
}

}  // namespace rotor::runtime
