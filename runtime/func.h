// Function handles and values: from and to what compiled code keeps.
#pragma once

#include "jit/abi.h"
#include "rotor/func.h"
#include "runtime/link_group.h"

namespace rotor::runtime {

class EngineImpl;

/// The token of a function handle is the link group of its instance; nullptr: an empty handle.
inline LinkGroup* group_of(const detail::Handle& handle) { return static_cast<LinkGroup*>(handle.token.get()); }
inline const jit::FuncRef* func_ref_of(const detail::Handle& handle) {
  return static_cast<const jit::FuncRef*>(handle.object);
}

/// Pre: `ref` belongs to a live instance (it came out of a slot of one).
Func func_of_ref(const jit::FuncRef* ref);
/// Pre: a function reference belongs to a live instance.
Value value_of_slot(ValType type, uint64_t slot);

// What the host hands in for a reference. Compiled code relies on static types: a null, or a function of another type,
// where its type rules them out would be called as what it is not.

/// Whether a value of that type can be one of `wanted`, all that a slot shows excepted.
bool is_of_kind(ValType type, ValType wanted);
/// Whether what a slot holds is a `wanted`, whose type, if it is a defined one, is `engine`'s. Pre: of that kind; a
/// function belongs to a live instance.
bool slot_fits(uint64_t slot, ValType wanted, const EngineImpl* engine);
/// What it holds instead, for messages.
std::string slot_type_text(uint64_t slot, ValType wanted);

}  // namespace rotor::runtime
