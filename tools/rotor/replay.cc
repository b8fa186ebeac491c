// rotor replay: runs the calls of a trace on a fresh guest and compares every result.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "hosts/wasm_bindgen/host.h"
#include "hosts/wasm_bindgen/host_executor.h"
#include "hosts/wasm_bindgen/trace.h"
#include "hosts/wasm_bindgen/trace_replayer.h"
#include "tools/rotor/cli.h"
#include "tools/rotor/module_file.h"

namespace rotor::cli {
namespace {

using namespace rotor::wasm_bindgen;

struct ReplayOptions {
  std::string module;
  std::vector<std::string> traces;
  uint32_t workers = 0;
  std::string memory_limit;
  bool json = false;
  EngineOptions engine;
};

struct Measured {
  ReplayReport report;
  double wall_ms = 0;  ///< for the calls
  double cpu_ms = 0;   ///< of the process, instance and pool included
  uint64_t memory_bytes = 0;
  size_t abandoned_workers = 0;
  std::optional<Error> error;
};

Result<void> replay_on(BindgenHost& host, const ReplayOptions& options, const std::vector<Trace>& traces,
                       Measured& out) {
  if (options.workers) {
    if (auto started = host.start_pool(options.workers); !started) {
      Error error = std::move(started).error();
      error.message = fmt::format("{}: starting the pool: {}", options.module, error.message);
      return std::unexpected(std::move(error));
    }
  }
  HostExecutor executor(host);
  TraceReplayer replayer(executor);
  Progress progress("call");
  replayer.on_progress = [&](uint64_t done, uint64_t all) { progress.update(done, all); };
  Stopwatch watch;
  Result<void> done;
  for (const Trace& trace : traces)
    if (done) done = replayer.run(trace, out.report);
  out.wall_ms = watch.wall_ms();
  return done;
}

Measured replay(const ReplayOptions& options, const Engine& engine, const Module& module,
                const std::vector<Trace>& traces) {
  Measured out;
  BindgenOptions host_options;
  host_options.on_guest_error = print_guest_error;
  host_options.on_worker_error = [](const Error& error) {
    print_error("rotor: a worker ended: {}\n", error.to_string());
    std::fflush(stderr);
    std::_Exit(static_cast<int>(Exit::failed));  // the main instance may wait for the worker's work for ever
  };
  if (!options.memory_limit.empty())
    host_options.max_pages =
        static_cast<uint32_t>(std::min<uint64_t>(parse_size(options.memory_limit) / Memory::kPageBytes, 65536));
  Stopwatch watch;
  auto host = value_or_die(options.module, BindgenHost::create(engine, module, std::move(host_options)));
  if (auto done = replay_on(*host, options, traces, out); !done) out.error = std::move(done).error();
  out.cpu_ms = watch.cpu_ms();
  out.memory_bytes = host->memory_bytes();
  if (auto stopped = host->stop(); !stopped && !out.error) out.error = std::move(stopped).error();
  out.abandoned_workers = host->abandoned_workers();
  return out;
}

void print_report(const ReplayOptions& options, const LoadedModule& loaded, const Measured& m) {
  for (const Mismatch& mismatch : m.report.mismatches)
    print_error("{}:{}: {}: expected {}, got {}\n", mismatch.file, mismatch.line, printable_name(mismatch.name),
                mismatch.expected, mismatch.actual);
  const CompileStats& stats = loaded.module.compile_stats();
  double compile_ms = loaded.from_code_file ? 0 : stats.wall_ms;
  double compile_cpu_ms = loaded.from_code_file ? 0 : stats.cpu_ms;
  if (!options.json)
    print("{} calls; {} of {} checked results equal; {}, {:.1f} ms wall, {:.1f} ms CPU; {} bytes of memory\n",
          m.report.calls, m.report.equal, m.report.checked,
          loaded.from_code_file ? fmt::format("code loaded in {:.1f} ms", loaded.load_ms)
                                : fmt::format("compiled in {:.0f} ms", compile_ms),
          m.wall_ms, m.cpu_ms, m.memory_bytes);
  auto rounded = [](double ms) { return static_cast<double>(static_cast<int64_t>(ms * 10 + 0.5)) / 10; };
  nlohmann::ordered_json json;
  json["calls"] = m.report.calls;
  json["checked"] = m.report.checked;
  json["equal"] = m.report.equal;
  json["workers"] = options.workers;
  json["compile_ms"] = rounded(compile_ms);
  json["compile_cpu_ms"] = rounded(compile_cpu_ms);
  json["load_ms"] = rounded(loaded.load_ms);
  json["wall_ms"] = rounded(m.wall_ms);
  json["cpu_ms"] = rounded(m.cpu_ms);
  json["memory_bytes"] = m.memory_bytes;
  if (options.engine.mode != "aot") {
    // Compiling on demand and in the background is part of cpu_ms.
    TierStats tiers = loaded.module.tier_stats();
    json["functions"] = tiers.functions;
    json["tier0_functions"] = tiers.tier0_functions;
    json["tier1_functions"] = tiers.tier1_functions;
    json["tier0_cpu_ms"] = rounded(tiers.tier0_cpu_ms);
    json["tier1_cpu_ms"] = rounded(tiers.tier1_cpu_ms);
    json["code_bytes"] = tiers.code_bytes;
  }
  print("{}\n", json_text(json));
}

void run(const ReplayOptions& options) {
  std::vector<Trace> traces;
  for (const std::string& path : options.traces)
    traces.push_back(value_or_die(path, load_trace(input_path(path), traces.empty() ? nullptr : &traces.back())));
  Engine engine = engine_or_die(options.engine);
  LoadedModule loaded = load_module_or_die(engine, options.module);
  Measured measured = replay(options, engine, loaded.module, traces);
  if (measured.error) print_error("rotor: {}\n", measured.error->to_string());
  update_cache(loaded.module);
  print_report(options, loaded, measured);
  flush_out();
  std::fflush(stderr);
  bool good = !measured.error && measured.report.all_equal();
  // Abandoned workers still sleep in the guest: no static object may be destroyed under them.
  if (measured.abandoned_workers) std::_Exit(static_cast<int>(exit_code(good ? Exit::ok : Exit::failed)));
  finish(good ? Exit::ok : Exit::failed);
}

}  // namespace

void add_replay(CLI::App& app) {
  auto options = std::make_shared<ReplayOptions>();
  CLI::App* command =
      app.add_subcommand("replay", "Run the calls of a trace on a fresh guest and compare every result");
  command->add_option("--module", options->module, "a .wasm or a code file")->required();
  command->add_option("--trace", options->traces, "a .jsonl or .jsonl.gz file; several are run one after another")
      ->required();
  command->add_option("--workers", options->workers, "threads of the guest's rayon pool; 0: no pool")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->add_option("--memory-limit", options->memory_limit, "most memory the guest may have, such as 8MiB")
      ->check(check_size);
  command->add_flag("--json", options->json, "print the JSON line alone");
  options->engine.add_to(*command);
  options->engine.add_cache_to(*command, false);
  options->engine.add_perf_map_to(*command);
  command->callback([options] { run(*options); });
}

}  // namespace rotor::cli
