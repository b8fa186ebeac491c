// The gate to the active instance: it lets one thread in at a time, in order of arrival, and holds the instance.
//
// A thread that is in has a Holder. A thread that meets nobody pays one exchange on the way in, and a plain store on
// the way out: a thread that has to wait says so first (has_waiters_), makes every running thread pass a barrier
// (membarrier), and then looks at the gate once more. So either it finds the gate open, or the holder sees that
// somebody waits. From then on threads come in only in order, and the holder hands the gate over closed.
//
// Exchange under a holder. A waiter may take the gate from a thread that holds it for long: the holder stays behind
// with its instance, which drains. That may happen only while the holder touches nothing of the proxy's: between two
// calls of an explicit lease, or inside the guest in a call that is not recorded. Holder::phase says whether it may;
// the holder alone writes it, with a plain store. The waiter announces itself (claimed_), makes all threads pass the
// barrier again, and then believes the phase: a holder that closes its phase later than that sees the announcement.
//
// Without barriers. The system may refuse them, at once or from some time on (a filter of system calls that the process
// took on). Then all stores that were plain are sequentially consistent. A holder may not know of that yet: so the
// first in line looks at the gate from time to time, and believes only a phase that says it will be closed with a fence
// (open_fenced).
//
// Threads that come read a Holder while its thread may be exchanged under and leave: so Holders are reused, and freed
// with the gate only. Such a thread looks for its own id (Holder::owner), which is in no Holder but its own.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "memory/perturb.h"
#include "proxy/live_guest.h"
#include "rotor/interrupt.h"

namespace rotor::proxy {

/// The gate's record of a thread that is in: from its outermost lease to the end of that.
struct Holder {
  enum class Phase : uint8_t {
    closed,       ///< the holder is in the proxy's structures, or in a call that is recorded
    open,         ///< it may be exchanged under
    open_fenced,  ///< it may be, and the holder will close with a fence
  };
  std::atomic<uintptr_t> owner{0};
  std::atomic<Phase> phase{Phase::closed};
  unsigned depth = 0;
  unsigned guest_depth = 0;  ///< calls into the guest on the holder's stack
  bool is_explicit = false;  ///< the outermost lease is one of acquire()
  Stay stay;                 ///< inside the instance, of an explicit lease
  bool raw_used = false;     ///< raw pointers of the guest were given out: it can't be exchanged unseen
  /// Lease::set_deadline, until the outermost lease ends; max: none.
  InterruptHandle::Clock::time_point deadline = InterruptHandle::Clock::time_point::max();

  /// Keeps the thread inside the instance, so that calls of an explicit lease cost less than others. If the instance
  /// can't be entered, a call will say why.
  void stay_in(LiveGuest& guest) {
    stay.end();
    if (auto inside = guest.instance().stay()) [[likely]]
      stay = std::move(*inside);
  }

  /// Whether the holder was exchanged under; written with its phase open, before the waiter lets go of the gate's
  /// mutex.
  std::atomic<bool> is_retired{false};
  std::unique_ptr<LiveGuest> guest;            ///< the retired one
  std::unordered_map<uint32_t, uint32_t> raw;  ///< the retired guest's pointers, by token
  bool overdue = false;
};

class Gate {
 public:
  Gate();

  /// What `enter` did. `lost`: in the child of a fork, the thread that was in is gone.
  enum class Entry : uint8_t { came_in, joined, joined_retired, lost };
  /// What a waiter may do under a holder. The first in line calls `wanted` from time to time; if that is true and the
  /// holder may be exchanged under, it calls `exchange`, which makes the new active from the old one (null: it can't).
  struct Force {
    std::function<bool()> wanted;  ///< whether to try an exchange at all
    std::function<std::unique_ptr<LiveGuest>(LiveGuest& old, Holder& holder)> exchange;
  };
  Entry enter(const Force& force);
  /// Comes in at once, if this thread holds no lease and nobody is in the way. Returns null if `enter` has to be
  /// called.
  Holder* try_enter() {
    const uintptr_t thread = self();
    Holder* holder = holder_.load(std::memory_order_acquire);
    ROTOR_PERTURB_POINT();
    if (holder->owner.load(std::memory_order_relaxed) == thread || draining_count_.load(std::memory_order_relaxed) ||
        !try_take()) [[unlikely]]
      return nullptr;
    holder = holder_.load(std::memory_order_relaxed);
    holder->depth = 1;
    holder->owner.store(thread, std::memory_order_relaxed);
    return holder;
  }
  /// Returns the calling thread's record. Pre: it is in.
  Holder& mine() {
    Holder* holder = holder_.load(std::memory_order_acquire);
    ROTOR_PERTURB_POINT();
    if (holder->owner.load(std::memory_order_relaxed) == self()) [[likely]]
      return *holder;
    return find_retired();
  }
  /// Ends one lease of the holder's. Returns true if it was the outermost: call `open` next.
  bool leave(Holder& holder);
  /// Lets the next one in.
  void open() {
    Holder& holder = *holder_.load(std::memory_order_relaxed);
    holder.owner.store(0, std::memory_order_relaxed);
    holder.is_explicit = holder.raw_used = false;
    holder.deadline = InterruptHandle::Clock::time_point::max();
    if (asymmetric_.load(std::memory_order_relaxed)) [[likely]] {
      taken_.store(false, std::memory_order_release);
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
      taken_.store(false);
    }
    ROTOR_PERTURB_POINT();
    if (has_waiters_.load()) [[unlikely]]
      hand_over();
  }
  /// Ends the lease of a holder that was exchanged under, and returns its instance.
  std::unique_ptr<LiveGuest> end_retired(Holder& holder);

