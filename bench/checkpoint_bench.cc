// Measures how long callers wait for a checkpoint and for a rewind: `build/release/bench/checkpoint_bench`. Medians of
// several runs on a quiet machine. State of 1, 32 and 400 MiB, every page of it written.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "bench/must_state.h"
#include "rotor/proxy.h"
#include "rotor/rotor.h"
#include "rotor/wat.h"

namespace {

using namespace rotor;
using bench::must;

constexpr std::string_view kGuest = R"(
  (module
    (memory (export "memory") 1 8192)
    (func (export "fill") (param $pages i32) (result i32) (local $p i32) (local $end i32)
      (local.set $p (i32.mul (memory.size) (i32.const 65536)))
      (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then unreachable))
      (local.set $end (i32.mul (memory.size) (i32.const 65536)))
      (block $done (loop $next
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (i32.store (local.get $p) (i32.or (local.get $p) (i32.const 1)))
        (local.set $p (i32.add (local.get $p) (i32.const 8)))
        (br $next)))
      (memory.size))
    ;; Writes to so many pages, so many bytes apart.
    (func (export "touch") (param $pages i32) (param $apart i32) (result i32) (local $p i32)
      (local.set $p (i32.const 65536))
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $pages)))
        (i32.store (local.get $p) (i32.const 1))
        (local.set $p (i32.add (local.get $p) (local.get $apart)))
        (local.set $pages (i32.sub (local.get $pages) (i32.const 1)))
        (br $next)))
      (local.get $p))
    (func (export "get") (result i32) (i32.load (i32.const 65536))))
)";

Proxy make_proxy(benchmark::State& state) {
  Config config;
  config.mode = CompileMode::aot;
  Engine engine = must(state, Engine::create(std::move(config)));
  const std::vector<uint8_t> bytes = must(state, wat_to_wasm(kGuest));
  Module module = must(state, Module::compile(engine, bytes));
  InstancePre pre = must(state, Linker(engine).instantiate_pre(module));
  Policy policy;
  policy.mode = RotationMode::checkpoint;
  policy.allow = {{.name = "get", .results = Returned::value}, {.name = "touch", .results = Returned::value}};
  return must(state, Proxy::create(module, linked_guests(pre), std::move(policy)));
}

int32_t pages_of(const benchmark::State& state) { return static_cast<int32_t>(state.range(0) * 16); }

/// Measures the first checkpoint of an instance, which takes no copy.
void first_checkpoint(benchmark::State& state) {
  for (auto _ : state) {
    Proxy proxy = make_proxy(state);
    must(state, proxy.call("fill", {pages_of(state)}));
    must(state, proxy.checkpoint());
    state.SetIterationTime(static_cast<double>(proxy.counters().checkpoint_ns_last) / 1e9);
  }
}

/// Measures a checkpoint of an instance that came from one, of which so many pages were written since, the second
/// argument, all over it.
void next_checkpoint(benchmark::State& state) {
  const auto written = static_cast<int32_t>(state.range(1));
  const int32_t apart = (pages_of(state) - 1) * 65536 / written / 4096 * 4096;
  Proxy proxy = make_proxy(state);
  must(state, proxy.call("fill", {pages_of(state)}));
  must(state, proxy.checkpoint());
  must(state, proxy.rotate());
  for (auto _ : state) {
    must(state, proxy.call("touch", {written, apart}));
    must(state, proxy.checkpoint());
    state.SetIterationTime(static_cast<double>(proxy.counters().checkpoint_ns_last) / 1e9);
  }
}

/// Measures a rewind, from closing the gate to opening it.
void rewind_pause(benchmark::State& state) {
  Proxy proxy = make_proxy(state);
  must(state, proxy.call("fill", {pages_of(state)}));
  must(state, proxy.checkpoint());
  for (auto _ : state) {
    must(state, proxy.call("touch", {64, 4096}));
    const uint64_t before = proxy.counters().rotations;
    must(state, proxy.rotate());
    must(state, proxy.call("get"));
    const ProxyCounters after = proxy.counters();
    if (after.rotations != before + 1) state.SkipWithError("no rewind took place");
    state.SetIterationTime(static_cast<double>(after.swap_pause_ns_last) / 1e9);
    while (proxy.counters().retired > 0) {  // so that its address space is ready for the next one
    }
  }
}

/// Measures a call of an export that is allowed and whose result is a value.
void allowed_call(benchmark::State& state) {
  Proxy proxy = make_proxy(state);
  must(state, proxy.call("fill", {16}));
  must(state, proxy.checkpoint());
  auto get = must(state, proxy.get_typed<int32_t()>("get"));
  for (auto _ : state) benchmark::DoNotOptimize(get());
}

BENCHMARK(first_checkpoint)->Arg(1)->Arg(32)->Arg(400)->Iterations(10)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(next_checkpoint)
    ->Args({1, 16})
    ->Args({32, 64})
    ->Args({400, 64})
    ->Args({400, 1000})
    ->Iterations(20)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(rewind_pause)->Arg(1)->Arg(32)->Arg(400)->Iterations(200)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(allowed_call);

}  // namespace

BENCHMARK_MAIN();
