#include "runtime/store/global.h"

#include "code/abi.h"
#include "runtime/access.h"
#include "runtime/engine.h"
#include "runtime/enter/func.h"
#include "runtime/store/table.h"

namespace rotor {

using runtime::GlobalImpl;
using runtime::GroupEntry;

namespace {

std::unexpected<Error> gone() { return fail(ErrorKind::stale_handle, "the global is gone"); }

/// Returns whether a type lives in the low half of a cell, as i32 and f32 do; compiled code writes no more than that.
bool is32(ValType type) { return type == ValType::i32 || type == ValType::f32; }

Result<code::GlobalCell> cell_of_value(const Value& value, ValType wanted, const runtime::EngineImpl* engine,
                                       runtime::GroupTie& tie) {
  ROTOR_TRY(uint64_t slot, runtime::slot_of_value(value, wanted, engine, tie));
  if (wanted == ValType::v128) return std::bit_cast<code::GlobalCell>(value.v128());
  return code::GlobalCell{{slot, 0}};
}

}  // namespace

Result<Global> Global::create(const Engine& engine, const GlobalType& type, const Value& init) {
  runtime::TypeUses uses;
  ROTOR_CHECK(runtime::impl_of(engine).types.use(type.value, uses));
  auto impl = std::make_shared<GlobalImpl>(runtime::impl_of(engine).shared_from_this(), std::move(uses), type);
  Global global;
  global.strong_ = runtime::HostHold<GlobalImpl>::take(impl);
  ROTOR_TRY(*impl->cell(), cell_of_value(init, type.value, impl->engine(), impl->tie));
  return global;
}

Result<Value> Global::get() const {
  auto impl = lock();
  if (!impl) return gone();
  auto group = impl->tie.group();
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(group.get()));
  ValType type = impl->type().value;
  if (type == ValType::v128) return Value(std::bit_cast<V128>(*impl->cell()));
  uint64_t bits = impl->cell()->bits[0];
  return runtime::value_of_slot(type, is32(type) ? static_cast<uint32_t>(bits) : bits, group.get());
}

Result<void> Global::set(const Value& value) const {
  auto impl = lock();
  if (!impl) return gone();
  if (!impl->type().is_mutable) return fail(ErrorKind::invalid_argument, "the global is immutable");
  ROTOR_TRY(code::GlobalCell cell, cell_of_value(value, impl->type().value, impl->engine(), impl->tie));
  auto group = impl->tie.group();
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(group.get()));
  *impl->cell() = cell;
  return {};
}

const void* Global::identity() const { return lock().get(); }

GlobalType Global::type() const {
  auto impl = lock();
  return impl ? impl->type() : GlobalType{};
}

}  // namespace rotor
