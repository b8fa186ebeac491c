#include "rotor/object.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "runtime/access.h"
#include "runtime/enter/func.h"
#include "runtime/store/gc_heap.h"
#include "runtime/store/instance.h"
#include "wasm/subtypes.h"

namespace rotor {

using runtime::CanonicalType;
using runtime::GcHeap;
using runtime::GroupEntry;
using runtime::LinkGroup;
using runtime::ObjectHold;

namespace {

/// An object while the thread is inside its group.
class Opened {
 public:
  static Result<Opened> open(const Value& value) {
    const auto* hold = static_cast<const ObjectHold*>(detail::Access::hold(value).get());
    ROTOR_TRY(GroupEntry inside, GroupEntry::enter(hold->group.get()));
    return Opened(std::move(inside), *hold->group, hold->ref);
  }
  Opened(GroupEntry inside, LinkGroup& group, uint64_t ref)
      : inside_(std::move(inside)), group_(group), heap_(*group.gc_heap()), ref_(ref), type_(heap_.type_of(ref)) {}

  bool is_array() const { return type_.kind == HeapType::Kind::array; }
  uint32_t size() const { return is_array() ? heap_.length(ref_) : static_cast<uint32_t>(type_.storage.size()); }
  const wasm::FieldType& field(uint32_t index) const {
    if (is_array()) return std::get<wasm::ArrayType>(type_.gc).element;
    return std::get<wasm::StructType>(type_.gc).fields[index];
  }
  code::Storage storage(uint32_t index) const { return type_.storage[is_array() ? 0 : index]; }
  uint8_t* place(uint32_t index) const {
    if (!is_array()) return heap_.bytes(ref_) + type_.layout.offsets[index];
    return heap_.bytes(ref_) + code::kArrayElementsAt + (uint64_t{index} << code::storage_log2(storage(0)));
  }
  Result<void> check_index(uint32_t index) const {
    if (index < size()) return {};
    return fail(ErrorKind::invalid_argument,
                fmt::format("{} {} of {}", is_array() ? "element" : "field", index, size()));
  }

  Value get(uint32_t index) const {
    const code::Storage kept = storage(index);
    uint64_t words[2] = {};
    std::memcpy(words, place(index), size_t{1} << code::storage_log2(kept));
    const ValType type = wasm::unpacked(field(index));
    if (type == ValType::v128) return Value(std::bit_cast<V128>(words));
    if (kept == code::Storage::function) words[0] = reinterpret_cast<uint64_t>(heap_.function(words[0]));
    return runtime::value_of_slot(type, words[0], &group_);
  }

  Result<void> set(uint32_t index, const Value& value) const {
    const ValType wanted = wasm::unpacked(field(index));
    if (!runtime::is_of_kind(value.type(), wanted))
      return fail(ErrorKind::type_mismatch,
                  fmt::format("a value of type {} for {} {} of type {}", to_string(value.type()),
                              is_array() ? "element" : "field", index, to_string(wanted)));
    uint64_t words[2] = {value.bits(), 0};
    if (wanted == ValType::v128) {
      std::memcpy(words, value.v128().bytes.data(), sizeof words);
    } else if (wanted.is_ref()) {
      ROTOR_TRY(words[0], runtime::joined_slot(value, group_));
      if (!runtime::slot_fits(words[0], wanted, type_.engine, &group_))
        return fail(ErrorKind::type_mismatch,
                    fmt::format("{} for {}", runtime::slot_type_text(words[0], wanted), to_string(wanted)));
      if (storage(index) == code::Storage::function) words[0] = heap_.function_number(words[0]);
    }
    std::memcpy(place(index), words, size_t{1} << code::storage_log2(storage(index)));
    return {};
  }

 private:
  GroupEntry inside_;
  LinkGroup& group_;
  GcHeap& heap_;
  uint64_t ref_;
  const CanonicalType& type_;
};

/// Returns the module's type of that name and kind. Errors: type_mismatch.
Result<const CanonicalType*> type_named(const runtime::InstanceImpl& instance, HeapType type, HeapType::Kind kind) {
  for (const CanonicalType* known : instance.module_impl().types())
    if (type.is_concrete() && known->name == type.type_name() && known->kind == kind && type.kind() == kind)
      return known;
  return fail(ErrorKind::type_mismatch, fmt::format("no {} type of the instance's module",
                                                    kind == HeapType::Kind::array ? "array" : "structure"));
}

/// Allocates an object, and returns the only reference to it.
Result<Value> allocate(runtime::InstanceImpl& instance, const CanonicalType& type, uint32_t length) {
  GcHeap& heap = *instance.group->gc_heap();
  ROTOR_TRY(const uint64_t ref,
            type.kind == HeapType::Kind::array ? heap.new_array(type, length) : heap.new_structure(type));
  return runtime::value_of_slot(ValType::ref(type.heap_type(), /*nullable=*/false), ref, instance.group.get());
}

}  // namespace

Result<Object> Object::of(const Value& value) {
  const auto none = [] { return fail(ErrorKind::invalid_argument, "a reference to no structure or array"); };
  if (!value.type().is_any_ref() || !detail::Access::hold(value)) return none();
  ROTOR_TRY(const HeapType type, value.dynamic_type());
  if (!type.is_concrete()) return none();  // a box of the host's
  return Object(
      detail::Access::held(ValType::ref(type, /*nullable=*/false), value.bits(), detail::Access::hold(value)));
}

Result<Object> Object::create_structure(const Instance& instance, HeapType type, std::span<const Value> fields) {
  runtime::InstanceImpl* impl = runtime::impl_of(instance);
  if (!impl) return fail(ErrorKind::stale_handle, "an empty instance");
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(impl->group.get()));
  ROTOR_TRY(const CanonicalType* known, type_named(*impl, type, HeapType::Kind::struct_));
  if (fields.size() != known->storage.size())
    return fail(ErrorKind::type_mismatch, fmt::format("{} values for {} fields", fields.size(), known->storage.size()));
  ROTOR_TRY(Value made, allocate(*impl, *known, 0));
  {
    ROTOR_TRY(const Opened opened, Opened::open(made));
    for (uint32_t i = 0; i < fields.size(); ++i) ROTOR_CHECK(opened.set(i, fields[i]));
  }
  return Object(std::move(made));
}

Result<Object> Object::create_array(const Instance& instance, HeapType type, uint32_t length, const Value& init) {
  runtime::InstanceImpl* impl = runtime::impl_of(instance);
  if (!impl) return fail(ErrorKind::stale_handle, "an empty instance");
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(impl->group.get()));
  ROTOR_TRY(const CanonicalType* known, type_named(*impl, type, HeapType::Kind::array));
  ROTOR_TRY(Value made, allocate(*impl, *known, length));
  {
    ROTOR_TRY(const Opened opened, Opened::open(made));
    for (uint32_t i = 0; i < length; ++i) ROTOR_CHECK(opened.set(i, init));
  }
  return Object(std::move(made));
}

Result<uint32_t> Object::size() const {
  ROTOR_TRY(const Opened opened, Opened::open(value_));
  return opened.size();
}

Result<Value> Object::get(uint32_t index) const {
  ROTOR_TRY(const Opened opened, Opened::open(value_));
  ROTOR_CHECK(opened.check_index(index));
  return opened.get(index);
}

Result<void> Object::set(uint32_t index, const Value& value) const {
  ROTOR_TRY(const Opened opened, Opened::open(value_));
  ROTOR_CHECK(opened.check_index(index));
  if (!opened.field(index).is_mutable) return fail(ErrorKind::invalid_argument, "it is immutable");
  return opened.set(index, value);
}

}  // namespace rotor
