// Which types are equal (spec section 3.3.3): recursion groups are, whose types are equal one by one, where a reference
// into the group itself counts by its place in the group, and any other by the type it names.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "wasm/types.h"

namespace rotor::wasm {

/// A set of recursion groups, no two of them equal. The types themselves are the caller's, a module's.
class RecGroups {
 public:
  /// The first type of the group in the set that is equal to `group`, which is added if there is none. In all groups,
  /// references that leave the group must name types of the set.
  uint32_t intern(std::span<const SubType> types, RecGroup group);

 private:
  std::unordered_multimap<uint64_t, RecGroup> by_hash_;  ///< keyed: a module can't choose types that collide
};

}  // namespace rotor::wasm
