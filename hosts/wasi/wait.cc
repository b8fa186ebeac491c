#include "hosts/wasi/wait.h"

#include <sys/eventfd.h>

#include <cerrno>

#include "hosts/wasi/clocks.h"
#include "hosts/wasi/fd.h"

namespace rotor::wasi {
namespace {

Outcome<int> poll_now(std::span<pollfd> polled, const timespec* timeout) {
  const int ready = ppoll(polled.data(), polled.size(), timeout, nullptr);
  if (ready < 0 && errno != EINTR) return fail_of_system();
  return ready;
}

}  // namespace

Outcome<int> wait_for(Call& call, std::span<pollfd> polled, std::optional<uint64_t> timeout_ns) {
  const auto descriptors = polled.first(polled.size() - 1);
  const timespec none{};
  // What is ready is found without the cost of a wait.
  ROTOR_TRY(int ready, poll_now(descriptors, &none));
  if (ready > 0 || timeout_ns == 0) return std::max(ready, 0);
  Fd stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return fail_of_system();
  polled.back() = {stop.get(), POLLIN, 0};

  timespec begin, timeout{};
  clock_gettime(CLOCK_MONOTONIC, &begin);
  Outcome<int> outcome = 0;
  const auto block = [&] {
    for (;;) {
      if (timeout_ns) {
        timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        const uint64_t passed = ns_of(now) - ns_of(begin);
        timeout = timespec_of(passed < *timeout_ns ? *timeout_ns - passed : 0);
      }
      outcome = poll_now(polled, timeout_ns ? &timeout : nullptr);
      if (!outcome || *outcome >= 0) return;
    }
  };
  const auto wake = [&] { (void)eventfd_write(stop.get(), 1); };
  Result<bool> went_on = call.caller().wait(block, wake);
  if (!went_on || !*went_on) return fail(Errno::intr);
  return outcome;
}

Outcome<void> wait_until_ready(Call& call, int fd, short events) {
  pollfd polled[2] = {{fd, events, 0}, {}};
  ROTOR_TRY(int ready, wait_for(call, polled, std::nullopt));
  (void)ready;
  return {};
}

}  // namespace rotor::wasi
