#include "runtime/compile/acquire.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>

#include "code/compiler.h"
#include "code/cpu.h"
#include "code/run_page.h"
#include "code/stubs.h"
#include "memory/fork.h"
#include "rotor/guard.h"
#include "runtime/engine.h"
#include "wasm/decode_module.h"

namespace rotor::runtime {

namespace {

/// Makes the module keep a copy of its bytes.
void keep_copy(Acquired& acquired, std::span<const uint8_t> bytes) {
  auto copy = std::make_shared<const std::vector<uint8_t>>(bytes.begin(), bytes.end());
  acquired.bytes = *copy;
  acquired.bytes_owner = std::move(copy);
}

/// Validates all functions, which are compiled later.
Result<void> prepare(const EngineImpl& engine, std::span<const uint8_t> bytes, Acquired& acquired) {
  const Config& config = engine.config;
  auto start = std::chrono::steady_clock::now();
  auto copy = [&] { keep_copy(acquired, bytes); };
  ROTOR_TRY(CallGraph calls, validate_in_parallel(acquired.wasm, bytes, config, copy));
  acquired.uses_floats = std::ranges::any_of(calls.runs, &wasm::DirectCalls::uses_floats);
  for (const wasm::DirectCalls& run : calls.runs)
    acquired.uses_heap |= (run.used_features & wasm::feature_bit(wasm::Feature::gc)) != 0;
  acquired.code = CodeOnDemand{std::move(calls)};
  acquired.cpu_features = *code::cpu_features_named(config.cpu);
  acquired.has_stubs = true;
  ROTOR_TRY(acquired.region, code::tiered_region(acquired.wasm, code::CompileOptions().code_limit_bytes));
  acquired.stats.functions = static_cast<uint32_t>(acquired.wasm.bodies.size());
  acquired.stats.wall_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return {};
}

/// Compiles all functions.
Result<void> compile_now(const EngineImpl& engine, std::span<const uint8_t> bytes, Acquired& acquired) {
  const Config& config = engine.config;
  keep_copy(acquired, bytes);
  code::CompileOptions options = engine.compile_options();
  // A fork waits for the batches that are in LLVM, which has locks of its own.
  options.in_llvm = [](bool enters) { enters ? memory::ForkPass::take() : memory::ForkPass::give_back(); };
  std::mutex thrown_mutex;
  std::optional<Error> thrown;
  if (config.compile_progress)
    options.progress = [&](uint32_t done, uint32_t all) {
      auto told = detail::guarded("compile_progress", [&] { config.compile_progress(done, all); });
      if (told) return;
      std::scoped_lock lock(thrown_mutex);
      thrown = std::move(told).error();
    };
  ROTOR_TRY(code::Compiled compiled, code::compile_module(acquired.wasm, acquired.bytes, options));
  if (thrown) return std::unexpected(std::move(*thrown));
  acquired.cpu_features = std::move(compiled.cpu_features);
  acquired.uses_floats = compiled.uses_floats;
  acquired.uses_heap = compiled.uses_heap;
  acquired.stats = compiled.stats;
  acquired.region = compiled.region;
  acquired.has_stubs = engine.settings.tiered;
  acquired.code = std::move(compiled.image);
  return {};
}

Result<Acquired> without_bodies(const EngineImpl& engine, StoredCode stored) {
  std::string name = stored.name;
  ROTOR_TRY(Acquired acquired, acquire_stored(engine, std::move(stored), false));
  // A function without code would be compiled from a body that is not there.
  std::vector<bool> has_code(acquired.wasm.defined_funcs());
  for (const code::FunctionCode& function : std::get<StoredCode>(acquired.code).code.functions)
    has_code[function.func] = true;
  if (std::ranges::find(has_code, false) != has_code.end())
    return fail(ErrorKind::corrupt, name + ": it lacks the code of some functions");
  return acquired;
}

}  // namespace

Result<Acquired> acquire_anew(const EngineImpl& engine, std::span<const uint8_t> bytes) {
  const Config& config = engine.config;
  Acquired acquired;
  ROTOR_TRY(acquired.wasm, wasm::decode_module(bytes, {.features = config.features, .bodies_elsewhere = false}));
  acquired.interruptible = config.interruptible;
  acquired.slab_memories = config.slab_memories;
  acquired.fuel = config.fuel;
  if (config.mode == CompileMode::lazy)
    ROTOR_CHECK(prepare(engine, bytes, acquired));
  else
    ROTOR_CHECK(compile_now(engine, bytes, acquired));
  return acquired;
}

Result<Acquired> acquire_file(const EngineImpl& engine, const std::string& path, code::Check check) {
  ROTOR_TRY(auto file, code::MappedFile::open(path));
  ROTOR_TRY(code::CodeFile code, code::parse_code_file(file->bytes(), path, check));
  return without_bodies(engine, {path, std::move(file), nullptr, std::move(code)});
}

Result<Acquired> acquire_copy(const EngineImpl& engine, std::span<const uint8_t> bytes) {
  auto copy = std::make_shared<const std::vector<uint8_t>>(bytes.begin(), bytes.end());
  const char* name = "serialized module";
  ROTOR_TRY(code::CodeFile code, code::parse_code_file(*copy, name, code::Check::all));
  return without_bodies(engine, {name, nullptr, std::move(copy), std::move(code)});
}

Result<Acquired> acquire_stored(const EngineImpl& engine, StoredCode stored, bool has_bodies) {
  const code::CodeFile& code = stored.code;
  Acquired acquired;
  acquired.bytes = code.module_bytes;
  acquired.has_bodies = has_bodies;
  ROTOR_TRY(acquired.wasm,
            wasm::decode_module(acquired.bytes, {.features = engine.config.features, .bodies_elsewhere = !has_bodies}));
  // The file is trusted, but one that does not fit its module must not run.
  uint32_t defined = acquired.wasm.defined_funcs();
  bool fits = code.region.run_page_bytes >= code::RunPageLayout(acquired.wasm).size_bytes;
  for (const code::FunctionCode& function : code.functions) fits &= function.func < defined;
  for (const code::DataImage& image : code.images)
    fits &= image.memory >= acquired.wasm.imported_memories && image.memory < acquired.wasm.memories.size();
  acquired.has_stubs = code.flags & code::CodeFile::kHasStubs;
  acquired.interruptible = code.flags & code::CodeFile::kInterruptible;
  acquired.slab_memories = code.flags & code::CodeFile::kSlabMemories;
  acquired.fuel = code.flags & code::CodeFile::kFuel;
  acquired.uses_floats = code.flags & code::CodeFile::kUsesFloats;
  acquired.uses_heap = code.flags & code::CodeFile::kUsesHeap;
  if (acquired.has_stubs) fits &= code.text.size() >= code::Stubs::stub(defined);
  if (!fits) return fail(ErrorKind::corrupt, stored.name + ": its code is not of its module");
  // Code that does not pay would outrun an engine's account, and code that pays would stop at an empty one.
  if (acquired.fuel != engine.config.fuel)
    return fail(ErrorKind::unsupported,
                fmt::format("{}: compiled with{} Config::fuel, and the engine is one with{}", stored.name,
                            acquired.fuel ? "" : "out", acquired.fuel ? "out" : ""));
  acquired.cpu_features = code.cpu_features;
  acquired.region = code.region;
  acquired.stats.functions = defined;
  if (stored.mapping)
    acquired.bytes_owner = stored.mapping;
  else
    acquired.bytes_owner = stored.buffer;
  acquired.code = std::move(stored);
  return acquired;
}

}  // namespace rotor::runtime
