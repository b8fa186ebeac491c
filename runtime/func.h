// Function handles and values: from and to what compiled code keeps.
#pragma once

#include "jit/abi.h"
#include "rotor/func.h"
#include "runtime/link_group.h"

namespace rotor::runtime {

/// The token of a function handle is the link group of its instance; nullptr: an empty handle.
inline LinkGroup* group_of(const detail::Handle& handle) { return static_cast<LinkGroup*>(handle.token.get()); }
inline const jit::FuncRef* func_ref_of(const detail::Handle& handle) {
  return static_cast<const jit::FuncRef*>(handle.object);
}

/// Pre: `ref` belongs to a live instance (it came out of a slot of one).
Func func_of_ref(const jit::FuncRef* ref);
/// Pre: a function reference belongs to a live instance.
Value value_of_slot(ValType type, uint64_t slot);

}  // namespace rotor::runtime
