#include "proxy/gate.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <new>
#include <utility>

#include "memory/barrier.h"

namespace rotor::proxy {

Gate::Gate() : asymmetric_(memory::barrier_in_all_threads()), current_(std::make_unique<Holder>()) {
  holder_.store(current_.get());
}

Gate::Entry Gate::enter(const Force& force) {
  const uintptr_t thread = self();
  Holder* holder = holder_.load(std::memory_order_acquire);
  ROTOR_PERTURB_POINT();
  if (holder->owner.load(std::memory_order_relaxed) == thread) {
    // Only the thread itself writes its id here. It may have been exchanged under meanwhile, if its phase was open.
    holder->depth++;
    return holder->is_retired.load(std::memory_order_acquire) ? Entry::joined_retired : Entry::joined;
  }
  if (draining_count_.load(std::memory_order_relaxed)) [[unlikely]] {
    if (Holder* retired = find_retired_or_null(thread)) {
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

bool Gate::barrier() {
  if (!asymmetric_) return false;
  if (memory::barrier_in_all_threads()) return true;
  asymmetric_ = false;
  return false;
}

Gate::Entry Gate::come_in(uintptr_t thread) {
  Holder& holder = *holder_.load(std::memory_order_relaxed);
  assert(holder.depth == 0);
  holder.depth = 1;
  holder.owner.store(thread, std::memory_order_relaxed);
  return Entry::came_in;
}

void Gate::wait_in_line(std::unique_lock<std::mutex>& lock, const Force& force) {
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

bool Gate::try_force(const Force& force) {
  Holder& holder = *current_;
  claimed_.store(true);
  const Holder::Phase open = barrier() ? Holder::Phase::open : Holder::Phase::open_fenced;
  bool done = false;
  if (holder.owner.load(std::memory_order_relaxed) != 0 && holder.phase.load() == open) {
    if (std::unique_ptr<LiveGuest> next = force.exchange(*active_, holder)) {
      holder.guest = std::exchange(active_, std::move(next));
      holder.is_retired.store(true, std::memory_order_release);
      std::unique_ptr<Holder> fresh;
      if (spare_.empty()) {
        fresh = std::make_unique<Holder>();
      } else {
        fresh = std::move(spare_.back());
        spare_.pop_back();
      }
      holder_.store(fresh.get(), std::memory_order_release);
      draining_.push_back(std::exchange(current_, std::move(fresh)));
      draining_count_.fetch_add(1, std::memory_order_relaxed);
      done = true;
    }
  }
  claimed_.store(false, std::memory_order_release);
  return done;
}

/// Waits for a waiter that is exchanging, or just was: with the mutex held, the outcome is known.
void Gate::wait_for_claim() { std::lock_guard lock(mutex_); }

Holder* Gate::find_retired_or_null(uintptr_t thread) {
  std::lock_guard lock(mutex_);
  for (const auto& holder : draining_)
    if (holder->owner.load(std::memory_order_relaxed) == thread) return holder.get();
  return nullptr;
}

Holder& Gate::find_retired() {
  Holder* holder = find_retired_or_null(self());
  assert(holder && "a lease is used on the thread that acquired it");
  return *holder;
}

bool Gate::leave(Holder& holder) {
  assert(holder.owner.load(std::memory_order_relaxed) == self() && "a lease is dropped on the thread that acquired it");
  return --holder.depth == 0;
}

void Gate::hand_over() {
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

std::unique_ptr<LiveGuest> Gate::end_retired(Holder& holder) {
  std::lock_guard lock(mutex_);
  std::unique_ptr<LiveGuest> guest = std::move(holder.guest);
  holder.owner.store(0, std::memory_order_relaxed);
  holder.phase.store(Holder::Phase::closed, std::memory_order_relaxed);
  holder.is_retired.store(false, std::memory_order_relaxed);
  holder.depth = holder.guest_depth = 0;
  holder.is_explicit = holder.raw_used = holder.overdue = false;
  holder.raw.clear();
  assert(!holder.stay);
  auto place = std::ranges::find(draining_, &holder, &std::unique_ptr<Holder>::get);
  spare_.push_back(std::move(*place));
  draining_.erase(place);
  draining_count_.fetch_sub(1, std::memory_order_relaxed);
  return guest;
}

void Gate::after_fork_in_child() {
  new (&mutex_) std::mutex();
  waiters_.clear();
  has_waiters_ = claimed_ = false;
  const uintptr_t thread = self();
  lost_ = taken_ && current_->owner != thread;
  // Holders whose threads are gone are inside their guest for ever: their records are leaked, so that nothing ends
  // their leases.
  if (lost_) {
    (void)current_.release();
    current_ = std::make_unique<Holder>();
    holder_ = current_.get();
  }
  std::erase_if(draining_, [&](std::unique_ptr<Holder>& holder) {
    if (holder->owner == thread) return false;
    (void)holder.release();
    draining_count_--;
    return true;
  });
}

std::unique_ptr<LiveGuest> Gate::exchange(std::unique_ptr<LiveGuest> next) {
  return std::exchange(active_, std::move(next));
}

size_t Gate::waiting() {
  std::lock_guard lock(mutex_);
  return waiters_.size();
}

size_t Gate::draining(uint64_t* bytes) {
  std::lock_guard lock(mutex_);
  for (const auto& holder : draining_)
    if (bytes && holder->guest) *bytes += holder->guest->memory_bytes();
  return draining_.size();
}

size_t Gate::count_overdue(uint64_t now_ns, uint64_t deadline_ns) {
  std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const auto& holder : draining_) {
    if (holder->overdue || now_ns - holder->guest->retired_at_ns < deadline_ns) continue;
    holder->overdue = true;
    count++;
  }
  return count;
}

bool Gate::is_free() { return (!taken_.load() || lost_) && draining() == 0; }

}  // namespace rotor::proxy
