// The slot that the active instance sits in: its gate lets one thread in at a time, in order of arrival.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "proxy/live_guest.h"

namespace rotor::proxy {

class ActiveSlot {
 public:
  /// Waits for its turn, or joins if this thread is in already. True: it came in, false: it joined.
  bool enter();
  /// True: the last one of this thread's is about to leave; call open() next.
  bool leave();
  /// Lets the next one in.
  void open();

  /// Only between enter and open.
  LiveGuest& active() { return *active_; }
  /// Puts another instance in; returns the one that was there.
  std::unique_ptr<LiveGuest> exchange(std::unique_ptr<LiveGuest> next);
  bool is_free();
  /// Threads in enter() that have not come in.
  size_t waiting();

 private:
  struct Waiter {
    std::condition_variable turn;
    bool let_in = false;
  };

  std::mutex mutex_;
  std::deque<Waiter*> waiters_;
  bool taken_ = false;
  std::atomic<std::thread::id> holder_;  ///< a thread only ever finds itself here by its own doing
  unsigned depth_ = 0;                   ///< the holder's
  std::unique_ptr<LiveGuest> active_;
};

}  // namespace rotor::proxy
