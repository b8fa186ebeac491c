#include "jit/compile_thread.h"

#include <pthread.h>

#include <cstring>
#include <string>
#include <vector>

#include "jit/compile.h"

namespace rotor::jit {

Result<void> run_on_compile_threads(unsigned count, const std::function<void()>& work) {
  // Not by std::thread, which throws where there is no thread to be had, and takes the stack it gets.
  auto run = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  pthread_attr_t attributes;
  int failed = pthread_attr_init(&attributes);
  if (failed == 0) failed = pthread_attr_setstacksize(&attributes, kCompileStackBytes);
  std::vector<pthread_t> threads;
  threads.reserve(count);
  for (pthread_t thread; failed == 0 && threads.size() < count; threads.push_back(thread))
    if ((failed = pthread_create(&thread, &attributes, run, const_cast<std::function<void()>*>(&work))) != 0) break;
  pthread_attr_destroy(&attributes);
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
  if (threads.empty()) return fail(ErrorKind::io, std::string("no thread to compile on: ") + std::strerror(failed));
  return {};
}

}  // namespace rotor::jit
