// For tests of lifetimes: a seed for memory/perturb.h, told before anything can go wrong.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "memory/perturb.h"

namespace rotor::memory::test {

/// Delays for its scope, by the seed in the environment's ROTOR_PERTURB_SEED or by a new one. Without delays compiled
/// in the test runs as the scheduler has it.
class Perturbed {
 public:
  Perturbed() {
#ifdef ROTOR_PERTURB
    const char* wanted = std::getenv("ROTOR_PERTURB_SEED");
    const uint64_t seed = wanted ? std::strtoull(wanted, nullptr, 10) : std::random_device{}() | 1U;
    // At once: a use after free ends the program.
    std::fprintf(stderr, "ROTOR_PERTURB_SEED=%llu\n", static_cast<unsigned long long>(seed));
    set_perturb_seed(seed);
#endif
  }
  ~Perturbed() {
#ifdef ROTOR_PERTURB
    set_perturb_seed(0);
#endif
  }
  Perturbed(const Perturbed&) = delete;

  /// Whether to go on with another round: for 3 s where there are delays, else for a third of that.
  bool goes_on() const {
#ifdef ROTOR_PERTURB
    constexpr std::chrono::milliseconds kTime{3000};
#else
    constexpr std::chrono::milliseconds kTime{1000};
#endif
    return std::chrono::steady_clock::now() - begin_ < kTime;
  }

 private:
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace rotor::memory::test
