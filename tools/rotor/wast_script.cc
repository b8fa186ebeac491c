#include "tools/rotor/wast_script.h"

#include <fmt/format.h>

#include "tools/rotor/spectest.h"
#include "tools/rotor/value_text.h"

namespace rotor::cli {
namespace {

using wasm::text::ScriptAction;
using wasm::text::ScriptCommand;
using wasm::text::ScriptModule;
using wasm::text::ScriptValue;
using Kind = Outcome::Kind;

Outcome failed(std::string what) { return {Kind::failed, std::move(what)}; }
Outcome unsupported(std::string feature) { return {Kind::unsupported, std::move(feature)}; }

/// Returns the proposal in "unsupported feature: NAME".
std::string feature_in(const Error& error) {
  size_t colon = error.message.rfind(": ");
  std::string name = colon == std::string::npos ? error.message : error.message.substr(colon + 2);
  return name.substr(0, name.find_first_of(" \n"));
}

std::string first_line(const Error& error) {
  std::string text = error.to_string();
  return text.substr(0, text.find('\n'));
}

std::string values_text(const std::vector<Value>& values) {
  std::string text;
  for (const Value& value : values)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", to_string(value.type()), value_text(value));
  return "(" + text + ")";
}

/// Returns whether a trap is the expected one. The suite's texts are prefixes of Rotor's, or Rotor's of the suite's
/// ("uninitialized element 2").
bool is_trap(const Error& error, const std::string& text) {
  if (error.kind != ErrorKind::trap || !error.trap) return false;
  std::string kind = to_string(error.trap->kind);
  return kind.starts_with(text) || text.starts_with(kind);
}

template <class Made>
Outcome outcome_of(const Made& made) {
  if (!made.missing_feature.empty()) return unsupported(made.missing_feature);
  return made.failure.empty() ? Outcome{} : failed(made.failure);
}

}  // namespace

WastScript::WastScript(const Engine& engine, std::shared_ptr<const wasm::text::Script> script, OnCommand on_command)
    : engine_(engine),
      script_(std::move(script)),
      on_command_(std::move(on_command)),
      linker_(engine),
      report_mutex_(std::make_shared<std::mutex>()) {}

WastScript::~WastScript() { join_all(); }

void WastScript::join_all() {
  for (auto& [name, thread] : threads_)
    if (thread->thread.joinable()) thread->thread.join();
}

Result<void> WastScript::prepare() { return define_spectest(engine_, linker_); }

void WastScript::run(const std::vector<Command>& commands) {
  for (const Command& command : commands) {
    {
      std::lock_guard lock(*report_mutex_);
      on_command_(command.line, nullptr);
    }
    fuel_used_ = 0;
    Outcome outcome;
    try {
      outcome = dispatch(command);
    } catch (const UnsupportedValue& value) {
      outcome = unsupported(value.feature);
    }
    if (outcome.kind == Outcome::Kind::passed && fuel_used_) outcome.detail = fmt::format("{} units", fuel_used_);
    std::lock_guard lock(*report_mutex_);
    on_command_(command.line, &outcome);
  }
}

Outcome WastScript::dispatch(const Command& command) {
  switch (command.kind) {
    case Command::Kind::module: return do_module(command);
    case Command::Kind::instance: return do_instance(command);
    case Command::Kind::register_: return do_register(command);
    case Command::Kind::action: return do_action(command);
    case Command::Kind::assert_return: return do_assert_return(command);
    case Command::Kind::assert_trap:
    case Command::Kind::assert_exhaustion: return do_assert_trap(command);
    case Command::Kind::assert_exception: return do_assert_exception(command);
    case Command::Kind::assert_invalid:
    case Command::Kind::assert_malformed:
    case Command::Kind::assert_invalid_custom:
    case Command::Kind::assert_malformed_custom: return do_assert_rejected(command);
    case Command::Kind::assert_unlinkable:
    case Command::Kind::assert_uninstantiable: return do_assert_link(command);
    case Command::Kind::thread: return do_thread(command);
    case Command::Kind::wait: return do_wait(command);
  }
  return failed("a command of an unknown kind");
}

// ---- modules --------------------------------------------------------------------------------------------------------

WastScript::Definition WastScript::define(const ScriptModule& module) {
  Definition definition;
  auto encoded = script_->encode(module, {.names = true});
  if (!encoded) {
    std::string_view text = script_->text_of(module);
    TextPosition at = text_position(text, encoded.error().offset.value_or(0));
    definition.failure = fmt::format("at {}:{}: {}", at.line, at.column, first_line(encoded.error()));
    return definition;
  }
  if (auto compiled = Module::compile(engine_, encoded->bytes)) {
    definition.module = std::move(*compiled);
  } else if (compiled.error().kind == ErrorKind::unsupported) {
    definition.missing_feature = feature_in(compiled.error());
  } else {
    definition.failure = first_line(compiled.error());
  }
  return definition;
}

std::string WastScript::missing_import_feature(const Module& module) const {
  for (const ImportInfo& import : module.imports()) {
    auto found = registered_.find(import.module);
    if (found != registered_.end() && !found->second->missing_feature.empty()) return found->second->missing_feature;
  }
  return {};
}

namespace {

/// What instances are made with: as much fuel as they take.
InstanceOptions options_for(const Module& module) {
  InstanceOptions options;
  if (module.uses_fuel()) options.fuel = UINT64_MAX;
  return options;
}

}  // namespace

WastScript::ScriptInstance WastScript::instantiate(const Definition& definition) {
  ScriptInstance entry;
  entry.missing_feature = definition.missing_feature;
  entry.failure = definition.failure;
  if (!definition.module) return entry;
  auto instance = linker_.instantiate(*definition.module, options_for(*definition.module));
  if (!instance) {
    entry.missing_feature = instance.error().kind == ErrorKind::unsupported
                                ? feature_in(instance.error())
                                : missing_import_feature(*definition.module);
    entry.failure = first_line(instance.error());
    return entry;
  }
  entry.instance = std::make_shared<Instance>(std::move(*instance));
  for (const ExportInfo& item : definition.module->exports())
    if (auto found = entry.instance->get(item.name)) entry.exports.emplace_back(item.name, std::move(*found));
  return entry;
}

void WastScript::keep(const std::string& name, std::shared_ptr<ScriptInstance> entry) {
  if (!name.empty()) instances_[name] = entry;
  alive_.push_back(entry);
  current_ = std::move(entry);
}

std::shared_ptr<WastScript::ScriptInstance> WastScript::find(const std::string& name) const {
  if (name.empty()) return current_;
  auto found = instances_.find(name);
  return found == instances_.end() ? nullptr : found->second;
}

Outcome WastScript::do_module(const Command& command) {
  Definition definition = define(command.module);
  if (command.module.is_definition) {
    last_definition_ = std::move(definition);
    if (!command.module.name.empty()) definitions_[command.module.name] = last_definition_;
    return outcome_of(last_definition_);
  }
  auto entry = std::make_shared<ScriptInstance>(instantiate(definition));
  Outcome outcome = outcome_of(*entry);
  keep(command.module.name, std::move(entry));
  return outcome;
}

Outcome WastScript::do_instance(const Command& command) {
  auto found = definitions_.find(command.of);
  if (!command.of.empty() && found == definitions_.end()) return failed("no module definition " + command.of);
  auto entry = std::make_shared<ScriptInstance>(instantiate(command.of.empty() ? last_definition_ : found->second));
  Outcome outcome = outcome_of(*entry);
  keep(command.name, std::move(entry));
  return outcome;
}

Outcome WastScript::do_register(const Command& command) {
  auto entry = find(command.of);
  if (!entry) return failed("no module to register");
  registered_[command.as] = entry;
  for (auto& [name, item] : entry->exports) linker_.define(command.as, name, item);
  return outcome_of(*entry);
}

// ---- actions and what they are held to ------------------------------------------------------------------------------

WastScript::Acted WastScript::act(const ScriptAction& action) {
  auto entry = find(action.module);
  if (!entry) return failed("no module to act on");
  if (!entry->missing_feature.empty()) return unsupported(entry->missing_feature);
  if (!entry->instance) return failed("the module could not be made: " + entry->failure);
  if (action.kind == ScriptAction::Kind::get) {
    auto global = entry->instance->get_global(action.field);
    if (!global) return failed(first_line(global.error()));
    auto value = global->get();
    if (!value) return failed(first_line(value.error()));
    return Result<std::vector<Value>>(std::vector<Value>{std::move(*value)});
  }
  std::vector<Value> args;
  for (const ScriptValue& arg : action.args) args.push_back(argument(arg));
  auto func = entry->instance->get_func(action.field);
  if (!func) return failed(first_line(func.error()));
  return call(*entry->instance, *func, args);
}

Result<std::vector<Value>> WastScript::call(const Instance& instance, const Func& func, std::span<const Value> args) {
  if (!instance.module().uses_fuel()) return func.call(args);
  ROTOR_CHECK(instance.set_fuel(UINT64_MAX));
  ROTOR_TRY(const uint64_t before, instance.fuel());
  auto results = func.call(args);
  // How deep the stack goes is not the same at all levels.
  const bool overflowed = !results && results.error().trap && results.error().trap->kind == TrapKind::stack_overflow;
  ROTOR_TRY(const uint64_t after, instance.fuel());
  if (!overflowed) fuel_used_ += before - after;
  return results;
}

Outcome WastScript::do_action(const Command& command) {
  Acted acted = act(command.action);
  if (auto* outcome = std::get_if<Outcome>(&acted)) return std::move(*outcome);
  auto& values = std::get<1>(acted);
  return values ? Outcome{} : failed(first_line(values.error()));
}

Outcome WastScript::do_assert_return(const Command& command) {
  Acted acted = act(command.action);
  if (auto* outcome = std::get_if<Outcome>(&acted)) return std::move(*outcome);
  auto& values = std::get<1>(acted);
  if (!values) return failed(first_line(values.error()));
  bool equal = values->size() == command.expected.size();
  for (size_t i = 0; equal && i < values->size(); ++i) equal = matches(command.expected[i], (*values)[i]);
  if (equal) return {};
  std::string wanted;
  for (const ScriptValue& value : command.expected) wanted += (wanted.empty() ? "" : ", ") + expected_text(value);
  return failed(fmt::format("{}: expected ({}), got {}", command.action.field, wanted, values_text(*values)));
}

Outcome WastScript::do_assert_trap(const Command& command) {
  Acted acted = act(command.action);
  if (auto* outcome = std::get_if<Outcome>(&acted)) return std::move(*outcome);
  auto& values = std::get<1>(acted);
  if (values) return failed(fmt::format("expected the trap \"{}\", got {}", command.message, values_text(*values)));
  const Error& error = values.error();
  const bool exhaustion = command.kind == Command::Kind::assert_exhaustion;
  if (is_trap(error, command.message) && (!exhaustion || error.trap->kind == TrapKind::stack_overflow)) return {};
  return failed(fmt::format("expected the trap \"{}\", got {}", command.message, first_line(error)));
}

Outcome WastScript::do_assert_exception(const Command& command) {
  Acted acted = act(command.action);
  if (auto* outcome = std::get_if<Outcome>(&acted)) return std::move(*outcome);
  auto& values = std::get<1>(acted);
  if (!values && values.error().kind == ErrorKind::exception) return {};
  return failed("expected an exception, got " + (values ? values_text(*values) : first_line(values.error())));
}

/// Checks that a module is malformed or invalid, as text or as the bytes that the text stands for.
Outcome WastScript::do_assert_rejected(const Command& command) {
  const bool is_malformed =
      command.kind == Command::Kind::assert_malformed || command.kind == Command::Kind::assert_malformed_custom;
  const ErrorKind wanted = is_malformed ? ErrorKind::malformed : ErrorKind::invalid;
  auto encoded = script_->encode(command.module);
  Result<void> valid;
  if (encoded)
    valid = Module::validate(engine_.config().features, encoded->bytes);
  else
    valid = std::unexpected(std::move(encoded).error());
  if (valid)
    return failed(fmt::format("expected a module that is {} ({}), it is valid", to_string(wanted), command.message));
  const Error& error = valid.error();
  if (error.kind == ErrorKind::unsupported) return unsupported(feature_in(error));
  if (error.kind != wanted)
    return failed(fmt::format("expected a module that is {} ({}), got {}", to_string(wanted), command.message,
                              first_line(error)));
  if (error.message.starts_with(command.message)) return {};
  return {Kind::reworded, fmt::format("\"{}\" is here \"{}\"", command.message, error.message)};
}

Outcome WastScript::do_assert_link(const Command& command) {
  Definition definition = define(command.module);
  if (!definition.module) return outcome_of(definition);
  if (std::string feature = missing_import_feature(*definition.module); !feature.empty()) return unsupported(feature);
  auto instance = linker_.instantiate(*definition.module, options_for(*definition.module));
  if (instance) return failed(fmt::format("expected \"{}\", the module was instantiated", command.message));
  const Error& error = instance.error();
  if (error.kind == ErrorKind::unsupported) return unsupported(feature_in(error));
  const bool good = command.kind == Command::Kind::assert_uninstantiable
                        ? is_trap(error, command.message)
                        : error.kind == ErrorKind::link && error.message.starts_with(command.message);
  return good ? Outcome{} : failed(fmt::format("expected \"{}\", got {}", command.message, first_line(error)));
}

// ---- threads --------------------------------------------------------------------------------------------------------

/// Runs the commands of a thread. It has a store of its own, except for the modules that it shares, whose exports it
/// sees.
Outcome WastScript::do_thread(const Command& command) {
  auto script = std::make_shared<WastScript>(engine_, script_, on_command_);
  script->report_mutex_ = report_mutex_;
  if (auto ready = script->prepare(); !ready) return failed(first_line(ready.error()));
  for (const std::string& name : command.shared) {
    auto shared = find(name);
    if (!shared) return failed("no module " + name + " to share");
    auto entry = std::make_shared<ScriptInstance>(*shared);
    entry->instance = nullptr;  // its functions belong to this thread
    script->instances_[name] = entry;
    script->current_ = entry;
  }
  auto thread = std::make_unique<Thread>();
  // The command lies in the script, which both threads keep alive.
  thread->thread = std::thread([script, problem = &thread->problem, commands = &command.commands]() mutable {
    try {
      script->run(*commands);
    } catch (const std::exception& error) {
      *problem = error.what();
    }
    script.reset();
  });
  if (auto old = threads_.find(command.name); old != threads_.end() && old->second->thread.joinable())
    old->second->thread.join();
  threads_[command.name] = std::move(thread);
  return {};
}

Outcome WastScript::do_wait(const Command& command) {
  auto found = threads_.find(command.name);
  if (found == threads_.end()) return failed("no thread " + command.name);
  if (found->second->thread.joinable()) found->second->thread.join();
  return found->second->problem.empty() ? Outcome{} : failed("the thread ended: " + found->second->problem);
}

}  // namespace rotor::cli
