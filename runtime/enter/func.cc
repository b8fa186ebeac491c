#include "runtime/enter/func.h"

#include <fmt/format.h>

#include <algorithm>

#include "code/abi.h"
#include "runtime/enter/call.h"
#include "runtime/enter/canonical_type.h"
#include "runtime/store/exceptions.h"
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

namespace {

/// A handle of the host's to an exception: with the group, its heap is kept.
struct ExceptionHold {
  ExceptionHold(ExceptionObject& held) : group(held.group->shared_from_this()), object(held) { ++object.holds; }
  ExceptionHold(const ExceptionHold&) = delete;
  ~ExceptionHold() { --object.holds; }
  const std::shared_ptr<LinkGroup> group;
  ExceptionObject& object;
};

/// Returns the reference to the object that a slot refers to; 0 if it refers to none.
uint64_t object_of_slot(ValType type, uint64_t slot, LinkGroup* group) {
  if (!slot || !group || !(type.is_any_ref() || type.is_extern_ref())) return 0;
  GcHeap* heap = group->gc_heap();
  if (!heap) return 0;
  const uint64_t object = type.is_any_ref() ? slot : heap->internal(slot);
  return object % 8 == 0 ? object : 0;
}

}  // namespace

Value value_of_slot(ValType type, uint64_t slot, LinkGroup* group) {
  if (type.is_exn_ref() && slot)
    return detail::Access::held(type, slot, std::make_shared<ExceptionHold>(*ExceptionObject::of(slot)));
  if (type.is_func_ref() && slot) return Value(func_of_ref(reinterpret_cast<const code::FuncRef*>(slot)));
  if (uint64_t object = object_of_slot(type, slot, group))
    return detail::Access::held(
        type, slot, std::make_shared<ObjectHold>(group->shared_from_this(), static_cast<memory::HeapRef>(object)));
  return Value::from_bits(type, slot);
}

bool is_of_kind(ValType type, ValType wanted) {
  if (wanted.is_func_ref()) return type.is_func_ref();
  if (wanted.is_extern_ref()) return type.is_extern_ref();
  if (wanted.is_exn_ref()) return type.is_exn_ref();
  if (wanted.is_any_ref()) return type.is_any_ref();
  return type == wanted;
}

namespace {

/// Returns the type of what a slot that is not null refers to. Errors: invalid_argument (nothing of the heap's).
Result<HeapType> heap_type_of(uint64_t slot, ValType type, LinkGroup* group) {
  using enum HeapType::Abstract;
  if (type.is_func_ref()) return CanonicalType::of(reinterpret_cast<const code::FuncRef*>(slot)->type).heap_type();
  if (!type.is_any_ref()) return HeapType(type.is_exn_ref() ? exn : extern_);
  if (slot & 1) return HeapType(i31);
  GcHeap* heap = group ? group->gc_heap() : nullptr;
  if (slot % 8 != 0) return HeapType(any);
  if (!heap || !heap->has(slot)) return fail(ErrorKind::invalid_argument, "a reference to no object of the instance's");
  if (heap->is_box(slot)) return HeapType(any);
  return heap->type_of(slot).heap_type();
}

}  // namespace

bool slot_fits(uint64_t slot, ValType wanted, const EngineImpl* engine, LinkGroup* group) {
  if (!wanted.is_ref()) return true;
  if (!slot) return wanted.nullable();
  const Result<HeapType> actual = heap_type_of(slot, wanted, group);
  if (!actual) return false;
  if (!actual->is_concrete() || !wanted.is_concrete_ref())
    return TypeRegistry::matches_abstract(*actual, wanted.heap());
  // In another engine the same name is another type.
  if (wanted.is_func_ref() && CanonicalType::of(reinterpret_cast<const code::FuncRef*>(slot)->type).engine != engine)
    return false;
  return engine->types.matches(*actual, wanted.heap());
}

std::string slot_type_text(uint64_t slot, ValType wanted) {
  if (!slot) return "null";
  if (wanted.is_any_ref()) return "a reference to something else";
  if (!wanted.is_func_ref()) return "no exception of the instance's";
  return "a function of type " + to_string(CanonicalType::of(reinterpret_cast<const code::FuncRef*>(slot)->type).type);
}

Result<void> check_slot(const CanonicalType& type, ValType wanted, uint64_t slot, LinkGroup& group,
                        std::string_view what, size_t index) {
  if (slot_fits(slot, wanted, type.engine, &group)) return {};
  return fail(ErrorKind::type_mismatch, fmt::format("{} {} is {} for a function of type {}", what, index,
                                                    slot_type_text(slot, wanted), to_string(type.type)));
}

Result<uint64_t> slot_of_owned(const Value& value, LinkGroup& group) {
  if (value.is_null()) return 0;
  const void* token = detail::Access::hold(value).get();
  if (value.type().is_exn_ref()) {
    auto* hold = static_cast<const ExceptionHold*>(token);
    // Bits alone are no exception: only what a guest made has a hold.
    if (!hold) return fail(ErrorKind::type_mismatch, "a reference to no exception");
    if (!hold->group->alive()) return fail(ErrorKind::stale_handle, "the exception's instance is gone");
    ROTOR_CHECK(LinkGroup::merge(group, *hold->group));
    return value.bits();
  }
  if (const auto* hold = static_cast<const ObjectHold*>(token)) {
    if (!hold->group->alive()) return fail(ErrorKind::stale_handle, "the object's instance is gone");
    ROTOR_CHECK(LinkGroup::merge(group, *hold->group));
    return value.bits();
  }
  if (names_object(value)) return fail(ErrorKind::type_mismatch, "a reference to no object");
  return value.bits();
}

