#include "tools/rotor/guest_run.h"

#include <fmt/format.h>

#include <chrono>

#include "tools/rotor/arguments.h"
#include "tools/rotor/invocation.h"

namespace rotor::cli {
namespace {

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

}  // namespace

void GuestOptions::add_to(CLI::App& command) {
  command.add_option("file", file, "a .wasm, .wat or code file")->required();
  command.add_option("args", args, "the guest's, as they are, options too; with --invoke by the export's types");
  command.add_option("--invoke", invoke, "the export to call");
  wasi.add_to(command);
  // These let arguments such as -1 pass as numbers, not options.
  command.positionals_at_end(false);
  command.prefix_command(false);
}

void GuestOptions::unmark_all() {
  unmark(file);
  unmark(invoke);
  for (std::string& argument : args) unmark(argument);
}

GuestRun::GuestRun(const GuestOptions& options, const Engine& engine, const Module& module, WasiOutputs outputs)
    : options_(options), module_(module), name_(options.invoke.empty() ? "_start" : options.invoke), linker_(engine) {
  const bool uses_wasi = value_or_die(options.file, wasi::uses(module));
  const bool is_command = uses_wasi && options.invoke.empty();
  if (uses_wasi) {
    std::vector<std::string> words = {options.file};
    if (is_command) words.insert(words.end(), options.args.begin(), options.args.end());
    environment_ = options.wasi.environment_or_die(options.file, std::move(words), outputs);
    wasi::define(linker_, *environment_);
  }
  check_imports(options.file, module, linker_);
  const FuncType type =
      exported_type_or_die(options.file, module, name_, options.invoke.empty() ? "; name another with --invoke" : "");
  if (!is_command) args_ = parse_args_or_die(options.file, name_, type, options.args);
}

Result<Instance> GuestRun::instantiate() const {
  InstanceOptions options;
  if (options_.deadline_s > 0)
    options.deadline = InterruptHandle::Clock::now() + std::chrono::duration_cast<InterruptHandle::Clock::duration>(
                                                           std::chrono::duration<double>(options_.deadline_s));
  if (module_.uses_fuel()) options.fuel = options_.fuel.value_or(UINT64_MAX);
  ROTOR_TRY(Instance instance, linker_.instantiate(module_, options));
  if (environment_ && !options_.invoke.empty()) ROTOR_CHECK(wasi::initialize_reactor(instance));
  return instance;
}

Result<std::vector<Value>> GuestRun::call(const Instance& instance) const {
  ROTOR_TRY(const Func func, instance.get_func(name_));
  return func.call(args_);
}

std::optional<uint32_t> GuestRun::exit_code(const Error& error) const {
  return environment_ && error.kind == ErrorKind::host ? environment_->exit_code() : std::nullopt;
}

}  // namespace rotor::cli
