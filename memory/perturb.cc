#include "memory/perturb.h"

#ifdef ROTOR_PERTURB

#include <sched.h>
#include <time.h>

#include <atomic>

namespace rotor::memory {

namespace {

std::atomic<uint64_t> g_seed{0};
std::atomic<uint64_t> g_threads{0};

/// Draws the next number of SplitMix64.
uint64_t next(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void sleep_us(uint64_t us) {
  timespec time{0, static_cast<long>(us * 1000)};
  nanosleep(&time, nullptr);
}

}  // namespace

void set_perturb_seed(uint64_t seed) {
  g_threads = 0;
  g_seed = seed;
}

void perturb() {
  static thread_local uint64_t seed = 0;
  static thread_local uint64_t state = 0;
  const uint64_t wanted = g_seed.load(std::memory_order_relaxed);
  if (!wanted) return;
  if (seed != wanted) {
    seed = wanted;
    state = wanted * 0x2545f4914f6cdd1d + g_threads.fetch_add(1);
  }
  const uint64_t random = next(state);
  switch (random % 16) {
    case 0: return sleep_us(random / 16 % 2000);
    case 1:
    case 2: return sleep_us(random / 16 % 200);
    case 3:
    case 4:
    case 5: sched_yield(); return;
    default: return;
  }
}

}  // namespace rotor::memory

#endif
