// The public Engine.
#include <fmt/format.h>

#include "code/cpu.h"
#include "memory/os.h"
#include "runtime/engine.h"
#include "runtime/enter/entry.h"
#include "runtime/enter/libcalls.h"

namespace rotor {

Result<Engine> Engine::create(Config config) {
  ROTOR_CHECK(code::cpu_features_named(config.cpu));
  ROTOR_CHECK(runtime::install_trap_handlers());
  auto impl = std::make_shared<runtime::EngineImpl>(std::move(config), runtime::libcall_addresses());
  if (const CacheConfig& cache = impl->config.cache; cache.enabled) {
    ROTOR_TRY(impl->cache, code::CodeCache::open({cache.folder, cache.limit_bytes}));
  }
  if (impl->config.perf_map) {
    ROTOR_TRY(impl->perf_map, code::PerfMap::open());
  }
  return Engine(std::move(impl));
}

Result<void> Engine::prepare_thread() { return runtime::prepare_thread(runtime::t_thread); }

const Config& Engine::config() const { return impl_->config; }

Result<HeapType> Engine::heap_type(const FuncType& type) const {
  ROTOR_TRY(const runtime::CanonicalType* signature, impl_->types.add_for_ever(type));
  return HeapType::named(signature->name);
}

std::optional<FuncType> Engine::func_type(HeapType heap) const {
  return heap.is_concrete() ? impl_->types.find(heap.type_name()) : std::nullopt;
}

EngineUsage Engine::usage() const {
  const auto use = memory::os::address_space_use();
  return {.types = impl_->types.size(),
          .memory_slots = impl_->zeroes->slots().counts(),
          .mappings = use.mappings,
          .mappings_limit = use.mappings_limit,
          .reserved_bytes = use.reserved_bytes,
          .reserved_limit_bytes = use.reserved_limit_bytes};
}

}  // namespace rotor
