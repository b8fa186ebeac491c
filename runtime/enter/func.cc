#include "runtime/enter/func.h"

#include <fmt/format.h>

#include <algorithm>

#include "code/abi.h"
#include "runtime/enter/call.h"
#include "runtime/enter/canonical_type.h"
#include "runtime/store/instance.h"

namespace rotor::runtime {

Func func_of_ref(const code::FuncRef* ref) {
  auto* instance = static_cast<InstanceImpl*>(ref->context->instance);
  // An import is a copy of the reference. All handles hold that of the instance whose function it is: one function is
  // one address.
  const auto place = reinterpret_cast<uintptr_t>(ref) - reinterpret_cast<uintptr_t>(instance->context);
  if (place >= instance->module_impl().layout().size_bytes) ref = instance->func_ref(instance->func_index(*ref));
  return detail::Access::handle<Func>(detail::Handle{instance->group, const_cast<code::FuncRef*>(ref)});
}

Value value_of_slot(ValType type, uint64_t slot) {
  if (type.is_func_ref() && slot) return Value(func_of_ref(reinterpret_cast<const code::FuncRef*>(slot)));
  return Value::from_bits(type, slot);
}

bool is_of_kind(ValType type, ValType wanted) {
  if (wanted.is_func_ref()) return type.is_func_ref();
  if (wanted.is_extern_ref()) return type.is_extern_ref();
  return type == wanted;
}

bool slot_fits(uint64_t slot, ValType wanted, const EngineImpl* engine) {
  if (!wanted.is_ref()) return true;
  if (!slot) return wanted.nullable();
  if (!wanted.is_concrete_ref()) return true;
  const CanonicalType& actual = CanonicalType::of(reinterpret_cast<const code::FuncRef*>(slot)->type);
  // In another engine the same name is another type.
  return actual.engine == engine && actual.name == wanted.heap().type_name();
}

std::string slot_type_text(uint64_t slot, ValType wanted) {
  if (!slot) return "null";
  return "a function of type " + to_string(CanonicalType::of(reinterpret_cast<const code::FuncRef*>(slot)->type).type);
}

Result<void> check_slot(const CanonicalType& type, ValType wanted, uint64_t slot, std::string_view what, size_t index) {
  if (slot_fits(slot, wanted, type.engine)) return {};
  return fail(ErrorKind::type_mismatch, fmt::format("{} {} is {} for a function of type {}", what, index,
                                                    slot_type_text(slot, wanted), to_string(type.type)));
}

Result<void> admit_references(const CanonicalType& type, std::span<const ValType> types, LinkGroup& group,
                              const Slot* slots, std::string_view what) {
  for (size_t i = 0; i < types.size(); ++i) {
    Slot slot = *slots;
    slots += types[i] == ValType::v128 ? 2 : 1;
    if (types[i].is_func_ref() && slot) {
      auto* ref = reinterpret_cast<const code::FuncRef*>(slot);
      ROTOR_CHECK(LinkGroup::merge(group, *static_cast<InstanceImpl*>(ref->context->instance)->group));
    }
    ROTOR_CHECK(check_slot(type, types[i], slot, what, i));
  }
  return {};
}

std::unexpected<Error> gone() { return fail(ErrorKind::stale_handle, "the function's instance is gone"); }

}  // namespace rotor::runtime

namespace rotor {

using runtime::CanonicalType;
using runtime::GroupEntry;
using runtime::LinkGroup;

Value::Value(const Func& func) : type_(ValType::funcref), token_(func.handle_.token) {
  std::memcpy(bits_, &func.handle_.object, sizeof func.handle_.object);
}

Func Value::func() const {
  if (!type_.is_func_ref() || is_null()) return {};
  return Func(detail::Handle{token_, reinterpret_cast<void*>(bits())});
}

bool Func::alive() const {
  LinkGroup* group = runtime::group_of(handle_);
  return group && group->alive();
}

FuncType Func::type() const {
  if (!alive()) return {};
  return CanonicalType::of(runtime::func_ref_of(handle_)->type).type;
}

Result<uint32_t> Func::index() const {
  if (!alive()) return runtime::gone();
  const code::FuncRef& ref = *runtime::func_ref_of(handle_);
  return static_cast<runtime::InstanceImpl*>(ref.context->instance)->func_index(ref);
}

Result<void> Func::call_raw(Slot* slots) const {
  LinkGroup* group = runtime::group_of(handle_);
  if (!group) return runtime::gone();
  if (!group->enter_quickly(runtime::t_thread)) ROTOR_CHECK(group->enter());
  const code::FuncRef& ref = *runtime::func_ref_of(handle_);
  const CanonicalType& type = CanonicalType::of(ref.type);
  if (type.has_ref_params) [[unlikely]]
    if (auto admitted = runtime::admit_references(type, type.type.params, *group, slots, "argument"); !admitted) {
      group->leave_call(runtime::t_thread);
      return admitted;
    }
  Result<void> called = runtime::invoke(*group, ref, slots);
  group->leave_call(runtime::t_thread);
  return called;
}

Result<std::vector<Value>> Func::call(std::span<const Value> args) const {
  LinkGroup* group = runtime::group_of(handle_);
  if (!group) return runtime::gone();
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(group));
  const code::FuncRef& ref = *runtime::func_ref_of(handle_);
  const CanonicalType& type = CanonicalType::of(ref.type);
  if (args.size() != type.type.params.size())
    return fail(ErrorKind::type_mismatch,
                fmt::format("{} arguments for a function of type {}", args.size(), to_string(type.type)));
  std::vector<Slot> slots(type.slot_count());
  size_t slot = 0;
  for (size_t i = 0; i < args.size(); ++i) {
    if (!runtime::is_of_kind(args[i].type(), type.type.params[i]))
      return fail(ErrorKind::type_mismatch, fmt::format("argument {} is of type {} for a function of type {}", i,
                                                        to_string(args[i].type()), to_string(type.type)));
    if (args[i].type() == ValType::v128) {
      detail::store_slots(&slots[slot], args[i].v128());
      slot += 2;
      continue;
    }
    slots[slot] = args[i].bits();
    if (type.params[slot].is_func && slots[slot]) {
      // The group is taken from the handle's token, which, unlike the slot, tells whether its instance is gone.
      LinkGroup* other = runtime::group_of(args[i].func());
      if (!other) return runtime::gone();
      ROTOR_CHECK(LinkGroup::merge(*group, *other));
    }
    ROTOR_CHECK(runtime::check_slot(type, type.type.params[i], slots[slot], "argument", i));
    ++slot;
  }
  ROTOR_CHECK(runtime::invoke(*group, ref, slots.data()));
  std::vector<Value> results;
  results.reserve(type.type.results.size());
  slot = 0;
  for (ValType result : type.type.results) {
    if (result == ValType::v128) {
      results.emplace_back(detail::load_slots<V128>(&slots[slot]));
      slot += 2;
    } else {
      results.push_back(runtime::value_of_slot(result, slots[slot++]));
    }
  }
  return results;
}

Result<void> Func::check_type(const FuncType& wanted) const {
  if (!alive()) return runtime::gone();
  const FuncType& actual = CanonicalType::of(runtime::func_ref_of(handle_)->type).type;
  if (actual == wanted) return {};
  return fail(ErrorKind::type_mismatch,
              fmt::format("the function is of type {}, not {}", to_string(actual), to_string(wanted)));
}

}  // namespace rotor
