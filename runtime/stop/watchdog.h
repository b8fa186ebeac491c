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

class LinkGroup;

/// Thread-safe. A link group calls it with its own mutex held, so that nothing here calls a group under a lock.
/// In the child of a fork a new thread takes over, before a group that it watches runs.
class Watchdog final : memory::ForkHooks {
 public:
  using Clock = std::chrono::steady_clock;

  Watchdog() = default;
  Watchdog(const Watchdog&) = delete;

  /// Calls the group's check_deadline at `deadline`; Clock::time_point::max(): no longer. Replaces what was asked for
  /// that group before. Errors: io (no thread).
  Result<void> watch(std::shared_ptr<LinkGroup> group, Clock::time_point deadline);
  void forget(const LinkGroup& group);
  /// Starts the thread if there is none. Errors: io (none to be had).
  Result<void> see_to_thread();
  /// Joins the thread; there is no other from then on. Not on that thread.
  void stop();

 private:
  struct Watched {
    const LinkGroup* key;
    std::weak_ptr<LinkGroup> group;
  };
  using Queue = std::multimap<Clock::time_point, Watched>;
  static void* run_thread(void* self);
  void run();
  void erase(const LinkGroup* key);
  /// Pre: mutex_ is held.
  Result<void> start_thread();

  void before_fork() override { mutex_.lock(); }
  void after_fork_in_parent() override { mutex_.unlock(); }
  void after_fork_in_child() override;

  std::mutex mutex_;
  std::condition_variable changed_;
  Queue queue_;
  std::unordered_map<const LinkGroup*, Queue::iterator> places_;  ///< one a group
  Clock::time_point sleeps_until_ = Clock::time_point::min();     ///< the thread, if it sleeps
  pthread_t thread_{};
  bool started_ = false;
  bool stopping_ = false;
  const memory::ForkRegistration forks_{*this, Rank::watchdog};
};

}  // namespace rotor::runtime
