// After fork() the child has the thread that called it, and no other: locks that the others held stay locked, and their
// work stays half done. So a fork takes the locks of what the child has to find whole (ForkHooks), and waits for work
// that takes a while and can't be resumed (ForkPass). Locks of single instances are not worth that: they are new in the
// child (ForkMutex), and a thread that was inside an instance stays there.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <new>

namespace rotor::memory {

namespace detail { extern std::atomic<uint32_t> g_fork_generation; }
/// Returns how many forks lie between the process that loaded the library and this one.
inline uint32_t fork_generation() { return detail::g_fork_generation.load(std::memory_order_acquire); }

/// Something with locks, condition variables or threads that a child must be able to use.
class ForkHooks {
 public:
  /// The order in which forks take locks, which is the one in which code takes them. Passes lie between the first two.
  enum class Rank : uint8_t { proxy, module, pool, watchdog };

  /// Takes the locks.
  virtual void before_fork() = 0;
  /// Releases the locks.
  virtual void after_fork_in_parent() = 0;
  /// Makes locks and condition variables anew, since threads that are gone wait on them. There is no other thread.
  virtual void after_fork_in_child() = 0;

 protected:
  ~ForkHooks() = default;
};

/// Makes forks call hooks while it lives. It has to be the last member of what has the hooks, so that all that they
/// need exists. A thread that holds the hooks' locks registers no others of the same rank, and must not fork.
class ForkRegistration {
 public:
  ForkRegistration(ForkHooks& hooks, ForkHooks::Rank rank);
  ForkRegistration(const ForkRegistration&) = delete;
  ~ForkRegistration();

 private:
  friend struct ForkRegistry;
  ForkHooks& hooks_;
  const ForkHooks::Rank rank_;
  ForkRegistration* next_ = nullptr;
  ForkRegistration* previous_ = nullptr;
};

/// A thread's short or bounded work that a fork waits for, and which waits for a fork: what changes structures that the
/// process shares, and all that runs in LLVM. A thread may hold several. It takes the first one before it takes a lock
/// that a fork takes (but a proxy's), and does not wait for other threads with it, nor runs code of the embedder's.
class ForkPass {
 public:
  ForkPass() { take(); }
  ~ForkPass() { give_back(); }
  ForkPass(const ForkPass&) = delete;

  /// Take and give back a pass where the work is no scope.
  static void take();
  static void give_back();
  /// Takes a pass without waiting for a fork. Returns false if one is under way, and none was taken.
  static bool try_take();
};

/// A mutex that is free in the child. What it guards must be usable as a vanished thread may have left it.
class ForkMutex {
 public:
  void lock() {
    if (generation_.load(std::memory_order_acquire) != fork_generation()) [[unlikely]]
      renew();
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }
  bool try_lock() {
    if (generation_.load(std::memory_order_acquire) != fork_generation()) [[unlikely]]
      renew();
    return mutex_.try_lock();
  }
  /// Returns the mutex itself, for condition variables. The first time in the child it calls `renewed()` before; one
  /// thread at a time is in that.
  template <class Renewed>
  std::mutex& native(Renewed renewed) {
    if (generation_.load(std::memory_order_acquire) != fork_generation()) [[unlikely]]
      renew([](void* f) { (*static_cast<Renewed*>(f))(); }, &renewed);
    return mutex_;
  }

 private:
  void renew(void (*renewed)(void*) = nullptr, void* argument = nullptr);

  std::atomic<uint32_t> generation_{0};  // one that is made in a child is made anew when it is first locked
  std::mutex mutex_;
};

/// Constructs a new object in the place of one that can't be destroyed in the child.
template <class T>
void make_anew(T& object) {
  new (&object) T();
}

}  // namespace rotor::memory
