// Modules, instances and traps.
#include "capi/call.h"
#include "capi/instantiate.h"
#include "capi/types.h"
#include "capi/vec.h"
#include "rotor/printable.h"

struct wasm_frame_t {
  wasm_ref_t* instance;  ///< kept
  uint32_t func_index;
  size_t func_offset, module_offset;
};

using namespace rotor;
using namespace rotor::capi;

namespace {

std::span<const uint8_t> bytes_of(const wasm_byte_vec_t* bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes->data), bytes->data ? bytes->size : 0};
}

wasm_module_t* own_module(wasm_store_t& store, Result<Module> module) {
  auto made = value_or_fail(store, std::move(module));
  return made ? as<wasm_module_t>(store.make(Kind::module, ModulePart{std::move(*made), {}})) : nullptr;
}

Result<std::vector<Extern>> imports_of(wasm_store_t& store, const wasm_extern_vec_t* imports) {
  std::vector<Extern> items;
  for (size_t i = 0; imports && imports->data && i < imports->size; ++i) {
    wasm_ref_t* ref = ref_of(imports->data[i]);
    auto refuse = [&](const char* why) {
      return rotor::fail(ErrorKind::link, "import " + std::to_string(i) + ": " + why);
    };
    if (!ref) return refuse("nothing is given");
    if (ref->store != &store) return refuse("it is of another store");
    if (auto* func = ref->as<FuncPart>()) {
      ref->may_be_called = true;
      items.emplace_back(func->func);
    } else if (auto* global = ref->as<Global>()) {
      items.emplace_back(*global);
    } else if (auto* table = ref->as<Table>()) {
      items.emplace_back(*table);
    } else if (auto* memory = ref->as<Memory>()) {
      items.emplace_back(*memory);
    } else if (auto* tag = ref->as<Tag>()) {
      items.emplace_back(*tag);
    } else {
      return refuse("no external");
    }
  }
  return items;
}

/// Makes an instance; what a host function returned as a trap stays with the store.
Result<wasm_ref_t*> own_instance_of(wasm_store_t& store, const InstancePre& pre, const rotor_snapshot_t* snapshot) {
  auto made = snapshot ? pre.instantiate(snapshot->snapshot, store.options) : pre.instantiate(store.options);
  if (made) return store.own_instance(std::move(*made));
  store.knows_all_holders = false;  // a table may hold functions of what was begun
  return std::unexpected(std::move(made).error());
}

Result<wasm_ref_t*> instantiate(wasm_store_t& store, ModulePart& module, const wasm_extern_vec_t* imports) {
  ROTOR_TRY(std::vector<Extern> items, imports_of(store, imports));
  if (module.without_imports && items.empty()) return own_instance_of(store, *module.without_imports, nullptr);
  ROTOR_TRY(InstancePre pre, InstancePre::resolve(module.module, items));
  if (items.empty()) module.without_imports = pre;
  return own_instance_of(store, pre, nullptr);
}

wasm_frame_t* new_frame(wasm_store_t* store, const TrapPart& trap, const Frame& frame) {
  wasm_ref_t* instance = store && !store->is_closed ? store->instance_of(frame.module_id, trap.entered) : nullptr;
  return new wasm_frame_t{retain(instance), frame.func_index, frame.func_offset, frame.module_offset};
}

constinit const std::vector<Frame> kNoFrames;

const std::vector<Frame>& frames_of(const wasm_trap_t* trap) {
  auto* part = trap ? ref_of(trap)->as<TrapPart>() : nullptr;
  return part ? part->error.frames() : kNoFrames;
}

}  // namespace

namespace rotor::capi {

Result<wasm_ref_t*> own_new_instance(wasm_store_t& store, const InstancePre& pre, const rotor_snapshot_t* snapshot) {
  store.begin_call();
  auto made = own_instance_of(store, pre, snapshot);
  release(std::exchange(store.pending_trap, nullptr));
  store.end_call();
  return made;
}

}  // namespace rotor::capi

ROTOR_DEFINE_POINTER_VEC(frame)

