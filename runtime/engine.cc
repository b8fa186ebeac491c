#include "runtime/engine.h"

#include <fmt/format.h>

namespace rotor {

Result<Engine> Engine::create(Config config) {
  if (config.cpu != "native" && config.cpu != "baseline")
    return fail(ErrorKind::invalid_argument, fmt::format("unknown cpu \"{}\": \"native\" or \"baseline\"", config.cpu));
  ROTOR_CHECK(runtime::install_trap_handlers());
  auto impl = std::make_shared<runtime::EngineImpl>(std::move(config));
  if (const CacheConfig& cache = impl->config.cache; cache.enabled) {
    ROTOR_TRY(impl->cache, jit::CodeCache::open({cache.folder, cache.limit_bytes}));
  }
  if (impl->config.perf_map) {
    ROTOR_TRY(impl->perf_map, runtime::PerfMap::open());
  }
  return Engine(std::move(impl));
}

const Config& Engine::config() const { return impl_->config; }

}  // namespace rotor

namespace rotor::runtime {

namespace {

/// Added to the niceness of threads that compile in the background.
constexpr int kBackgroundNice = 10;

unsigned compile_threads(const Config& config) {
  return config.compile_workers ? config.compile_workers : std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

// Half of the threads in the background: the guest runs meanwhile.
EngineImpl::EngineImpl(Config c)
    : config(std::move(c)),
      foreground(compile_threads(config), 0),
      background((compile_threads(config) + 1) / 2, kBackgroundNice) {}

size_t EngineImpl::Hash::operator()(const FuncType& type) const {
  // FNV-1a over the types' bits; the separator keeps parameters and results apart.
  uint64_t hash = 14695981039346656037u;
  auto mix = [&](uint64_t v) { hash = (hash ^ v) * 1099511628211u; };
  for (ValType t : type.params) mix(t.bits());
  mix(UINT64_MAX);
  for (ValType t : type.results) mix(t.bits());
  return hash;
}

const Signature& EngineImpl::canonical(const FuncType& type) {
  std::lock_guard lock(mutex_);
  auto [it, fresh] = signatures_.try_emplace(type);
  if (fresh) it->second = std::make_unique<Signature>(*this, type);
  return *it->second;
}

}  // namespace rotor::runtime
