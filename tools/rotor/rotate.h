// The parts of `rotor rotate`: the run, its summary, its report.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "hosts/wasm_bindgen/trace.h"
#include "hosts/wasm_bindgen/trace_replayer.h"
#include "rotor/proxy.h"
#include "tools/rotor/cli.h"
#include "tools/rotor/latency.h"
#include "tools/rotor/timeline.h"

namespace rotor::cli {

inline constexpr size_t kMaxFailures = 3;  // that are kept and printed

struct RotateOptions {
  std::string module;
  std::string policy;
  std::string setup;
  std::string load;
  std::string also;
  uint64_t also_every = 50;
  uint64_t calls = 1000;
  std::string memory_limit;
  std::string rotation = "on";
  std::string image;    ///< empty: as the policy says
  std::string at_swap;  ///< empty: as the policy says
  std::optional<uint32_t> workers;
  bool prepare = false;
  bool checkpoint = false;    ///< mode = checkpoint, whatever the policy says
  uint64_t rewind_every = 0;  ///< 0: rotate as the policy says
  bool json = false;
  std::string report;
  uint64_t report_baseline_calls = 100'000;
  std::string metrics;
  uint32_t sample_ms = 10;
  EngineOptions engine;
};

struct RotateTraces {
  wasm_bindgen::Trace setup;
  wasm_bindgen::Trace load;
  std::optional<wasm_bindgen::Trace> also;
};

/// Counts how often a trace was run, each time in one lease. One repetition is one call here.
struct Tally {
  uint64_t calls = 0;  ///< begun
  uint64_t ok = 0;     ///< returned, with every result right
  uint64_t wrong = 0;  ///< returned, with another result
  uint64_t lost() const { return calls - ok - wrong; }
};

struct Measured {
  wasm_bindgen::ReplayReport report;  ///< of the load
  wasm_bindgen::ReplayReport also_report;
  Tally load;
  Tally also;
  std::vector<Error> failures;  ///< of calls that did not return; the first kMaxFailures
  std::optional<double> first_failure_ms;
  std::string guest_error;  ///< what the guest wrote first with console.error, or how a worker of it ended
  double setup_ms = 0;
  double prepare_ms = 0;  ///< 0: not asked for
  double load_ms = 0;
  std::vector<Repetition> repetitions;   ///< of the load
  std::vector<uint64_t> resident_bytes;  ///< after each of them
  TimelineData timeline;
  ProxyCounters counters;  ///< after the last
  Policy policy;           ///< as it was applied
  uint64_t limit_bytes = 0;
};

/// Callbacks for a run while it runs; each may be null.
struct RotateObserver {
  std::function<void(const RotationEvent&, uint64_t call)> on_rotation;
  std::function<void(const Measured&)> on_setup_done;
  std::function<void(uint64_t call, const Error&)> on_failure;
  std::function<void(std::string_view)> on_guest_error;
};

/// Builds the state, then repeats the load `calls` times, or until a stop is asked for (tools/rotor/stop_request.h).
/// Without rotation the first failure ends the run: what would follow means nothing. Errors: those of creating the
/// proxy, of the setup and of Proxy::prepare, with the file they are about.
Result<Measured> run_load(const RotateOptions& options, const RotateTraces& traces, const Engine& engine,
                          const Module& module, Policy policy, uint64_t calls, const RotateObserver& observer);

double mib(uint64_t bytes);
double ms(uint64_t ns);
const char* cause_text(RotationCause cause);
nlohmann::ordered_json rotation_json(const RotationEvent& event, uint64_t call);
nlohmann::ordered_json summary_json(const RotateOptions& options, const Measured& measured);

/// Returns the report as one HTML page. `baseline`: the same load without rotation; null if there is none.
std::string rotate_report(const RotateOptions& options, const Measured& measured, const Measured* baseline);

}  // namespace rotor::cli
