#include "hosts/wasi/clocks.h"

#include <sys/stat.h>

#include <algorithm>

#include "hosts/wasi/functions.h"

namespace rotor::wasi {
namespace {

constexpr clockid_t kSystemClocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
                                       CLOCK_THREAD_CPUTIME_ID};

}  // namespace

uint64_t now_ns(Clock* clock, Clock::Id id) {
  if (clock) return clock->now_ns(id);
  timespec now{};
  (void)clock_gettime(kSystemClocks[static_cast<size_t>(id)], &now);  // a clock that there is does not fail
  return ns_of(now);
}

Outcome<uint64_t> now_ns(const EnvironmentImpl& environment, uint32_t id) {
  if (id >= std::size(kSystemClocks)) return fail(Errno::inval);
  return now_ns(environment.clock.get(), static_cast<Clock::Id>(id));
}

Outcome<NewTimes> new_times(uint64_t atime_ns, uint64_t mtime_ns, uint32_t flags) {
  if (flags & ~uint32_t{kAllTimeFlags}) return fail(Errno::inval);
  auto one = [](uint64_t ns, bool set, bool now) -> timespec {
    return set ? timespec_of(ns) : timespec{0, now ? UTIME_NOW : UTIME_OMIT};
  };
  const bool atime = flags & kAtime, atime_now = flags & kAtimeNow, mtime = flags & kMtime,
             mtime_now = flags & kMtimeNow;
  if ((atime && atime_now) || (mtime && mtime_now)) return fail(Errno::inval);
  return NewTimes{{one(atime_ns, atime, atime_now), one(mtime_ns, mtime, mtime_now)}};
}

Outcome<void> clock_res_get(Call& call, uint32_t id, uint32_t result) {
  if (id >= std::size(kSystemClocks)) return fail(Errno::inval);
  uint64_t ns = 0;
  if (const auto& clock = call.environment().clock) {
    ns = clock->resolution_ns(static_cast<Clock::Id>(id));
  } else {
    timespec resolution;
    if (clock_getres(kSystemClocks[id], &resolution) != 0) return fail_of_system();
    ns = ns_of(resolution);
  }
  return call.store(result, ns);
}

Outcome<void> clock_time_get(Call& call, uint32_t id, uint64_t, uint32_t result) {
  ROTOR_TRY(uint64_t ns, now_ns(call.environment(), id));
  return call.store(result, ns);
}

uint64_t SteppedClock::now_ns(Id id) {
  std::lock_guard lock(mutex_);
  elapsed_ns_ += step_ns_;
  return id == Id::realtime ? start_ns_ + elapsed_ns_ : elapsed_ns_;
}

bool SteppedClock::skip_to(Id id, uint64_t time_ns) {
  std::lock_guard lock(mutex_);
  const uint64_t start = id == Id::realtime ? start_ns_ : 0;
  if (time_ns > start) elapsed_ns_ = std::max(elapsed_ns_, time_ns - start);
  return true;
}

}  // namespace rotor::wasi
