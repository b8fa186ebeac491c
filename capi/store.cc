#include "capi/store.h"

#include <algorithm>
#include <atomic>
#include <unordered_set>

#include "capi/vec.h"

using namespace rotor;
using namespace rotor::capi;

namespace {

/// The last number that a guest got for an object: one that no other store has.
constinit std::atomic<uint64_t> g_extern_ids{0};

void finalize(wasm_ref_t& ref) {
  void* info = std::exchange(ref.host_info, nullptr);
  if (auto finalizer = std::exchange(ref.finalizer, nullptr)) finalizer(info);
}

/// Returns whether a reference that nobody owns may be asked for again.
bool must_stay(const wasm_ref_t& ref) {
  if (!ref.store || ref.store->is_closed) return false;
  return ref.kind == Kind::instance || ref.extern_id || ref.may_be_called ||
         (ref.is_extern() && (ref.host_info || ref.finalizer));
}

void destroy(wasm_ref_t* ref) {
  wasm_store_t* store = ref->store;
  if (store) store->forget(*ref);
  finalize(*ref);
  if (auto* trap = ref->as<TrapPart>()) release(trap->entered);
  delete ref;
  if (store) store->drop_user();
}

/// Returns whether instances of a module may hold references elsewhere than in tables and globals.
bool may_hide_references(const Module& module) {
  return std::ranges::any_of(module.required_features(),
                             [](std::string_view feature) { return feature == "exceptions" || feature == "gc"; });
}

const void* identity_of(const Extern& item) {
  return std::visit([](const auto& handle) { return handle.identity(); }, item);
}

/// Makes the reference to an object of the engine's.
struct Making {
  wasm_ref_t* operator()(const Func& func) const {
    return store.make(Kind::func, FuncPart{func, func.type(), home, {}});
  }
  wasm_ref_t* operator()(const Global& global) const { return store.make(Kind::global, global); }
  wasm_ref_t* operator()(const Table& table) const { return store.make(Kind::table, table); }
  wasm_ref_t* operator()(const Memory& memory) const { return store.make(Kind::memory, memory); }
  wasm_ref_t* operator()(const Tag& tag) const { return store.make(Kind::tag, tag); }
  wasm_store_t& store;
  wasm_ref_t* home;
};

}  // namespace

namespace rotor::capi {

void release(wasm_ref_t* ref) {
  if (ref && --ref->owners == 0 && !must_stay(*ref)) destroy(ref);
}

wasm_trap_t* new_trap(wasm_store_t* store, Error error) {
  TrapPart part{std::move(error), nullptr};
  return as<wasm_trap_t>(store && !store->is_closed ? store->make(Kind::trap, std::move(part))
                                                    : new wasm_ref_t(Kind::trap, nullptr, std::move(part)));
}

}  // namespace rotor::capi

wasm_ref_t* wasm_store_t::make(Kind kind, Part part) {
  auto* ref = new wasm_ref_t(kind, this, std::move(part));
  ref->previous = list.previous;
  ref->next = &list;
  list.previous->next = ref;
  list.previous = ref;
  add_user();
  return ref;
}

void wasm_store_t::forget(wasm_ref_t& ref) {
  if (!ref.next) return;
  ref.previous->next = ref.next;
  ref.next->previous = ref.previous;
  ref.previous = ref.next = nullptr;
  if (ref.extern_id) by_extern_id.erase(ref.extern_id);
  if (!ref.is_extern() || is_closed) return;
  const void* identity = nullptr;
  if (auto* func = ref.as<FuncPart>()) identity = func->func.identity();
  if (auto* global = ref.as<Global>()) identity = global->identity();
  if (auto* table = ref.as<Table>()) identity = table->identity();
  if (auto* memory = ref.as<Memory>()) identity = memory->identity();
  if (auto* tag = ref.as<Tag>()) identity = tag->identity();
  by_identity.erase(identity);
}

wasm_ref_t* wasm_store_t::own(const Extern& item, wasm_ref_t* home) {
  const void* identity = identity_of(item);
  if (!identity) return nullptr;
  wasm_ref_t*& known = by_identity[identity];
  if (known) {
    if (auto* func = known->as<FuncPart>(); func && !func->home) func->home = home;
    return retain(known);
  }
  return known = std::visit(Making{*this, home}, item);
}

