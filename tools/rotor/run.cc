// rotor run: calls an export of a module, with WASI for those that import it.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "rotor/profile.h"
#include "tools/rotor/arguments.h"
#include "tools/rotor/cli.h"
#include "tools/rotor/guest_run.h"
#include "tools/rotor/module_file.h"
#include "tools/rotor/output.h"
#include "tools/rotor/profile_file.h"
#include "tools/rotor/value_text.h"

namespace rotor::cli {
namespace {

struct RunOptions {
  GuestOptions guest;
  std::string profile;  ///< where it is written to; empty: none is taken
  EngineOptions engine;
};

/// Ends the command because a guest's call ended with an error. A guest that ended itself gives its own exit code, of
/// which the system keeps 8 bits.
[[noreturn]] void die_of(const RunOptions& options, const GuestRun& guest, const Error& error) {
  constexpr uint32_t kMaxExitCode = 255;
  if (const auto code = guest.exit_code(error)) finish(static_cast<Exit>(std::min(*code, kMaxExitCode)));
  die(options.guest.file, error);
}

Result<std::vector<Value>> instantiate_and_call(const GuestRun& guest) {
  ROTOR_TRY(const Instance instance, guest.instantiate());
  return guest.call(instance);
}

/// Does the same, and writes a profile of it, whatever came out.
Result<std::vector<Value>> profile_run(const RunOptions& options, const GuestRun& guest) {
  Result<std::vector<Value>> results;
  const Profile taken = value_or_die(options.guest.file, profile({}, [&] { results = instantiate_and_call(guest); }));
  check_or_die(options.profile, write_output_file(options.profile, speedscope_json(taken, options.guest.file)));
  print_error("{}: {} samples{}\n", options.profile, taken.samples.size(),
              taken.dropped ? fmt::format("; for {} more there was no room", taken.dropped) : "");
  return results;
}

void run(const RunOptions& options) {
  if (!options.profile.empty()) check_or_die(options.profile, check_output_file(options.profile));
  Engine engine = engine_or_die(options.engine);
  Module module = load_module_or_die(engine, options.guest.file).module;
  const GuestRun guest(options.guest, engine, module, WasiOutputs::inherited);
  const Result<std::vector<Value>> results =
      options.profile.empty() ? instantiate_and_call(guest) : profile_run(options, guest);
  update_cache(module);
  if (!results) die_of(options, guest, results.error());
  for (const Value& value : *results) print("{}\n", value_text(value));
}

}  // namespace

void add_run(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Call an export of a module: _start, or the one named");
  options->guest.add_to(*command);
  command
      ->add_option("--deadline", options->guest.deadline_s,
                   "seconds that the start function and the call may take together, then they trap")
      ->check(CLI::Range(1e-9, kMaxSeconds));
  command->add_option("--fuel", options->guest.fuel,
                      "units that the start function and the call may use up together, an instruction each; then they "
                      "trap");
  options->engine.add_to(*command, 1, "lazy");
  options->engine.add_cache_to(*command, true);
  options->engine.add_perf_map_to(*command);
  command->add_flag("--profile{profile.speedscope.json}", options->profile,
                    "sample what runs, by CPU time, and write that for https://www.speedscope.app: --profile=FILE");
  command->callback([options] {
    options->guest.unmark_all();
    unmark(options->engine.cache_folder);
    options->engine.interruptible = options->guest.deadline_s > 0;
    options->engine.fuel = options->guest.fuel.has_value();
    run(*options);
  });
}

}  // namespace rotor::cli
