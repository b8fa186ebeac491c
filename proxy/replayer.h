// Replays recorded calls on a guest.
#pragma once

#include "proxy/live_guest.h"
#include "proxy/log_call.h"

namespace rotor::proxy {

/// The error of a replay that went another way than the call did.
bool is_divergence(const Error& error);

/// Replays one call and takes down the handles it returns. Errors: those of LiveGuest::call; internal (a divergence: it
/// returned something else than on the active, or called its host otherwise).
Result<void> replay(const Plan& plan, const LogCall& call, LiveGuest& guest);

}  // namespace rotor::proxy
