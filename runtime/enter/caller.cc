#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "rotor/guard.h"
#include "rotor/import_observer.h"
#include "runtime/enter/func.h"
#include "runtime/store/instance.h"

namespace rotor {

// A Caller's instance is inside a call, so it lives, and this thread is inside its group.

namespace {

std::unexpected<Error> no_instance() { return fail(ErrorKind::not_found, "the call did not come from an instance"); }

ImportObserver* observer_of(runtime::InstanceImpl* instance) { return instance->options.import_observer; }

Result<void> ask_for_handle(runtime::InstanceImpl* instance, std::string_view what) {
  ImportObserver* observer = observer_of(instance);
  return observer ? observer->on_handle(what) : Result<void>();
}

/// Returns bytes of memory 0 where they lie.
Result<std::span<uint8_t>> bytes_at(runtime::InstanceImpl* instance, uint64_t address, uint64_t size_bytes) {
  if (!instance) return no_instance();
  if (instance->memories.empty()) return fail(ErrorKind::not_found, "the instance has no memory");
  runtime::MemoryImpl& memory = *instance->memories[0];
  uint8_t* bytes = memory.range(address, size_bytes);
  if (!bytes)
    return fail(ErrorKind::invalid_argument,
                fmt::format("{} bytes at {} of a memory of {} bytes", size_bytes, address, memory.size_bytes()));
  return std::span<uint8_t>(bytes, size_bytes);
}

/// The wait of a host function, which is woken by a function of its own.
struct HostSleeper final : runtime::Sleeper {
  explicit HostSleeper(const std::function<void()>& function) : wake(function) {}
  void interrupt() override {
    if (!std::exchange(woken, true)) wake();
  }
  const std::function<void()>& wake;
  bool woken = false;  ///< guarded by the group's mutex
};

}  // namespace

void* Caller::host_data() const { return instance_ ? instance_->options.host_data : nullptr; }

Result<Func> Caller::get_func(std::string_view name) const {
  if (!instance_) return no_instance();
  ROTOR_CHECK(ask_for_handle(instance_, "get_func"));
  return instance_->get_func(name);
}

Result<uint64_t> Caller::fuel() const {
  if (!instance_) return no_instance();
  return instance_->fuel();
}

Result<void> Caller::set_fuel(uint64_t units) const {
  if (!instance_) return no_instance();
  return instance_->set_fuel(units);
}

Result<Table> Caller::get_table(std::string_view name) const {
  if (!instance_) return no_instance();
  ROTOR_CHECK(ask_for_handle(instance_, "get_table"));
  return instance_->get_table(name);
}

Result<Memory> Caller::get_memory(std::string_view name) const {
  if (!instance_) return no_instance();
  ROTOR_CHECK(ask_for_handle(instance_, "get_memory"));
  return name.empty() ? instance_->memory0() : instance_->get_memory(name);
}

Result<void> Caller::read(uint64_t address, std::span<uint8_t> out) const {
  if (!instance_) return no_instance();
  ROTOR_TRY(Memory memory, instance_->memory0());
  return memory.read(address, out);
}

Result<void> Caller::write(uint64_t address, std::span<const uint8_t> bytes) const {
  if (!instance_) return no_instance();
  ROTOR_TRY(Memory memory, instance_->memory0());
  ROTOR_CHECK(memory.write(address, bytes));
  if (ImportObserver* observer = observer_of(instance_)) observer->on_write(address, bytes);
  return {};
}

Result<std::span<const uint8_t>> Caller::view(uint64_t address, uint64_t size_bytes) const {
  return bytes_at(instance_, address, size_bytes);
}

Result<std::span<uint8_t>> Caller::edit(uint64_t address, uint64_t size_bytes) const {
  auto bytes = bytes_at(instance_, address, size_bytes);
  if (bytes) instance_->memories[0]->note_use();
  return bytes;
}

void Caller::edited(uint64_t address, uint64_t size_bytes) const {
  ImportObserver* observer = instance_ ? observer_of(instance_) : nullptr;
  if (!observer) return;
  if (auto bytes = bytes_at(instance_, address, size_bytes)) observer->on_write(address, *bytes);
}

void Caller::follows(uint64_t address) const {
  ImportObserver* observer = instance_ ? observer_of(instance_) : nullptr;
  uint32_t pointer = 0;
  if (!observer || !read(address, {reinterpret_cast<uint8_t*>(&pointer), sizeof pointer})) return;
  observer->on_follow(address, pointer);
}

Result<uint64_t> Caller::memory_bytes() const {
  if (!instance_) return no_instance();
  ROTOR_TRY(Memory memory, instance_->memory0());
  return memory.size_bytes();
}

Result<Value> Caller::table_get(std::string_view table, uint64_t index) const {
  if (!instance_) return no_instance();
  ROTOR_TRY(Table found, instance_->get_table(table));
  return found.get(index);
}

Result<void> Caller::table_set(std::string_view table, uint64_t index, const Value& value) const {
  if (!instance_) return no_instance();
  ROTOR_TRY(Table found, instance_->get_table(table));
  ROTOR_CHECK(found.set(index, value));
  if (ImportObserver* observer = observer_of(instance_))
    observer->on_table_set(table, index, value.type(), value.bits());
  return {};
}

Result<uint64_t> Caller::table_grow(std::string_view table, uint64_t delta_elements, const Value& init) const {
  if (!instance_) return no_instance();
  ROTOR_TRY(Table found, instance_->get_table(table));
  ROTOR_TRY(uint64_t old_size, found.grow(delta_elements, init));
  if (ImportObserver* observer = observer_of(instance_))
    observer->on_table_grow(table, delta_elements, init.type(), init.bits());
  return old_size;
}

Result<std::vector<Value>> Caller::call(std::string_view name, std::span<const Value> args) const {
  if (!instance_) return no_instance();
  ROTOR_TRY(Func func, instance_->get_func(name));
  Result<std::vector<Value>> results = func.call(args);
  if (ImportObserver* observer = observer_of(instance_)) {
    if (results)
      observer->on_nested_call(name, args, *results);
    else
      observer->on_nested_error(name, args, results.error());
  }
  return results;
}

bool Caller::state_changed() const {
  ImportObserver* observer = instance_ ? observer_of(instance_) : nullptr;
  if (observer) observer->on_state_changed();
  return observer != nullptr;
}

bool Caller::must_stop() const { return instance_ && instance_->group->must_stop(); }

Result<bool> Caller::wait(const std::function<void()>& block, const std::function<void()>& wake) const {
  HostSleeper self(wake);
  runtime::LinkGroup* group = instance_ ? instance_->group.get() : nullptr;
  if (group && !group->begin_wait(self)) return false;
  Result<void> blocked = detail::guarded("a host function's wait", block);
  if (group) group->end_wait();
  ROTOR_CHECK(std::move(blocked));
  return !must_stop();
}

Value Caller::value_from_slot(ValType type, Slot slot) const {
  return runtime::value_of_slot(type, slot, instance_ ? instance_->group.get() : nullptr);
}

}  // namespace rotor
