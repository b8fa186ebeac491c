// Function handles and values: from and to what compiled code keeps.
#pragma once

#include "code/abi.h"
#include "rotor/func.h"
#include "runtime/store/link_group.h"

namespace rotor::runtime {

class EngineImpl;
struct Signature;

/// The token of a function handle is the link group of its instance; nullptr: an empty handle.
inline LinkGroup* group_of(const detail::Handle& handle) { return static_cast<LinkGroup*>(handle.token.get()); }
inline const code::FuncRef* func_ref_of(const detail::Handle& handle) {
  return static_cast<const code::FuncRef*>(handle.object);
}

/// Pre: `ref` belongs to a live instance (it came out of a slot of one).
Func func_of_ref(const code::FuncRef* ref);
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
/// That an argument or result of a function of `type` is what it has to be; `what` and `index` say which. Errors:
/// type_mismatch.
Result<void> check_slot(const Signature& type, ValType wanted, uint64_t slot, std::string_view what, size_t index);
/// All arguments or all results, raw: functions among them join the group. Errors: type_mismatch, stale_handle.
Result<void> admit_references(const Signature& type, std::span<const ValType> types, LinkGroup& group,
                              const Slot* slots, std::string_view what);

}  // namespace rotor::runtime
