// Replays recorded calls on a guest.
#pragma once

#include "proxy/live_guest.h"
#include "proxy/log_call.h"

namespace rotor::proxy {

/// Returns whether an error says that a replay went another way than the call did.
bool is_divergence(const Error& error);

/// Replays one call and notes the handles that it returns. Errors: those of LiveGuest::call; internal (a divergence: it
/// returned something else than on the active, or called its host differently).
Result<void> replay(const Plan& plan, const LogCall& call, LiveGuest& guest);

}  // namespace rotor::proxy
