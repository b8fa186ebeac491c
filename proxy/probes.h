// Probes: queries that are made on two instances, of which one is to take the other's place, and whose answers are
// compared.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "proxy/live_guest.h"

namespace rotor::proxy {

/// Gives the pointer of the oldest handle that lives of those that an export's builds returned; nothing if none lives.
using OldestHandle = std::function<std::optional<uint32_t>(uint32_t export_index)>;
/// For guests whose probes take no handles.
inline std::optional<uint32_t> no_handle(uint32_t) { return std::nullopt; }

/// Makes a probe on a guest that nobody else is in. Returns nothing if a handle that it takes lives no longer. Errors:
/// those of LiveGuest::call.
Result<std::optional<RawReply>> ask(const Plan& plan, const ProbePlan& probe, LiveGuest& guest,
                                    const OldestHandle& handle);

/// Returns how the answers to a probe differ, for people; empty if they do not. `whose`: who gave the first.
std::string difference(const ProbePlan& probe, const char* whose, const RawReply& expected, const RawReply& actual);

}  // namespace rotor::proxy
