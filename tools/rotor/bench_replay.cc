// rotor bench replay: measures the cost of replaying, restoring and swapping, for a module, its policy and a trace that
// builds state.
#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "hosts/wasm_bindgen/guest.h"
#include "hosts/wasm_bindgen/lease_executor.h"
#include "hosts/wasm_bindgen/trace.h"
#include "hosts/wasm_bindgen/trace_replayer.h"
#include "rotor/proxy.h"
#include "tools/rotor/cli.h"
#include "tools/rotor/latency.h"
#include "tools/rotor/module_file.h"
#include "tools/rotor/timeline.h"

namespace rotor::cli {
namespace {

using namespace rotor::wasm_bindgen;

constexpr size_t kPage = 4096;
constexpr uint64_t kDefaultLimit = UINT64_C(4) << 30;

struct BenchOptions {
  std::string module;
  std::string policy;
  std::string setup;
  std::string load;
  std::string memory_limit;
  uint32_t runs = 5;
  bool json = false;
  EngineOptions engine;
};

struct Inputs {
  Policy policy;
  Trace setup;
  std::optional<Trace> load;
  Engine engine;
  Module module;
};

/// A proxy whose state is built.
class Built {
 public:
  /// Makes a proxy and, if `with_state`, builds the state; else nothing is called.
  static std::unique_ptr<Built> make(const BenchOptions& options, const Inputs& in, ImageMode image, bool with_state) {
    Policy policy = in.policy;
    policy.enabled = true;
    policy.image = image;
    policy.verify_every = 0;
    // Lets rotation happen only when it is asked for, not when the load has filled the memory.
    policy.warm_at = policy.swap_at = policy.force_at = 1;
    const uint64_t limit = policy.memory_limit_bytes ? policy.memory_limit_bytes : kDefaultLimit;
    BindgenOptions guest;
    guest.max_pages = static_cast<uint32_t>(std::min<uint64_t>(limit / Memory::kPageBytes, 65536));
    auto out = std::unique_ptr<Built>(new Built(
        in.module, value_or_die(options.policy, Proxy::create(in.module, bindgen_guests(in.engine, in.module, guest),
                                                              std::move(policy)))));
    if (!out->proxy.counters().rotating) die(Exit::usage, "rotation is off: " + out->proxy.counters().off_reason);
    if (with_state) check_or_die(options.setup, out->run(in.setup));
    return out;
  }

  Result<void> run(const Trace& trace) {
    ROTOR_TRY(Lease lease, proxy.acquire());
    executor_.begin(lease, nullptr);
    ReplayReport report;
    ROTOR_CHECK(replayer_.run(trace, report));
    if (report.all_equal()) return {};
    return fail(ErrorKind::host, fmt::format("{} of {} checked results equal", report.equal, report.checked));
  }

  /// Runs Proxy::prepare and returns the ms that it took.
  double prepare(const BenchOptions& options) {
    Stopwatch watch;
    check_or_die(options.policy, proxy.prepare());
    return watch.wall_ms();
  }

  /// Runs Proxy::rotate and the lease that swaps.
  void rotate(const BenchOptions& options) {
    check_or_die(options.policy, proxy.rotate());
    Lease lease = value_or_die(options.policy, proxy.acquire());
  }

  Proxy proxy;

