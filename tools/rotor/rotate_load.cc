// The run of rotor rotate: the setup, then the load, again and again.
#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "hosts/wasm_bindgen/guest.h"
#include "hosts/wasm_bindgen/lease_executor.h"
#include "tools/rotor/rotate.h"
#include "tools/rotor/stop_request.h"

namespace rotor::cli {

using namespace rotor::wasm_bindgen;

namespace {

Error about(const std::string& file, Error error) {
  if (error.message.find(file) == std::string::npos) error.message = fmt::format("{}: {}", file, error.message);
  return error;
}

/// Returns a factory of guests whose main instance is ended when one of their workers fails: it may wait for that
/// worker's work for ever. The call then traps, as it does in a guest without workers.
GuestFactory guests_that_end(const Engine& engine, const Module& module, BindgenOptions options) {
  struct Main {
    std::mutex mutex;
    InterruptHandle handle;
  };
  if (!options.random) options.random = std::make_shared<SharedRandom>();
  return [engine, module, options](const GuestRequest& request) -> Result<std::unique_ptr<Guest>> {
    auto main = std::make_shared<Main>();
    BindgenOptions own = options;
    own.on_worker_error = [main, told = options.on_worker_error](const Error& error) {
      if (told) told(error);
      std::lock_guard lock(main->mutex);
      (void)main->handle.interrupt_best_effort();
    };
    ROTOR_TRY(std::unique_ptr<Guest> guest, bindgen_guests(engine, module, std::move(own))(request));
    std::lock_guard lock(main->mutex);
    main->handle = guest->instance().interrupt_handle();
    return guest;
  };
}

class Load {
 public:
  Load(const RotateTraces& traces, const Module& module, Proxy& proxy, Timeline& timeline)
      : traces_(traces),
        proxy_(proxy),
        timeline_(timeline),
        executor_(module, proxy.counters().rotating && proxy.policy().mode == RotationMode::replay),
        replayer_(executor_) {}

  /// Checks whether the traces name exports, before any time is spent on them.
  Result<void> check_names() {
    for (const Trace* trace : {&traces_.setup, &traces_.load, traces_.also ? &*traces_.also : nullptr}) {
      if (!trace) continue;
      if (auto named = executor_.prepare(trace->names); !named)
        return std::unexpected(about(trace->file, std::move(named).error()));
    }
    return {};
  }

  Result<void> set_up(const std::string& file, Measured& out) {
    ROTOR_TRY(Lease lease, proxy_.acquire());
    executor_.begin(lease, nullptr);
    ReplayReport report;
    Stopwatch watch;
    ROTOR_CHECK(replayer_.run(traces_.setup, report));
    out.setup_ms = watch.wall_ms();
    if (!report.all_equal())
      return fail(ErrorKind::host,
                  fmt::format("{}: {} of {} checked results equal", file, report.equal, report.checked));
    return {};
  }

  /// Runs a trace in one lease. Errors: that of a call that did not return.
  Result<void> run(const Trace& trace, Tally& tally, ReplayReport& report) {
    const uint64_t equal_before = report.equal, checked_before = report.checked;
    tally.calls++;
    ROTOR_TRY(Lease lease, proxy_.acquire());
    executor_.begin(lease, &trace);
    const Result<void> ran = replayer_.run(trace, report);
    if (proxy_.policy().mode == RotationMode::checkpoint) executor_.drop_returned();
    ROTOR_CHECK(ran);
    const bool right = report.equal - equal_before == report.checked - checked_before && !executor_.differing();
    (right ? tally.ok : tally.wrong)++;
    return {};
  }

