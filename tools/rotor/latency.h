// Percentiles of the time that repetitions took, and of those around swaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rotor::cli {

struct Percentiles {
  size_t count = 0;  ///< 0: the other members are unset
  double min = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double p999 = 0;
  double max = 0;
};

/// Returns a time as reports write it, with three decimals. Pre: not negative.
inline double rounded(double value) { return static_cast<double>(static_cast<int64_t>(value * 1000 + 0.5)) / 1000; }

/// Returns percentiles by nearest rank: each is one of the values.
Percentiles percentiles_of(std::vector<double> values);

/// One repetition: what it took, and whether an instance was exchanged in it or while it waited for its lease.
struct Repetition {
  double ms = 0;
  bool swapped = false;
};

struct LatencyBySwap {
  Percentiles all;
  Percentiles before;  ///< of the kAroundSwap repetitions before each one with a swap
  Percentiles during;  ///< of those with a swap
  Percentiles after;   ///< of the kAroundSwap repetitions after
};
/// How many repetitions count as before, and as after, a swap. Those between two swaps that are nearer than that count
/// as both.
inline constexpr size_t kAroundSwap = 20;

LatencyBySwap latency_by_swap(std::span<const Repetition> repetitions);

}  // namespace rotor::cli
