// rotor run: calls an export of a module.
#include <fmt/format.h>

#include <chrono>

#include "tools/rotor/cli.h"
#include "tools/rotor/invocation.h"
#include "tools/rotor/module_file.h"
#include "tools/rotor/value_text.h"

namespace rotor::cli {
namespace {

struct RunOptions {
  std::string file;
  std::string invoke;
  std::vector<std::string> args;
  double deadline_s = 0;  ///< 0: none
  EngineOptions engine;
};

/// Ends the command with the names of imports, if there are any, since nothing defines them here. WASI is known by
/// name.
void check_imports(const std::string& file, const Module& module) {
  if (module.imports().empty()) return;
  std::string missing;
  bool wants_wasi = false;
  for (const ImportInfo& import : module.imports()) {
    missing += fmt::format("\n  {}.{}: {}", printable_name(import.module), printable_name(import.name),
                           to_string(import.type));
    wants_wasi |= import.module.starts_with("wasi_");
  }
  die(Exit::failed, fmt::format("{}: imports that `rotor run` does not define{}:{}", file,
                                wants_wasi ? " (there is no WASI yet)" : "", missing));
}

InstanceOptions instance_options(const RunOptions& options) {
  InstanceOptions instance;
  if (options.deadline_s > 0)
    instance.deadline = InterruptHandle::Clock::now() + std::chrono::duration_cast<InterruptHandle::Clock::duration>(
                                                            std::chrono::duration<double>(options.deadline_s));
  return instance;
}

void run(const RunOptions& options) {
  Engine engine = engine_or_die(options.engine);
  Module module = load_module_or_die(engine, options.file).module;
  check_imports(options.file, module);
  std::string name = options.invoke.empty() ? "_start" : options.invoke;
  const FuncType type =
      exported_type_or_die(options.file, module, name, options.invoke.empty() ? "; name another with --invoke" : "");
  std::vector<Value> args = parse_args_or_die(options.file, name, type, options.args);
  Linker linker(engine);
  Instance instance = value_or_die(options.file, linker.instantiate(module, instance_options(options)));
  Func func = value_or_die(options.file, instance.get_func(name));
  auto results = func.call(args);
  update_cache(module);
  for (const Value& value : value_or_die(options.file, std::move(results))) print("{}\n", value_text(value));
}

}  // namespace

void add_run(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Call an export of a module: _start, or the one named");
  command->add_option("file", options->file, "a .wasm, .wat or code file")->required();
  command->add_option("args", options->args, "arguments, by the export's types");
  command->add_option("--invoke", options->invoke, "the export to call");
  command
      ->add_option("--deadline", options->deadline_s,
                   "seconds that the start function and the call may take together, then they trap")
      ->check(CLI::Range(1e-9, kMaxSeconds));
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
