// Threads that compile functions on demand and in the background.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace rotor::runtime {

/// A queue of jobs and the threads that run them, started as jobs come. Thread-safe.
class CompilePool {
 public:
  /// At most `threads` threads; `nice` is added to their niceness (Linux: 0 to 19).
  CompilePool(unsigned threads, int nice) : limit_(threads), nice_(nice) {}
  /// Waits for the jobs that run. Pre: nothing is queued.
  ~CompilePool();
  CompilePool(const CompilePool&) = delete;

  /// Patient jobs run when there is none that somebody waits for, on at most half of the threads.
  enum class Urgency : bool { patient, waited_for };
  void submit(const void* owner, Urgency urgency, std::function<void()> job);
  /// Drops the owner's queued jobs and waits for those that run. Not from a job of the pool's.
  void cancel(const void* owner);

 private:
  struct Job {
    const void* owner;
    bool patient;
    std::function<void()> run;
  };
  void work();
  bool can_take() const;
  Job take();

  const unsigned limit_;
  const int nice_;
  std::mutex mutex_;
  std::condition_variable wake_;  ///< of workers
  std::condition_variable done_;  ///< of cancel
  std::deque<Job> queue_;
  std::deque<Job> patient_queue_;
  unsigned patient_running_ = 0;
  std::vector<const void*> running_;  ///< owners
  std::vector<std::thread> threads_;
  unsigned idle_ = 0;
  bool stop_ = false;
};

}  // namespace rotor::runtime
