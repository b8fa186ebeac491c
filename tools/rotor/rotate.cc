// rotor rotate: builds state through a proxy, then repeats a load that leaks, and shows that no call is lost.
#include <fmt/format.h>

#include <algorithm>

#include "tools/rotor/module_file.h"
#include "tools/rotor/output.h"
#include "tools/rotor/rewinds.h"
#include "tools/rotor/rotate.h"
#include "tools/rotor/stop_request.h"

namespace rotor::cli {
namespace {

using namespace rotor::wasm_bindgen;

void print_rotation(const RotateOptions& options, const RotationEvent& e, uint64_t call) {
  if (options.json) {
    print("{}\n", json_text(rotation_json(e, call)));
  } else {
    print("rotation {}{} at call {}: {:.2f} -> {:.2f} MiB, warm-up {:.2f} ms{}, swap pause {} ns, waited {:.1f} ms\n",
          e.rotation, e.cause == RotationCause::memory ? std::string() : fmt::format(" ({})", cause_text(e.cause)),
          call, mib(e.bytes_before), mib(e.bytes_after), ms(e.warmup_ns),
          e.origin == StandbyOrigin::image ? " from the image" : "", e.swap_pause_ns, ms(e.wait_ns));
  }
  flush_out();
}

void print_latency(const char* what, const nlohmann::ordered_json& p) {
  if (p["count"].get<size_t>() == 0) return;
  print("{}: p50 {:.2f} ms, p90 {:.2f}, p99 {:.2f}, p99.9 {:.2f}, most {:.2f} ({} calls)\n", what,
        p["p50_ms"].get<double>(), p["p90_ms"].get<double>(), p["p99_ms"].get<double>(), p["p999_ms"].get<double>(),
        p["max_ms"].get<double>(), p["count"].get<size_t>());
}

void print_summary(const nlohmann::ordered_json& s) {
  auto bytes = [&](const char* key) { return mib(s[key].get<uint64_t>()); };
  print("calls {}, ok {}, wrong {}, lost {}; {} of {} checked results equal\n", s["calls"].get<uint64_t>(),
        s["ok"].get<uint64_t>(), s["wrong"].get<uint64_t>(), s["lost"].get<uint64_t>(), s["equal"].get<uint64_t>(),
        s["checked"].get<uint64_t>());
  if (s.contains("also_calls"))
    print("of the other trace: calls {}, ok {}, wrong {}, lost {}\n", s["also_calls"].get<uint64_t>(),
          s["also_ok"].get<uint64_t>(), s["also_wrong"].get<uint64_t>(), s["also_lost"].get<uint64_t>());
  if (s.contains("checkpoints")) {
    print("checkpoints {}, longest pause {:.2f} ms; state changes {}, held results {}{}\n",
          s["checkpoints"].get<uint64_t>(), s["checkpoint_pause_max_ms"].get<double>(),
          s["state_changes"].get<uint64_t>(), s["held"].get<uint64_t>(),
          s["stale_by"].get<std::string>().empty() ? "" : "; left behind by " + s["stale_by"].get<std::string>());
  }
  print("swaps {} ({} from the image), longest swap pause {} ns, longest wait {:.1f} ms, failed warm-ups {}\n",
        s["swaps"].get<uint64_t>(), s["swaps_image"].get<uint64_t>(), s["swap_pause_max_ns"].get<uint64_t>(),
        s["wait_max_ms"].get<double>(), s["warmups_failed"].get<uint64_t>());
  if (s.contains("last_problem")) print("last problem: {}\n", s["last_problem"].get<std::string>());
  print("a call takes {:.2f} ms (median), at most {:.1f} ms; all took {:.1f} s\n", s["call_median_ms"].get<double>(),
        s["call_max_ms"].get<double>(), s["load_ms"].get<double>() / 1000);
  print_latency("before swaps", s["latency"]["before_swap"]);
  print_latency("during swaps", s["latency"]["during_swap"]);
  print_latency("after swaps", s["latency"]["after_swap"]);
  print("resident memory after the first call {:.1f} MiB, median {:.1f}, last {:.1f}, most {:.1f}\n",
        bytes("resident_first_bytes"), bytes("resident_median_bytes"), bytes("resident_last_bytes"),
        bytes("resident_max_bytes"));
  print("guest memory {:.1f} MiB, most of all instances together {:.1f}, image {:.1f}; log {} calls, {} bytes\n",
        bytes("memory_bytes"), bytes("peak_together_bytes"), bytes("image_bytes"), s["log_calls"].get<uint64_t>(),
        s["log_bytes"].get<uint64_t>());
}

void print_mismatch(const Mismatch& mismatch) {
  print_error("{}:{}: {}: expected {}, got {}, in call {}{}\n", mismatch.file, mismatch.line,
              printable_name(mismatch.name), mismatch.expected, mismatch.actual, mismatch.run,
              mismatch.times == 1 ? "" : fmt::format(" and in {} more", mismatch.times - 1));
}

Policy policy_of(const RotateOptions& options) {
  Policy policy = value_or_die(options.policy, Policy::load_toml(input_path(options.policy)));
  if (options.rotation == "off") policy.enabled = false;
  if (options.checkpoint) policy.mode = RotationMode::checkpoint;
  if (!options.memory_limit.empty()) policy.memory_limit_bytes = parse_size(options.memory_limit);
  if (!options.image.empty()) policy.image = options.image == "on" ? ImageMode::lazy : ImageMode::off;
  if (options.at_swap == "serve") policy.at_swap = AtSwap::serve;
  if (options.at_swap == "wait") policy.at_swap = AtSwap::wait;
  if (options.at_swap == "fail") policy.at_swap = AtSwap::fail;
  if (options.workers) policy.group.workers = *options.workers;
  return policy;
}

RotateTraces traces_of(const RotateOptions& options) {
  RotateTraces traces;
  traces.setup = value_or_die(options.setup, load_trace(input_path(options.setup)));
  traces.load = value_or_die(options.load, load_trace(input_path(options.load), &traces.setup));
  if (!options.also.empty())
    traces.also = value_or_die(options.also, load_trace(input_path(options.also), &traces.setup));
  return traces;
}

RotateObserver observer_of(const RotateOptions& options, const RotateTraces& traces) {
  RotateObserver observer;
  observer.on_rotation = [&options](const RotationEvent& e, uint64_t call) { print_rotation(options, e, call); };
  observer.on_guest_error = print_guest_error;
  observer.on_failure = [](uint64_t call, const Error& error) {
    flush_out();
    print_error("rotor: call {} failed: {}\n", call, error.to_string());
  };
  observer.on_setup_done = [&options, &traces](const Measured& m) {
    if (options.json) return;
    print("state built by {} calls in {:.0f} ms; memory {:.2f} of {:.2f} MiB\n", traces.setup.calls.size(), m.setup_ms,
          mib(m.counters.memory_bytes), mib(m.limit_bytes));
    if (options.prepare)
      print("standby prepared in {:.0f} ms; image {:.2f} MiB\n", m.prepare_ms, mib(m.counters.image_bytes));
    flush_out();
  };
  return observer;
}

/// Runs the same load without rotation, for the report; it ends at the first failure.
std::optional<Measured> run_baseline(const RotateOptions& options, const RotateTraces& traces, const Engine& engine,
                                     const Module& module, Policy policy) {
  if (options.report.empty() || options.report_baseline_calls == 0 || !policy.enabled) return std::nullopt;
  policy.enabled = false;
  RotateOptions alone = options;
  alone.prepare = false;
  Measured measured =
      value_or_die(options.policy, run_load(alone, traces, engine, module, std::move(policy),
                                            std::min(options.calls, options.report_baseline_calls), {}));
  if (!options.json) {
    if (measured.failures.empty() && measured.load.wrong == 0)
      print("without rotation {} calls end well\n", measured.load.calls);
    else if (measured.failures.empty())
      print("without rotation {} of {} calls return something wrong\n", measured.load.wrong, measured.load.calls);
    else
      print("without rotation call {} fails: {}\n", measured.load.calls - 1,
            measured.failures.front().message.substr(0, measured.failures.front().message.find('\n')));
    flush_out();
  }
  return measured;
}

void run(const RotateOptions& options) {
  // A run may take hours: an error that would lose its result is reported before.
  for (const std::string& path : {options.report, options.metrics})
    if (!path.empty()) check_or_die(path, check_output_file(path));
  const Policy policy = policy_of(options);
  if (options.rewind_every && (policy.mode != RotationMode::checkpoint || !policy.enabled))
    die(Exit::usage, "--rewind-every is for mode = \"checkpoint\", with rotation on: add --checkpoint");
  const RotateTraces traces = traces_of(options);
  Engine engine = engine_or_die(options.engine);
  const Module module = load_module_or_die(engine, options.module).module;

  if (options.rewind_every) {
    const RewindLoad load{.engine = engine,
                          .module = module,
                          .setup = traces.setup,
                          .load = traces.load,
                          .calls = options.calls,
                          .limit_bytes = policy.memory_limit_bytes ? policy.memory_limit_bytes : UINT64_C(4) << 30,
                          .policy_file = options.policy};
    finish(check_rewinds(load, policy, options.rewind_every, options.json) ? Exit::ok : Exit::failed);
  }
  take_stop_requests();
  const std::optional<Measured> baseline = run_baseline(options, traces, engine, module, policy);
  const Measured measured = value_or_die(
      options.policy, run_load(options, traces, engine, module, policy, options.calls, observer_of(options, traces)));
  for (const ReplayReport* report : {&measured.report, &measured.also_report})
    for (const Mismatch& mismatch : report->mismatches) print_mismatch(mismatch);
  const nlohmann::ordered_json json = summary_json(options, measured);
  if (!options.json) print_summary(json);
  print("{}\n", json_text(json));
  flush_out();
  if (!options.metrics.empty())
    check_or_die(options.metrics, write_output_file(options.metrics, prometheus_text(measured.counters)));
  if (!options.report.empty())
    check_or_die(options.report,
                 write_output_file(options.report, rotate_report(options, measured, baseline ? &*baseline : nullptr)));
  if (stop_was_asked()) print_error("rotor: interrupted after {} of {} calls\n", measured.load.calls, options.calls);
  finish(measured.load.ok == options.calls && measured.also.ok == measured.also.calls ? Exit::ok : Exit::failed);
}

void add_traces(CLI::App& command, RotateOptions& options) {
  command.add_option("--setup", options.setup, "a trace that builds the state, called once")->required();
  command.add_option("--load", options.load, "a trace that follows it, called again and again: one lease each")
      ->required();
  command.add_option("--also", options.also, "another trace that follows the setup, called now and then");
  command.add_option("--also-every", options.also_every, "after how many calls of the load")
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str();
  command.add_option("--calls", options.calls, "how often the load is called")->capture_default_str();
}

void add_policy_settings(CLI::App& command, RotateOptions& options) {
  command
      .add_option("--memory-limit", options.memory_limit,
                  "most memory the guest may have, such as 8MiB; else the policy's")
      ->check(check_size);
  command.add_option("--rotation", options.rotation, "on or off")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  command.add_option("--image", options.image, "on or off: whether standbys come from an image; else the policy's")
      ->check(CLI::IsMember({"on", "off"}));
  command.add_flag("--checkpoint", options.checkpoint, "rotate by checkpoints of the active (mode = \"checkpoint\")");
  command
      .add_option("--rewind-every", options.rewind_every,
                  "with checkpoints: rewind after so many allowed calls, and compare every result with a run without; "
                  "names the line of the policy that is wrong")
      ->check(CLI::Range(1, 1'000'000'000));
  command.add_option("--at-swap", options.at_swap, "serve, wait or fail, when no standby is ready; else the policy's")
      ->check(CLI::IsMember({"serve", "wait", "fail"}));
  command.add_option("--workers", options.workers, "threads of the guest's pool; else the policy's")
      ->check(CLI::Range(0, 1024));
  command.add_flag("--prepare", options.prepare, "prepare the first standby after the setup, before the load");
}

void add_outputs(CLI::App& command, RotateOptions& options) {
  command.add_flag("--json", options.json, "print a line of JSON a rotation, and one for the summary");
  command.add_option("--report", options.report,
                     "write an HTML page with charts, after a run without rotation as well");
  command
      .add_option("--report-baseline-calls", options.report_baseline_calls,
                  "most calls of the run without rotation; 0: none")
      ->capture_default_str();
  command.add_option("--metrics", options.metrics, "write the counters as Prometheus' text format");
  command.add_option("--sample-ms", options.sample_ms, "how often memory is looked at, beside after each call")
      ->check(CLI::Range(1, 60'000))
      ->capture_default_str();
}

}  // namespace

void add_rotate(CLI::App& app) {
  auto options = std::make_shared<RotateOptions>();
  CLI::App* command =
      app.add_subcommand("rotate", "Repeat calls that leak, and rotate the guest before it runs out of memory");
  command->add_option("--module", options->module, "a .wasm or a code file")->required();
  command->add_option("--policy", options->policy, "a .toml file: when to rotate, and what the exports mean")
      ->required();
  add_traces(*command, *options);
  add_policy_settings(*command, *options);
  add_outputs(*command, *options);
  options->engine.add_to(*command);
  options->engine.add_perf_map_to(*command);
  command->callback([options] { run(*options); });
}

}  // namespace rotor::cli
