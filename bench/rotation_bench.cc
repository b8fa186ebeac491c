// Measures what the proxy costs, and how long an exchange takes: `build/release/bench/rotation_bench`. Medians of
// several runs on a quiet machine. The exchanges are timed one by one and reported as percentiles.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "bench/must_state.h"
#include "bench/rotation_guest.h"
#include "rotor/proxy.h"
#include "rotor/rotor.h"

namespace {

using namespace rotor;
using bench::must;

uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

/// The times when the guest of the last `touch` began to run, and when it had touched its pages.
uint64_t g_mark_ns = 0, g_done_ns = 0;

struct Fixture {
  Engine engine;
  Module module;
  InstancePre pre;

  static Fixture make(benchmark::State& state) {
    Config config;
    config.mode = CompileMode::aot;
    Engine engine = must(state, Engine::create(std::move(config)));
    Module module = must(state, Module::compile(engine, bench::kRotationGuest));
    Linker linker(engine);
    linker.define("env", "mark", [] { g_mark_ns = now_ns(); });
    linker.define("env", "done", [] { g_done_ns = now_ns(); });
    InstancePre pre = must(state, linker.instantiate_pre(module));
    return {std::move(engine), std::move(module), std::move(pre)};
  }

  static Policy policy() {
    using enum ArgKind;
    Policy policy;
    policy.imports = {{.name = "*", .mode = ImportMode::run}};
    policy.exports = {
        {.name = "make", .effect = Effect::build, .local = true, .results = {{ResultKind::handle}}},
        {.name = "add", .effect = Effect::build, .local = true, .args = {{handle, scalar}}},
        {.name = "fill", .effect = Effect::build},
        {.name = "get", .effect = Effect::query, .args = {{handle}}},
        {.name = "touch", .effect = Effect::query, .args = {{handle, scalar, scalar}}},
        {.name = "plus", .effect = Effect::query},
        {.name = "boom", .effect = Effect::query},
        {.name = "request", .effect = Effect::query, .args = {{handle}}},
    };
    return policy;
  }
  Proxy proxy(benchmark::State& state, Policy p = policy()) {
    return must(state, Proxy::create(module, linked_guests(pre), std::move(p)));
  }
};

// ---- what a call costs ----------------------------------------------------------------------------------------------

void plain_call(benchmark::State& state) {
  Fixture f = Fixture::make(state);
  Instance instance = must(state, f.pre.instantiate());
  auto make = must(state, instance.get_typed<uint32_t(int32_t)>("make"));
  auto get = must(state, instance.get_typed<int32_t(uint32_t)>("get"));
  const uint32_t handle = must(state, make(7));
  for (auto _ : state) benchmark::DoNotOptimize(get(handle));
}

void proxy_call_typed(benchmark::State& state) {
  Fixture f = Fixture::make(state);
  Proxy proxy = f.proxy(state);
  const uint32_t handle = must(state, proxy.call("make", {7})).handle();
  auto get = must(state, proxy.get_typed<int32_t(uint32_t)>("get"));
  for (auto _ : state) benchmark::DoNotOptimize(get(handle));
}

void lease_call_typed(benchmark::State& state) {
  Fixture f = Fixture::make(state);
  Proxy proxy = f.proxy(state);
  const uint32_t handle = must(state, proxy.call("make", {7})).handle();
  auto get = must(state, proxy.get_typed<int32_t(uint32_t)>("get"));
  Lease lease = must(state, proxy.acquire());
  for (auto _ : state) benchmark::DoNotOptimize(get(lease, handle));
}

void proxy_call_by_name(benchmark::State& state) {
  Fixture f = Fixture::make(state);
  Proxy proxy = f.proxy(state);
  const uint32_t handle = must(state, proxy.call("make", {7})).handle();
  for (auto _ : state) benchmark::DoNotOptimize(proxy.call("get", {handle}));
}

void proxy_build(benchmark::State& state) {
  Fixture f = Fixture::make(state);
  Policy policy = Fixture::policy();
  policy.log_max_calls = UINT64_C(1) << 40;
  policy.log_max_bytes = UINT64_C(1) << 40;
  Proxy proxy = f.proxy(state, policy);
  const uint32_t handle = must(state, proxy.call("make", {7})).handle();
  for (auto _ : state) benchmark::DoNotOptimize(proxy.call("add", {handle, 1}));
}

// ---- exchanges ------------------------------------------------------------------------------------------------------

void report(benchmark::State& state, const char* name, std::vector<uint64_t>& ns) {
  std::ranges::sort(ns);
  auto at = [&](double p) {
    return ns.empty() ? 0.0
                      : static_cast<double>(
                            ns[std::min(ns.size() - 1, static_cast<size_t>(p * static_cast<double>(ns.size())))]);
  };
  state.counters[std::string(name) + "_p50_ns"] = at(0.5);
  state.counters[std::string(name) + "_p99_ns"] = at(0.99);
  state.counters[std::string(name) + "_p99.9_ns"] = at(0.999);
  state.counters[std::string(name) + "_max_ns"] = ns.empty() ? 0 : static_cast<double>(ns.back());
}

/// Measures exchanges with a standby that is ready and level, from closing the gate to opening it.
void swap_pause(benchmark::State& state) {
  Fixture f = Fixture::make(state);
  Policy policy = Fixture::policy();
  policy.image = state.range(0) ? ImageMode::lazy : ImageMode::off;
  Proxy proxy = f.proxy(state, policy);
  const uint32_t handle = must(state, proxy.call("make", {7})).handle();
  std::vector<uint64_t> pauses, calls;
  for (auto _ : state) {
    if (auto done = proxy.rotate(); !done) return state.SkipWithError(done.error().to_string().c_str());
    if (auto done = proxy.prepare(); !done) return state.SkipWithError(done.error().to_string().c_str());
    const uint64_t before = proxy.counters().rotations;
    const uint64_t start = now_ns();
    benchmark::DoNotOptimize(must(state, proxy.call("get", {handle})));
    calls.push_back(now_ns() - start);
    const ProxyCounters after = proxy.counters();
    if (after.rotations != before + 1) return state.SkipWithError("no exchange took place");
    pauses.push_back(after.swap_pause_ns_last);
    state.SetIterationTime(static_cast<double>(pauses.back()) / 1e9);
  }
  report(state, "pause", pauses);
  report(state, "call", calls);
}

uint64_t resident_bytes() {
  FILE* file = std::fopen("/proc/self/statm", "re");
  unsigned long long pages = 0, resident = 0;
  if (file) (void)!std::fscanf(file, "%llu %llu", &pages, &resident);
  if (file) std::fclose(file);
  return resident * 4096;
}

/// Makes a million calls that each lose a page, in 8 MiB, and reports the resident memory of the process when a tenth
/// is done, and at the end.
void leak_million(benchmark::State& state) {
  Fixture f = Fixture::make(state);
  Policy policy = Fixture::policy();
  policy.exports[2].effect = Effect::query;  // fill: here it is the leak
  policy.memory_limit_bytes = UINT64_C(8) << 20;
  Proxy proxy = f.proxy(state, policy);
  const uint32_t handle = must(state, proxy.call("make", {7})).handle();
  if (auto done = proxy.prepare(); !done) return state.SkipWithError(done.error().to_string().c_str());
  auto leak = must(state, proxy.get_typed<int32_t(int32_t)>("fill"));
  auto get = must(state, proxy.get_typed<int32_t(uint32_t)>("get"));
  uint64_t early = 0, calls = 0, wrong = 0;
  for (auto _ : state) {
    must(state, leak(1));
    if (++calls % 1000 == 0) wrong += must(state, get(handle)) != 7;
    if (calls == 100'000) early = resident_bytes();
  }
  state.counters["wrong"] = static_cast<double>(wrong);
  state.counters["rotations"] = static_cast<double>(proxy.counters().rotations);
  state.counters["resident_MiB_early"] = static_cast<double>(early) / (1 << 20);
  state.counters["resident_MiB_end"] = static_cast<double>(resident_bytes()) / (1 << 20);
}

/// Measures the replay on a standby of a log of so many calls on one object: time per call, instantiation included.
void replayed_call(benchmark::State& state) {
  Fixture f = Fixture::make(state);
  Policy policy = Fixture::policy();
  policy.image = ImageMode::off;
  Proxy proxy = f.proxy(state, policy);
  const uint32_t handle = must(state, proxy.call("make", {7})).handle();
  constexpr uint64_t kCalls = 100'000;
  for (uint64_t i = 1; i < kCalls; i++) must(state, proxy.call("add", {handle, 1}));
  for (auto _ : state) {
    if (auto done = proxy.rotate(); !done) return state.SkipWithError(done.error().to_string().c_str());
    if (auto done = proxy.prepare(); !done) return state.SkipWithError(done.error().to_string().c_str());
    state.SetIterationTime(static_cast<double>(proxy.counters().warmup_ns_last) / 1e9 / static_cast<double>(kCalls));
    must(state, proxy.call("get", {handle}));  // takes the standby
  }
}

/// Measures the time to a ready standby with 32 MiB of state, by replay and from the image; the latter also per MiB,
/// and with every page then read once.
void standby_ready(benchmark::State& state) {
  constexpr int32_t kPages = 512;
  Fixture f = Fixture::make(state);
  Policy policy = Fixture::policy();
  policy.image = state.range(0) ? ImageMode::lazy : ImageMode::off;
  Proxy proxy = f.proxy(state, policy);
  const uint32_t handle = must(state, proxy.call("make", {7})).handle();
  must(state, proxy.call("fill", {kPages}));
  uint64_t touch_ns = 0, rounds = 0;
  if (auto done = proxy.prepare(); !done) return state.SkipWithError(done.error().to_string().c_str());
  must(state, proxy.rotate() ? proxy.call("get", {handle}) : Result<Reply>());
  double ready_ns = 0;
  for (auto _ : state) {
    if (auto done = proxy.rotate(); !done) return state.SkipWithError(done.error().to_string().c_str());
    if (auto done = proxy.prepare(); !done) return state.SkipWithError(done.error().to_string().c_str());
    const uint64_t ns = proxy.counters().warmup_ns_last;
    ready_ns += static_cast<double>(ns);
    state.SetIterationTime(static_cast<double>(ns) / 1e9);
    Lease lease = must(state, proxy.acquire());
    const Memory memory = must(state, lease.memory());
    const uint64_t start = now_ns();
    uint64_t sum = 0;
    for (uint64_t at = 0; at < memory.size_bytes(); at += 4096) sum += memory.data()[at];
    benchmark::DoNotOptimize(sum);
    touch_ns += now_ns() - start;
    rounds++;
  }
  const double mib = kPages / 16.0;
  state.counters["ns_a_MiB"] = ready_ns / static_cast<double>(rounds) / mib;
  state.counters["read_all_ns_a_MiB"] = static_cast<double>(touch_ns) / static_cast<double>(rounds) / mib;
}

/// Measures the next call after a trap of the active, without a standby: it is served from the image, of 32 MiB of
/// state. `until_runs` is from the call's begin until the guest runs; `faults` how much longer its work then takes than
/// the same work once more.
template <class Call>
void poisoned(benchmark::State& state, Call call) {
  Fixture f = Fixture::make(state);
  Proxy proxy = f.proxy(state);
  const uint32_t handle = must(state, proxy.call("make", {7})).handle();
  must(state, proxy.call("fill", {512}));
  if (auto done = proxy.prepare(); !done) return state.SkipWithError(done.error().to_string().c_str());
  auto run = call(state, proxy, handle);
  (void)proxy.call("boom");
  run();  // takes the standby that prepare made
  std::vector<uint64_t> until_runs, faults, first;
  for (auto _ : state) {
    (void)proxy.call("boom");
    while (proxy.counters().retired > 0) {  // the one before it is freed
    }
    const uint64_t start = now_ns();
    run();
    const uint64_t took = g_done_ns - g_mark_ns;
    until_runs.push_back(g_mark_ns - start);
    run();
    const uint64_t again = g_done_ns - g_mark_ns;
    first.push_back(took);
    faults.push_back(std::max(took, again) - again);
    state.SetIterationTime(static_cast<double>(until_runs.back()) / 1e9);
  }
  const ProxyCounters counters = proxy.counters();
  if (counters.rotations_image + 1 < counters.rotations) state.SkipWithError("not from the image");
  report(state, "until_runs", until_runs);
  report(state, "faults", faults);
  report(state, "first", first);
}

/// Measures it with a call that reads and writes so many scattered pages.
void poisoned_touch(benchmark::State& state) {
  poisoned(state, [](benchmark::State& s, Proxy& proxy, uint32_t handle) {
    auto touch = must(s, proxy.get_typed<int32_t(uint32_t, int32_t, int32_t)>("touch"));
    return [&s, touch, handle] {
      must(s, touch(handle, static_cast<int32_t>(s.range(0)), static_cast<int32_t>(s.range(1))));
    };
  });
}

/// Measures it with a call that makes 64 reads at random places, and loses a page of memory that it writes.
void poisoned_request(benchmark::State& state) {
  poisoned(state, [](benchmark::State& s, Proxy& proxy, uint32_t handle) {
    auto request = must(s, proxy.get_typed<int32_t(uint32_t)>("request"));
    return [&s, request, handle] { must(s, request(handle)); };
  });
}

BENCHMARK(plain_call);
BENCHMARK(proxy_call_typed);
BENCHMARK(lease_call_typed);
BENCHMARK(proxy_call_by_name);
BENCHMARK(proxy_build)->Iterations(200'000);
BENCHMARK(swap_pause)->Arg(0)->Arg(1)->Iterations(10'000)->UseManualTime()->Unit(benchmark::kNanosecond);
BENCHMARK(leak_million)->Iterations(1'000'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(replayed_call)->Iterations(20)->UseManualTime()->Unit(benchmark::kNanosecond);
BENCHMARK(standby_ready)
    ->ArgName("image")
    ->Arg(0)
    ->Arg(1)
    ->Iterations(50)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(poisoned_touch)
    ->Args({0, 0})
    ->Args({8, 4})
    ->Args({20, 8})
    ->Iterations(2'000)
    ->UseManualTime()
    ->Unit(benchmark::kNanosecond);
BENCHMARK(poisoned_request)->Iterations(2'000)->UseManualTime()->Unit(benchmark::kNanosecond);

}  // namespace

BENCHMARK_MAIN();