wasm_ref_t* wasm_store_t::own_instance(Instance instance) {
  Instances& of_module = instances[instance.module().id()];
  ++of_module.count;
  return of_module.last = make(Kind::instance, std::move(instance));
}

wasm_ref_t* wasm_store_t::instance_of(uint64_t module_id, wasm_ref_t* guess) const {
  auto found = instances.find(module_id);
  if (found == instances.end()) return nullptr;
  if (found->second.count == 1) return found->second.last;
  auto* instance = guess ? guess->as<Instance>() : nullptr;
  return instance && instance->module().id() == module_id ? guess : nullptr;
}

uint64_t wasm_store_t::extern_id(wasm_ref_t& ref) {
  if (!ref.extern_id) {
    ref.extern_id = ++g_extern_ids;
    by_extern_id.emplace(ref.extern_id, &ref);
  }
  return ref.extern_id;
}

wasm_ref_t* wasm_store_t::own_extern(uint64_t id) {
  auto found = by_extern_id.find(id);
  return found == by_extern_id.end() ? nullptr : retain(found->second);
}

void wasm_store_t::sweep() {
  std::unordered_set<uint64_t> held, modules;
  bool is_sure = knows_all_holders;
  auto hold = [&](ExternRef object) { held.insert(object.bits); };
  for (wasm_ref_t* ref = list.next; is_sure && ref != &list; ref = ref->next) {
    if (auto* instance = ref->as<Instance>()) {
      // What an exception or an object carries is not looked at.
      if (modules.insert(instance->module().id()).second && may_hide_references(instance->module())) is_sure = false;
      if (!instance->each_extern_ref(hold)) is_sure = false;
    }
    if (auto* global = ref->as<Global>(); global && global->type().value.is_extern_ref())
      if (auto value = global->get()) hold(value->externref());
    auto* table = ref->as<Table>();
    if (!table || !table->type().element.is_extern_ref()) continue;
    for (uint64_t i = 0; i < table->size(); ++i)
      if (auto value = table->get(i)) hold(value->externref());
  }
  std::vector<wasm_ref_t*> gone;
  for (const auto& [id, ref] : by_extern_id)
    if (is_sure && ref->owners == 0 && !held.contains(id)) gone.push_back(ref);
  for (wasm_ref_t* ref : gone) {
    by_extern_id.erase(std::exchange(ref->extern_id, 0));
    ++ref->owners;  // for a moment, in which a finalizer may run
  }
  for (wasm_ref_t* ref : gone) release(ref);
  sweep_at = std::max<size_t>(1024, 2 * by_extern_id.size());
}

wasm_trap_t* wasm_store_t::trap(Error error, wasm_ref_t* entered) {
  wasm_ref_t* made = std::exchange(pending_trap, nullptr);
  if (made)
    made->as<TrapPart>()->error = std::move(error);
  else
    made = ref_of(new_trap(this, std::move(error)));
  auto* part = made->as<TrapPart>();
  if (!part->entered) part->entered = retain(entered);
  return as<wasm_trap_t>(made);
}

void wasm_store_t::end_call() {
  if (--calls || !is_deleted) return;
  close();
  drop_user();
}

void wasm_store_t::drop_user() {
  if (--users == 0) delete this;
}

void wasm_store_t::close() {
  if (std::exchange(is_closed, true)) return;
  by_identity.clear();
  by_extern_id.clear();
  instances.clear();
  // Parts are gathered first: freeing one runs finalizers of the program's, which may delete references.
  std::vector<Part> parts;
  for (wasm_ref_t* ref = list.next; ref != &list; ref = ref->next)
    if (ref->is_extern() || ref->kind == Kind::instance) parts.push_back(std::exchange(ref->part, {}));
  parts.clear();
  host_modules.clear();
  while (list.next != &list) {
    wasm_ref_t* ref = list.next;
    forget(*ref);
    if (ref->owners == 0) destroy(ref);
  }
}

// ---- configurations, engines and stores

extern "C" {

wasm_config_t* wasm_config_new() { return new wasm_config_t; }
void wasm_config_delete(wasm_config_t* config) { delete config; }

wasm_engine_t* wasm_engine_new() { return wasm_engine_new_with_config(nullptr); }
wasm_engine_t* wasm_engine_new_with_config(wasm_config_t* config) {
  auto engine = Engine::create(config ? std::move(config->config) : Config());
  delete config;
  return engine ? new wasm_engine_t{std::move(*engine)} : nullptr;
}
void wasm_engine_delete(wasm_engine_t* engine) { delete engine; }

wasm_store_t* wasm_store_new(wasm_engine_t* engine) { return engine ? new wasm_store_t(engine->engine) : nullptr; }
void wasm_store_delete(wasm_store_t* store) {
  if (!store) return;
  store->is_deleted = true;
  store->begin_call();
  store->end_call();
}

}  // extern "C"

