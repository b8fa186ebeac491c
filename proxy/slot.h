// The slot that the active instance sits in: its gate lets one thread in at a time, in order of arrival.
//
// What a thread holds is a Hold. A thread that meets nobody pays one exchange on the way in, and a plain store on the
// way out: who has to wait says so first (has_waiters_), has every running thread pass a barrier (membarrier), and then
// looks at the gate once more. So either it finds the gate open, or the holder sees that somebody waits. From then on
// nobody comes in but in order, and the holder hands the gate over closed.
//
// Exchange under a holder. A waiter may take the gate from a thread that holds it for long: the holder stays behind
// with its instance, which drains. Only while the holder touches nothing of the proxy's: between two calls of an
// explicit lease, or inside the guest in a call that is not recorded. Hold::phase says so; it is written by the holder
// alone, with a plain store. The waiter announces itself (claimed_), then the barrier again, and then it believes the
// phase: a holder that closes its phase later than that sees the announcement.
//
// Without barriers. The system may refuse them, at once or from some time on (a filter of system calls that the process
// took on). Then all stores are sequentially consistent that were plain. A holder may not know of it yet: so the first
// in line looks at the gate from time to time, and no phase is believed that was not opened to be closed with a fence.
//
// Holds are read by threads that come, while the holder may be exchanged under and leave: they are used again, and
// freed with the slot. What such a thread looks for in one is its own name, and that is in none that it is not inside
// of.
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

namespace rotor::proxy {

/// A thread's stay: from its outermost lease to the end of that.
struct Hold {
  enum class Phase : uint8_t {
    closed,       ///< the holder is in the proxy's structures, or in a call that is recorded
    open,         ///< it may be exchanged under
    open_fenced,  ///< it may, and will close with a fence
  };
  std::atomic<uintptr_t> owner{0};
  std::atomic<Phase> phase{Phase::closed};
  unsigned depth = 0;
  unsigned guest_depth = 0;  ///< calls into the guest on the holder's stack
  bool is_explicit = false;  ///< the outermost lease is one of acquire()
  Stay stay;                 ///< in the instance, of an explicit lease
  bool raw_used = false;     ///< raw pointers of the guest were given out: it can't be exchanged unseen

  /// So that a call of an explicit lease costs less than another. If the instance can't be entered, a call will say
  /// why.
  void stay_in(LiveGuest& guest) {
    stay.end();
    if (auto inside = guest.instance().stay()) [[likely]]
      stay = std::move(*inside);
  }

  /// Once exchanged under; written with the holder's phase open, before the waiter lets go of the slot's mutex.
  std::atomic<bool> is_retired{false};
  std::unique_ptr<LiveGuest> guest;            ///< the retired one
  std::unordered_map<uint32_t, uint32_t> raw;  ///< its tokens
  bool overdue = false;
};

class ActiveSlot {
 public:
  ActiveSlot();

