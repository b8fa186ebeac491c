// Threads that compile functions on demand and in the background.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "memory/fork.h"
#include "rotor/result.h"

namespace rotor::runtime {

/// A queue of jobs and the threads that run them, started as jobs come. Thread-safe. A fork waits for the jobs that
/// run; in the child those that were queued still are, and threads are started anew.
class CompilePool final : memory::ForkHooks {
 public:
  /// Makes a pool of at most `threads` threads; `nice` is added to their niceness (Linux: 0 to 19).
  CompilePool(unsigned threads, int nice) : limit_(threads), nice_(nice) {}
  /// Waits for the jobs that run. Pre: nothing is queued.
  ~CompilePool();
  CompilePool(const CompilePool&) = delete;

  /// Patient jobs run when no job is queued that somebody waits for, on at most half of the threads.
  enum class Urgency : bool { patient, waited_for };
  /// Queues a job. Where the system gives no new thread, the existing ones run it. Errors: io (no thread exists; the
  /// job is not queued).
  Result<void> submit(const void* owner, Urgency urgency, std::function<void()> job);
  /// Starts a thread for queued jobs if none exists: to be called before waiting for a job, since in the child of a
  /// fork there are jobs but no threads. Errors: io (as above).
  Result<void> see_to_threads();
  /// Drops the owner's queued jobs and waits for those that run. Must not be called from a job of the pool.
  void cancel(const void* owner);

 private:
  struct Job {
    const void* owner;
    bool patient;
    std::function<void()> run;
  };
  static void* run_thread(void* self);
  void work();
  // Pre for these: mutex_ is held.
  bool can_take() const;
  Job take();
  /// Starts one more thread, if there is a use for it.
  Result<void> start_thread();

  void before_fork() override { mutex_.lock(); }
  void after_fork_in_parent() override { mutex_.unlock(); }
  void after_fork_in_child() override;

  const unsigned limit_;
  const int nice_;
  std::mutex mutex_;
  std::condition_variable wake_;  ///< wakes workers
  std::condition_variable done_;  ///< wakes cancel
  std::deque<Job> queue_;
  std::deque<Job> patient_queue_;
  unsigned patient_running_ = 0;
  std::vector<const void*> running_;  ///< owners
  std::vector<pthread_t> threads_;
  unsigned idle_ = 0;
  bool stop_ = false;
  const memory::ForkRegistration forks_{*this, Rank::pool};
};

}  // namespace rotor::runtime
