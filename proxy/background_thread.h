// A thread that may enter guests.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <utility>

#include "rotor/result.h"

namespace rotor::proxy {

/// One thread, started when there is work for it. Not synchronised, but for `is_current`.
class BackgroundThread {
 public:
  /// Stack of the thread in bytes: the guest's default stack and the host's reserve, with room to spare.
  static constexpr size_t kStackBytes = 16 << 20;

  /// `run` is what the thread does.
  explicit BackgroundThread(std::function<void()> run) : run_(std::move(run)) {}
  BackgroundThread(const BackgroundThread&) = delete;

  /// Starts the thread if there is none. Errors: io (the system gives none, or none with such a stack).
  Result<void> start();
  bool is_started() const { return started_; }
  /// Waits until the thread has ended. Pre: it was started.
  void join() { pthread_join(thread_, nullptr); }
  /// Forgets the thread in the child of a fork, which does not have it.
  void after_fork_in_child() { started_ = false; }
  /// Returns whether the calling thread is this one.
  bool is_current() const { return t_current == this; }

 private:
  static inline thread_local const BackgroundThread* t_current = nullptr;
  static void* enter(void* self);

  const std::function<void()> run_;
  pthread_t thread_{};
  bool started_ = false;
};

}  // namespace rotor::proxy
