// The engine's cache as a module uses it: code by the module's bytes.
#pragma once

#include <optional>
#include <span>

#include "code/cache.h"
#include "code/code_file.h"
#include "rotor/result.h"
#include "runtime/compile/acquire.h"

namespace rotor::runtime {

/// Takes what the engine's cache has for a module; nullopt: it has nothing. Pre: there is a cache. Errors: corrupt and
/// others: what is there can't be used.
Result<std::optional<Acquired>> acquire_cached(const EngineImpl& engine, const code::CacheKey& key,
                                               std::span<const uint8_t> bytes);
/// Puts a module's code into the cache, unless there is more of it: another process, or another module of the same
/// bytes, may have compiled more, and may have put it there first. Errors: those of code::CodeCache::put.
Result<void> put_in_cache(const code::CodeCache& cache, const code::CacheKey& key, code::CodeFile code);

}  // namespace rotor::runtime
