// Replays recorded calls on a standby.
#pragma once

#include "proxy/live_guest.h"
#include "proxy/log.h"

namespace rotor::proxy {

/// Replays one call and takes down the handles it returns. Errors: those of LiveGuest::call; internal (a divergence: it
/// returned something else than on the active).
Result<void> replay(const Plan& plan, const LogCall& call, LiveGuest& guest);

}  // namespace rotor::proxy
