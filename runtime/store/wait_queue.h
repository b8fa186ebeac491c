// Threads that wait on addresses of a memory (threads proposal: memory.atomic.wait and notify).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>

#include "memory/fork.h"
#include "wasm/keyed_hash.h"

namespace rotor::runtime {

class WaitQueue {
 public:
  enum class Outcome : int32_t { woken = 0, not_equal = 1, timed_out = 2, interrupted = 3 };

  /// One thread's wait, on that thread's stack. The queue's lock guards its members.
  struct Waiter {
    std::condition_variable wake;
    bool woken = false;
    bool interrupted = false;
  };

  /// Waits at `address` if `still_equal()`, which is called under the lock that notify takes, so that a notify that
  /// follows a store of another value is not lost. A negative timeout is infinite. `self` is new and used for this wait
  /// alone.
  template <class StillEqual>
  Outcome wait(Waiter& self, uint64_t address, int64_t timeout_ns, StillEqual&& still_equal) {
    std::unique_lock lock(mutex());
    if (!still_equal()) return Outcome::not_equal;
    return block(lock, self, address, timeout_ns);
  }
  /// Ends a wait that is under way or about to begin; without effect on one that is over. The caller keeps `waiter`
  /// alive.
  void interrupt(Waiter& waiter);
  /// Wakes up to `count` waiters of the address, in the order of their arrival. Returns how many it woke.
  uint32_t notify(uint64_t address, uint32_t count);

 private:
  Outcome block(std::unique_lock<std::mutex>& lock, Waiter& self, uint64_t address, int64_t timeout_ns);

  /// Returns the mutex. In the child of a fork it first forgets the waiters: those threads are gone, and their stacks
  /// with them.
  std::mutex& mutex() {
    return mutex_.native([this] { memory::make_anew(waiters_); });
  }

  memory::ForkMutex mutex_;
  wasm::KeyedMap<uint64_t, std::list<Waiter*>> waiters_;
};

}  // namespace rotor::runtime
