#include "proxy/slot.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <new>
#include <utility>

namespace rotor::proxy {
namespace {

bool membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

ActiveSlot::ActiveSlot()
    : asymmetric_(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)), current_(std::make_unique<Hold>()) {
#if defined(__SANITIZE_THREAD__)
  asymmetric_ = false;  // ThreadSanitizer does not know membarrier
#endif
  hold_.store(current_.get());
}

ActiveSlot::Entry ActiveSlot::enter(const Force& force) {
  const uintptr_t thread = self();
  Hold* hold = hold_.load(std::memory_order_acquire);
  ROTOR_PERTURB_POINT();
  if (hold->owner.load(std::memory_order_relaxed) == thread) {
    // Only the thread itself writes its id here. It may have been exchanged under meanwhile, if its phase was open.
    hold->depth++;
    return hold->is_retired.load(std::memory_order_acquire) ? Entry::joined_retired : Entry::joined;
  }
  if (draining_count_.load(std::memory_order_relaxed)) [[unlikely]] {
    if (Hold* retired = find_retired_or_null(thread)) {
      retired->depth++;
      return Entry::joined_retired;
    }
  }
  if (try_take()) [[likely]]
    return come_in(thread);
  std::unique_lock lock(mutex_);
  if (lost_) return Entry::lost;
  if (waiters_.empty()) {
    has_waiters_.store(true);
    barrier();
    bool taken = false;
    if (taken_.compare_exchange_strong(taken, true)) {
      has_waiters_.store(false);
      return come_in(thread);
    }
  }
  // From here on the holder sees has_waiters_, and hands over under the mutex.
  wait_in_line(lock, force);
  return come_in(thread);
}

bool ActiveSlot::barrier() {
  if (!asymmetric_) return false;
  // In a child of the process that registered, the registration may have to be repeated.
  if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) ||
      (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)))
    return true;
  asymmetric_ = false;
  return false;
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
    if (waiter.let_in || waiters_.front() != &waiter) continue;
    // A holder that opened the gate without a fence may have missed that somebody waits.
    bool taken = false;
    const bool found_open = !asymmetric_ && taken_.compare_exchange_strong(taken, true);
    if (!found_open && !(force.wanted() && try_force(force))) continue;
    waiters_.pop_front();
    break;
  }
  if (!waiters_.empty())
    waiters_.front()->turn.notify_one();  // now it is the first
  else
    has_waiters_.store(false);
}

bool ActiveSlot::try_force(const Force& force) {
  Hold& hold = *current_;
  claimed_.store(true);
  const Hold::Phase open = barrier() ? Hold::Phase::open : Hold::Phase::open_fenced;
  bool done = false;
  if (hold.owner.load(std::memory_order_relaxed) != 0 && hold.phase.load() == open) {
    if (std::unique_ptr<LiveGuest> next = force.exchange(*active_, hold)) {
      hold.guest = std::exchange(active_, std::move(next));
      hold.is_retired.store(true, std::memory_order_release);
      std::unique_ptr<Hold> fresh;
      if (spare_.empty()) {
        fresh = std::make_unique<Hold>();
      } else {
        fresh = std::move(spare_.back());
        spare_.pop_back();
      }
      hold_.store(fresh.get(), std::memory_order_release);
      draining_.push_back(std::exchange(current_, std::move(fresh)));
      draining_count_.fetch_add(1, std::memory_order_relaxed);
      done = true;
    }
  }
  claimed_.store(false, std::memory_order_release);
  return done;
}

/// Waits for a waiter that is exchanging, or just was: with the mutex held, the outcome is known.
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

void ActiveSlot::hand_over() {
  std::lock_guard lock(mutex_);
  // Either the first waiter finds the gate open, or this thread finds the waiter in line, and takes the gate for it, so
  // that no newcomer gets in between. A thread that was coming in when the line began may have taken the gate: then
  // that thread hands over.
  bool taken = false;
  if (waiters_.empty() || !taken_.compare_exchange_strong(taken, true)) return;
  Waiter* next = waiters_.front();
  waiters_.pop_front();
  next->let_in = true;
  next->turn.notify_one();  // under the mutex: the waiter owns `turn`
}

std::unique_ptr<LiveGuest> ActiveSlot::end_retired(Hold& hold) {
  std::lock_guard lock(mutex_);
  std::unique_ptr<LiveGuest> guest = std::move(hold.guest);
  hold.owner.store(0, std::memory_order_relaxed);
  hold.phase.store(Hold::Phase::closed, std::memory_order_relaxed);
  hold.is_retired.store(false, std::memory_order_relaxed);
  hold.depth = hold.guest_depth = 0;
  hold.is_explicit = hold.raw_used = hold.overdue = false;
  hold.raw.clear();
  assert(!hold.stay);
  auto place = std::ranges::find(draining_, &hold, &std::unique_ptr<Hold>::get);
  spare_.push_back(std::move(*place));
  draining_.erase(place);
  draining_count_.fetch_sub(1, std::memory_order_relaxed);
  return guest;
}

void ActiveSlot::after_fork_in_child() {
  new (&mutex_) std::mutex();
  waiters_.clear();
  has_waiters_ = claimed_ = false;
  const uintptr_t thread = self();
  lost_ = taken_ && current_->owner != thread;
  // Holders whose threads are gone are inside their guest for ever: their Holds are leaked, so that nothing ends their
  // stays.
  if (lost_) {
    (void)current_.release();
    current_ = std::make_unique<Hold>();
    hold_ = current_.get();
  }
  std::erase_if(draining_, [&](std::unique_ptr<Hold>& hold) {
    if (hold->owner == thread) return false;
    (void)hold.release();
    draining_count_--;
    return true;
  });
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
  for (const auto& hold : draining_)
    if (bytes && hold->guest) *bytes += hold->guest->memory_bytes();
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

bool ActiveSlot::is_free() { return (!taken_.load() || lost_) && draining() == 0; }

}  // namespace rotor::proxy
