// Equality of types (spec section 3.3.3): two recursion groups are equal if their types are equal one by one. A
// reference into the group itself is compared by its place in the group, any other by the type it names.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "wasm/types.h"

namespace rotor::wasm {

/// A set of recursion groups, no two of them equal. The types themselves belong to the caller's module.
class RecGroups {
 public:
  /// Returns the index of the first type of the set's group that is equal to `group`; `group` itself is added if there
  /// is none. In all groups, references that leave the group must name types of the set.
  uint32_t intern(std::span<const SubType> types, RecGroup group);

 private:
  std::unordered_multimap<uint64_t, RecGroup> by_hash_;  ///< keyed: a module can't choose types that collide
};

}  // namespace rotor::wasm
