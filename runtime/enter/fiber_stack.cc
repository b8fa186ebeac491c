#include "runtime/enter/fiber_stack.h"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "memory/fork.h"
#include "rotor/detail/made_once.h"
#include "rotor/fiber_stack.h"

namespace rotor {
namespace runtime {
namespace {

/// The declared stacks of the process, to which threads belong, too: one fiber may call into several engines.
struct Declared {
  std::mutex mutex;
  std::map<uintptr_t, uintptr_t> ends;  ///< ends of stacks, by their low addresses
  /// Incremented under the mutex with each change. A stack that a thread remembers from an earlier generation may be
  /// gone.
  std::atomic<uint64_t> generation{1};
};

/// Returns the declared stacks. They are never destroyed: threads may still be running when the process exits.
Declared& declared() {
  static constinit std::atomic<Declared*> stacks{nullptr};
  return detail::made_once(stacks, [] { return std::make_unique<Declared>(); });
}

}  // namespace

const memory::os::StackRange* find_fiber_stack(FoundFiberStack& last, uintptr_t sp) {
  Declared& all = declared();
  if (last.generation == all.generation.load(std::memory_order_acquire) && sp >= last.range.low && sp < last.range.high)
    return &last.range;
  memory::ForkPass pass;
  std::lock_guard lock(all.mutex);
  auto above = all.ends.upper_bound(sp);
  if (above == all.ends.begin()) return nullptr;
  auto [low, high] = *std::prev(above);
  if (sp >= high) return nullptr;
  last = {{low, high}, all.generation.load(std::memory_order_relaxed)};
  return &last.range;
}

}  // namespace runtime

Result<FiberStack> FiberStack::declare(void* low, size_t size_bytes) {
  auto begin = reinterpret_cast<uintptr_t>(low);
  uintptr_t end = begin + size_bytes;
  if (end <= begin)
    return fail(ErrorKind::invalid_argument, "a stack of no bytes, or past the end of the address space");
  runtime::Declared& all = runtime::declared();
  memory::ForkPass pass;
  std::lock_guard lock(all.mutex);
  auto next = all.ends.lower_bound(begin);
  bool overlaps =
      (next != all.ends.end() && next->first < end) || (next != all.ends.begin() && std::prev(next)->second > begin);
  if (overlaps) return fail(ErrorKind::invalid_argument, "the stack overlaps one that is declared");
  all.ends.emplace(begin, end);
  all.generation.fetch_add(1, std::memory_order_release);
  return FiberStack(low);
}

FiberStack& FiberStack::operator=(FiberStack&& other) noexcept {
  std::swap(low_, other.low_);
  return *this;
}

FiberStack::~FiberStack() {
  if (!low_) return;
  runtime::Declared& all = runtime::declared();
  memory::ForkPass pass;
  std::lock_guard lock(all.mutex);
  all.ends.erase(reinterpret_cast<uintptr_t>(low_));
  all.generation.fetch_add(1, std::memory_order_release);
}

}  // namespace rotor