 private:
  Built(const Module& module, Proxy made) : proxy(std::move(made)), executor_(module, true), replayer_(executor_) {}
  LeaseExecutor executor_;
  TraceReplayer replayer_;
};

struct Samples {
  std::vector<double> fresh_ms;     ///< a standby without state
  std::vector<double> replay_ms;    ///< a standby by replay
  std::vector<double> image_ms;     ///< a standby from the image
  std::vector<double> imaging_ms;   ///< the first standby, by replay, and its image
  std::vector<double> read_ms;      ///< first touch of each page, reading
  std::vector<double> write_ms;     ///< first touch of each page, writing
  std::vector<double> call_ns;      ///< a replayed call
  std::vector<double> recorded_ns;  ///< a call of the setup, as it was recorded
  uint64_t calls_replayed = 0;
  uint64_t guest_bytes = 0;
  uint64_t image_bytes = 0;
  uint64_t resident_active = 0;   ///< of the process: with the active alone
  uint64_t resident_standby = 0;  ///< with a standby from the image, untouched
  uint64_t peak_together = 0;
  LatencyBySwap latency;
};

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::nth_element(values, values.begin() + static_cast<ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

/// Touches each page of the active instance for the first time.
void touch_pages(const BenchOptions& options, Built& built, Samples& out) {
  Lease lease = value_or_die(options.policy, built.proxy.acquire());
  const Memory memory = value_or_die(options.module, lease.memory());
  volatile uint8_t* bytes = memory.data();
  const uint64_t size = memory.size_bytes();
  Stopwatch reading;
  for (uint64_t at = 0; at < size; at += kPage) (void)bytes[at];
  out.read_ms.push_back(reading.wall_ms());
  Stopwatch writing;
  for (uint64_t at = 0; at < size; at += kPage) bytes[at] = bytes[at];
  out.write_ms.push_back(writing.wall_ms());
}

void measure_replay(const BenchOptions& options, const Inputs& in, Samples& out) {
  out.fresh_ms.push_back(Built::make(options, in, ImageMode::off, false)->prepare(options));
  Stopwatch watch;
  auto built = Built::make(options, in, ImageMode::off, true);
  const ProxyCounters before = built->proxy.counters();
  if (before.log_calls)
    out.recorded_ns.push_back(static_cast<double>(before.log_replay_ns) / static_cast<double>(before.log_calls));
  const double ms = built->prepare(options);
  out.replay_ms.push_back(ms);
  out.calls_replayed = built->proxy.counters().calls_replayed - before.calls_replayed;
  if (out.calls_replayed)
    out.call_ns.push_back((ms - out.fresh_ms.back()) * 1e6 / static_cast<double>(out.calls_replayed));
}

void measure_image(const BenchOptions& options, const Inputs& in, Samples& out) {
  auto built = Built::make(options, in, ImageMode::lazy, true);
  out.resident_active = resident_bytes();
  out.imaging_ms.push_back(built->prepare(options));
  built->rotate(options);
  out.image_ms.push_back(built->prepare(options));
  const ProxyCounters counters = built->proxy.counters();
  out.resident_standby = resident_bytes();
  out.image_bytes = counters.image_bytes;
  built->rotate(options);
  if (built->proxy.counters().rotations_image == 0)
    print_error("rotor: the standby did not come from an image: {}\n", built->proxy.counters().last_problem);
  out.guest_bytes = built->proxy.counters().memory_bytes;
  touch_pages(options, *built, out);
  out.peak_together = std::max(out.peak_together, built->proxy.counters().peak_together_bytes);
}

/// Measures calls of the load, with a swap to a prepared standby in the middle of each run.
void measure_swaps(const BenchOptions& options, const Inputs& in, Samples& out) {
  auto built = Built::make(options, in, ImageMode::lazy, true);
  std::vector<Repetition> repetitions;
  auto repeat = [&](size_t times) {
    for (size_t i = 0; i < times; i++) {
      const uint64_t rotations = built->proxy.counters().rotations;
      Stopwatch watch;
      check_or_die(options.load, built->run(*in.load));
      const double ms = watch.wall_ms();
      repetitions.push_back({ms, built->proxy.counters().rotations != rotations});
    }
  };
  repeat(kAroundSwap);
  for (uint32_t run = 0; run < options.runs; run++) {
    built->prepare(options);
    check_or_die(options.policy, built->proxy.rotate());
    repeat(1 + kAroundSwap);
  }
  out.latency = latency_by_swap(repetitions);
}

nlohmann::ordered_json latency_json(const Percentiles& p) {
  return {{"count", p.count},
          {"p50_ms", rounded(p.p50)},
          {"p90_ms", rounded(p.p90)},
          {"p99_ms", rounded(p.p99)},
          {"max_ms", rounded(p.max)}};
}

nlohmann::ordered_json to_json(const BenchOptions& options, const Samples& s) {
  const double guest_mib = static_cast<double>(s.guest_bytes) / (1 << 20);
  auto per_mib = [&](double ms) { return guest_mib > 0 ? rounded(ms * 1000 / guest_mib) : 0; };
  nlohmann::ordered_json json;
  json["runs"] = options.runs;
  json["calls_replayed"] = s.calls_replayed;
  json["replayed_call_ns"] = rounded(median(s.call_ns));
  json["recorded_call_ns"] = rounded(median(s.recorded_ns));
  json["fresh_standby_ms"] = rounded(median(s.fresh_ms));
  json["standby_by_replay_ms"] = rounded(median(s.replay_ms));
  json["standby_and_image_ms"] = rounded(median(s.imaging_ms));
  json["standby_by_image_ms"] = rounded(median(s.image_ms));
  json["restore_us_per_mib"] = per_mib(median(s.image_ms));
  json["restore_and_read_us_per_mib"] = per_mib(median(s.image_ms) + median(s.read_ms));
  json["restore_and_write_us_per_mib"] = per_mib(median(s.image_ms) + median(s.read_ms) + median(s.write_ms));
  json["guest_bytes"] = s.guest_bytes;
  json["image_bytes"] = s.image_bytes;
  json["resident_active_bytes"] = s.resident_active;
  json["resident_with_standby_bytes"] = s.resident_standby;
  json["peak_together_bytes"] = s.peak_together;
  if (s.latency.all.count) {
    json["latency"]["before_swap"] = latency_json(s.latency.before);
    json["latency"]["during_swap"] = latency_json(s.latency.during);
    json["latency"]["after_swap"] = latency_json(s.latency.after);
  }
  return json;
}

void print_medians(const nlohmann::ordered_json& s) {
  auto number = [&](const char* key) { return s[key].get<double>(); };
  auto mib = [&](const char* key) { return s[key].get<double>() / (1 << 20); };
  print("medians of {} runs\n", s["runs"].get<uint32_t>());
  print("replay:   {} calls, {:.0f} ns each; {:.0f} ns when they were recorded\n", s["calls_replayed"].get<uint64_t>(),
        number("replayed_call_ns"), number("recorded_call_ns"));
  print(
      "standby:  {:.2f} ms by replay ({:.2f} ms of it a fresh guest), {:.2f} ms with its image, {:.2f} ms from the "
      "image\n",
      number("standby_by_replay_ms"), number("fresh_standby_ms"), number("standby_and_image_ms"),
      number("standby_by_image_ms"));
  print("restore:  {:.1f} µs a MiB of guest memory; {:.1f} with each page read, {:.1f} with each page written\n",
        number("restore_us_per_mib"), number("restore_and_read_us_per_mib"), number("restore_and_write_us_per_mib"));
  print("memory:   guest {:.2f} MiB, image {:.2f} MiB; process {:.1f} MiB, {:.1f} with a standby from the image\n",
        mib("guest_bytes"), mib("image_bytes"), mib("resident_active_bytes"), mib("resident_with_standby_bytes"));
  if (!s.contains("latency")) return;
  for (const char* when : {"before_swap", "during_swap", "after_swap"}) {
    const auto& p = s["latency"][when];
    std::string name = when;
    name[name.find('_')] = ' ';
    print("latency:  {:<12} p50 {:.3f} ms, p90 {:.3f}, p99 {:.3f}, most {:.3f} ({} calls)\n", name,
          p["p50_ms"].get<double>(), p["p90_ms"].get<double>(), p["p99_ms"].get<double>(), p["max_ms"].get<double>(),
          p["count"].get<size_t>());
  }
}

void run(const BenchOptions& options) {
  Policy policy = value_or_die(options.policy, Policy::load_toml(input_path(options.policy)));
  if (!options.memory_limit.empty()) policy.memory_limit_bytes = parse_size(options.memory_limit);
  Trace setup = value_or_die(options.setup, load_trace(input_path(options.setup)));
  std::optional<Trace> load;
  if (!options.load.empty()) load = value_or_die(options.load, load_trace(input_path(options.load), &setup));
  Engine engine = engine_or_die(options.engine);
  Module module = load_module_or_die(engine, options.module).module;
  const Inputs inputs{std::move(policy), std::move(setup), std::move(load), std::move(engine), std::move(module)};

  Samples samples;
  Progress progress("run");
  for (uint32_t i = 0; i < options.runs; i++) {
    progress.update(i, options.runs);
    measure_replay(options, inputs, samples);
    measure_image(options, inputs, samples);
  }
  if (inputs.load) measure_swaps(options, inputs, samples);
  progress.clear();
  const nlohmann::ordered_json json = to_json(options, samples);
  if (!options.json) print_medians(json);
  print("{}\n", json_text(json));
  flush_out();
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* group = app.add_subcommand("bench", "Measure what runs, instances, calls and rotation cost");
  group->require_subcommand(1);
  add_bench_run(*group);
  add_bench_instances(*group);
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = group->add_subcommand("replay", "Measure replaying, restoring from the image and swapping");
  command->add_option("--module", options->module, "a .wasm or a code file")->required();
  command->add_option("--policy", options->policy, "a .toml file; its thresholds are not used")->required();
  command->add_option("--setup", options->setup, "a trace that builds the state")->required();
  command->add_option("--load", options->load, "a trace that follows it: its latency across swaps is measured, too");
  command
      ->add_option("--memory-limit", options->memory_limit,
                   "most memory the guest may have, such as 8MiB; else the policy's")
      ->check(check_size);
  command->add_option("--runs", options->runs, "of which the medians are printed")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command->add_flag("--json", options->json, "print the JSON line alone");
  options->engine.add_to(*command);
  command->callback([options] { run(*options); });
}

}  // namespace rotor::cli
