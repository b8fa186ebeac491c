#include "tools/rotor/wast_script.h"

#include <fmt/format.h>

#include <fstream>
#include <mutex>

#include "tools/rotor/spectest.h"
#include "tools/rotor/value_text.h"

namespace rotor::cli {
namespace {

using Json = nlohmann::json;
using Kind = Outcome::Kind;

std::string string_or(const Json& json, const char* key, std::string otherwise = {}) {
  auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

const Json& member(const Json& json, const char* key) {
  if (!json.is_object() || !json.contains(key)) throw BadScript{fmt::format("a command without \"{}\"", key)};
  return json[key];
}

Outcome failed(std::string what) { return {Kind::failed, std::move(what)}; }
Outcome unsupported(std::string feature) { return {Kind::unsupported, std::move(feature)}; }

/// The feature in "unsupported feature: NAME".
std::string feature_in(const Error& error) {
  size_t colon = error.message.rfind(": ");
  std::string name = colon == std::string::npos ? error.message : error.message.substr(colon + 2);
  size_t end = name.find_first_of(" \n");
  return name.substr(0, end);
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

/// Whether a trap is the expected one. The suite's texts are prefixes of ours, or ours of theirs ("uninitialized
/// element 2").
bool is_trap(const Error& error, const std::string& text) {
  if (error.kind != ErrorKind::trap || !error.trap) return false;
  std::string kind = to_string(error.trap->kind);
  return kind.starts_with(text) || text.starts_with(kind);
}

}  // namespace

WastScript::WastScript(const Engine& engine, std::string folder, OnCommand on_command)
    : engine_(engine),
      folder_(std::move(folder)),
      on_command_(std::move(on_command)),
      linker_(engine),
      report_mutex_(std::make_shared<std::mutex>()) {}

WastScript::~WastScript() { join_all(); }

void WastScript::join_all() {
  for (auto& [name, thread] : threads_)
    if (thread->thread.joinable()) thread->thread.join();
}

Result<void> WastScript::prepare() { return define_spectest(engine_, linker_); }

void WastScript::run(const Json& commands) {
  if (!commands.is_array()) throw BadScript{"no list of commands"};
  for (const Json& command : commands) run_command(command);
}

void WastScript::run_command(const Json& command) {
  std::string type = string_or(command, "type");
  uint64_t line = command.value("line", uint64_t{0});
  {
    std::lock_guard lock(*report_mutex_);
    on_command_(line, nullptr);
  }
  Outcome outcome;
  try {
    outcome = dispatch(type, command);
  } catch (const UnsupportedValue& value) {
    outcome = unsupported(value.feature);
  }
  std::lock_guard lock(*report_mutex_);
  on_command_(line, &outcome);
}

Outcome WastScript::dispatch(const std::string& type, const Json& command) {
  if (type == "module") return do_module(command);
  if (type == "module_definition") return do_definition(command);
  if (type == "module_instance") return do_instance(command);
  if (type == "register") return do_register(command);
  if (type == "assert_return") return do_assert_return(command);
  if (type == "assert_trap") return do_assert_trap(command, false);
  if (type == "assert_exhaustion") return do_assert_trap(command, true);
  if (type == "assert_invalid") return do_assert_rejected(command, ErrorKind::invalid);
  if (type == "assert_malformed") return do_assert_rejected(command, ErrorKind::malformed);
  if (type == "assert_unlinkable") return do_assert_link(command, ErrorKind::link);
  if (type == "assert_uninstantiable") return do_assert_link(command, ErrorKind::trap);
  if (type == "thread") return do_thread(command);
  if (type == "wait") return do_wait(command);
  if (type == "assert_exception") return unsupported("exceptions");
  if (type == "assert_suspension") return unsupported("stack-switching");
  if (type == "action") {
    auto result = act(command);
    if (auto* outcome = std::get_if<Outcome>(&result)) return std::move(*outcome);
    auto& values = std::get<1>(result);
    return values ? Outcome{} : failed(first_line(values.error()));
  }
  // Annotations of custom sections exist in the text format only.
  if (type == "assert_malformed_custom" || type == "assert_invalid_custom") return {Kind::text, {}};
  return failed("a command of unknown type \"" + type + "\"");
}

// ---- modules ------------------------------------------------------------------------------------------------------

std::optional<std::vector<uint8_t>> WastScript::binary(const Json& command) const {
  std::string file = string_or(command, "binary_filename");
  if (file.empty() && string_or(command, "module_type") != "text") file = string_or(command, "filename");
  if (file.empty()) return std::nullopt;
  std::ifstream in(folder_ + "/" + file, std::ios::binary);
  if (!in) throw BadScript{"no file " + file};
  return std::vector<uint8_t>(std::istreambuf_iterator<char>(in), {});
}

WastScript::Definition WastScript::define(const Json& command) {
  Definition definition;
  auto bytes = binary(command);
  if (!bytes) {
    definition.failure = "a module as text";
    return definition;
  }
  if (auto module = Module::compile(engine_, *bytes)) {
    definition.module = std::move(*module);
  } else if (module.error().kind == ErrorKind::unsupported) {
    definition.missing_feature = feature_in(module.error());
  } else {
    definition.failure = first_line(module.error());
  }
  return definition;
}

std::string WastScript::missing_import_feature(const Module& module) const {
  for (const ImportInfo& import : module.imports()) {
    auto found = registered_.find(import.module);
    if (found != registered_.end() && !found->second->missing_feature.empty()) return found->second->missing_feature;
    // spectest's table for 64-bit indices and its like
    if (import.module == "spectest" && import.name == "table64") return "memory64";
  }
  return {};
}

WastScript::Slot WastScript::instantiate(const Definition& definition) {
  Slot slot;
  slot.missing_feature = definition.missing_feature;
  slot.failure = definition.failure;
  if (!definition.module) return slot;
  auto instance = linker_.instantiate(*definition.module);
  if (!instance) {
    slot.missing_feature = instance.error().kind == ErrorKind::unsupported ? feature_in(instance.error())
                                                                           : missing_import_feature(*definition.module);
    slot.failure = first_line(instance.error());
    return slot;
  }
  slot.instance = std::make_shared<Instance>(std::move(*instance));
  for (const ExportInfo& item : definition.module->exports())
    if (auto found = slot.instance->get(item.name)) slot.exports.emplace_back(item.name, std::move(*found));
  return slot;
}

void WastScript::keep(const Json& command, const char* key, std::shared_ptr<Slot> slot) {
  if (std::string name = string_or(command, key); !name.empty()) instances_[name] = slot;
  alive_.push_back(slot);
  current_ = std::move(slot);
}

namespace {

template <class Made>
Outcome outcome_of(const Made& made) {
  if (!made.missing_feature.empty()) return unsupported(made.missing_feature);
  if (made.failure == "a module as text") return {Kind::text, {}};
  return made.failure.empty() ? Outcome{} : failed(made.failure);
}

}  // namespace

Outcome WastScript::do_module(const Json& command) {
  auto slot = std::make_shared<Slot>(instantiate(define(command)));
  Outcome outcome = outcome_of(*slot);
  keep(command, "name", std::move(slot));
  return outcome;
}

Outcome WastScript::do_definition(const Json& command) {
  last_definition_ = define(command);
  if (std::string name = string_or(command, "name"); !name.empty()) definitions_[name] = last_definition_;
  return outcome_of(last_definition_);
}

Outcome WastScript::do_instance(const Json& command) {
  std::string name = string_or(command, "module");
  auto found = definitions_.find(name);
  if (!name.empty() && found == definitions_.end()) return failed("no module definition " + name);
  auto slot = std::make_shared<Slot>(instantiate(name.empty() ? last_definition_ : found->second));
  Outcome outcome = outcome_of(*slot);
  keep(command, "instance", std::move(slot));
  return outcome;
}

std::shared_ptr<WastScript::Slot> WastScript::find(const Json& command, const char* key) const {
  std::string name = string_or(command, key);
  if (name.empty()) return current_;
  auto found = instances_.find(name);
  return found == instances_.end() ? nullptr : found->second;
}

Outcome WastScript::do_register(const Json& command) {
  auto slot = find(command, "name");
  if (!slot) return failed("no module to register");
  std::string as = member(command, "as").get<std::string>();
  registered_[as] = slot;
  for (auto& [name, item] : slot->exports) linker_.define(as, name, item);
  return outcome_of(*slot);
}

// ---- assertions ---------------------------------------------------------------------------------------------------

std::variant<Outcome, Result<std::vector<Value>>> WastScript::act(const Json& command) {
  const Json& action = member(command, "action");
  auto slot = find(action, "module");
  if (!slot) return failed("no module to act on");
  if (!slot->missing_feature.empty()) return unsupported(slot->missing_feature);
  if (!slot->instance) return failed("the module could not be made: " + slot->failure);
  std::string field = member(action, "field").get<std::string>();
  if (string_or(action, "type") == "get") {
    auto global = slot->instance->get_global(field);
    if (!global) return failed(first_line(global.error()));
    auto value = global->get();
    if (!value) return failed(first_line(value.error()));
    return Result<std::vector<Value>>(std::vector<Value>{std::move(*value)});
  }
  if (string_or(action, "type") != "invoke") throw BadScript{"an action that is no invoke or get"};
  std::vector<Value> args;
  for (const Json& arg : member(action, "args")) args.push_back(argument(arg));
  auto func = slot->instance->get_func(field);
  if (!func) return failed(first_line(func.error()));
  return func->call(args);
}

Outcome WastScript::do_assert_return(const Json& command) {
  const Json& expected = member(command, "expected");
  auto result = act(command);
  if (auto* outcome = std::get_if<Outcome>(&result)) return std::move(*outcome);
  auto& values = std::get<1>(result);
  if (!values) return failed(first_line(values.error()));
  bool equal = values->size() == expected.size();
  for (size_t i = 0; equal && i < values->size(); ++i) equal = matches(expected[i], (*values)[i]);
  if (equal) return {};
  std::string wanted;
  for (const Json& value : expected) wanted += (wanted.empty() ? "" : ", ") + expected_text(value);
  return failed(
      fmt::format("{}: expected ({}), got {}", string_or(command["action"], "field"), wanted, values_text(*values)));
}

Outcome WastScript::do_assert_trap(const Json& command, bool exhaustion) {
  std::string text = string_or(command, "text");
  auto result = act(command);
  if (auto* outcome = std::get_if<Outcome>(&result)) return std::move(*outcome);
  auto& values = std::get<1>(result);
  if (values) return failed(fmt::format("expected the trap \"{}\", got {}", text, values_text(*values)));
  const Error& error = values.error();
  if (is_trap(error, text) && (!exhaustion || error.trap->kind == TrapKind::stack_overflow)) return {};
  return failed(fmt::format("expected the trap \"{}\", got {}", text, first_line(error)));
}

Outcome WastScript::do_assert_rejected(const Json& command, ErrorKind wanted) {
  auto bytes = binary(command);
  if (!bytes) return {Kind::text, {}};
  auto valid = Module::validate(engine_.config().features, *bytes);
  std::string text = string_or(command, "text");
  if (valid) return failed(fmt::format("expected a module that is {} ({}), it is valid", to_string(wanted), text));
  if (valid.error().kind == wanted) return {};
  if (valid.error().kind == ErrorKind::unsupported) return unsupported(feature_in(valid.error()));
  return failed(
      fmt::format("expected a module that is {} ({}), got {}", to_string(wanted), text, first_line(valid.error())));
}

Outcome WastScript::do_assert_link(const Json& command, ErrorKind wanted) {
  Definition definition = define(command);
  std::string text = string_or(command, "text");
  if (!definition.module) return outcome_of(definition);
  if (std::string feature = missing_import_feature(*definition.module); !feature.empty()) return unsupported(feature);
  auto instance = linker_.instantiate(*definition.module);
  if (instance) return failed(fmt::format("expected \"{}\", the module was instantiated", text));
  const Error& error = instance.error();
  if (error.kind == ErrorKind::unsupported) return unsupported(feature_in(error));
  bool good =
      wanted == ErrorKind::trap ? is_trap(error, text) : error.kind == wanted && error.message.starts_with(text);
  return good ? Outcome{} : failed(fmt::format("expected \"{}\", got {}", text, first_line(error)));
}

// ---- threads ------------------------------------------------------------------------------------------------------

/// A thread has a store of its own but for the module it shares, of which it sees the exports.
Outcome WastScript::do_thread(const Json& command) {
  auto script = std::make_shared<WastScript>(engine_, folder_, on_command_);
  script->report_mutex_ = report_mutex_;
  if (auto ready = script->prepare(); !ready) return failed(first_line(ready.error()));
  if (std::string name = string_or(command, "shared_module"); !name.empty()) {
    auto shared = find(command, "shared_module");
    if (!shared) return failed("no module " + name + " to share");
    auto slot = std::make_shared<Slot>(*shared);
    slot->instance = nullptr;  // its functions belong to this thread
    script->instances_[name] = slot;
    script->current_ = slot;
  }
  auto thread = std::make_unique<Thread>();
  Thread* state = thread.get();
  thread->thread = std::thread([script, state, commands = member(command, "commands")]() mutable {
    try {
      script->run(commands);
      state->finished_well = true;
    } catch (const BadScript& bad) {
      state->problem = bad.what;
    } catch (const std::exception& error) {
      state->problem = error.what();
    }
    script.reset();
  });
  std::string name = string_or(command, "name");
  if (auto old = threads_.find(name); old != threads_.end() && old->second->thread.joinable())
    old->second->thread.join();
  threads_[name] = std::move(thread);
  return {};
}

Outcome WastScript::do_wait(const Json& command) {
  std::string name = string_or(command, "thread");
  auto found = threads_.find(name);
  if (found == threads_.end()) return failed("no thread " + name);
  if (found->second->thread.joinable()) found->second->thread.join();
  return found->second->finished_well ? Outcome{} : failed("the thread ended: " + found->second->problem);
}

}  // namespace rotor::cli
