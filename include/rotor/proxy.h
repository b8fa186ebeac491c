// Proxy: serves calls from an instance that leaks, and exchanges it for a fresh one before it runs out of memory.
//
// The proxy logs the calls that built state. When memory use passes `warm_at`, a background thread prepares a standby:
// the first one by replaying the log, the others from the image of the first and what the log got since. At `swap_at`
// the standby takes the active instance's place between two leases, and the retired one is freed in the background.
// Handles that the host holds are tokens, so they survive the swap. docs/rotation.md explains it all.
#pragma once

#include "rotor/proxy/counters.h"
#include "rotor/proxy/guest.h"
#include "rotor/proxy/lease.h"
#include "rotor/proxy/policy.h"
#include "rotor/proxy/proxy.h"
