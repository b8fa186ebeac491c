// Which calls of a log have to be replayed: the slice backwards from the handles that live.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <unordered_set>
#include <vector>

#include "proxy/log_call.h"

namespace rotor::proxy {

using Calls = std::vector<std::shared_ptr<const LogCall>>;

/// Says whether the instance that the calls are replayed on has a handle that none of them made.
using HasHandle = std::function<bool(HandleId)>;
inline bool has_none(HandleId) { return false; }  ///< for a fresh instance
inline bool has_all(HandleId) { return true; }    ///< for an instance that is behind by just these calls

/// Returns whether each of the calls stays. A build stays, unless it is `local`: then if it made or changed a handle
/// that lives at the end, or that a later call that stays takes; or if it touches no handle at all. Of those with a
/// `key`, the last one stays. A call that ends a handle, by release or by consuming it, stays exactly if the call stays
/// that made the handle. A call that takes a handle that does not exist does not stay. `pinned`: handles that live
/// although a call ended them.
std::vector<bool> slice(const Plan& plan, std::span<const std::shared_ptr<const LogCall>> calls, const HasHandle& has,
                        const std::unordered_set<HandleId>& pinned = {});

}  // namespace rotor::proxy
