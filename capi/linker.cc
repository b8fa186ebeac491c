// Linkers, callers, snapshots and interrupts.
#include "capi/linker.h"

#include "capi/call.h"
#include "capi/instantiate.h"
#include "capi/types.h"
#include "capi/vec.h"

using namespace rotor;
using namespace rotor::capi;

struct rotor_interrupt_t {
  InterruptHandle handle;
};

namespace {

/// Writes units of fuel to where C wants them, which may be nowhere. Returns the error as C has it; null for none.
rotor_error_t* put_fuel(Result<uint64_t> units, uint64_t* out) {
  if (!units) return new_error(std::move(units).error());
  if (out) *out = *units;
  return nullptr;
}

/// Returns what an external is to a linker; nullopt if its store is gone.
std::optional<Extern> extern_of(const wasm_extern_t* object) {
  if (auto* func = part_of<FuncPart>(object)) {
    ref_of(object)->may_be_called = true;
    return func->func;
  }
  if (auto* global = part_of<Global>(object)) return *global;
  if (auto* table = part_of<Table>(object)) return *table;
  if (auto* memory = part_of<Memory>(object)) return *memory;
  if (auto* tag = part_of<Tag>(object)) return *tag;
  return std::nullopt;
}

}  // namespace

extern "C" {

wasm_shared_module_t* rotor_module_new(wasm_engine_t* engine, const wasm_byte_vec_t* binary, rotor_error_t** error) {
  if (error) *error = nullptr;
  if (!engine || !binary) return put_error(error, missing("engine or module"));
  const std::string_view bytes = view(*binary);
  auto module = Module::compile(engine->engine, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  if (!module) return put_error(error, std::move(module).error());
  return new wasm_shared_module_t{std::move(*module)};
}

// ---- snapshots

rotor_snapshot_t* rotor_instance_snapshot(const wasm_instance_t* instance, rotor_error_t** error) {
  if (error) *error = nullptr;
  auto* part = part_of<Instance>(instance);
  if (!part) return put_error(error, missing("instance"));
  ref_of(instance)->store->knows_all_holders = false;
  auto snapshot = part->snapshot();
  if (!snapshot) return put_error(error, std::move(snapshot).error());
  return new rotor_snapshot_t{std::move(*snapshot)};
}
void rotor_snapshot_delete(rotor_snapshot_t* snapshot) { delete snapshot; }
uint64_t rotor_snapshot_memory_bytes(const rotor_snapshot_t* snapshot) {
  return snapshot ? snapshot->snapshot.memory_bytes() : 0;
}

// ---- fuel

rotor_error_t* rotor_instance_fuel(const wasm_instance_t* instance, uint64_t* out) {
  auto* part = part_of<Instance>(instance);
  return part ? put_fuel(part->fuel(), out) : new_error(missing("instance"));
}
rotor_error_t* rotor_instance_set_fuel(wasm_instance_t* instance, uint64_t units) {
  auto* part = part_of<Instance>(instance);
  return part ? error_or_null(part->set_fuel(units)) : new_error(missing("instance"));
}
rotor_error_t* rotor_instance_add_fuel(wasm_instance_t* instance, uint64_t units) {
  auto* part = part_of<Instance>(instance);
  return part ? error_or_null(part->add_fuel(units)) : new_error(missing("instance"));
}

// ---- interrupts

rotor_interrupt_t* rotor_instance_interrupt(const wasm_instance_t* instance) {
  auto* part = part_of<Instance>(instance);
  return part ? new rotor_interrupt_t{part->interrupt_handle()} : nullptr;
}
void rotor_interrupt_delete(rotor_interrupt_t* handle) { delete handle; }
rotor_error_t* rotor_interrupt_now(const rotor_interrupt_t* handle) {
  return handle ? error_or_null(handle->handle.interrupt()) : new_error(missing("handle"));
}
void rotor_interrupt_cancel(const rotor_interrupt_t* handle) {
  if (handle) handle->handle.cancel();
}
rotor_error_t* rotor_interrupt_set_deadline(const rotor_interrupt_t* handle, uint64_t ms) {
  return handle ? error_or_null(handle->handle.set_deadline(time_in(ms))) : new_error(missing("handle"));
}
void rotor_interrupt_clear_deadline(const rotor_interrupt_t* handle) {
  if (handle) handle->handle.clear_deadline();
}

// ---- linkers

rotor_linker_t* rotor_linker_new(wasm_engine_t* engine) {
  return engine ? new rotor_linker_t{Linker(engine->engine)} : nullptr;
}
void rotor_linker_delete(rotor_linker_t* linker) { delete linker; }
rotor_error_t* rotor_linker_define_func(rotor_linker_t* linker, const char* module, const char* name,
                                        const wasm_functype_t* type, rotor_func_callback_t function, void* env,
                                        void (*finalizer)(void*)) {
  auto callback = std::make_shared<Callback>();
  callback->with_caller = function;
  callback->env = env;
  callback->finalizer = finalizer;
  if (!linker || !type || !function) return new_error(missing("linker, type or function"));
  callback->type = func_type(*type);
  FuncType made_type = callback->type;
  linker->linker.define_func(text_or_empty(module), text_or_empty(name), std::move(made_type),
                             host_function(std::move(callback)));
  return nullptr;
}
rotor_error_t* rotor_linker_define(rotor_linker_t* linker, const char* module, const char* name,
                                   const wasm_extern_t* object) {
  auto item = extern_of(object);
  if (!linker || !item) return new_error(missing("linker, or nothing that can be defined"));
  linker->linker.define(text_or_empty(module), text_or_empty(name), std::move(*item));
  return nullptr;
}
rotor_error_t* rotor_linker_define_instance(rotor_linker_t* linker, const char* module,
                                            const wasm_instance_t* instance) {
  auto* part = part_of<Instance>(instance);
  if (!linker || !part) return new_error(missing("linker or instance"));
  linker->linker.define_instance(text_or_empty(module), *part);
  return nullptr;
}
wasm_instance_t* rotor_linker_instantiate(const rotor_linker_t* linker, wasm_store_t* store,
                                          const wasm_module_t* module, const rotor_snapshot_t* snapshot,
                                          rotor_error_t** error) {
  if (error) *error = nullptr;
  auto* part = module ? ref_of(module)->as<ModulePart>() : nullptr;
  if (!linker || !store || store->is_closed || !part) return put_error(error, missing("linker, store or module"));
  auto pre = linker->linker.instantiate_pre(part->module);
  if (!pre) return put_error(error, std::move(pre).error());
  auto instance = own_new_instance(*store, *pre, snapshot);
  if (!instance) return put_error(error, std::move(instance).error());
  return as<wasm_instance_t>(*instance);
}
wasm_extern_t* rotor_instance_export(const wasm_instance_t* instance, const char* name) {
  auto* part = part_of<Instance>(instance);
  if (!part || !name) return nullptr;
  wasm_store_t& store = *ref_of(instance)->store;
  auto item = value_or_fail(store, part->get(name));
  return item ? as<wasm_extern_t>(store.own(*item, ref_of(instance))) : nullptr;
}

// ---- callers

bool rotor_caller_read(rotor_caller_t* caller, uint64_t address, void* to, size_t size) {
  return caller && (to || size == 0) && caller->caller->read(address, {static_cast<uint8_t*>(to), size}).has_value();
}
bool rotor_caller_write(rotor_caller_t* caller, uint64_t address, const void* from, size_t size) {
  return caller && (from || size == 0) &&
         caller->caller->write(address, {static_cast<const uint8_t*>(from), size}).has_value();
}
const byte_t* rotor_caller_view(rotor_caller_t* caller, uint64_t address, size_t size) {
  if (!caller) return nullptr;
  auto bytes = caller->caller->view(address, size);
  return bytes ? reinterpret_cast<const byte_t*>(bytes->data()) : nullptr;
}
rotor_error_t* rotor_caller_call(rotor_caller_t* caller, const char* name, const wasm_val_vec_t* args,
                                 wasm_val_vec_t* results) {
  if (!caller || !name) return new_error(missing("caller or name"));
  auto called = call_with_values(caller->store, args, results,
                                 [&](std::span<const Value> values) { return caller->caller->call(name, values); });
  if (caller->store) release(std::exchange(caller->store->pending_trap, nullptr));
  return error_or_null(std::move(called));
}
bool rotor_caller_must_stop(rotor_caller_t* caller) { return caller && caller->caller->must_stop(); }
rotor_error_t* rotor_caller_fuel(rotor_caller_t* caller, uint64_t* out) {
  return caller ? put_fuel(caller->caller->fuel(), out) : new_error(missing("caller"));
}
rotor_error_t* rotor_caller_set_fuel(rotor_caller_t* caller, uint64_t units) {
  return caller ? error_or_null(caller->caller->set_fuel(units)) : new_error(missing("caller"));
}
void rotor_caller_state_changed(rotor_caller_t* caller) {
  if (caller) caller->caller->state_changed();
}

}  // extern "C"
