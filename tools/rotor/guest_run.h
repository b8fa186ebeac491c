// A run of a module from instantiation on, as the options of a command name it: with WASI if it imports that.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rotor/rotor.h"
#include "rotor/wasi.h"
#include "tools/rotor/wasi_options.h"

namespace rotor::cli {

/// What is run.
struct GuestOptions {
  std::string file;
  std::string invoke;             ///< the export to call; empty: _start
  std::vector<std::string> args;  ///< of a WASI command as they are; of an export named by `invoke`, by its type
  double deadline_s = 0;          ///< for the start function and the call together; 0: none
  std::optional<uint64_t> fuel;   ///< for the start function and the call together, in metered code; none: any
  WasiOptions wasi;

  /// Adds the file, the arguments, --invoke and the options of WASI.
  void add_to(CLI::App& command);
  /// Takes the parser's marks off. To be called first by the command.
  void unmark_all();
};

/// A run, ready to begin: the export is there, the arguments are of its type, all imports are defined.
class GuestRun {
 public:
  /// Prepares it, or ends the command. `outputs`: where a WASI guest writes to. `options` and `module` must outlive it.
  GuestRun(const GuestOptions& options, const Engine& engine, const Module& module, WasiOutputs outputs);

  /// Makes the instance; that of a WASI reactor is initialized. Errors: those of the guest, of limits and links.
  Result<Instance> instantiate() const;
  /// Calls the export. Errors: those of the guest.
  Result<std::vector<Value>> call(const Instance& instance) const;
  /// Returns the code that a guest ended itself with, if that is what the error says.
  std::optional<uint32_t> exit_code(const Error& error) const;

 private:
  const GuestOptions& options_;
  const Module& module_;
  const std::string name_;  ///< of the export
  Linker linker_;
  std::optional<wasi::Environment> environment_;  ///< there if the guest uses WASI
  std::vector<Value> args_;
};

}  // namespace rotor::cli
