// The thread that ends calls at their deadline: one per engine, from the first deadline on.
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

/// Something with a deadline: the interface by which the watchdog knows a link group.
class Watched {
 public:
  virtual ~Watched() = default;
  /// Called when the deadline may have passed.
  virtual void check_deadline() = 0;
  /// Called in the child of a fork, where the watchdog's thread is gone and no other was started: the deadline of a
  /// call that runs counts as passed; what runs later has to ask for a thread first.
  virtual void lose_watchdog_thread() = 0;
};

/// Thread-safe. What is watched calls the watchdog with its own mutex held, so the watchdog never calls it under a lock
/// of its own. In the child of a fork a new thread takes over, before a group that it watches runs.
class Watchdog final : memory::ForkHooks {
 public:
  using Clock = std::chrono::steady_clock;

  Watchdog() = default;
  Watchdog(const Watchdog&) = delete;

  /// Has check_deadline called at `deadline`, or not at all for Clock::time_point::max(). Replaces what was asked for
  /// before. Errors: io (no thread).
  Result<void> watch(std::shared_ptr<Watched> watched, Clock::time_point deadline);
  void forget(const Watched& watched);
  /// Starts the thread if there is none. Errors: io (the system gives none).
  Result<void> see_to_thread();
  /// Joins the thread, after which none is started any more. Must not be called on that thread.
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
  std::unordered_map<const Watched*, Queue::iterator> places_;  ///< at most one per group
  Clock::time_point sleeps_until_ = Clock::time_point::min();   ///< of the thread; min: it does not sleep
  pthread_t thread_{};
  bool started_ = false;
  bool stopping_ = false;
  const memory::ForkRegistration forks_{*this, Rank::watchdog};
};

}  // namespace rotor::runtime
