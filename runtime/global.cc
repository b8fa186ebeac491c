#include "runtime/global.h"

#include "runtime/engine.h"
#include "runtime/func.h"
#include "runtime/table.h"

namespace rotor {

using runtime::GlobalImpl;
using runtime::GroupEntry;

namespace {

std::unexpected<Error> gone() { return fail(ErrorKind::stale_handle, "the global is gone"); }

/// i32 and f32 live in the low half of a cell; compiled code writes no more than that.
bool is32(ValType type) { return type == ValType::i32 || type == ValType::f32; }

}  // namespace

Result<Global> Global::create(const Engine& engine, const GlobalType& type, const Value& init) {
  auto impl = std::make_shared<GlobalImpl>(engine.impl().shared_from_this(), type);
  Global global;
  global.strong_ = runtime::HostHold<GlobalImpl>::take(impl);
  ROTOR_TRY(impl->cell()->bits[0], runtime::slot_of_value(init, type.value, impl->engine(), impl->tie));
  return global;
}

Result<Value> Global::get() const {
  auto impl = lock();
  if (!impl) return gone();
  auto group = impl->tie.group();
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(group.get()));
  uint64_t bits = impl->cell()->bits[0];
  return runtime::value_of_slot(impl->type().value, is32(impl->type().value) ? static_cast<uint32_t>(bits) : bits);
}

Result<void> Global::set(const Value& value) const {
  auto impl = lock();
  if (!impl) return gone();
  if (!impl->type().is_mutable) return fail(ErrorKind::invalid_argument, "the global is immutable");
  ROTOR_TRY(uint64_t slot, runtime::slot_of_value(value, impl->type().value, impl->engine(), impl->tie));
  auto group = impl->tie.group();
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(group.get()));
  impl->cell()->bits[0] = slot;
  return {};
}

GlobalType Global::type() const {
  auto impl = lock();
  return impl ? impl->type() : GlobalType{};
}

}  // namespace rotor
