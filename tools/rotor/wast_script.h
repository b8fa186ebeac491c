// Runs the commands of one script: the JSON that `wasm-tools json-from-wast` writes, and the modules beside it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "rotor/rotor.h"
#include "tools/rotor/wast_values.h"

namespace rotor::cli {

/// What became of a command.
struct Outcome {
  enum class Kind : uint8_t {
    passed,
    failed,
    unsupported,  ///< needs a feature that the engine lacks, or follows from a module that does
    text,         ///< needs a parser of the text format
  };
  Kind kind = Kind::passed;
  std::string detail;  ///< failed: what; unsupported: the feature
};

/// Told of each command: before it runs (with no outcome), and after. Never called by two threads at once.
using OnCommand = std::function<void(uint64_t line, const Outcome* outcome)>;

/// Modules, instances and registered names of one script, or of one thread of it.
class WastScript {
 public:
  /// `folder`: where the modules of the script lie.
  WastScript(const Engine& engine, std::string folder, OnCommand on_command);
  ~WastScript();

  /// Errors: internal (the spectest module can't be made).
  Result<void> prepare();
  /// Throws BadScript.
  void run(const nlohmann::json& commands);

 private:
  /// An instance, or why there is none.
  struct Slot {
    std::shared_ptr<Instance> instance;  ///< of this thread; null: one of another's, or none
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
    bool finished_well = false;
  };

  void run_command(const nlohmann::json& command);
  Outcome dispatch(const std::string& type, const nlohmann::json& command);
  Outcome do_module(const nlohmann::json& command);
  Outcome do_definition(const nlohmann::json& command);
  Outcome do_instance(const nlohmann::json& command);
  Outcome do_register(const nlohmann::json& command);
  Outcome do_assert_return(const nlohmann::json& command);
  Outcome do_assert_trap(const nlohmann::json& command, bool exhaustion);
  Outcome do_assert_rejected(const nlohmann::json& command, ErrorKind wanted);
  Outcome do_assert_link(const nlohmann::json& command, ErrorKind wanted);
  Outcome do_thread(const nlohmann::json& command);
  Outcome do_wait(const nlohmann::json& command);

  Definition define(const nlohmann::json& command);
  Slot instantiate(const Definition& definition);
  /// The feature that a module registered under an imported name lacked.
  std::string missing_import_feature(const Module& module) const;
  void keep(const nlohmann::json& command, const char* key, std::shared_ptr<Slot> slot);
  std::shared_ptr<Slot> find(const nlohmann::json& command, const char* key) const;
  /// Runs an invoke or get. An Outcome: it could not be run.
  std::variant<Outcome, Result<std::vector<Value>>> act(const nlohmann::json& command);
  std::optional<std::vector<uint8_t>> binary(const nlohmann::json& command) const;
  void join_all();

  const Engine& engine_;
  const std::string folder_;
  OnCommand on_command_;
  Linker linker_;
  std::shared_ptr<std::mutex> report_mutex_;
  std::map<std::string, std::shared_ptr<Slot>> instances_;
  std::shared_ptr<Slot> current_;
  std::map<std::string, std::shared_ptr<Slot>> registered_;
  std::map<std::string, Definition> definitions_;
  Definition last_definition_;
  std::map<std::string, std::unique_ptr<Thread>> threads_;
  std::vector<std::shared_ptr<Slot>> alive_;  ///< every instance lives as long as the script
};

}  // namespace rotor::cli
