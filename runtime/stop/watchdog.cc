#include "runtime/stop/watchdog.h"

#include <cstring>

#include "memory/perturb.h"
#include "runtime/enter/entry.h"

namespace rotor::runtime {

Result<void> Watchdog::watch(std::shared_ptr<Watched> watched, Clock::time_point deadline) {
  std::lock_guard lock(mutex_);
  bool endless = deadline == Clock::time_point::max();
  if (!endless) ROTOR_CHECK(start_thread());
  erase(watched.get());
  if (endless) return {};
  auto place = queue_.emplace(deadline, Item{watched.get(), watched});
  places_.emplace(watched.get(), place);
  // A deadline that only moves to a later time, as that of call after call does, wakes nobody: the thread notices at
  // the old one.
  if (deadline < sleeps_until_) changed_.notify_one();
  return {};
}

Result<void> Watchdog::start_thread() {
  if (started_ || stopping_) return {};
  if (int failed = pthread_create(&thread_, nullptr, &Watchdog::run_thread, this))
    return fail(ErrorKind::io, std::string("can't start a thread to watch deadlines: ") + std::strerror(failed));
  started_ = true;
  return {};
}

Result<void> Watchdog::see_to_thread() {
  std::lock_guard lock(mutex_);
  return start_thread();
}

void Watchdog::after_fork_in_child() {
  memory::make_anew(mutex_);
  memory::make_anew(changed_);
  started_ = false;
  sleeps_until_ = Clock::time_point::min();
  // Only where a host function forked, and its guest goes on, is a thread started. Else it would be in the way of what
  // the child is made for.
  if (t_thread.top && !queue_.empty() && see_to_thread()) return;
  for (const auto& [deadline, item] : queue_)
    if (std::shared_ptr<Watched> target = item.watched.lock()) target->lose_watchdog_thread();
}

void Watchdog::forget(const Watched& watched) {
  std::lock_guard lock(mutex_);
  erase(&watched);
}

void Watchdog::erase(const Watched* key) {
  auto it = places_.find(key);
  if (it == places_.end()) return;
  queue_.erase(it->second);
  places_.erase(it);
}

void Watchdog::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (!started_) return;
    changed_.notify_one();
  }
  pthread_join(thread_, nullptr);
}

void* Watchdog::run_thread(void* self) {
  static_cast<Watchdog*>(self)->run();
  return nullptr;
}

void Watchdog::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    auto first = queue_.begin();
    if (first == queue_.end() || Clock::now() < first->first) {
      sleeps_until_ = first == queue_.end() ? Clock::time_point::max() : first->first;
      if (first == queue_.end())
        changed_.wait(lock);
      else
        changed_.wait_until(lock, Clock::time_point(sleeps_until_));
      sleeps_until_ = Clock::time_point::min();
      continue;
    }
    std::shared_ptr<Watched> target = first->second.watched.lock();
    erase(first->second.key);
    lock.unlock();
    ROTOR_PERTURB_POINT();
    if (target) target->check_deadline();
    target.reset();
    lock.lock();
  }
}

}  // namespace rotor::runtime
