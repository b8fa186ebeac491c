// rotor rotate: builds state through a proxy, then repeats a load that leaks, and shows that no call is lost.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include <nlohmann/json.hpp>

#include "examples/wasm_bindgen_host/guest.h"
#include "examples/wasm_bindgen_host/lease_executor.h"
#include "examples/wasm_bindgen_host/trace.h"
#include "examples/wasm_bindgen_host/trace_replayer.h"
#include "rotor/proxy.h"
#include "tools/rotor/cli.h"

namespace rotor::cli {
namespace {

using namespace rotor::wasm_bindgen;

constexpr uint64_t kMaxFailures = 3;  // that are printed, and after which a run without rotation ends

struct RotateOptions {
  std::string module;
  std::string policy;
  std::string setup;
  std::string load;
  uint64_t calls = 1000;
  std::string memory_limit;
  std::string rotation = "on";
  bool json = false;
  EngineOptions engine;
};

/// One repetition of the load is one call here.
struct Measured {
  ReplayReport report;          ///< of the load
  uint64_t calls = 0;           ///< begun
  uint64_t ok = 0;              ///< returned, with every result right
  uint64_t wrong = 0;           ///< returned, with another result
  std::vector<Error> failures;  ///< of calls that did not return; the first kMaxFailures
  double setup_ms = 0;
  double load_ms = 0;
  std::vector<double> call_ms;
  std::vector<uint64_t> resident_bytes;  ///< after each call
  std::vector<RotationEvent> rotations;
  uint64_t lost() const { return calls - ok - wrong; }
};

uint64_t resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  return 0;
}

double mib(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }
double ms(uint64_t ns) { return static_cast<double>(ns) / 1e6; }
double rounded(double value) { return static_cast<double>(static_cast<int64_t>(value * 1000 + 0.5)) / 1000; }

template <class T>
T median(std::vector<T> values) {
  if (values.empty()) return {};
  std::ranges::nth_element(values, values.begin() + static_cast<ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}
template <class T>
T maximum(const std::vector<T>& values) {
  return values.empty() ? T{} : *std::ranges::max_element(values);
}

void print_rotation(const RotateOptions& options, const RotationEvent& e, uint64_t call) {
  if (options.json) {
    nlohmann::ordered_json json;
    json["rotation"] = e.rotation;
    json["cause"] = e.cause == RotationCause::trap ? "trap" : "memory";
    json["call"] = call;
    json["bytes_before"] = e.bytes_before;
    json["bytes_after"] = e.bytes_after;
    json["warmup_ms"] = rounded(ms(e.warmup_ns));
    json["wait_ms"] = rounded(ms(e.wait_ns));
    json["swap_pause_ns"] = e.swap_pause_ns;
    fmt::print("{}\n", json.dump());
  } else {
    fmt::print(
        "rotation {}{} at call {}: {:.2f} -> {:.2f} MiB, warm-up {:.1f} ms, swap pause {} ns, waited {:.1f} ms\n",
        e.rotation, e.cause == RotationCause::trap ? " (trap)" : "", call, mib(e.bytes_before), mib(e.bytes_after),
        ms(e.warmup_ns), e.swap_pause_ns, ms(e.wait_ns));
  }
  std::fflush(stdout);
}

/// The calls of the load, each one lease. Without rotation the first failure ends it: what follows means nothing.
void repeat_load(const RotateOptions& options, const Trace& load, Proxy& proxy, LeaseExecutor& executor,
                 TraceReplayer& replayer, Measured& out) {
  const bool rotating = proxy.counters().rotating;
  Progress progress("call");
  Stopwatch all;
  for (uint64_t i = 0; i < options.calls; i++) {
    progress.update(i, options.calls);
    Stopwatch watch;
    out.calls++;
    const uint64_t equal_before = out.report.equal, checked_before = out.report.checked;
    Result<void> done;
    {
      Result<Lease> lease = proxy.acquire();
      if (!lease) {
        done = std::unexpected(std::move(lease).error());
      } else {
        // Proofs differ from one repetition to the next.
        executor.begin(*lease, load.varying == 0);
        done = replayer.run(load, out.report);
      }
    }
    out.call_ms.push_back(watch.wall_ms());
    out.resident_bytes.push_back(resident_bytes());
    if (done) {
      const bool right =
          out.report.equal - equal_before == out.report.checked - checked_before && !executor.differing();
      (right ? out.ok : out.wrong)++;
      continue;
    }
    progress.clear();
    std::fflush(stdout);
    if (out.failures.size() < kMaxFailures)
      fmt::print(stderr, "rotor: call {} failed: {}\n", i, done.error().to_string());
    out.failures.push_back(std::move(done).error());
    if (!rotating) break;
  }
  out.load_ms = all.wall_ms();
}

nlohmann::ordered_json summary(const RotateOptions& options, const ProxyCounters& counters, const Measured& m) {
  nlohmann::ordered_json json;
  json["calls"] = m.calls;
  json["ok"] = m.ok;
  json["wrong"] = m.wrong;
  json["lost"] = m.lost();
  json["checked"] = m.report.checked;
  json["equal"] = m.report.equal;
  json["rotation"] = counters.rotating ? "on" : "off";
  if (!counters.rotating) json["off_reason"] = options.rotation == "off" ? "--rotation off" : counters.off_reason;
  json["swaps"] = counters.rotations;
  json["warmups_failed"] = counters.warmups_failed;
  json["retired"] = counters.retired;
  json["export_calls"] = counters.calls;
  json["calls_replayed"] = counters.calls_replayed;
  json["log_calls"] = counters.log_calls;
  json["log_bytes"] = counters.log_bytes;
  json["memory_bytes"] = counters.memory_bytes;
  json["resident_first_bytes"] = m.resident_bytes.empty() ? 0 : m.resident_bytes.front();
  json["resident_median_bytes"] = median(m.resident_bytes);
  json["resident_last_bytes"] = m.resident_bytes.empty() ? 0 : m.resident_bytes.back();
  json["resident_max_bytes"] = maximum(m.resident_bytes);
  json["swap_pause_max_ns"] = counters.swap_pause_ns_max;
  json["wait_max_ms"] = rounded(ms(counters.wait_ns_max));
  json["warmup_last_ms"] = rounded(ms(counters.warmup_ns_last));
  json["setup_ms"] = rounded(m.setup_ms);
  json["load_ms"] = rounded(m.load_ms);
  json["call_median_ms"] = rounded(median(m.call_ms));
  json["call_max_ms"] = rounded(maximum(m.call_ms));
  if (!m.failures.empty())
    json["failure"] = m.failures.front().message.substr(0, m.failures.front().message.find('\n'));
  return json;
}

void print_summary(const nlohmann::ordered_json& s) {
  auto bytes = [&](const char* key) { return mib(s[key].get<uint64_t>()); };
  fmt::print("calls {}, ok {}, wrong {}, lost {}; {} of {} checked results equal\n", s["calls"].get<uint64_t>(),
             s["ok"].get<uint64_t>(), s["wrong"].get<uint64_t>(), s["lost"].get<uint64_t>(), s["equal"].get<uint64_t>(),
             s["checked"].get<uint64_t>());
  fmt::print("swaps {}, longest swap pause {} ns, longest wait {:.1f} ms, failed warm-ups {}\n",
             s["swaps"].get<uint64_t>(), s["swap_pause_max_ns"].get<uint64_t>(), s["wait_max_ms"].get<double>(),
             s["warmups_failed"].get<uint64_t>());
  fmt::print("a call takes {:.2f} ms (median), at most {:.1f} ms; all took {:.1f} s\n",
             s["call_median_ms"].get<double>(), s["call_max_ms"].get<double>(), s["load_ms"].get<double>() / 1000);
  fmt::print("resident memory after the first call {:.1f} MiB, median {:.1f}, last {:.1f}, most {:.1f}\n",
             bytes("resident_first_bytes"), bytes("resident_median_bytes"), bytes("resident_last_bytes"),
             bytes("resident_max_bytes"));
}

GuestFactory guest_factory(const Engine& engine, const Module& module, uint64_t limit_bytes) {
  BindgenOptions options;
  options.on_guest_error = [](std::string_view text) { fmt::print(stderr, "[guest error] {}\n", text); };
  options.max_pages = static_cast<uint32_t>(std::min<uint64_t>(limit_bytes / Memory::kPageBytes, 65536));
  return bindgen_guests(engine, module, std::move(options));
}

void run(const RotateOptions& options) {
  Policy policy = value_or_die(options.policy, Policy::load_toml(options.policy));
  if (options.rotation == "off") policy.enabled = false;
  if (!options.memory_limit.empty()) policy.memory_limit_bytes = parse_size(options.memory_limit);
  const uint64_t limit_bytes = policy.memory_limit_bytes ? policy.memory_limit_bytes : UINT64_C(4) << 30;
  const Trace setup = value_or_die(options.setup, load_trace(options.setup));
  const Trace load = value_or_die(options.load, load_trace(options.load, &setup));
  Engine engine = engine_or_die(options.engine);
  const Module module = load_module_or_die(engine, options.module).module;

  Measured measured;
  bool in_load = false;
  ProxyOptions proxy_options;
  proxy_options.on_rotation = [&](const RotationEvent& event) {
    print_rotation(options, event, in_load ? measured.calls - 1 : 0);
  };
  Proxy proxy = value_or_die(options.policy, Proxy::create(module, guest_factory(engine, module, limit_bytes), policy,
                                                           std::move(proxy_options)));
  LeaseExecutor executor(module, proxy.counters().rotating);
  TraceReplayer replayer(executor);
  {
    Lease lease = value_or_die(options.module, proxy.acquire());
    executor.begin(lease, false);
    ReplayReport report;
    Stopwatch watch;
    check_or_die(options.setup, replayer.run(setup, report));
    measured.setup_ms = watch.wall_ms();
    if (!report.all_equal())
      die(Exit::failed, fmt::format("{}: {} of {} checked results equal", options.setup, report.equal, report.checked));
  }
  if (!options.json)
    fmt::print("state built by {} calls in {:.0f} ms; memory {:.2f} of {:.2f} MiB\n", setup.calls.size(),
               measured.setup_ms, mib(proxy.counters().memory_bytes), mib(limit_bytes));
  in_load = true;
  repeat_load(options, load, proxy, executor, replayer, measured);

  for (const Mismatch& mismatch : measured.report.mismatches)
    fmt::print(stderr, "{}:{}: {}: expected {}, got {}\n", options.load, mismatch.line, mismatch.name,
               mismatch.expected, mismatch.actual);
  nlohmann::ordered_json json = summary(options, proxy.counters(), measured);
  if (!options.json) print_summary(json);
  fmt::print("{}\n", json.dump());
  std::fflush(stdout);
  finish(measured.ok == options.calls ? Exit::ok : Exit::failed);
}

}  // namespace

void add_rotate(CLI::App& app) {
  auto options = std::make_shared<RotateOptions>();
  CLI::App* command =
      app.add_subcommand("rotate", "Repeat calls that leak, and rotate the guest before it runs out of memory");
  command->add_option("--module", options->module, "a .wasm or a code file")->required();
  command->add_option("--policy", options->policy, "a .toml file: when to rotate, and what the exports mean")
      ->required();
  command->add_option("--setup", options->setup, "a trace that builds the state, called once")->required();
  command->add_option("--load", options->load, "a trace that follows it, called again and again: one lease each")
      ->required();
  command->add_option("--calls", options->calls, "how often the load is called")->capture_default_str();
  command
      ->add_option("--memory-limit", options->memory_limit,
                   "most memory the guest may have, such as 8MiB; else the policy's")
      ->check([](const std::string& text) {
        parse_size(text);
        return std::string();
      });
  command->add_option("--rotation", options->rotation, "on or off")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  command->add_flag("--json", options->json, "print a line of JSON a rotation, and one for the summary");
  options->engine.add_to(*command);
  options->engine.add_perf_map_to(*command);
  command->callback([options] { run(*options); });
}

}  // namespace rotor::cli
