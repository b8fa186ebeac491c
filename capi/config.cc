// Errors, settings of engines, limits of instances: what rotor.h has of no store.
#include <chrono>

#include "capi/store.h"
#include "capi/types.h"
#include "capi/vec.h"

using namespace rotor;
using namespace rotor::capi;

struct rotor_stack_t {
  FiberStack stack;
};

// C's numbers are those of C++.
static_assert(ROTOR_ERROR_MALFORMED == static_cast<int>(ErrorKind::malformed) &&
              ROTOR_ERROR_TRAP == static_cast<int>(ErrorKind::trap) &&
              ROTOR_ERROR_LIMIT == static_cast<int>(ErrorKind::limit) &&
              ROTOR_ERROR_STALE_HANDLE == static_cast<int>(ErrorKind::stale_handle) &&
              ROTOR_ERROR_RETIRED == static_cast<int>(ErrorKind::retired) &&
              ROTOR_ERROR_INTERNAL == static_cast<int>(ErrorKind::internal) &&
              ROTOR_ERROR_EXCEPTION == static_cast<int>(ErrorKind::exception));
static_assert(ROTOR_MODE_AOT == static_cast<int>(CompileMode::aot) &&
              ROTOR_MODE_EAGER == static_cast<int>(CompileMode::eager) &&
              ROTOR_MODE_LAZY == static_cast<int>(CompileMode::lazy));

namespace {

/// A callback on growth and what belongs to it.
struct Growth {
  using Allow = bool (*)(void*, const rotor_growth_t*);
  Growth(Allow asked, void* of, void (*at_end)(void*)) : allow(asked), env(of), finalizer(at_end) {}
  Growth(const Growth&) = delete;
  ~Growth() {
    if (finalizer) finalizer(env);
  }
  const Allow allow;
  void* const env;
  void (*const finalizer)(void*);
};

/// Returns the member that a limit is; null if there is none.
uint64_t* wide_limit(Limits& limits, rotor_limit_t which) {
  switch (which) {
    case ROTOR_LIMIT_MEMORY_BYTES: return &limits.memory.limit_bytes;
    case ROTOR_LIMIT_TABLE_ELEMENTS: return &limits.table_elements;
    case ROTOR_LIMIT_STACK_BYTES: return &limits.stack_bytes;
    case ROTOR_LIMIT_HOST_STACK_RESERVE_BYTES: return &limits.host_stack_reserve_bytes;
    default: return nullptr;
  }
}

}  // namespace

