#include "proxy/slot.h"

#include <cassert>
#include <utility>

namespace rotor::proxy {

bool ActiveSlot::enter() {
  const std::thread::id self = std::this_thread::get_id();
  if (holder_.load(std::memory_order_relaxed) == self) {
    depth_++;
    return false;
  }
  {
    std::unique_lock lock(mutex_);
    if (taken_) {
      Waiter waiter;
      waiters_.push_back(&waiter);
      waiter.turn.wait(lock, [&] { return waiter.let_in; });
    }
    taken_ = true;
  }
  holder_.store(self, std::memory_order_relaxed);
  depth_ = 1;
  return true;
}

bool ActiveSlot::leave() {
  assert(holder_.load(std::memory_order_relaxed) == std::this_thread::get_id() &&
         "a lease is dropped on the thread that acquired it");
  return --depth_ == 0;
}

void ActiveSlot::open() {
  holder_.store({}, std::memory_order_relaxed);
  std::lock_guard lock(mutex_);
  if (waiters_.empty()) {
    taken_ = false;
    return;
  }
  // Handed over without a gap, so that no newcomer gets in between. Notified under the lock: the waiter owns `turn`.
  Waiter* next = waiters_.front();
  waiters_.pop_front();
  next->let_in = true;
  next->turn.notify_one();
}

std::unique_ptr<LiveGuest> ActiveSlot::exchange(std::unique_ptr<LiveGuest> next) {
  return std::exchange(active_, std::move(next));
}

size_t ActiveSlot::waiting() {
  std::lock_guard lock(mutex_);
  return waiters_.size();
}

bool ActiveSlot::is_free() {
  std::lock_guard lock(mutex_);
  return !taken_;
}

}  // namespace rotor::proxy
