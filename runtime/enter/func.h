// Conversions between function handles and values, and what compiled code keeps.
#pragma once

#include "code/abi.h"
#include "rotor/func.h"
#include "runtime/access.h"
#include "runtime/store/link_group.h"

namespace rotor::runtime {

class EngineImpl;
struct CanonicalType;

/// Returns the link group of a handle's instance, which is the handle's token; nullptr for an empty handle.
inline LinkGroup* group_of(const detail::Handle& handle) { return static_cast<LinkGroup*>(handle.token.get()); }
inline const code::FuncRef* func_ref_of(const detail::Handle& handle) {
  return static_cast<const code::FuncRef*>(handle.object);
}
inline LinkGroup* group_of(const Func& func) { return group_of(detail::Access::token(func)); }
inline const code::FuncRef* func_ref_of(const Func& func) { return func_ref_of(detail::Access::token(func)); }

/// Returns the error of a handle to a function whose instance is gone.
std::unexpected<Error> gone();
/// Pre: `ref` belongs to a live instance (it came out of a slot of one).
Func func_of_ref(const code::FuncRef* ref);
/// `group`: whose slot it is, which this thread is inside; may be null if it is no reference to an exception or an
/// object. Pre: a function belongs to a live instance, anything else to the group.
Value value_of_slot(ValType type, uint64_t slot, LinkGroup* group);

// Checks of references that the host hands in. Compiled code relies on static types: a null, or a function or object of
// another type, where the static type rules it out would be taken for what it is not.

/// Returns whether a value of `type` may be a `wanted` as far as types tell; slot_fits checks what only the slot tells:
/// null, and the own type of what it refers to.
bool is_of_kind(ValType type, ValType wanted);
/// Returns whether what a slot holds is a `wanted`, whose type, if it is a defined one, is `engine`'s. `group`: as
/// above. Pre: is_of_kind holds; a function belongs to a live instance.
bool slot_fits(uint64_t slot, ValType wanted, const EngineImpl* engine, LinkGroup* group);
/// Returns the slots of values of these types, those of a function's parameters: they are checked, and what they refer
/// to joins the group. `what` is one of them, for messages. Errors: type_mismatch, stale_handle, invalid_argument.
Result<std::vector<Slot>> slots_of_values(const CanonicalType& type, std::span<const Value> values, LinkGroup& group,
                                          std::string_view what);
/// Returns the slot of a reference to an exception or to an object, or of an external reference, whose group joins this
/// one. Errors: as of slots_of_values.
Result<uint64_t> slot_of_owned(const Value& value, LinkGroup& group);
/// Returns the slot of a value of any type but v128, whose group, if it is a reference, joins this one. Errors: as
/// above.
Result<uint64_t> joined_slot(const Value& value, LinkGroup& group);
/// Returns whether a value's bits, which no guest made, are those of a reference to an object.
bool names_object(const Value& value);
/// Returns what a slot that does not fit holds, for messages.
std::string slot_type_text(uint64_t slot, ValType wanted);
/// Checks that an argument or result of a function of `type` is what it has to be; `what` and `index` say which it is.
/// Errors: type_mismatch.
Result<void> check_slot(const CanonicalType& type, ValType wanted, uint64_t slot, LinkGroup& group,
                        std::string_view what, size_t index);
/// Checks all arguments or all results, given raw; functions among them join the group. Errors: type_mismatch,
/// stale_handle.
Result<void> admit_references(const CanonicalType& type, std::span<const ValType> types, LinkGroup& group,
                              const Slot* slots, std::string_view what);

}  // namespace rotor::runtime