Result<uint64_t> joined_slot(const Value& value, LinkGroup& group) {
  if (!value.type().is_ref()) return value.bits();
  if (!value.type().is_func_ref() || value.is_null()) return slot_of_owned(value, group);
  // The group is taken from the handle's token, which, unlike the slot, tells whether its instance is gone.
  LinkGroup* other = group_of(value.func());
  if (!other) return gone();
  ROTOR_CHECK(LinkGroup::merge(group, *other));
  return value.bits();
}

bool names_object(const Value& value) {
  if (!value.type().is_any_ref() || value.is_null() || detail::Access::hold(value)) return false;
  // An i31, or what is the host's own, needs no hold.
  return (value.bits() & 3) == 0 || value.bits() > UINT32_MAX;
}

Result<std::vector<Slot>> slots_of_values(const CanonicalType& type, std::span<const Value> values, LinkGroup& group,
                                          std::string_view what) {
  if (values.size() != type.type.params.size())
    return fail(ErrorKind::type_mismatch,
                fmt::format("{} {}s for a function of type {}", values.size(), what, to_string(type.type)));
  std::vector<Slot> slots(type.slot_count());
  size_t slot = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const ValType wanted = type.type.params[i];
    if (!is_of_kind(values[i].type(), wanted))
      return fail(ErrorKind::type_mismatch, fmt::format("{} {} is of type {} for a function of type {}", what, i,
                                                        to_string(values[i].type()), to_string(type.type)));
    if (wanted == ValType::v128) {
      detail::store_slots(&slots[slot], values[i].v128());
      slot += 2;
      continue;
    }
    ROTOR_TRY(slots[slot], joined_slot(values[i], group));
    ROTOR_CHECK(check_slot(type, wanted, slots[slot], group, what, i));
    ++slot;
  }
  return slots;
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
    if (types[i].is_exn_ref() && slot && !group.exceptions().has(slot))
      return fail(ErrorKind::type_mismatch, fmt::format("{} {} is no exception of the instance's", what, i));
    ROTOR_CHECK(check_slot(type, types[i], slot, group, what, i));
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

Value Value::of_i31(int32_t number) {
  return from_bits(ValType::ref(HeapType::Abstract::i31, /*nullable=*/false), static_cast<uint32_t>(number) << 1 | 1);
}

Value Value::of_host(ExternRef ref) {
  // What a guest would make of it.
  return from_bits(ValType::ref(HeapType::Abstract::any, /*nullable=*/true), ref.bits ? ref.bits << 2 | 2 : 0);
}

std::optional<ExternRef> Value::host_ref() const {
  if (!type_.is_any_ref() || is_null() || is_i31()) return std::nullopt;
  if ((bits() & 3) == 2) return ExternRef{bits() >> 2};
  const auto* hold = static_cast<const runtime::ObjectHold*>(token_.get());
  if (!hold) return std::nullopt;
  auto inside = GroupEntry::enter(hold->group.get());
  if (!inside) return std::nullopt;
  const runtime::GcHeap& heap = *hold->group->gc_heap();
  return heap.is_box(hold->ref) ? std::optional(ExternRef{heap.in_box(hold->ref)}) : std::nullopt;
}

Result<HeapType> Value::dynamic_type() const {
  if (!type_.is_ref() || is_null()) return fail(ErrorKind::invalid_argument, "no reference to something");
  if (type_.is_func_ref()) {
    const Func function = func();
    if (!function.alive()) return runtime::gone();
    return CanonicalType::of(runtime::func_ref_of(function)->type).heap_type();
  }
  LinkGroup* group = nullptr;
  if (const auto* hold = static_cast<const runtime::ObjectHold*>(token_.get()); hold && type_.is_any_ref())
    group = hold->group.get();
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(group));
  return runtime::heap_type_of(bits(), type_, group);
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
  if (type.has_owned) [[unlikely]] {
    group->leave_call(runtime::t_thread);
    // As bits, what it returns would be nobody's.
    return fail(
        ErrorKind::unsupported,
        fmt::format("a function of type {} is called with values (Func::call), not slots", to_string(type.type)));
  }
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
  ROTOR_TRY(std::vector<Slot> slots, runtime::slots_of_values(type, args, *group, "argument"));
  ROTOR_CHECK(runtime::invoke(*group, ref, slots.data()));
  std::vector<Value> results;
  results.reserve(type.type.results.size());
  size_t slot = 0;
  for (ValType result : type.type.results) {
    if (result == ValType::v128) {
      results.emplace_back(detail::load_slots<V128>(&slots[slot]));
      slot += 2;
    } else {
      results.push_back(runtime::value_of_slot(result, slots[slot++], group));
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
