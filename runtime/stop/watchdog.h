// The thread that ends calls at their deadline: one an engine, from the first deadline on.
#pragma once

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "memory/fork.h"
#include "rotor/result.h"

namespace rotor::runtime {

/// What has a deadline: a link group, as the watchdog knows it.
class Watched {
 public:
  virtual ~Watched() = default;
  /// The deadline may have passed.
  virtual void check_deadline() = 0;
  /// In the child of a fork, where the watchdog's thread is gone: the group, of which no call runs, asks for another
  /// one before it runs again.
  virtual void lose_watchdog_thread() = 0;
  /// The same where a call runs: its deadline counts as passed.
  virtual void expire_deadline() = 0;
};

/// Thread-safe. What is watched calls it with its own mutex held, so that nothing here calls one under a lock.
/// In the child of a fork a new thread takes over, before a group that it watches runs.
class Watchdog final : memory::ForkHooks {
 public:
  using Clock = std::chrono::steady_clock;

  Watchdog() = default;
  Watchdog(const Watchdog&) = delete;

  /// Calls check_deadline at `deadline`; Clock::time_point::max(): no longer. Replaces what was asked for before.
  /// Errors: io (no thread).
  Result<void> watch(std::shared_ptr<Watched> watched, Clock::time_point deadline);
  void forget(const Watched& watched);
  /// Starts the thread if there is none. Errors: io (none to be had).
  Result<void> see_to_thread();
  /// Joins the thread; there is no other from then on. Not on that thread.
  void stop();

 private:
  struct Item {
    const Watched* key;
    std::weak_ptr<Watched> watched;
  };
  using Queue = std::multimap<Clock::time_point, Item>;
  static void* run_thread(void* self);
  void run();
  void erase(const Watched* key);
  /// Pre: mutex_ is held.
  Result<void> start_thread();

  void before_fork() override { mutex_.lock(); }
  void after_fork_in_parent() override { mutex_.unlock(); }
  void after_fork_in_child() override;

  std::mutex mutex_;
  std::condition_variable changed_;
  Queue queue_;
  std::unordered_map<const Watched*, Queue::iterator> places_;  ///< one each
  Clock::time_point sleeps_until_ = Clock::time_point::min();   ///< the thread, if it sleeps
  pthread_t thread_{};
  bool started_ = false;
  bool stopping_ = false;
  const memory::ForkRegistration forks_{*this, Rank::watchdog};
};

}  // namespace rotor::runtime