  /// Opens the phase: the holder may be exchanged under until `close`.
  void allow_exchange(Holder& holder) {
    const bool plain = asymmetric_.load(std::memory_order_relaxed);
    holder.phase.store(plain ? Holder::Phase::open : Holder::Phase::open_fenced, std::memory_order_release);
  }
  static bool is_open(const Holder& holder) {
    return holder.phase.load(std::memory_order_relaxed) != Holder::Phase::closed;
  }
  /// Closes the phase. Returns false if a waiter exchanged the instance meanwhile.
  [[gnu::always_inline]] bool close(Holder& holder) {
    bool claimed = false;
    if (asymmetric_.load(std::memory_order_relaxed)) [[likely]] {
      holder.phase.store(Holder::Phase::closed, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      claimed = claimed_.load(std::memory_order_acquire);
    } else {
      holder.phase.store(Holder::Phase::closed);
      claimed = claimed_.load();
    }
    if (claimed) [[unlikely]]
      wait_for_claim();
    return !holder.is_retired.load(std::memory_order_acquire);
  }

  /// Returns the active. Only for the holder with its phase closed.
  LiveGuest& active() { return *active_; }
  /// Puts another instance in; returns the one that was there.
  std::unique_ptr<LiveGuest> exchange(std::unique_ptr<LiveGuest> next);
  bool is_free();
  /// Returns the number of threads that wait in line.
  size_t waiting();
  /// Returns the number of holders that were exchanged under and have not left; adds the bytes of their instances'
  /// memories to `*bytes`.
  size_t draining(uint64_t* bytes = nullptr);
  /// Returns how many holders were exchanged under longer ago than the deadline and were not counted before.
  size_t count_overdue(uint64_t now_ns, uint64_t deadline_ns);

  // As memory::ForkHooks. In the child, if another thread was in, nobody comes in any more.
  void before_fork() { mutex_.lock(); }
  void after_fork_in_parent() { mutex_.unlock(); }
  void after_fork_in_child();

 private:
  /// The interval at which the first waiter asks whether to exchange under the holder.
  static constexpr std::chrono::milliseconds kForcePoll{1};

  struct Waiter {
    std::condition_variable turn;
    bool let_in = false;
  };

  static uintptr_t self() {
    static thread_local char marker;
    return reinterpret_cast<uintptr_t>(&marker);
  }
  /// Comes in, unless the gate is taken or somebody waits for it.
  bool try_take() {
    if (has_waiters_.load(std::memory_order_relaxed)) [[unlikely]]
      return false;
    bool taken = false;
    return taken_.compare_exchange_strong(taken, true, std::memory_order_acquire);
  }
  /// Makes every running thread of the process pass a barrier. Returns false if the system refuses (any more); threads
  /// that have seen that use fences.
  bool barrier();
  Entry come_in(uintptr_t thread);
  Holder* find_retired_or_null(uintptr_t thread);
  Holder& find_retired();
  void wait_in_line(std::unique_lock<std::mutex>& lock, const Force& force);
  bool try_force(const Force& force);
  void hand_over();
  void wait_for_claim();

  std::atomic<bool> taken_{false};
  std::atomic<bool> has_waiters_{false};  ///< written under the mutex: somebody is in line, or about to be
  std::atomic<Holder*> holder_;
  std::atomic<bool> claimed_{false};
  std::atomic<uint32_t> draining_count_{0};
  std::atomic<bool> asymmetric_ = false;  ///< whether there are barriers; once false it stays false

  std::mutex mutex_;
  std::deque<Waiter*> waiters_;
  std::unique_ptr<Holder> current_;
  std::vector<std::unique_ptr<Holder>> draining_;
  std::vector<std::unique_ptr<Holder>> spare_;
  bool lost_ = false;
  std::unique_ptr<LiveGuest> active_;
};

}  // namespace rotor::proxy