extern "C" {

const char* rotor_version() { return ROTOR_VERSION; }

// ---- errors

void rotor_error_delete(rotor_error_t* error) { delete error; }
rotor_error_kind_t rotor_error_kind(const rotor_error_t* error) {
  return static_cast<rotor_error_kind_t>(error ? error->error.kind : ErrorKind::internal);
}
const char* rotor_error_message(const rotor_error_t* error) { return error ? error->error.message.c_str() : ""; }
const char* rotor_error_text(rotor_error_t* error) {
  if (!error) return "";
  if (error->text.empty()) error->text = error->error.to_string();
  return error->text.c_str();
}
bool rotor_error_offset(const rotor_error_t* error, uint64_t* out) {
  if (!error || !error->error.offset) return false;
  if (out) *out = *error->error.offset;
  return true;
}
size_t rotor_error_frame_count(const rotor_error_t* error) { return error ? error->error.frames().size() : 0; }
bool rotor_error_frame(const rotor_error_t* error, size_t index, rotor_frame_t* out) {
  if (!error || !out || index >= error->error.frames().size()) return false;
  const Frame& frame = error->error.frames()[index];
  *out = {frame.func_index, frame.func_name.c_str(), frame.module_name.c_str(), frame.module_offset};
  return true;
}
rotor_error_t* rotor_store_error(wasm_store_t* store) {
  return store && store->last_error ? &*store->last_error : nullptr;
}
rotor_error_t* rotor_trap_error(const wasm_trap_t* trap) {
  auto* part = trap ? ref_of(trap)->as<TrapPart>() : nullptr;
  return part ? new_error(part->error) : nullptr;
}

// ---- settings

bool rotor_config_set_feature(wasm_config_t* config, const char* name, bool on) {
  return config && name && config->config.features.set(name, on);
}
void rotor_config_set_mode(wasm_config_t* config, rotor_mode_t mode) {
  if (config && mode <= ROTOR_MODE_LAZY) config->config.mode = static_cast<CompileMode>(mode);
}
void rotor_config_set_opt_level(wasm_config_t* config, uint8_t level) {
  if (config && level <= 1) config->config.opt = static_cast<OptLevel>(level);
}
void rotor_config_set_switch(wasm_config_t* config, rotor_switch_t which, bool on) {
  if (!config) return;
  switch (which) {
    case ROTOR_SWITCH_INTERRUPTIBLE: config->config.interruptible = on; break;
    case ROTOR_SWITCH_DETERMINISTIC: config->config.deterministic = on; break;
    case ROTOR_SWITCH_SLAB_MEMORIES: config->config.slab_memories = on; break;
    case ROTOR_SWITCH_WIDE_PRODUCTS: config->config.wide_products = on; break;
    case ROTOR_SWITCH_PERF_MAP: config->config.perf_map = on; break;
    case ROTOR_SWITCH_FUEL: config->config.fuel = on; break;
    default: break;
  }
}
void rotor_config_set_cache(wasm_config_t* config, const char* folder, uint64_t limit_bytes) {
  if (!config) return;
  config->config.cache = {.enabled = true, .folder = text_or_empty(folder)};
  if (limit_bytes) config->config.cache.limit_bytes = limit_bytes;
}
void rotor_config_set_cpu(wasm_config_t* config, const char* cpu) {
  if (config && cpu) config->config.cpu = cpu;
}
void rotor_config_set_compile_limits(wasm_config_t* config, uint32_t workers, uint64_t memory_bytes,
                                     uint64_t deadline_ms) {
  if (!config) return;
  config->config.compile_workers = workers;
  config->config.compile_memory_bytes = memory_bytes;
  config->config.compile_deadline_ms = deadline_ms;
}
wasm_engine_t* rotor_engine_new(wasm_config_t* config, rotor_error_t** error) {
  if (error) *error = nullptr;
  auto engine = Engine::create(config ? std::move(config->config) : Config());
  delete config;
  if (!engine) return put_error(error, std::move(engine).error());
  return new wasm_engine_t{std::move(*engine)};
}

// ---- limits

rotor_limits_t* rotor_limits_new() { return new rotor_limits_t; }
void rotor_limits_delete(rotor_limits_t* limits) { delete limits; }
bool rotor_limits_set(rotor_limits_t* limits, rotor_limit_t which, uint64_t value) {
  if (!limits) return false;
  if (uint64_t* limit = wide_limit(limits->limits, which)) {
    *limit = value;
    return true;
  }
  if ((which != ROTOR_LIMIT_MEMORIES && which != ROTOR_LIMIT_TABLES) || value > UINT32_MAX) return false;
  (which == ROTOR_LIMIT_MEMORIES ? limits->limits.memories : limits->limits.tables) = static_cast<uint32_t>(value);
  return true;
}
void rotor_limits_on_growth(rotor_limits_t* limits, double watermark, bool (*allow)(void*, const rotor_growth_t*),
                            void* env, void (*finalizer)(void*)) {
  auto growth = std::make_shared<const Growth>(allow, env, finalizer);
  if (!limits || !allow) return;
  limits->limits.memory.watermark = watermark;
  limits->limits.memory.on_watermark = [growth](const MemoryGrowth& told) {
    const rotor_growth_t to_tell{told.old_bytes, told.new_bytes, told.limit_bytes};
    return growth->allow(growth->env, &to_tell);
  };
}
void rotor_store_set_limits(wasm_store_t* store, const rotor_limits_t* limits) {
  if (store) store->options.limits = limits ? limits->limits : Limits();
}
void rotor_store_set_fuel(wasm_store_t* store, uint64_t units) {
  if (store) store->options.fuel = units;
}

// ---- threads

rotor_error_t* rotor_prepare_thread() { return error_or_null(Engine::prepare_thread()); }
rotor_stack_t* rotor_stack_declare(void* low, size_t size_bytes, rotor_error_t** error) {
  if (error) *error = nullptr;
  auto stack = FiberStack::declare(low, size_bytes);
  if (!stack) return put_error(error, std::move(stack).error());
  return new rotor_stack_t{std::move(*stack)};
}
void rotor_stack_delete(rotor_stack_t* stack) { delete stack; }

// ---- the text format

rotor_error_t* rotor_wat2wasm(const char* text, size_t size, wasm_byte_vec_t* out) {
  make_vec(out, 0);
  auto bytes = wat_to_wasm(std::string_view(text ? text : "", text ? size : 0), {.names = true});
  if (!bytes) return new_error(std::move(bytes).error());
  make_bytes(out, {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  return nullptr;
}
rotor_error_t* rotor_wasm2wat(const wasm_byte_vec_t* binary, wasm_byte_vec_t* out) {
  make_vec(out, 0);
  const std::string_view bytes = binary ? view(*binary) : std::string_view();
  auto text = wasm_to_wat({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  if (!text) return new_error(std::move(text).error());
  make_bytes(out, *text);
  return nullptr;
}

}  // extern "C"
