// Waits for descriptors and times, which a stop of the call ends.
#pragma once

#include <poll.h>

#include <cstdint>
#include <optional>
#include <span>

#include "hosts/wasi/call.h"

namespace rotor::wasi {

/// Waits until one of the descriptors is ready, or for `timeout_ns` (nullopt: for ever). The last place in `polled` is
/// for the wait itself. Returns the number of those that are ready, of which `revents` tells. Errors: intr (the call
/// has to stop).
Outcome<int> wait_for(Call& call, std::span<pollfd> polled, std::optional<uint64_t> timeout_ns);

/// Waits until a descriptor can be read from (POLLIN) or written to (POLLOUT), without end. Errors: intr.
Outcome<void> wait_until_ready(Call& call, int fd, short events);

}  // namespace rotor::wasi
