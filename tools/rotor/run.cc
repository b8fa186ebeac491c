// rotor run: calls an export of a module, with WASI for those that import it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "tools/rotor/cli.h"
#include "tools/rotor/invocation.h"
#include "tools/rotor/module_file.h"
#include "tools/rotor/value_text.h"
#include "tools/rotor/wasi_options.h"

namespace rotor::cli {
namespace {

struct RunOptions {
  std::string file;
  std::string invoke;
  std::vector<std::string> args;
  double deadline_s = 0;  ///< 0: none
  WasiOptions wasi;
  EngineOptions engine;
};

/// Ends the command with the names of imports that nothing defines, if there are any.
void check_imports(const std::string& file, const Module& module, const Linker& linker) {
  std::string missing;
  for (const ImportInfo& import : module.imports())
    if (!linker.defined(import.module, import.name))
      missing += fmt::format("\n  {}.{}: {}", printable_name(import.module), printable_name(import.name),
                             to_string(import.type));
  if (!missing.empty())
    die(Exit::failed, fmt::format("{}: imports that `rotor run` does not define:{}", file, missing));
}

InstanceOptions instance_options(const RunOptions& options) {
  InstanceOptions instance;
  if (options.deadline_s > 0)
    instance.deadline = InterruptHandle::Clock::now() + std::chrono::duration_cast<InterruptHandle::Clock::duration>(
                                                            std::chrono::duration<double>(options.deadline_s));
  return instance;
}

/// Ends the command because a guest's call ended with an error. A guest that ended itself gives its own exit code, of
/// which the system keeps 8 bits.
[[noreturn]] void die_of(const RunOptions& options, const Error& error, const wasi::Environment* environment) {
  constexpr uint32_t kMaxExitCode = 255;
  const auto code = environment && error.kind == ErrorKind::host ? environment->exit_code() : std::nullopt;
  if (code) finish(static_cast<Exit>(std::min(*code, kMaxExitCode)));
  die(options.file, error);
}

/// Instantiates the module, calls the export and prints its results. `environment`: that of a WASI guest, or null. A
/// command takes the arguments by WASI, as text; any other export by its type.
void run_export(const RunOptions& options, const Module& module, const Linker& linker,
                const wasi::Environment* environment) {
  const bool is_command = environment && options.invoke.empty();
  const std::string name = options.invoke.empty() ? "_start" : options.invoke;
  const FuncType type =
      exported_type_or_die(options.file, module, name, options.invoke.empty() ? "; name another with --invoke" : "");
  std::vector<Value> args;
  if (!is_command) args = parse_args_or_die(options.file, name, type, options.args);
  Result<Instance> instance = linker.instantiate(module, instance_options(options));
  if (!instance) die_of(options, instance.error(), environment);
  if (environment && !is_command)
    if (auto ready = wasi::initialize_reactor(*instance); !ready) die_of(options, ready.error(), environment);
  Func func = value_or_die(options.file, instance->get_func(name));
  auto results = func.call(args);
  update_cache(module);
  if (!results) die_of(options, results.error(), environment);
  for (const Value& value : *results) print("{}\n", value_text(value));
}

void run(const RunOptions& options) {
  Engine engine = engine_or_die(options.engine);
  Module module = load_module_or_die(engine, options.file).module;
  Linker linker(engine);
  std::optional<wasi::Environment> environment;
  if (value_or_die(options.file, wasi::uses(module))) {
    std::vector<std::string> args = {options.file};
    if (options.invoke.empty()) args.insert(args.end(), options.args.begin(), options.args.end());
    environment = options.wasi.environment_or_die(options.file, std::move(args));
    wasi::define(linker, *environment);
  }
  check_imports(options.file, module, linker);
  run_export(options, module, linker, environment ? &*environment : nullptr);
}

}  // namespace

void add_run(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Call an export of a module: _start, or the one named");
  command->add_option("file", options->file, "a .wasm, .wat or code file")->required();
  command->add_option(
      "args", options->args,
      "arguments: of a WASI command as they are, behind -- if they begin with -; else by the export's types");
  command->add_option("--invoke", options->invoke, "the export to call");
  command
      ->add_option("--deadline", options->deadline_s,
                   "seconds that the start function and the call may take together, then they trap")
      ->check(CLI::Range(1e-9, kMaxSeconds));
  options->wasi.add_to(*command);
  options->engine.add_to(*command, 1, "lazy");
  options->engine.add_cache_to(*command, true);
  options->engine.add_perf_map_to(*command);
  // These let arguments such as -1 pass as numbers, not options.
  command->positionals_at_end(false);
  command->prefix_command(false);
  command->callback([options] {
    for (std::string* argument : {&options->file, &options->invoke, &options->engine.cache_folder}) unmark(*argument);
    for (std::string& argument : options->args) unmark(argument);
    options->engine.interruptible = options->deadline_s > 0;
    run(*options);
  });
}

}  // namespace rotor::cli
