#include <sched.h>
#include <sys/random.h>

#include <cerrno>
#include <string>

#include "hosts/wasi/functions.h"
#include "rotor/guard.h"

namespace rotor::wasi {
namespace {

/// Signals by WASI's numbers: what a process does that gets one and has not said otherwise.
constexpr uint32_t kNoSignal = 0, kSigchld = 16, kSigcont = 17, kSigstop = 18, kSigttou = 21, kSigurg = 22,
                   kSigwinch = 27, kLastSignal = 30;

/// What a shell adds to the number of the signal that ended a program.
constexpr uint32_t kSignalExitBase = 128;

Outcome<void> fill_from_system(Call& call, std::span<uint8_t> bytes) {
  while (!bytes.empty()) {
    const auto size = getrandom(bytes.data(), std::min<size_t>(bytes.size(), kRandomStepBytes), 0);
    if (size < 0 && errno != EINTR) return fail_of_system();
    if (size > 0) bytes = bytes.subspan(static_cast<size_t>(size));
    if (!bytes.empty() && call.caller().must_stop()) return fail(Errno::intr);
  }
  return {};
}

/// Does so in steps, between which a stop ends it.
Outcome<void> fill_from_function(Call& call, const RandomFunction& random, std::span<uint8_t> bytes) {
  while (!bytes.empty()) {
    const auto step = bytes.first(std::min<size_t>(bytes.size(), kRandomStepBytes));
    if (!detail::guarded("a source of random bytes", [&] { return random(step); })) return fail(Errno::io);
    if (call.caller().must_stop()) return fail(Errno::intr);
    bytes = bytes.subspan(step.size());
  }
  return {};
}

}  // namespace

Result<void> proc_exit(Call& call, uint32_t code) {
  call.environment().exit_code = code;
  return rotor::fail(ErrorKind::host, "the guest ended with exit code " + std::to_string(code));
}

Result<uint32_t> proc_raise(Call& call, uint32_t signal) {
  if (signal > kLastSignal) return static_cast<uint32_t>(Errno::inval);
  if (signal == kNoSignal || signal == kSigchld || signal == kSigcont || signal == kSigurg || signal == kSigwinch)
    return static_cast<uint32_t>(Errno::success);
  if (signal >= kSigstop && signal <= kSigttou) return static_cast<uint32_t>(Errno::notsup);  // nobody would go on
  call.environment().exit_code = kSignalExitBase + signal;
  return rotor::fail(ErrorKind::host, "the guest raised signal " + std::to_string(signal));
}

Outcome<void> random_get(Call& call, uint32_t buffer, uint32_t size_bytes) {
  ROTOR_TRY(auto bytes, call.edit(buffer, size_bytes));
  const RandomFunction& random = call.environment().random;
  const auto filled = random ? fill_from_function(call, random, bytes) : fill_from_system(call, bytes);
  call.caller().edited(buffer, size_bytes);  // what fails may have filled some of it
  return filled;
}

Outcome<void> sched_yield(Call&) {
  (void)::sched_yield();
  return {};
}

RandomFunction seeded_random(uint64_t seed) {
  struct State {
    std::mutex mutex;
    uint64_t state;
    uint64_t word = 0;
    int left = 0;  ///< bytes of `word`
  };
  auto shared = std::make_shared<State>();
  shared->state = seed;
  // SplitMix64 by Steele, Lea and Flood. What was asked for in which pieces changes no byte.
  return [shared](std::span<uint8_t> out) -> Result<void> {
    std::lock_guard lock(shared->mutex);
    for (uint8_t& byte : out) {
      if (shared->left == 0) {
        uint64_t z = shared->state += UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        shared->word = z ^ z >> 31;
        shared->left = 8;
      }
      byte = static_cast<uint8_t>(shared->word);
      shared->word >>= 8;
      --shared->left;
    }
    return {};
  };
}

}  // namespace rotor::wasi
