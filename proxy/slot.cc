#include "proxy/slot.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <utility>

namespace rotor::proxy {
namespace {

bool membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

ActiveSlot::ActiveSlot()
    : asymmetric_(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)), current_(std::make_unique<Hold>()) {
#if defined(__SANITIZE_THREAD__)
  asymmetric_ = false;  // it knows fences of threads only
#endif
  hold_.store(current_.get());
}

ActiveSlot::Entry ActiveSlot::enter(const Force& force) {
  const uintptr_t thread = self();
  if (Hold* hold = hold_.load(std::memory_order_acquire); hold->owner.load(std::memory_order_relaxed) == thread) {
    // A thread only ever finds itself here by its own doing; and it may have been exchanged under, while it was open.
    hold->depth++;
    return hold->is_retired.load(std::memory_order_acquire) ? Entry::joined_retired : Entry::joined;
  }
  if (draining_count_.load(std::memory_order_relaxed)) [[unlikely]] {
    if (Hold* hold = find_retired_or_null(thread)) {
      hold->depth++;
      return Entry::joined_retired;
    }
  }
  uint32_t free = kFree;
  if (state_.compare_exchange_strong(free, kTaken, std::memory_order_acquire)) [[likely]]
    return come_in(thread);
  std::unique_lock lock(mutex_);
  // From here on the holder hands over under the mutex.
  if (state_.exchange(kContended, std::memory_order_acquire) == kFree) {
    if (waiters_.empty()) state_.store(kTaken, std::memory_order_relaxed);
    return come_in(thread);
  }
  wait_in_line(lock, force);
  return come_in(thread);
}

ActiveSlot::Entry ActiveSlot::come_in(uintptr_t thread) {
  Hold& hold = *hold_.load(std::memory_order_relaxed);
  assert(hold.depth == 0);
  hold.depth = 1;
  hold.owner.store(thread, std::memory_order_relaxed);
  return Entry::came_in;
}

void ActiveSlot::wait_in_line(std::unique_lock<std::mutex>& lock, const Force& force) {
  Waiter waiter;
  waiters_.push_back(&waiter);
  while (!waiter.let_in) {
    if (waiters_.front() != &waiter) {
      waiter.turn.wait(lock);
      continue;
    }
    waiter.turn.wait_for(lock, kForcePoll);
    if (waiter.let_in || waiters_.front() != &waiter || !force.wanted()) continue;
    if (!try_force(force)) continue;
    waiters_.pop_front();
    break;
  }
  if (!waiters_.empty()) {
    waiters_.front()->turn.notify_one();  // now it is the first
  } else {
    state_.store(kTaken, std::memory_order_relaxed);
  }
}

bool ActiveSlot::try_force(const Force& force) {
  Hold& hold = *current_;
  claimed_.store(true);
  if (asymmetric_) membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
  bool done = false;
  if (hold.owner.load(std::memory_order_relaxed) != 0 && hold.phase.load() == Hold::Phase::open) {
    if (std::unique_ptr<LiveGuest> next = force.exchange(*active_, hold)) {
      hold.guest = std::exchange(active_, std::move(next));
      hold.is_retired.store(true, std::memory_order_release);
      auto fresh = std::make_unique<Hold>();
      hold_.store(fresh.get(), std::memory_order_release);
      draining_.push_back(std::exchange(current_, std::move(fresh)));
      draining_count_.fetch_add(1, std::memory_order_relaxed);
      done = true;
    }
  }
  claimed_.store(false, std::memory_order_release);
  return done;
}

/// A waiter is at work, or has just been: with the mutex, it is known what came of it.
void ActiveSlot::wait_for_claim() { std::lock_guard lock(mutex_); }

Hold* ActiveSlot::find_retired_or_null(uintptr_t thread) {
  std::lock_guard lock(mutex_);
  for (const auto& hold : draining_)
    if (hold->owner.load(std::memory_order_relaxed) == thread) return hold.get();
  return nullptr;
}

Hold& ActiveSlot::find_retired() {
  Hold* hold = find_retired_or_null(self());
  assert(hold && "a lease is used on the thread that acquired it");
  return *hold;
}

bool ActiveSlot::leave(Hold& hold) {
  assert(hold.owner.load(std::memory_order_relaxed) == self() && "a lease is dropped on the thread that acquired it");
  return --hold.depth == 0;
}

void ActiveSlot::open() {
  Hold& hold = *hold_.load(std::memory_order_relaxed);
  hold.owner.store(0, std::memory_order_relaxed);
  hold.is_explicit = hold.raw_used = false;
  uint32_t taken = kTaken;
  if (state_.compare_exchange_strong(taken, kFree, std::memory_order_release, std::memory_order_relaxed)) [[likely]]
    return;
  std::lock_guard lock(mutex_);
  if (waiters_.empty()) {  // who came has not got in line yet, and will find the mutex free
    state_.store(kFree, std::memory_order_release);
    return;
  }
  // Handed over without a gap, so that no newcomer gets in between. Notified under the lock: the waiter owns `turn`.
  Waiter* next = waiters_.front();
  waiters_.pop_front();
  next->let_in = true;
  next->turn.notify_one();
}

std::unique_ptr<LiveGuest> ActiveSlot::end_retired(Hold& hold) {
  std::lock_guard lock(mutex_);
  std::unique_ptr<LiveGuest> guest = std::move(hold.guest);
  std::erase_if(draining_, [&](const auto& item) { return item.get() == &hold; });
  draining_count_.fetch_sub(1, std::memory_order_relaxed);
  return guest;
}

std::unique_ptr<LiveGuest> ActiveSlot::exchange(std::unique_ptr<LiveGuest> next) {
  return std::exchange(active_, std::move(next));
}

size_t ActiveSlot::waiting() {
  std::lock_guard lock(mutex_);
  return waiters_.size();
}

size_t ActiveSlot::draining(uint64_t* bytes) {
  std::lock_guard lock(mutex_);
  if (bytes)
    for (const auto& hold : draining_) *bytes += hold->guest->memory_bytes();
  return draining_.size();
}

size_t ActiveSlot::count_overdue(uint64_t now_ns, uint64_t deadline_ns) {
  std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const auto& hold : draining_) {
    if (hold->overdue || now_ns - hold->guest->retired_at_ns < deadline_ns) continue;
    hold->overdue = true;
    count++;
  }
  return count;
}

bool ActiveSlot::is_free() { return state_.load() == kFree && draining() == 0; }

}  // namespace rotor::proxy
