// Functions, globals, tables, memories, tags and values.
#include <algorithm>

#include "capi/call.h"
#include "capi/types.h"
#include "capi/vec.h"

using namespace rotor;
using namespace rotor::capi;

namespace {

/// Returns what a live object is, and keeps an error if it is not.
template <class T, class Object>
T* live(const Object* object) {
  T* part = part_of<T>(object);
  if (!part && object && ref_of(object)->store)
    ref_of(object)->store->fail(Error(ErrorKind::stale_handle, "the store is gone, or this is another kind of object"));
  return part;
}

wasm_store_t& store_of(const void* object) { return *static_cast<const wasm_ref_t*>(object)->store; }

/// Returns the exception that a trap of a store's has; null if it has none.
const Exception* exception_of(const wasm_trap_t* trap) {
  auto* part = part_of<TrapPart>(trap);
  return part && ref_of(trap)->store ? part->error.exception.get() : nullptr;
}

/// Returns the error that throws an exception of these values. Errors: type_mismatch, and those of from_c.
Result<Error> exception_from_c(wasm_store_t& store, const Tag& tag, const wasm_val_vec_t* values) {
  const std::vector<ValType> types = tag.type().params;
  const size_t given = values && values->data ? values->size : 0;
  if (given != types.size())
    return fail(ErrorKind::type_mismatch,
                std::to_string(given) + " values for a tag of " + std::to_string(types.size()));
  std::vector<Value> carried;
  for (size_t i = 0; i < given; ++i) {
    auto value = from_c(&store, values->data[i], types[i]);
    if (!value) return fail(value.error().kind, "value " + std::to_string(i) + ": " + value.error().message);
    carried.push_back(std::move(*value));
  }
  return throw_exception(tag, std::move(carried)).error();
}

wasm_func_t* new_func(wasm_store_t* store, const wasm_functype_t* type, std::shared_ptr<Callback> callback) {
  if (!store || store->is_closed || !type) return nullptr;
  store->add_user();
  callback->store = store;
  callback->type = func_type(*type);
  const FuncType made_type = callback->type;
  auto part = value_or_fail(*store, make_func(*store, made_type, host_function(std::move(callback))));
  if (!part) return nullptr;
  wasm_ref_t* ref = store->own(part->func);
  *ref->as<FuncPart>() = std::move(*part);
  return as<wasm_func_t>(ref);
}

}  // namespace

