// Times, as WASI counts them.
#pragma once

#include <time.h>

#include <cstdint>

#include "hosts/wasi/environment.h"
#include "hosts/wasi/types.h"

namespace rotor::wasi {

inline constexpr uint64_t kNsPerSecond = 1'000'000'000;

inline uint64_t ns_of(const timespec& time) {
  return static_cast<uint64_t>(time.tv_sec) * kNsPerSecond + static_cast<uint64_t>(time.tv_nsec);
}
inline timespec timespec_of(uint64_t ns) {
  return {static_cast<time_t>(ns / kNsPerSecond), static_cast<long>(ns % kNsPerSecond)};
}

/// Returns the time of one of the embedder's clocks; of the system's if `clock` is null.
uint64_t now_ns(Clock* clock, Clock::Id id);
/// Returns the time of a clock of the environment's. Errors: inval (no such clock).
Outcome<uint64_t> now_ns(const EnvironmentImpl& environment, uint32_t id);

/// Returns what fd_filestat_set_times is asked to set. Errors: inval (both a time and now, or other flags).
Outcome<NewTimes> new_times(uint64_t atime_ns, uint64_t mtime_ns, uint32_t flags);

}  // namespace rotor::wasi