  /// What `enter` did. Lost: in the child of a fork, the thread that was in is gone.
  enum class Entry : uint8_t { came_in, joined, joined_retired, lost };
  /// Waits for its turn, or joins if this thread is in already. `while_waiting` is asked from time to time by the first
  /// who waits: true: exchange under the holder, if that can be; then `exchange` makes the new active from the old one
  /// (null: it can't).
  struct Force {
    std::function<bool()> wanted;  ///< whether to look at all
    std::function<std::unique_ptr<LiveGuest>(LiveGuest& old, Hold& holder)> exchange;
  };
  Entry enter(const Force& force);
  /// The same for a thread that has no stay, if nobody is in the way. Null: ask `enter`.
  Hold* try_enter() {
    const uintptr_t thread = self();
    Hold* hold = hold_.load(std::memory_order_acquire);
    ROTOR_PERTURB_POINT();
    if (hold->owner.load(std::memory_order_relaxed) == thread || draining_count_.load(std::memory_order_relaxed) ||
        !try_take()) [[unlikely]]
      return nullptr;
    hold = hold_.load(std::memory_order_relaxed);
    hold->depth = 1;
    hold->owner.store(thread, std::memory_order_relaxed);
    return hold;
  }
  /// The calling thread's stay. Pre: it has one.
  Hold& mine() {
    Hold* hold = hold_.load(std::memory_order_acquire);
    ROTOR_PERTURB_POINT();
    if (hold->owner.load(std::memory_order_relaxed) == self()) [[likely]]
      return *hold;
    return find_retired();
  }
  /// True: the last one of this thread's is about to leave; call `open` next.
  bool leave(Hold& hold);
  /// Lets the next one in.
  void open() {
    Hold& hold = *hold_.load(std::memory_order_relaxed);
    hold.owner.store(0, std::memory_order_relaxed);
    hold.is_explicit = hold.raw_used = false;
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
  /// The end of a stay that was exchanged under: its instance.
  std::unique_ptr<LiveGuest> end_retired(Hold& hold);

  /// From here on the holder may be exchanged under, until `close`.
  void allow_exchange(Hold& hold) {
    const bool plain = asymmetric_.load(std::memory_order_relaxed);
    hold.phase.store(plain ? Hold::Phase::open : Hold::Phase::open_fenced, std::memory_order_release);
  }
  static bool is_open(const Hold& hold) { return hold.phase.load(std::memory_order_relaxed) != Hold::Phase::closed; }
  /// False: it was.
  [[gnu::always_inline]] bool close(Hold& hold) {
    bool claimed = false;
    if (asymmetric_.load(std::memory_order_relaxed)) [[likely]] {
      hold.phase.store(Hold::Phase::closed, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      claimed = claimed_.load(std::memory_order_acquire);
    } else {
      hold.phase.store(Hold::Phase::closed);
      claimed = claimed_.load();
    }
    if (claimed) [[unlikely]]
      wait_for_claim();
    return !hold.is_retired.load(std::memory_order_acquire);
  }

  /// Only for the holder with its phase closed.
  LiveGuest& active() { return *active_; }
  /// Puts another instance in; returns the one that was there.
  std::unique_ptr<LiveGuest> exchange(std::unique_ptr<LiveGuest> next);
  bool is_free();
  /// Threads in enter() that have not come in.
  size_t waiting();
  /// Stays that were exchanged under and have not ended; adds the memory of their instances.
  size_t draining(uint64_t* bytes = nullptr);
  /// Counts the retired holds that are older than the deadline and were not counted yet.
  size_t count_overdue(uint64_t now_ns, uint64_t deadline_ns);

  // As of memory::ForkHooks. In the child, if another thread was in, nobody comes in any more.
  void before_fork() { mutex_.lock(); }
  void after_fork_in_parent() { mutex_.unlock(); }
  void after_fork_in_child();

 private:
  /// How often the first waiter asks whether to exchange under the holder.
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
  /// Every running thread of the process passes a barrier. False: it does not; whoever has seen that there are none any
  /// more uses fences.
  bool barrier();
  Entry come_in(uintptr_t thread);
  Hold* find_retired_or_null(uintptr_t thread);
  Hold& find_retired();
  void wait_in_line(std::unique_lock<std::mutex>& lock, const Force& force);
  bool try_force(const Force& force);
  void hand_over();
  void wait_for_claim();

  std::atomic<bool> taken_{false};
  std::atomic<bool> has_waiters_{false};  ///< written with the mutex: somebody is in line, or about to be
  std::atomic<Hold*> hold_;
  std::atomic<bool> claimed_{false};
  std::atomic<uint32_t> draining_count_{0};
  std::atomic<bool> asymmetric_ = false;  ///< there are barriers; once false it stays so

  std::mutex mutex_;
  std::deque<Waiter*> waiters_;
  std::unique_ptr<Hold> current_;
  std::vector<std::unique_ptr<Hold>> draining_;
  std::vector<std::unique_ptr<Hold>> spare_;
  bool lost_ = false;
  std::unique_ptr<LiveGuest> active_;
};

}  // namespace rotor::proxy
