#include "packages/node/addon/engine.h"

#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "packages/node/addon/values.h"
#include "rotor/version.h"

namespace rotor::node {

namespace {

/// What modules may use: packages are made for V8, which takes legacy exceptions.
Features features() {
  Features taken;
  taken.legacy_exceptions = true;
  return taken;
}

Config initial_config() {
  Config config;
  config.features = features();
  return config;
}

/// The engine and its settings: of the process, since environments are threads of it.
struct Process {
  std::mutex mutex;
  Config config = initial_config();
  std::optional<Engine> engine;
};

Process& process() {
  // It is never freed: threads of the engine may run until the process ends.
  static auto* const only = new Process;
  return *only;
}

std::optional<std::span<const uint8_t>> bytes_of(napi_env env, napi_value value) {
  void* data = nullptr;
  size_t size = 0;
  bool is = false;
  if (napi_is_arraybuffer(env, value, &is) == napi_ok && is) {
    napi_get_arraybuffer_info(env, value, &data, &size);
    return std::span(static_cast<const uint8_t*>(data), size);
  }
  // The face hands over nothing else: any other view is made a Uint8Array there.
  napi_typedarray_type type = napi_uint8_array;
  napi_value buffer = nullptr;
  size_t offset = 0;
  if (napi_is_typedarray(env, value, &is) == napi_ok && is &&
      napi_get_typedarray_info(env, value, &type, &size, &data, &buffer, &offset) == napi_ok &&
      type == napi_uint8_array)
    return std::span(static_cast<const uint8_t*>(data), size);
  napi_throw_type_error(env, nullptr, "the bytes of a module are wanted: an ArrayBuffer or a view of one");
  return std::nullopt;
}

/// Takes { cacheFolder, cache, mode } before the engine is made.
napi_value configure(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  Process& only = process();
  std::lock_guard lock(only.mutex);
  if (only.engine) {
    napi_throw_error(env, "ROTOR_INVALID_ARGUMENT", "rotor: the engine is made already");
    return nullptr;
  }
  Config& config = only.config;
  config.cache.enabled = flag_property(env, in[0], "cache");
  if (napi_value folder = property(env, in[0], "cacheFolder")) config.cache.folder = text_of(env, folder);
  if (napi_value mode = property(env, in[0], "mode")) {
    const std::string name = text_of(env, mode);
    config.mode = name == "aot" ? CompileMode::aot : name == "eager" ? CompileMode::eager : CompileMode::lazy;
  }
  return nullptr;
}

napi_value wrap_module(Environment& environment, Result<Module> module) {
  if (module) return Object::wrap(environment.env, std::make_unique<ModuleObject>(std::move(*module)));
  environment.raise(module.error(), During::compilation);
  return nullptr;
}

napi_value compile(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  Environment& environment = Environment::of(env);
  auto bytes = bytes_of(env, in[0]);
  std::optional<Engine> engine = bytes ? engine_of_process(environment) : std::nullopt;
  return engine ? wrap_module(environment, Module::compile(*engine, *bytes)) : nullptr;
}

/// A compilation in the background, and the promise of its module.
struct Compilation {
  napi_async_work work = nullptr;
  napi_deferred deferred = nullptr;
  Engine engine;
  std::vector<uint8_t> bytes;
  Result<Module> module = fail(ErrorKind::internal, "not compiled");
};

napi_value compile_async(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  Environment& environment = Environment::of(env);
  auto bytes = bytes_of(env, in[0]);
  std::optional<Engine> engine = bytes ? engine_of_process(environment) : std::nullopt;
  if (!engine) return nullptr;
  auto job =
      std::make_unique<Compilation>(nullptr, nullptr, *engine, std::vector<uint8_t>(bytes->begin(), bytes->end()));
  auto run = [](napi_env, void* data) {
    auto& compilation = *static_cast<Compilation*>(data);
    compilation.module = Module::compile(compilation.engine, compilation.bytes);
  };
  auto done = [](napi_env e, napi_status, void* data) {
    std::unique_ptr<Compilation> compilation(static_cast<Compilation*>(data));
    Scope scope(e);
    napi_value module = wrap_module(Environment::of(e), std::move(compilation->module));
    if (module) {
      napi_resolve_deferred(e, compilation->deferred, module);
    } else {
      napi_value exception = nullptr;
      napi_get_and_clear_last_exception(e, &exception);
      napi_reject_deferred(e, compilation->deferred, exception);
    }
    napi_delete_async_work(e, compilation->work);
  };
  napi_value promise = nullptr;
  napi_create_promise(env, &job->deferred, &promise);
  if (napi_create_async_work(env, nullptr, js_string(env, "rotor.compile"), run, done, job.get(), &job->work) !=
          napi_ok ||
      napi_queue_async_work(env, job->work) != napi_ok) {
    napi_throw_error(env, "ROTOR_IO", "rotor: no thread to compile on");
    return nullptr;
  }
  job.release();
  return promise;
}

napi_value load_code(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  Environment& environment = Environment::of(env);
  std::optional<Engine> engine = engine_of_process(environment);
  return engine ? wrap_module(environment, Module::deserialize_file(*engine, text_of(env, in[0]))) : nullptr;
}

napi_value save_code(napi_env env, napi_callback_info info) {
  Arguments<2> in(env, info);
  auto* module = in.get<ModuleObject>(0);
  if (!module) return nullptr;
  if (auto saved = module->module().serialize_to_file(text_of(env, in[1])); !saved)
    Environment::of(env).raise(saved.error());
  return nullptr;
}

napi_value validate(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  auto bytes = bytes_of(env, in[0]);
  if (!bytes) return nullptr;
  napi_value valid = nullptr;
  napi_get_boolean(env, Module::validate(features(), *bytes).has_value(), &valid);
  return valid;
}

/// Returns the JS API's word for a kind, which says "function" where Rotor says "func".
const char* kind_of(const ExternType& type) {
  return std::holds_alternative<FuncType>(type) ? "function" : kind_name(type);
}

/// Returns { imports: [{ module, name, kind, value }], exports: [{ name, kind, value }] }; `value` is a global's type.
napi_value describe(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  auto* module = in.get<ModuleObject>(0);
  if (!module) return nullptr;
  napi_value description = nullptr;
  napi_value imports = nullptr;
  napi_value exports = nullptr;
  napi_create_object(env, &description);
  napi_create_array(env, &imports);
  napi_create_array(env, &exports);
  auto entry = [&](const std::string& name, const ExternType& type) {
    napi_value made = nullptr;
    napi_create_object(env, &made);
    put(env, made, "name", js_string(env, name));
    put(env, made, "kind", js_string(env, kind_of(type)));
    if (const auto* global = std::get_if<GlobalType>(&type))
      put(env, made, "value", js_string(env, to_string(global->value)));
    return made;
  };
  uint32_t index = 0;
  for (const ImportInfo& import : module->module().imports()) {
    napi_value made = entry(import.name, import.type);
    put(env, made, "module", js_string(env, import.module));
    napi_set_element(env, imports, index++, made);
  }
  index = 0;
  for (const ExportInfo& item : module->module().exports())
    napi_set_element(env, exports, index++, entry(item.name, item.type));
  put(env, description, "imports", imports);
  put(env, description, "exports", exports);
  return description;
}

/// Returns the byte ranges of the custom sections of a name: [[offset, size], …].
napi_value custom_sections(napi_env env, napi_callback_info info) {
  Arguments<2> in(env, info);
  auto* module = in.get<ModuleObject>(0);
  if (!module) return nullptr;
  const std::string name = text_of(env, in[1]);
  napi_value list = nullptr;
  napi_create_array(env, &list);
  uint32_t count = 0;
  for (const SectionInfo& section : module->module().sections()) {
    if (!section.custom || section.name != name) continue;
    napi_value range = nullptr;
    napi_create_array_with_length(env, 2, &range);
    napi_set_element(env, range, 0, js_number(env, static_cast<double>(section.offset)));
    napi_set_element(env, range, 1, js_number(env, static_cast<double>(section.size)));
    napi_set_element(env, list, count++, range);
  }
  return list;
}

/// Returns { functions, tier0, tier1, codeBytes, cacheHit }.
napi_value code_state(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  auto* module = in.get<ModuleObject>(0);
  if (!module) return nullptr;
  const TierStats tiers = module->module().tier_stats();
  napi_value state = nullptr;
  napi_value hit = nullptr;
  napi_create_object(env, &state);
  napi_get_boolean(env, module->module().cache_outcome().hit, &hit);
  put(env, state, "functions", js_number(env, tiers.functions));
  put(env, state, "tier0", js_number(env, tiers.tier0_functions));
  put(env, state, "tier1", js_number(env, tiers.tier1_functions));
  put(env, state, "codeBytes", js_number(env, static_cast<double>(tiers.code_bytes)));
  put(env, state, "cacheHit", hit);
  return state;
}

}  // namespace

std::optional<Engine> engine_of_process(Environment& environment) {
  Process& only = process();
  std::lock_guard lock(only.mutex);
  if (!only.engine) {
    auto engine = Engine::create(only.config);
    if (!engine) {
      environment.raise(engine.error());
      return std::nullopt;
    }
    only.engine = std::move(*engine);
  }
  return only.engine;
}

void define(napi_env env, napi_value object, std::initializer_list<std::pair<const char*, napi_callback>> functions) {
  for (const auto& [name, function] : functions) {
    napi_value value = nullptr;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
    put(env, object, name, value);
  }
}

void define_modules(napi_env env, napi_value exports) {
  put(env, exports, "version", js_string(env, ROTOR_VERSION));
  define(env, exports,
         {{"configure", configure},
          {"compile", compile},
          {"compileAsync", compile_async},
          {"loadCode", load_code},
          {"saveCode", save_code},
          {"validate", validate},
          {"describe", describe},
          {"customSections", custom_sections},
          {"codeState", code_state}});
}

}  // namespace rotor::node