extern "C" {

// ---- modules

wasm_module_t* wasm_module_new(wasm_store_t* store, const wasm_byte_vec_t* binary) {
  if (!store || store->is_closed || !binary) return nullptr;
  return own_module(*store, Module::compile(store->engine, bytes_of(binary)));
}
bool wasm_module_validate(wasm_store_t* store, const wasm_byte_vec_t* binary) {
  return store && !store->is_closed && binary &&
         done_or_fail(*store, Module::validate(store->engine.config().features, bytes_of(binary)));
}
void wasm_module_imports(const wasm_module_t* module, wasm_importtype_vec_t* out) {
  auto* part = module ? ref_of(module)->as<ModulePart>() : nullptr;
  make_vec(out, part ? part->module.imports().size() : 0);
  for (size_t i = 0; out && i < out->size; ++i) {
    const ImportInfo& import = part->module.imports()[i];
    out->data[i] = new wasm_importtype_t{{}, {}, new_externtype(import.type)};
    make_bytes(&out->data[i]->module, import.module);
    make_bytes(&out->data[i]->name, import.name);
  }
}
void wasm_module_exports(const wasm_module_t* module, wasm_exporttype_vec_t* out) {
  auto* part = module ? ref_of(module)->as<ModulePart>() : nullptr;
  make_vec(out, part ? part->module.exports().size() : 0);
  for (size_t i = 0; out && i < out->size; ++i) {
    const ExportInfo& item = part->module.exports()[i];
    out->data[i] = new wasm_exporttype_t{{}, new_externtype(item.type)};
    make_bytes(&out->data[i]->name, item.name);
  }
}
void wasm_module_serialize(const wasm_module_t* module, wasm_byte_vec_t* out) {
  make_vec(out, 0);
  auto* part = module ? ref_of(module)->as<ModulePart>() : nullptr;
  if (!part || !out) return;
  auto bytes = value_or_fail(*ref_of(module)->store, part->module.serialize());
  if (bytes) make_bytes(out, {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
}
wasm_module_t* wasm_module_deserialize(wasm_store_t* store, const wasm_byte_vec_t* bytes) {
  if (!store || store->is_closed || !bytes) return nullptr;
  return own_module(*store, Module::deserialize(store->engine, bytes_of(bytes)));
}
wasm_shared_module_t* wasm_module_share(const wasm_module_t* module) {
  auto* part = module ? ref_of(module)->as<ModulePart>() : nullptr;
  return part ? new wasm_shared_module_t{part->module} : nullptr;
}
void wasm_shared_module_delete(wasm_shared_module_t* module) { delete module; }
wasm_module_t* wasm_module_obtain(wasm_store_t* store, const wasm_shared_module_t* shared) {
  return store && !store->is_closed && shared ? own_module(*store, shared->module) : nullptr;
}

// ---- instances

wasm_instance_t* wasm_instance_new(wasm_store_t* store, const wasm_module_t* module, const wasm_extern_vec_t* imports,
                                   wasm_trap_t** trap) {
  if (trap) *trap = nullptr;
  if (!store || store->is_closed) return nullptr;
  auto* part = module ? ref_of(module)->as<ModulePart>() : nullptr;
  store->begin_call();
  retain(ref_of(module));  // it may be deleted by the start function
  auto made = part ? instantiate(*store, *part, imports) : Result<wasm_ref_t*>(std::unexpected(missing("module")));
  release(ref_of(module));
  if (!made) {
    store->fail(made.error());
    wasm_trap_t* why = store->trap(made.error(), nullptr);
    if (trap)
      *trap = why;
    else
      wasm_trap_delete(why);
  }
  store->end_call();
  return as<wasm_instance_t>(made.value_or(nullptr));
}
wasm_instance_t* rotor_instance_new_from_snapshot(wasm_store_t* store, const rotor_snapshot_t* snapshot,
                                                  const wasm_extern_vec_t* imports, rotor_error_t** error) {
  if (error) *error = nullptr;
  if (!store || store->is_closed || !snapshot) return put_error(error, missing("store or snapshot"));
  auto items = imports_of(*store, imports);
  if (!items) return put_error(error, std::move(items).error());
  auto pre = InstancePre::resolve(snapshot->snapshot.module(), *items);
  if (!pre) return put_error(error, std::move(pre).error());
  auto made = own_new_instance(*store, *pre, snapshot);
  if (!made) return put_error(error, std::move(made).error());
  return as<wasm_instance_t>(*made);
}
void wasm_instance_exports(const wasm_instance_t* instance, wasm_extern_vec_t* out) {
  auto* part = part_of<Instance>(instance);
  make_vec(out, part ? part->module().exports().size() : 0);
  for (size_t i = 0; out && i < out->size; ++i)
    if (auto item = part->get(part->module().exports()[i].name))
      out->data[i] = as<wasm_extern_t>(ref_of(instance)->store->own(*item, ref_of(instance)));
}

// ---- traps

wasm_trap_t* wasm_trap_new(wasm_store_t* store, const wasm_message_t* message) {
  std::string_view text = message ? view(*message) : std::string_view();
  if (text.ends_with('\0')) text.remove_suffix(1);
  return new_trap(store, Error(ErrorKind::host, std::string(text)));
}
void wasm_trap_message(const wasm_trap_t* trap, wasm_message_t* out) {
  auto* part = trap ? ref_of(trap)->as<TrapPart>() : nullptr;
  const std::string_view text = part ? std::string_view(part->error.message) : std::string_view();
  make_vec(out, text.size() + 1);
  if (out && out->size) text.copy(out->data, text.size());
}
wasm_frame_t* wasm_trap_origin(const wasm_trap_t* trap) {
  const std::vector<Frame>& frames = frames_of(trap);
  return frames.empty() ? nullptr : new_frame(ref_of(trap)->store, *ref_of(trap)->as<TrapPart>(), frames.front());
}
void wasm_trap_trace(const wasm_trap_t* trap, wasm_frame_vec_t* out) {
  const std::vector<Frame>& frames = frames_of(trap);
  make_vec(out, frames.size());
  for (size_t i = 0; out && i < out->size; ++i)
    out->data[i] = new_frame(ref_of(trap)->store, *ref_of(trap)->as<TrapPart>(), frames[i]);
}

void wasm_frame_delete(wasm_frame_t* frame) {
  if (!frame) return;
  release(frame->instance);
  delete frame;
}
wasm_frame_t* wasm_frame_copy(const wasm_frame_t* frame) {
  if (!frame) return nullptr;
  retain(frame->instance);
  return new wasm_frame_t(*frame);
}
wasm_instance_t* wasm_frame_instance(const wasm_frame_t* frame) {
  return frame ? as<wasm_instance_t>(frame->instance) : nullptr;
}
uint32_t wasm_frame_func_index(const wasm_frame_t* frame) { return frame ? frame->func_index : 0; }
size_t wasm_frame_func_offset(const wasm_frame_t* frame) { return frame ? frame->func_offset : 0; }
size_t wasm_frame_module_offset(const wasm_frame_t* frame) { return frame ? frame->module_offset : 0; }

}  // extern "C"