extern "C" {

// ---- values

void wasm_val_delete(wasm_val_t* value) {
  if (!value) return;
  if (wasm_valkind_is_ref(value->kind)) release(std::exchange(value->of.ref, nullptr));
  if (value->kind == ROTOR_V128) delete vector_of(std::exchange(*value, zero_of(ValType::v128)));
}
void wasm_val_copy(wasm_val_t* out, const wasm_val_t* value) {
  if (!out || !value) return;
  *out = *value;
  if (wasm_valkind_is_ref(value->kind)) retain(out->of.ref);
  if (const rotor_v128_t* vector = value->kind == ROTOR_V128 ? vector_of(*value) : nullptr)
    rotor_val_new_v128(out, vector);
}
void rotor_val_new_v128(wasm_val_t* out, const rotor_v128_t* vector) {
  if (!out) return;
  *out = zero_of(ValType::v128);
  if (vector) out->of.ref = reinterpret_cast<wasm_ref_t*>(new rotor_v128_t(*vector));
}
bool rotor_val_v128(const wasm_val_t* value, rotor_v128_t* out) {
  if (!value || value->kind != ROTOR_V128) return false;
  const rotor_v128_t* vector = vector_of(*value);
  if (out) *out = vector ? *vector : rotor_v128_t{};
  return true;
}

// ---- functions

wasm_func_t* wasm_func_new(wasm_store_t* store, const wasm_functype_t* type, wasm_func_callback_t function) {
  if (!function) return nullptr;
  auto callback = std::make_shared<Callback>();
  callback->plain = function;
  return new_func(store, type, std::move(callback));
}
wasm_func_t* wasm_func_new_with_env(wasm_store_t* store, const wasm_functype_t* type,
                                    wasm_func_callback_with_env_t function, void* env, void (*finalizer)(void*)) {
  auto callback = std::make_shared<Callback>();
  callback->with_env = function;
  callback->env = env;
  callback->finalizer = finalizer;
  return function ? new_func(store, type, std::move(callback)) : nullptr;
}
wasm_functype_t* wasm_func_type(const wasm_func_t* func) {
  auto* part = live<FuncPart>(func);
  return part ? new_functype(part->type) : nullptr;
}
size_t wasm_func_param_arity(const wasm_func_t* func) {
  auto* part = live<FuncPart>(func);
  return part ? part->type.params.size() : 0;
}
size_t wasm_func_result_arity(const wasm_func_t* func) {
  auto* part = live<FuncPart>(func);
  return part ? part->type.results.size() : 0;
}
wasm_trap_t* wasm_func_call(const wasm_func_t* func, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  auto* part = part_of<FuncPart>(func);
  if (!part) return new_trap(nullptr, Error(ErrorKind::stale_handle, "no function, or one whose store is gone"));
  wasm_ref_t* ref = retain(ref_of(func));  // it may be deleted while it runs, and the store with it
  wasm_store_t* store = ref->store;
  store->begin_call();
  auto called = call(store, part->func, part->type, args, results);
  wasm_trap_t* trap = called ? nullptr : store->trap(std::move(called).error(), part->home);
  store->end_call();
  release(ref);
  return trap;
}

// ---- globals

wasm_global_t* wasm_global_new(wasm_store_t* store, const wasm_globaltype_t* type, const wasm_val_t* value) {
  if (!store || store->is_closed || !type || !value) return nullptr;
  auto init = value_or_fail(*store, from_c(store, *value, type->content->type));
  if (!init) return nullptr;
  auto global = value_or_fail(*store, Global::create(store->engine, global_type(*type), *init));
  return global ? as<wasm_global_t>(store->own(*global)) : nullptr;
}
wasm_globaltype_t* wasm_global_type(const wasm_global_t* global) {
  auto* part = live<Global>(global);
  return part ? new_globaltype(part->type()) : nullptr;
}
void wasm_global_get(const wasm_global_t* global, wasm_val_t* out) {
  if (!out) return;
  *out = WASM_INIT_VAL;
  auto* part = live<Global>(global);
  if (!part) return;
  wasm_store_t& store = store_of(global);
  if (auto value = value_or_fail(store, part->get())) *out = to_c(&store, *value);
}
void wasm_global_set(wasm_global_t* global, const wasm_val_t* value) {
  auto* part = live<Global>(global);
  if (!part || !value) return;
  wasm_store_t& store = store_of(global);
  if (auto wanted = value_or_fail(store, from_c(&store, *value, part->type().value)))
    done_or_fail(store, part->set(*wanted));
}

// ---- tables

wasm_table_t* wasm_table_new(wasm_store_t* store, const wasm_tabletype_t* type, wasm_ref_t* init) {
  if (!store || store->is_closed || !type) return nullptr;
  auto value = value_or_fail(*store, ref_from_c(store, init, type->type.element));
  if (!value) return nullptr;
  auto table =
      value_or_fail(*store, Table::create(store->engine, type->type, *value, store->options.limits.table_elements));
  return table ? as<wasm_table_t>(store->own(*table)) : nullptr;
}
wasm_tabletype_t* wasm_table_type(const wasm_table_t* table) {
  auto* part = live<Table>(table);
  return part ? new_tabletype(part->type()) : nullptr;
}
wasm_ref_t* wasm_table_get(const wasm_table_t* table, wasm_table_size_t index) {
  auto* part = live<Table>(table);
  if (!part) return nullptr;
  wasm_store_t& store = store_of(table);
  auto value = value_or_fail(store, part->get(index));
  return value ? ref_to_c(&store, *value) : nullptr;
}
bool wasm_table_set(wasm_table_t* table, wasm_table_size_t index, wasm_ref_t* ref) {
  auto* part = live<Table>(table);
  if (!part) return false;
  wasm_store_t& store = store_of(table);
  auto value = value_or_fail(store, ref_from_c(&store, ref, part->type().element));
  return value && done_or_fail(store, part->set(index, *value));
}
wasm_table_size_t wasm_table_size(const wasm_table_t* table) {
  auto* part = live<Table>(table);
  return part ? static_cast<wasm_table_size_t>(part->size()) : 0;
}
bool wasm_table_grow(wasm_table_t* table, wasm_table_size_t delta, wasm_ref_t* init) {
  auto* part = live<Table>(table);
  if (!part) return false;
  wasm_store_t& store = store_of(table);
  auto value = value_or_fail(store, ref_from_c(&store, init, part->type().element));
  return value && value_or_fail(store, part->grow(delta, *value)).has_value();
}

// ---- memories

wasm_memory_t* wasm_memory_new(wasm_store_t* store, const wasm_memorytype_t* type) {
  if (!store || store->is_closed || !type) return nullptr;
  auto memory = value_or_fail(*store, Memory::create(store->engine, type->type, store->options.limits.memory));
  return memory ? as<wasm_memory_t>(store->own(*memory)) : nullptr;
}
wasm_memorytype_t* wasm_memory_type(const wasm_memory_t* memory) {
  auto* part = live<Memory>(memory);
  return part ? new_memorytype(part->type()) : nullptr;
}
byte_t* wasm_memory_data(wasm_memory_t* memory) {
  auto* part = live<Memory>(memory);
  return part ? reinterpret_cast<byte_t*>(part->data()) : nullptr;
}
size_t wasm_memory_data_size(const wasm_memory_t* memory) {
  auto* part = live<Memory>(memory);
  return part ? part->size_bytes() : 0;
}
wasm_memory_pages_t wasm_memory_size(const wasm_memory_t* memory) {
  auto* part = live<Memory>(memory);
  return part ? static_cast<wasm_memory_pages_t>(std::min<uint64_t>(part->size_pages(), UINT32_MAX)) : 0;
}
bool wasm_memory_grow(wasm_memory_t* memory, wasm_memory_pages_t delta) {
  auto* part = live<Memory>(memory);
  return part && value_or_fail(store_of(memory), part->grow(delta)).has_value();
}

// ---- tags

wasm_tag_t* wasm_tag_new(wasm_store_t* store, const wasm_tagtype_t* type) {
  if (!store || store->is_closed || !type) return nullptr;
  auto tag = value_or_fail(*store, Tag::create(store->engine, TagType{func_type(*type->func).params}));
  return tag ? as<wasm_tag_t>(store->own(*tag)) : nullptr;
}
wasm_tagtype_t* wasm_tag_type(const wasm_tag_t* tag) {
  auto* part = live<Tag>(tag);
  return part ? wasm_tagtype_new(new_functype({part->type().params, {}})) : nullptr;
}

// ---- exceptions

wasm_trap_t* rotor_trap_new_exception(wasm_store_t* store, const wasm_tag_t* tag, const wasm_val_vec_t* values) {
  auto* part = part_of<Tag>(tag);
  if (!store || store->is_closed) return nullptr;
  auto error = part && ref_of(tag)->store == store
                   ? exception_from_c(*store, *part, values)
                   : Result<Error>(fail(ErrorKind::invalid_argument, "no tag of this store"));
  auto made = value_or_fail(*store, std::move(error));
  return made ? new_trap(store, std::move(*made)) : nullptr;
}
wasm_tag_t* rotor_trap_exception_tag(const wasm_trap_t* trap) {
  const Exception* exception = exception_of(trap);
  return exception ? as<wasm_tag_t>(store_of(trap).own(exception->tag)) : nullptr;
}
bool rotor_trap_exception_values(const wasm_trap_t* trap, wasm_val_vec_t* out) {
  make_vec(out, 0);
  const Exception* exception = exception_of(trap);
  if (!exception) return false;
  make_vec(out, exception->values.size());
  for (size_t i = 0; out && i < out->size; ++i) out->data[i] = to_c(&store_of(trap), exception->values[i]);
  return true;
}

// ---- externals

wasm_externkind_t wasm_extern_kind(const wasm_extern_t* object) {
  switch (object ? ref_of(object)->kind : Kind::func) {
    case Kind::global: return WASM_EXTERN_GLOBAL;
    case Kind::table: return WASM_EXTERN_TABLE;
    case Kind::memory: return WASM_EXTERN_MEMORY;
    case Kind::tag: return WASM_EXTERN_TAG;
    default: return WASM_EXTERN_FUNC;
  }
}
wasm_externtype_t* wasm_extern_type(const wasm_extern_t* object) {
  if (auto* func = wasm_extern_as_func_const(object)) return wasm_functype_as_externtype(wasm_func_type(func));
  if (auto* global = wasm_extern_as_global_const(object))
    return wasm_globaltype_as_externtype(wasm_global_type(global));
  if (auto* table = wasm_extern_as_table_const(object)) return wasm_tabletype_as_externtype(wasm_table_type(table));
  if (auto* memory = wasm_extern_as_memory_const(object))
    return wasm_memorytype_as_externtype(wasm_memory_type(memory));
  return wasm_tagtype_as_externtype(wasm_tag_type(wasm_extern_as_tag_const(object)));
}

}  // extern "C"

namespace {
void delete_value(wasm_val_t& value) { wasm_val_delete(&value); }
void copy_value(wasm_val_t& to, const wasm_val_t& value) { wasm_val_copy(&to, &value); }
}  // namespace
ROTOR_DEFINE_VEC(val, , delete_value, copy_value)
