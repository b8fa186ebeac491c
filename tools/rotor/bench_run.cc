// rotor bench run: what a run of a module costs from end to end, and each of its parts.
#include <fmt/format.h>

#include <chrono>

#include <nlohmann/json.hpp>

#include "tools/rotor/cli.h"
#include "tools/rotor/guest_run.h"
#include "tools/rotor/latency.h"
#include "tools/rotor/module_file.h"

namespace rotor::cli {
namespace {

struct BenchRunOptions {
  GuestOptions guest;
  uint32_t runs = 10;
  bool json = false;
  EngineOptions engine;
};

/// The parts of a run, in order.
enum Part : uint8_t { compile, instantiate, call, drop, all, kParts };
constexpr const char* kPartNames[] = {"compile", "instantiate", "call", "drop", "all"};
static_assert(std::size(kPartNames) == kParts);

/// Times by part, in ms, and what else was measured.
struct RunTimes {
  std::vector<double> parts_ms[kParts];
  std::vector<double> code_file_ms;  ///< of loading linked code in place of compiling
  uint64_t code_file_bytes = 0;
  uint64_t fuel = 0;  ///< that the call used up
};

/// Runs the module once: with an engine of its own, so that nothing is there from the run before.
void run_once(const BenchRunOptions& options, const ModuleFile& file, RunTimes& times) {
  const Stopwatch whole;
  Stopwatch watch;
  auto end_part = [&](Part part) {
    times.parts_ms[part].push_back(watch.wall_ms());
    watch = Stopwatch();
  };
  Engine engine = value_or_die("engine", Engine::create(options.engine.config()));
  Module module = value_or_die(file, Module::compile(engine, file.module.bytes));
  end_part(compile);
  {
    const GuestRun guest(options.guest, engine, module, WasiOutputs::none);
    Result<Instance> instance = guest.instantiate();
    end_part(instantiate);
    if (!instance) die(options.guest.file, instance.error());
    const uint64_t before = options.engine.fuel ? value_or_die(options.guest.file, instance->fuel()) : 0;
    const Result<std::vector<Value>> results = guest.call(*instance);
    end_part(call);
    if (options.engine.fuel) times.fuel = before - value_or_die(options.guest.file, instance->fuel());
    // A command ends itself with a code as a rule: 0 says that all went well.
    if (!results && guest.exit_code(results.error()) != 0) die(options.guest.file, results.error());
    instance = Instance();
  }
  end_part(drop);
  times.parts_ms[all].push_back(whole.wall_ms());
}

/// Measures loading linked code, as `rotor compile` writes it, in place of compiling.
void measure_code_file(const BenchRunOptions& options, const ModuleFile& file, RunTimes& times) {
  Config config = options.engine.config();
  config.mode = CompileMode::aot;
  const Engine maker = value_or_die("engine", Engine::create(config));
  const Module module = value_or_die(file, Module::compile(maker, file.module.bytes));
  const std::vector<uint8_t> code = value_or_die(file, module.serialize());
  times.code_file_bytes = code.size();
  for (uint32_t run = 0; run < options.runs; ++run) {
    const Engine engine = value_or_die("engine", Engine::create(config));
    const Stopwatch watch;
    const Module loaded = value_or_die(file, Module::deserialize(engine, code));
    times.code_file_ms.push_back(watch.wall_ms());
  }
}

nlohmann::ordered_json json_of(const std::vector<double>& ms) {
  const Percentiles p = percentiles_of(ms);
  return {{"min", rounded(p.min)}, {"p50", rounded(p.p50)}, {"p90", rounded(p.p90)}, {"max", rounded(p.max)}};
}

void print_times(const RunTimes& times) {
  print("{:<24} {:>9} {:>9} {:>9} {:>9}\n", "ms", "least", "p50", "p90", "most");
  auto line = [](const char* what, const std::vector<double>& ms) {
    const Percentiles p = percentiles_of(ms);
    print("{:<24} {:>9.3f} {:>9.3f} {:>9.3f} {:>9.3f}\n", what, p.min, p.p50, p.p90, p.max);
  };
  for (size_t part = 0; part < kParts; ++part) line(kPartNames[part], times.parts_ms[part]);
  line("load code instead", times.code_file_ms);
}

void bench_run(const BenchRunOptions& options) {
  const ModuleFile file = read_module_file_or_die(options.guest.file);
  RunTimes times;
  Progress progress("run");
  for (uint32_t run = 0; run < options.runs; ++run) {
    progress.update(run, options.runs);
    run_once(options, file, times);
  }
  measure_code_file(options, file, times);
  progress.clear();
  if (!options.json) {
    print("{} runs of {}, each compiled anew ({})\n", options.runs, options.guest.file, options.engine.mode);
    print_times(times);
    if (options.engine.fuel) print("the call takes {} units of fuel\n", times.fuel);
    return;
  }
  nlohmann::ordered_json json;
  json["runs"] = options.runs;
  for (size_t part = 0; part < kParts; ++part)
    json[fmt::format("{}_ms", kPartNames[part])] = json_of(times.parts_ms[part]);
  json["load_code_ms"] = json_of(times.code_file_ms);
  json["code_file_bytes"] = times.code_file_bytes;
  if (options.engine.fuel) json["fuel"] = times.fuel;
  print("{}\n", json_text(json));
}

}  // namespace

void add_bench_run(CLI::App& bench) {
  auto options = std::make_shared<BenchRunOptions>();
  CLI::App* command = bench.add_subcommand(
      "run", "Measure a run from end to end, as `rotor run` does it; `bench FILE` is short for it");
  options->guest.add_to(*command);
  command->add_option("--runs", options->runs, "how often the module is compiled and run; what it writes is dropped")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->add_flag("--json", options->json, "print the JSON line alone");
  options->engine.add_to(*command, 1, "lazy");
  options->engine.add_fuel_to(*command);
  command->callback([options] {
    options->guest.unmark_all();
    bench_run(*options);
  });
}

}  // namespace rotor::cli
