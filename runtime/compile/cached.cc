#include "runtime/compile/cached.h"

#include <algorithm>
#include <utility>

#include "code/file.h"
#include "code/mapped_file.h"
#include "runtime/engine.h"

namespace rotor::runtime {

namespace {

bool cache_has_more(const code::CodeCache& cache, const code::CacheKey& key, const code::CodeFile& ours) {
  auto entry = cache.find(key);
  if (!entry) return false;
  auto file = code::MappedFile::open(entry->pinned_path());
  if (!file) return false;
  auto code = code::parse_code_file((*file)->bytes(), entry->path(), code::Check::tables);
  return code && code->functions.size() > ours.functions.size() &&
         std::ranges::equal(code->module_bytes, ours.module_bytes);
}

}  // namespace

Result<std::optional<Acquired>> acquire_cached(const EngineImpl& engine, const code::CacheKey& key,
                                               std::span<const uint8_t> bytes) {
  auto entry = engine.cache->find(key);
  if (!entry) return std::nullopt;
  ROTOR_TRY(auto file, code::MappedFile::open(entry->pinned_path()));
  ROTOR_TRY(code::CodeFile code, code::parse_code_file(file->bytes(), entry->path(), code::Check::code));
  // Images may be long. Who crashes the machine leaves holes in them only for the time after its next start.
  if (code.boot == 0 || code.boot != code::boot_number()) ROTOR_CHECK(code::check_images(code, entry->path()));
  // Other modules may have the same key, and code of another module must never run.
  if (!std::ranges::equal(code.module_bytes, bytes)) return std::nullopt;
  // The bodies were valid when they were compiled, with the features that the key states.
  const size_t with_code = code.functions.size();
  ROTOR_TRY(Acquired acquired,
            acquire_stored(engine, {entry->path(), std::move(file), nullptr, std::move(code)}, true));
  if (acquired.has_stubs != engine.settings.tiered || (!acquired.has_stubs && with_code < acquired.wasm.bodies.size()))
    return fail(ErrorKind::corrupt, entry->path() + ": it lacks code");
  return acquired;
}

Result<void> put_in_cache(const code::CodeCache& cache, const code::CacheKey& key, code::CodeFile code) {
  if (cache_has_more(cache, key, code)) return {};
  code.boot = code::boot_number();
  return cache.put(key, [&](code::OutputFile& out) {
    return code::write_code(code, [&](const void* data, size_t size) { return out.write(data, size); });
  });
}

}  // namespace rotor::runtime
