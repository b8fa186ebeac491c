// Work that several threads share. Not by std::thread: where there is no thread to be had it throws, and the library is
// compiled without exceptions.
#pragma once

#include <pthread.h>

#include <functional>
#include <vector>

namespace rotor::jit {

/// Runs `work` on the calling thread and on `count` - 1 others, or as many of them as the system gives, and waits for
/// all. The calling thread does `first` before, if there is something.
inline void run_on_threads(unsigned count, const std::function<void()>& work,
                           const std::function<void()>& first = nullptr) {
  auto run = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  std::vector<pthread_t> others;
  for (pthread_t thread; others.size() + 1 < count; others.push_back(thread))
    if (pthread_create(&thread, nullptr, run, const_cast<std::function<void()>*>(&work)) != 0) break;
  if (first) first();
  work();
  for (pthread_t thread : others) pthread_join(thread, nullptr);
}

}  // namespace rotor::jit
