#include "runtime/store/bias.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <new>
#include <thread>

#include "memory/fork.h"

namespace rotor::runtime {

namespace {

bool membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0) == 0; }

bool try_barrier() {
  // In a child of the process that registered, the registration may have to be repeated.
  return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) ||
         (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
}

/// Seats of threads that ended. Never destroyed: threads may end while the process does.
struct FreeSeats {
  memory::ForkMutex mutex;
  BiasSeat* first = nullptr;
};
FreeSeats& free_seats() {
  static auto* seats = new FreeSeats;
  return *seats;
}

}  // namespace

BiasSeat* take_bias_seat() {
#ifdef __SANITIZE_THREAD__
  return nullptr;  // ThreadSanitizer does not know membarrier
#else
  static const bool possible = try_barrier();
  if (!possible) return nullptr;
  FreeSeats& free = free_seats();
  std::lock_guard lock(free.mutex);
  if (!free.first) return new (std::nothrow) BiasSeat;
  BiasSeat* seat = free.first;
  free.first = seat->next_free;
  return seat;
#endif
}

void give_bias_seat_back(BiasSeat& seat) {
  if (seat.inside.load(std::memory_order_relaxed)) return;
  FreeSeats& free = free_seats();
  std::lock_guard lock(free.mutex);
  seat.next_free = free.first;
  free.first = &seat;
}

void barrier_in_all_threads() {
  if (try_barrier()) return;
  // The system refuses what it allowed when the first seat was taken (a seccomp filter that came later). No store stays
  // in a processor's buffer for so long, and a thread that is not running has passed a barrier.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

}  // namespace rotor::runtime
