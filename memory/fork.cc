#include "memory/fork.h"

#include <pthread.h>
#include <time.h>

#include <cstddef>

namespace rotor::memory {

namespace detail { constinit std::atomic<uint32_t> g_fork_generation{0}; }

/// The registry of the process. It is in static storage, since forks may come before and after anything.
struct ForkRegistry {
  static constexpr size_t kRanks = 4;

  struct List {
    std::mutex mutex;
    ForkRegistration* first = nullptr;
  };
  List lists[kRanks];
  std::mutex renewing;  ///< of ForkMutex

  // Passes. Both are sequentially consistent: either the thread that takes a pass sees the fork, or the fork sees the
  // pass.
  std::atomic<bool> forking{false};
  std::atomic<uint32_t> passes{0};  ///< threads that hold one

  void add(ForkRegistration& hooks) {
    List& list = lists[static_cast<size_t>(hooks.rank_)];
    std::lock_guard lock(list.mutex);
    hooks.next_ = list.first;
    if (list.first) list.first->previous_ = &hooks;
    list.first = &hooks;
  }
  void remove(ForkRegistration& hooks) {
    List& list = lists[static_cast<size_t>(hooks.rank_)];
    std::lock_guard lock(list.mutex);
    if (hooks.next_) hooks.next_->previous_ = hooks.previous_;
    (hooks.previous_ ? hooks.previous_->next_ : list.first) = hooks.next_;
  }
  /// Takes the locks of a rank; from then on no hooks of the rank are registered or removed.
  void take(ForkHooks::Rank rank) {
    List& list = lists[static_cast<size_t>(rank)];
    list.mutex.lock();
    for (ForkRegistration* hooks = list.first; hooks; hooks = hooks->next_) hooks->hooks_.before_fork();
  }
  template <class Visit>
  void let_go(Visit visit) {
    for (size_t rank = kRanks; rank-- > 0;) {
      for (ForkRegistration* hooks = lists[rank].first; hooks; hooks = hooks->next_) visit(hooks->hooks_);
      lists[rank].mutex.unlock();
    }
    forking.store(false);
  }
};

namespace {

constinit ForkRegistry g_registry;
/// The number of passes that this thread holds.
thread_local constinit uint32_t t_passes = 0;

void pause() {
  timespec time{0, 20'000};
  nanosleep(&time, nullptr);
}

void before_fork() {
  ForkRegistry& r = g_registry;
  r.take(ForkHooks::Rank::proxy);
  r.forking.store(true);
  while (r.passes.load() != 0) pause();
  for (auto rank : {ForkHooks::Rank::module, ForkHooks::Rank::pool, ForkHooks::Rank::watchdog}) r.take(rank);
}

void after_fork_in_parent() {
  g_registry.let_go([](ForkHooks& hooks) { hooks.after_fork_in_parent(); });
}

void after_fork_in_child() {
  detail::g_fork_generation.fetch_add(1, std::memory_order_release);
  make_anew(g_registry.renewing);
  g_registry.let_go([](ForkHooks& hooks) { hooks.after_fork_in_child(); });
}

[[maybe_unused]] const int g_registered = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);

}  // namespace

ForkRegistration::ForkRegistration(ForkHooks& hooks, ForkHooks::Rank rank) : hooks_(hooks), rank_(rank) {
  g_registry.add(*this);
}
ForkRegistration::~ForkRegistration() { g_registry.remove(*this); }

void ForkPass::take() {
  if (t_passes++) return;
  ForkRegistry& r = g_registry;
  for (;;) {
    r.passes.fetch_add(1);
    if (!r.forking.load()) return;
    r.passes.fetch_sub(1);
    while (r.forking.load()) pause();
  }
}

bool ForkPass::try_take() {
  if (t_passes == 0) {
    ForkRegistry& r = g_registry;
    r.passes.fetch_add(1);
    if (r.forking.load()) {
      r.passes.fetch_sub(1);
      return false;
    }
  }
  ++t_passes;
  return true;
}

void ForkPass::give_back() {
  if (--t_passes == 0) g_registry.passes.fetch_sub(1);
}

void ForkMutex::renew(void (*renewed)(void*), void* argument) {
  std::lock_guard lock(g_registry.renewing);
  const uint32_t now = fork_generation();
  if (generation_.load(std::memory_order_relaxed) == now) return;
  make_anew(mutex_);
  if (renewed) renewed(argument);
  generation_.store(now, std::memory_order_release);
}

}  // namespace rotor::memory