  void repeat(const RotateOptions& options, uint64_t calls, const RotateObserver& observer, Measured& out) {
    const bool rotating = proxy_.counters().rotating;
    Progress progress(rotating ? "call" : "call without rotation");
    Stopwatch all;
    for (uint64_t i = 0; i < calls; i++) {
      if (stop_was_asked()) break;
      progress.update(i, calls);
      timeline_.set_repetition(i);
      const uint64_t swaps_before = timeline_.swaps();
      Stopwatch watch;
      Result<void> done = run(traces_.load, out.load, out.report);
      out.repetitions.push_back({watch.wall_ms(), timeline_.swaps() != swaps_before});
      out.resident_bytes.push_back(resident_bytes());
      timeline_.sample(proxy_);
      if (done && traces_.also && (i + 1) % options.also_every == 0)
        done = run(*traces_.also, out.also, out.also_report);
      if (done) continue;
      progress.clear();
      if (!out.first_failure_ms) out.first_failure_ms = timeline_.now_ms();
      if (observer.on_failure && out.failures.size() < kMaxFailures) observer.on_failure(i, done.error());
      if (out.failures.size() < kMaxFailures) out.failures.push_back(std::move(done).error());
      if (!rotating) break;
    }
    out.load_ms = all.wall_ms();
  }

 private:
  const RotateTraces& traces_;
  Proxy& proxy_;
  Timeline& timeline_;
  LeaseExecutor executor_;
  TraceReplayer replayer_;
};

}  // namespace

Result<Measured> run_load(const RotateOptions& options, const RotateTraces& traces, const Engine& engine,
                          const Module& module, Policy policy, uint64_t calls, const RotateObserver& observer) {
  Measured out;
  out.policy = policy;
  out.limit_bytes = policy.memory_limit_bytes ? policy.memory_limit_bytes : UINT64_C(4) << 30;
  std::mutex guest_error_mutex;
  BindgenOptions guest_options;
  guest_options.max_pages = static_cast<uint32_t>(std::min<uint64_t>(out.limit_bytes / Memory::kPageBytes, 65536));
  auto hear = [&](const std::string& text) {
    std::lock_guard lock(guest_error_mutex);
    if (out.guest_error.empty()) out.guest_error = text;
    if (observer.on_guest_error) observer.on_guest_error(text);
  };
  guest_options.on_guest_error = [&](std::string_view text) { hear(std::string(text)); };
  guest_options.on_worker_error = [&](const Error& error) { hear("a worker ended: " + error.to_string()); };

  Timeline timeline;
  bool in_load = false;
  ProxyOptions proxy_options;
  proxy_options.on_rotation = [&](const RotationEvent& event) {
    timeline.on_rotation(event);
    if (observer.on_rotation) observer.on_rotation(event, in_load ? out.load.calls - 1 : 0);
  };
  proxy_options.on_event = [&](const ProxyEvent& event) { timeline.on_event(event); };
  auto created = Proxy::create(module, guests_that_end(engine, module, std::move(guest_options)), policy,
                               std::move(proxy_options));
  if (!created) return std::unexpected(about(options.policy, std::move(created).error()));
  Proxy proxy = std::move(*created);
  timeline.start(proxy, options.sample_ms);
  struct StopSampling {
    Timeline& timeline;
    ~StopSampling() { timeline.stop(); }
  } stop_sampling{timeline};

  Load load(traces, module, proxy, timeline);
  ROTOR_CHECK(load.check_names());
  if (auto done = load.set_up(options.setup, out); !done)
    return std::unexpected(about(options.setup, std::move(done).error()));
  if (options.prepare && proxy.counters().rotating) {
    Stopwatch watch;
    if (auto done = proxy.prepare(); !done) return std::unexpected(about(options.policy, std::move(done).error()));
    out.prepare_ms = watch.wall_ms();
  }
  out.counters = proxy.counters();
  if (observer.on_setup_done) observer.on_setup_done(out);
  in_load = true;
  load.repeat(options, calls, observer, out);
  timeline.sample(proxy);
  timeline.stop();
  out.counters = proxy.counters();
  out.timeline = timeline.take();
  return out;
}

}  // namespace rotor::cli
