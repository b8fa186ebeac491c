#include "memory/fault_injection.h"

#include <cerrno>
#include <mutex>
#include <thread>

namespace rotor::memory::fault_injection {

namespace {
std::mutex mutex;
// These are guarded by the mutex.
uint64_t counted = 0;
uint64_t fails_at = UINT64_MAX;
Scope scope_of_calls = Scope::all_threads;
std::thread::id thread_of_calls;
}  // namespace

std::atomic<bool> detail::armed{false};

void fail_after(uint64_t n, Scope scope) {
  std::lock_guard lock(mutex);
  counted = 0;
  fails_at = n;
  scope_of_calls = scope;
  thread_of_calls = std::this_thread::get_id();
  detail::armed.store(true);
}

void off() { detail::armed.store(false); }

uint64_t calls() {
  std::lock_guard lock(mutex);
  return counted;
}

bool detail::count_call() {
  std::lock_guard lock(mutex);
  if (scope_of_calls == Scope::this_thread && thread_of_calls != std::this_thread::get_id()) return false;
  if (++counted != fails_at) return false;
  errno = ENOMEM;
  return true;
}

}  // namespace rotor::memory::fault_injection
