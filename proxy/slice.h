// Which calls of a log have to be replayed: the slice backwards from the handles that live.
#pragma once

#include <memory>
#include <span>
#include <unordered_set>
#include <vector>

#include "proxy/log_call.h"

namespace rotor::proxy {

using Calls = std::vector<std::shared_ptr<const LogCall>>;

/// Whose state the calls are replayed on.
enum class Onto : bool {
  fresh,   ///< an instance in which nothing was built: a call on a handle that no call of these made is left out
  tail,    ///< one that has all handles that no call of these made
};

/// For each call whether it stays. A build stays if it made or changed a handle that lives at the end, or that a later
/// call that stays takes; or if it touches no handle at all. Of those with a `key`, the last one stays. A call that ends
/// a handle, by release or by consuming it, stays exactly if the call stays that made the handle. `pinned`: handles that
/// live although a call ended them.
std::vector<bool> slice(const Plan& plan, std::span<const std::shared_ptr<const LogCall>> calls, Onto onto,
                        const std::unordered_set<HandleId>& pinned = {});

}  // namespace rotor::proxy
