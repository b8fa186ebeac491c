#include "runtime/store/bias.h"

#include <atomic>
#include <chrono>
#include <new>
#include <thread>
#include <type_traits>

#include "memory/barrier.h"
#include "memory/fork.h"

namespace rotor::runtime {

namespace {

/// Seats of threads that ended.
struct FreeSeats {
  memory::ForkMutex mutex;
  BiasSeat* first = nullptr;
};
// It has no destructor: threads may end while the process does.
static_assert(std::is_trivially_destructible_v<FreeSeats>);
constinit FreeSeats g_free_seats;

/// Returns whether membarrier worked when it was first asked for.
bool can_be_biased() {
  enum : uint8_t { kUnknown, kYes, kNo };
  static constinit std::atomic<uint8_t> known{kUnknown};
  uint8_t answer = known.load(std::memory_order_relaxed);
  if (answer == kUnknown)
    known.store(answer = memory::barrier_in_all_threads() ? kYes : kNo, std::memory_order_relaxed);
  return answer == kYes;
}

}  // namespace

BiasSeat* take_bias_seat() {
  if (!can_be_biased()) return nullptr;
  std::lock_guard lock(g_free_seats.mutex);
  if (!g_free_seats.first) return new (std::nothrow) BiasSeat;
  BiasSeat* seat = g_free_seats.first;
  g_free_seats.first = seat->next_free;
  return seat;
}

void give_bias_seat_back(BiasSeat& seat) {
  if (seat.inside.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(g_free_seats.mutex);
  seat.next_free = g_free_seats.first;
  g_free_seats.first = &seat;
}

void barrier_of_revoker() {
  if (memory::barrier_in_all_threads()) return;
  // The system refuses what it allowed when the first seat was taken (a seccomp filter that came later). No store stays
  // in a processor's buffer for so long, and a thread that is not running has passed a barrier.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

}  // namespace rotor::runtime
