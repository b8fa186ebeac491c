// Runs the commands of one script of the spec suite.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "rotor/rotor.h"
#include "tools/rotor/wast_values.h"
#include "wasm/text/script.h"

namespace rotor::cli {

/// The outcome of a command.
struct Outcome {
  enum class Kind : uint8_t {
    passed,
    failed,
    unsupported,  ///< needs a proposal that the engine lacks, or follows from a module that does
    reworded,     ///< passed: rejected for the right reason, not in the suite's words
  };
  Kind kind = Kind::passed;
  /// Failed: what failed; unsupported: the proposal; reworded: the suite's words, and Rotor's; passed: the fuel that
  /// its calls took, of metered code.
  std::string detail;
};

/// Called for each command before it runs (with no outcome), and after. Never called by two threads at once.
using OnCommand = std::function<void(uint64_t line, const Outcome* outcome)>;

/// Modules, instances and registered names of one script, or of one thread of it.
class WastScript {
 public:
  WastScript(const Engine& engine, std::shared_ptr<const wasm::text::Script> script, OnCommand on_command);
  ~WastScript();

  /// Defines the spectest module. Errors: internal (it can't be made).
  Result<void> prepare();
  /// Runs all commands of the script.
  void run() { run(script_->commands()); }

 private:
  using Command = wasm::text::ScriptCommand;

  /// An instance, or why there is none.
  struct ScriptInstance {
    std::shared_ptr<Instance> instance;  ///< null: another thread's, or none
    std::vector<std::pair<std::string, Extern>> exports;
    std::string missing_feature;  ///< that the module needs
    std::string failure;          ///< why it could not be made
  };
  struct Definition {
    std::optional<Module> module;
    std::string missing_feature;
    std::string failure;
  };
  struct Thread {
    std::thread thread;
    std::string problem;
  };
  using Acted = std::variant<Outcome, Result<std::vector<Value>>>;

  void run(const std::vector<Command>& commands);
  Outcome dispatch(const Command& command);
  Outcome do_module(const Command& command);
  Outcome do_instance(const Command& command);
  Outcome do_register(const Command& command);
  Outcome do_action(const Command& command);
  Outcome do_assert_return(const Command& command);
  Outcome do_assert_trap(const Command& command);
  Outcome do_assert_exception(const Command& command);
  Outcome do_assert_rejected(const Command& command);
  Outcome do_assert_link(const Command& command);
  Outcome do_thread(const Command& command);
  Outcome do_wait(const Command& command);

  Definition define(const wasm::text::ScriptModule& module);
  ScriptInstance instantiate(const Definition& definition);
  /// Returns the proposal that is lacking for a module that was registered under a name which `module` imports.
  std::string missing_import_feature(const Module& module) const;
  void keep(const std::string& name, std::shared_ptr<ScriptInstance> entry);
  /// Returns the instance of that name; for an empty name, the last one.
  std::shared_ptr<ScriptInstance> find(const std::string& name) const;
  /// Runs an invoke or get. Returns an Outcome if it could not be run.
  Acted act(const wasm::text::ScriptAction& action);
  /// Calls a function, and notes the fuel that it takes if the instance pays for what it executes.
  Result<std::vector<Value>> call(const Instance& instance, const Func& func, std::span<const Value> args);
  void join_all();

  const Engine& engine_;
  std::shared_ptr<const wasm::text::Script> script_;
  OnCommand on_command_;
  Linker linker_;
  std::shared_ptr<std::mutex> report_mutex_;
  std::map<std::string, std::shared_ptr<ScriptInstance>> instances_;
  std::shared_ptr<ScriptInstance> current_;
  std::map<std::string, std::shared_ptr<ScriptInstance>> registered_;
  std::map<std::string, Definition> definitions_;
  Definition last_definition_;
  std::map<std::string, std::unique_ptr<Thread>> threads_;
  uint64_t fuel_used_ = 0;                              ///< by the calls of the command at hand
  std::vector<std::shared_ptr<ScriptInstance>> alive_;  ///< every instance lives as long as the script
};

}  // namespace rotor::cli
