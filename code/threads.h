// Work that several threads share. std::thread is not used: it throws where the system gives no thread, and the library
// is compiled without exceptions.
#pragma once

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <functional>
#include <vector>

namespace rotor::code {

/// Starts a thread with a stack of `stack_bytes` or, for 0, of the system's default size. Returns 0 or an errno.
inline int start_thread(pthread_t& thread, void* (*run)(void*), void* argument, size_t stack_bytes = 0) {
  pthread_attr_t attributes;
  int failed = pthread_attr_init(&attributes);
  if (failed) return failed;
  if (stack_bytes) failed = pthread_attr_setstacksize(&attributes, stack_bytes);
  if (!failed) failed = pthread_create(&thread, &attributes, run, argument);
  pthread_attr_destroy(&attributes);
  return failed;
}

/// Starts `count` threads that do `work`, or as many of them as the system gives; `failed` gets 0, or the errno of the
/// thread that could not be started.
inline std::vector<pthread_t> start_threads(unsigned count, const std::function<void()>& work, int& failed,
                                            size_t stack_bytes = 0) {
  auto run = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  failed = 0;
  std::vector<pthread_t> threads;
  threads.reserve(count);
  for (pthread_t thread; threads.size() < count; threads.push_back(thread))
    if ((failed = start_thread(thread, run, const_cast<std::function<void()>*>(&work), stack_bytes)) != 0) break;
  return threads;
}

/// Runs `work` on the calling thread and on `count` - 1 others, or as many of them as the system gives, and waits for
/// all. The calling thread runs `first` before `work`, unless it is empty.
inline void run_on_threads(unsigned count, const std::function<void()>& work,
                           const std::function<void()>& first = nullptr) {
  int failed;
  const std::vector<pthread_t> others = start_threads(std::max(count, 1u) - 1, work, failed);
  if (first) first();
  work();
  for (pthread_t thread : others) pthread_join(thread, nullptr);
}

/// Returns the milliseconds of CPU that the calling thread has used.
inline double thread_cpu_ms() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

}  // namespace rotor::code