// ---- what all references have

#define ROTOR_DEFINE_REF_BASE(name)                                                                                \
  void wasm_##name##_delete(wasm_##name##_t* object) { release(ref_of(object)); }                                  \
  wasm_##name##_t* wasm_##name##_copy(const wasm_##name##_t* object) {                                             \
    return as<wasm_##name##_t>(retain(ref_of(object)));                                                            \
  }                                                                                                                \
  bool wasm_##name##_same(const wasm_##name##_t* a, const wasm_##name##_t* b) { return a == b; }                   \
  void* wasm_##name##_get_host_info(const wasm_##name##_t* object) {                                               \
    return object ? ref_of(object)->host_info : nullptr;                                                           \
  }                                                                                                                \
  void wasm_##name##_set_host_info(wasm_##name##_t* object, void* info) {                                          \
    wasm_##name##_set_host_info_with_finalizer(object, info, nullptr);                                             \
  }                                                                                                                \
  void wasm_##name##_set_host_info_with_finalizer(wasm_##name##_t* object, void* info, void (*finalizer)(void*)) { \
    if (!object) return;                                                                                           \
    finalize(*ref_of(object));                                                                                     \
    ref_of(object)->host_info = info;                                                                              \
    ref_of(object)->finalizer = finalizer;                                                                         \
  }

#define ROTOR_DEFINE_REF(name, condition)                                                                \
  ROTOR_DEFINE_REF_BASE(name)                                                                            \
  wasm_ref_t* wasm_##name##_as_ref(wasm_##name##_t* object) { return ref_of(object); }                   \
  const wasm_ref_t* wasm_##name##_as_ref_const(const wasm_##name##_t* object) { return ref_of(object); } \
  wasm_##name##_t* wasm_ref_as_##name(wasm_ref_t* ref) {                                                 \
    return ref && (condition) ? as<wasm_##name##_t>(ref) : nullptr;                                      \
  }                                                                                                      \
  const wasm_##name##_t* wasm_ref_as_##name##_const(const wasm_ref_t* ref) {                             \
    return ref && (condition) ? as<wasm_##name##_t>(ref_of(ref)) : nullptr;                              \
  }

#define ROTOR_DEFINE_EXTERN(name)                                                                               \
  ROTOR_DEFINE_REF(name, ref->kind == Kind::name)                                                               \
  wasm_extern_t* wasm_##name##_as_extern(wasm_##name##_t* object) { return as<wasm_extern_t>(ref_of(object)); } \
  const wasm_extern_t* wasm_##name##_as_extern_const(const wasm_##name##_t* object) {                           \
    return as<wasm_extern_t>(ref_of(object));                                                                   \
  }                                                                                                             \
  wasm_##name##_t* wasm_extern_as_##name(wasm_extern_t* object) { return wasm_ref_as_##name(ref_of(object)); }  \
  const wasm_##name##_t* wasm_extern_as_##name##_const(const wasm_extern_t* object) {                           \
    return wasm_ref_as_##name##_const(ref_of(object));                                                          \
  }

extern "C" {

ROTOR_DEFINE_REF_BASE(ref)
ROTOR_DEFINE_REF(trap, ref->kind == Kind::trap)
ROTOR_DEFINE_REF(foreign, ref->kind == Kind::foreign)
ROTOR_DEFINE_REF(module, ref->kind == Kind::module)
ROTOR_DEFINE_REF(instance, ref->kind == Kind::instance)
ROTOR_DEFINE_REF(extern, ref->is_extern())
ROTOR_DEFINE_EXTERN(func)
ROTOR_DEFINE_EXTERN(global)
ROTOR_DEFINE_EXTERN(table)
ROTOR_DEFINE_EXTERN(memory)
ROTOR_DEFINE_EXTERN(tag)

wasm_foreign_t* wasm_foreign_new(wasm_store_t* store) {
  return store && !store->is_closed ? as<wasm_foreign_t>(store->make(Kind::foreign, {})) : nullptr;
}

}  // extern "C"

ROTOR_DEFINE_POINTER_VEC(extern)
