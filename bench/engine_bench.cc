// Stamp, call and trap times: `build/release/bench/engine_bench`. A timed test is never a ctest: run it on a quiet
// machine and read medians (--benchmark_repetitions=9 --benchmark_report_aggregates_only=true).
#include <benchmark/benchmark.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "bench/modules.h"
#include "bench/must_state.h"
#include "rotor/rotor.h"

namespace {

using namespace rotor;
using bench::must;

struct Fixture {
  Engine engine;
  Module module;
  InstancePre pre;

  static Fixture make(benchmark::State& state, std::span<const uint8_t> bytes, Config config = {}) {
    config.mode = CompileMode::aot;
    Engine engine = must(state, Engine::create(std::move(config)));
    Module module = must(state, Module::compile(engine, bytes));
    Linker linker(engine);
    linker.define("env", "f", [](int32_t v) -> int32_t { return v + 1; });
    linker.define("env", "g", [](Caller& caller, int32_t v) -> int32_t { return v + *caller.data<int32_t>(); });
    InstancePre pre = must(state, linker.instantiate_pre(module));
    return {std::move(engine), std::move(module), std::move(pre)};
  }
};

void stamp(benchmark::State& state, std::span<const uint8_t> bytes) {
  Fixture f = Fixture::make(state, bytes);
  for (auto _ : state) {
    Instance instance = must(state, f.pre.instantiate());
    auto run = must(state, instance.get_typed<int32_t()>("run"));
    benchmark::DoNotOptimize(must(state, run()));
  }
}

void stamp_call_drop_function(benchmark::State& state) { stamp(state, bench::kFunction); }
void stamp_call_drop_page(benchmark::State& state) { stamp(state, bench::kPage); }

/// Measures a module of 64 MiB of memory whose data are the first KiB of it, as many as the first argument says; each
/// instance writes as many pages of the system as the second says.
void stamp_data_drop(benchmark::State& state) {
  const std::string text = R"((module (memory 1024) (data (i32.const 0) ")" +
                           std::string(static_cast<size_t>(state.range(0)) << 10, 'a') + R"(")
    (func (export "dirty") (param $pages i32) (result i32)
      (loop $again
        (local.set $pages (i32.sub (local.get $pages) (i32.const 1)))
        (if (i32.ge_s (local.get $pages) (i32.const 0)) (then
          (i32.store8 (i32.mul (local.get $pages) (i32.const 4096)) (i32.const 1))
          (br $again))))
      (i32.load8_u (i32.const 0)))))";
  Fixture f = Fixture::make(state, must(state, wat_to_wasm(text)));
  for (auto _ : state) {
    Instance instance = must(state, f.pre.instantiate());
    auto dirty = must(state, instance.get_typed<int32_t(int32_t)>("dirty"));
    benchmark::DoNotOptimize(must(state, dirty(static_cast<int32_t>(state.range(1)))));
  }
}

void stamp_dirty_drop(benchmark::State& state) {
  Fixture f = Fixture::make(state, bench::kPage);
  for (auto _ : state) {
    Instance instance = must(state, f.pre.instantiate());
    auto dirty = must(state, instance.get_typed<int32_t(int32_t)>("dirty"));
    benchmark::DoNotOptimize(must(state, dirty(static_cast<int32_t>(state.range(0)) - 1)));
  }
}

void add_on(benchmark::State& state, const Instance& instance) {
  auto add = must(state, instance.get_typed<int32_t(int32_t, int32_t)>("add"));
  int32_t v = 0;
  for (auto _ : state) v = *add(v, 1);
  benchmark::DoNotOptimize(v);
}

void host_to_wasm(benchmark::State& state) {
  Fixture f = Fixture::make(state, bench::kCalls);
  add_on(state, must(state, f.pre.instantiate()));
}

/// Measures calls of a thread that stays inside the instance.
void host_to_wasm_stay(benchmark::State& state) {
  Fixture f = Fixture::make(state, bench::kCalls);
  Instance instance = must(state, f.pre.instantiate());
  Stay stay = must(state, instance.stay());
  add_on(state, instance);
}

void host_to_wasm_untyped(benchmark::State& state) {
  Fixture f = Fixture::make(state, bench::kCalls);
  Instance instance = must(state, f.pre.instantiate());
  Func add = must(state, instance.get_func("add"));
  for (auto _ : state) benchmark::DoNotOptimize(must(state, add.call({Value(1), Value(2)})));
}

/// Measures a call of the host, in a guest's loop of 1000.
void guest_loop(benchmark::State& state, const char* name) {
  Fixture f = Fixture::make(state, bench::kCalls);
  int32_t data = 1;
  InstanceOptions options;
  options.host_data = &data;
  Instance instance = must(state, f.pre.instantiate(options));
  auto loop = must(state, instance.get_typed<int32_t(int32_t)>(name));
  constexpr int32_t kTurns = 1000;
  for (auto _ : state) benchmark::DoNotOptimize(must(state, loop(kTurns)));
  state.SetItemsProcessed(state.iterations() * kTurns);
}

void wasm_to_host(benchmark::State& state) { guest_loop(state, "host_loop"); }
/// Measures the same for a host function that asks for the instance's host data.
void wasm_to_host_data(benchmark::State& state) { guest_loop(state, "data_loop"); }

void trap_to_host(benchmark::State& state) {
  Fixture f = Fixture::make(state, bench::kCalls);
  Instance instance = must(state, f.pre.instantiate());
  auto trap = must(state, instance.get_typed<void()>("trap"));
  for (auto _ : state) {
    auto result = trap();
    if (result || result.error().kind != ErrorKind::trap) state.SkipWithError("no trap");
  }
}

/// Measures what Config::interruptible costs: the arguments are the level and whether it is set.
void kernel(benchmark::State& state, const char* name, int32_t argument) {
  Config config;
  config.opt = state.range(0) == 0 ? OptLevel::o0 : OptLevel::o1;
  config.interruptible = state.range(1) != 0;
  Fixture f = Fixture::make(state, bench::kKernels, std::move(config));
  Instance instance = must(state, f.pre.instantiate());
  auto run = must(state, instance.get_typed<int32_t(int32_t)>(name));
  for (auto _ : state) benchmark::DoNotOptimize(must(state, run(argument)));
}

/// Measures what Config::fuel costs: the arguments are the level and whether it is set.
void kernel_with_fuel(benchmark::State& state, const char* name, int32_t argument) {
  Config config;
  config.opt = state.range(0) == 0 ? OptLevel::o0 : OptLevel::o1;
  config.fuel = state.range(1) != 0;
  InstanceOptions options;
  if (config.fuel) options.fuel = UINT64_MAX;
  Fixture f = Fixture::make(state, bench::kKernels, std::move(config));
  Instance instance = must(state, f.pre.instantiate(options));
  auto run = must(state, instance.get_typed<int32_t(int32_t)>(name));
  for (auto _ : state) benchmark::DoNotOptimize(must(state, run(argument)));
}

/// Measures calls of a function that stores once, and so says at its entry that it writes, unless the memory is
/// imported: the arguments are the level and whether it is.
void kernel_of_stores(benchmark::State& state) {
  const std::string text =
      R"((module )" + std::string(state.range(1) ? R"((import "env" "m" (memory 1)))" : "(memory 1)") + R"(
    (func $put (param i32) (i32.store8 (local.get 0) (i32.const 1)))
    (func (export "puts") (param $n i32) (result i32)
      (loop $again
        (call $put (i32.and (local.get $n) (i32.const 0xffff)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $n))))";
  Config config;
  config.mode = CompileMode::aot;
  config.opt = state.range(0) == 0 ? OptLevel::o0 : OptLevel::o1;
  Engine engine = must(state, Engine::create(std::move(config)));
  MemoryType type;
  type.limits.min = 1;
  Linker linker(engine);
  linker.define("env", "m", must(state, Memory::create(engine, type)));
  Module module = must(state, Module::compile(engine, must(state, wat_to_wasm(text))));
  Instance instance = must(state, linker.instantiate(module));
  auto run = must(state, instance.get_typed<int32_t(int32_t)>("puts"));
  for (auto _ : state) benchmark::DoNotOptimize(must(state, run(1'000'000)));
}

/// Measures what checks of memories on slabs cost (Config::slab_memories): the arguments are the level, whether they
/// are on one, and whether the memory can grow.
void kernel_on_slab(benchmark::State& state, const char* name, int32_t argument) {
  Config config;
  config.opt = state.range(0) == 0 ? OptLevel::o0 : OptLevel::o1;
  config.slab_memories = state.range(1) != 0;
  const std::vector<uint8_t> bytes = bench::kernels(state.range(2) ? "1 2" : "1 1");
  Fixture f = Fixture::make(state, bytes, std::move(config));
  Instance instance = must(state, f.pre.instantiate());
  auto run = must(state, instance.get_typed<int32_t(int32_t)>(name));
  for (auto _ : state) benchmark::DoNotOptimize(must(state, run(argument)));
}

/// Measures a call with a deadline, as a server sets it: moved with each call, and never reached.
void host_to_wasm_deadline(benchmark::State& state) {
  Config config;
  config.interruptible = true;
  Fixture f = Fixture::make(state, bench::kCalls, std::move(config));
  Instance instance = must(state, f.pre.instantiate());
  auto add = must(state, instance.get_typed<int32_t(int32_t, int32_t)>("add"));
  InterruptHandle handle = instance.interrupt_handle();
  int32_t v = 0;
  for (auto _ : state) {
    if (!handle.set_deadline(InterruptHandle::Clock::now() + std::chrono::seconds(10)))
      state.SkipWithError("no deadline");
    v = *add(v, 1);
  }
  benchmark::DoNotOptimize(v);
}

/// Measures from the interrupt to the trap that the other thread's call returns; starting that thread is not part of
/// the time.
void interrupt_to_trap(benchmark::State& state) {
  using Clock = InterruptHandle::Clock;
  Config config;
  config.interruptible = true;
  Fixture f = Fixture::make(state, bench::kKernels, std::move(config));
  Instance instance = must(state, f.pre.instantiate());
  auto count = must(state, instance.get_typed<int32_t(int32_t)>("count"));
  for (auto _ : state) {
    Clock::time_point ended;
    std::thread guest([&] {
      // Calls until the interrupt comes; a call takes under 2 s.
      while (count(INT32_MIN)) {
      }
      ended = Clock::now();
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    Clock::time_point begin = Clock::now();
    if (!instance.interrupt()) state.SkipWithError("no interrupt");
    guest.join();
    state.SetIterationTime(std::chrono::duration<double>(ended - begin).count());
  }
}

enum class Part : uint8_t { instantiate, call, drop, all };

/// Measures an instance that is stamped from a snapshot of 32 MiB of data, called once, and dropped. Arguments: pages
/// of 4 KiB, scattered, that the call reads, and that it writes; whether the snapshot was taken without a copy.
void restore_32mib(benchmark::State& state, Part part) {
  using Clock = std::chrono::steady_clock;
  Fixture f = Fixture::make(state, bench::kWide);
  Instance source = must(state, f.pre.instantiate());
  must(state, must(state, source.get_func("fill")).call());
  if (state.range(2)) {
    InstanceOptions imageable;
    imageable.limits.memory.imageable = true;
    Snapshot copied = must(state, source.snapshot());
    source = must(state, f.pre.instantiate(copied, imageable));
  }
  Snapshot snapshot = must(state, source.snapshot());
  for (auto _ : state) {
    Clock::time_point begin = Clock::now();
    Instance instance = must(state, f.pre.instantiate(snapshot));
    Clock::time_point made = Clock::now();
    auto touch = must(state, instance.get_typed<int32_t(int32_t, int32_t)>("touch"));
    benchmark::DoNotOptimize(
        must(state, touch(static_cast<int32_t>(state.range(0)), static_cast<int32_t>(state.range(1)))));
    Clock::time_point called = Clock::now();
    instance = Instance();
    Clock::time_point dropped = Clock::now();
    Clock::duration times[] = {made - begin, called - made, dropped - called, dropped - begin};
    state.SetIterationTime(std::chrono::duration<double>(times[static_cast<size_t>(part)]).count());
  }
}

/// Measures a snapshot of 32 MiB that were just written.
void snapshot_32mib(benchmark::State& state) {
  Fixture f = Fixture::make(state, bench::kWide);
  InstanceOptions options;
  options.limits.memory.imageable = state.range(0) != 0;
  for (auto _ : state) {
    state.PauseTiming();
    Instance instance = must(state, f.pre.instantiate(options));
    must(state, must(state, instance.get_func("fill")).call());
    state.ResumeTiming();
    Snapshot snapshot = must(state, instance.snapshot());
    state.PauseTiming();
    snapshot = Snapshot();
    instance = Instance();
    state.ResumeTiming();
  }
}

void digest_32mib(benchmark::State& state) {
  Fixture f = Fixture::make(state, bench::kWide);
  Instance instance = must(state, f.pre.instantiate());
  must(state, must(state, instance.get_func("fill")).call());
  Snapshot snapshot = must(state, instance.snapshot());
  for (auto _ : state) benchmark::DoNotOptimize(must(state, snapshot.digest()));
}

#define ROTOR_RESTORE(part)                              \
  BENCHMARK_CAPTURE(restore_32mib, part, Part::part)     \
      ->ArgNames({"reads", "writes", "sealed_in_place"}) \
      ->ArgsProduct({{0, 16}, {0, 16}, {0, 1}})          \
      ->UseManualTime()                                  \
      ->Iterations(2000)
ROTOR_RESTORE(instantiate);
ROTOR_RESTORE(call);
ROTOR_RESTORE(drop);
BENCHMARK(snapshot_32mib)->ArgName("imageable")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->Iterations(20);
BENCHMARK(digest_32mib)->Unit(benchmark::kMillisecond);

const std::vector<std::vector<int64_t>> kLevelsAndSetting = {{0, 1}, {0, 1}};
#define ROTOR_KERNEL(name, argument)               \
  BENCHMARK_CAPTURE(kernel, name, #name, argument) \
      ->ArgNames({"opt", "interruptible"})         \
      ->ArgsProduct(kLevelsAndSetting)             \
      ->Unit(benchmark::kMicrosecond)
ROTOR_KERNEL(count, 1'000'000);
ROTOR_KERNEL(sum, 1'000'000);
ROTOR_KERNEL(sieve, 65536);
ROTOR_KERNEL(fib, 25);
#define ROTOR_FUEL_KERNEL(name, argument)                    \
  BENCHMARK_CAPTURE(kernel_with_fuel, name, #name, argument) \
      ->ArgNames({"opt", "fuel"})                            \
      ->ArgsProduct(kLevelsAndSetting)                       \
      ->Unit(benchmark::kMicrosecond)
ROTOR_FUEL_KERNEL(count, 1'000'000);
ROTOR_FUEL_KERNEL(sum, 1'000'000);
ROTOR_FUEL_KERNEL(sieve, 65536);
ROTOR_FUEL_KERNEL(fib, 25);
BENCHMARK(kernel_of_stores)
    ->ArgNames({"opt", "imported"})
    ->ArgsProduct({{0, 1}, {0, 1}})
    ->Unit(benchmark::kMicrosecond);
#define ROTOR_SLAB_KERNEL(name, argument)                  \
  BENCHMARK_CAPTURE(kernel_on_slab, name, #name, argument) \
      ->ArgNames({"opt", "slab", "grows"})                 \
      ->ArgsProduct({{0, 1}, {0, 1}, {0, 1}})              \
      ->Unit(benchmark::kMicrosecond)
ROTOR_SLAB_KERNEL(sum, 1'000'000);
ROTOR_SLAB_KERNEL(sieve, 65536);
BENCHMARK(host_to_wasm_deadline);
BENCHMARK(interrupt_to_trap)->UseManualTime()->Iterations(200);

BENCHMARK(stamp_call_drop_function);
BENCHMARK(stamp_call_drop_page);
BENCHMARK(stamp_data_drop)->ArgNames({"KiB", "pages"})->ArgsProduct({{8, 16, 32, 64, 16 << 10}, {0, 16}});
BENCHMARK(stamp_dirty_drop)->Arg(1)->Arg(16);
BENCHMARK(host_to_wasm);
BENCHMARK(host_to_wasm_stay);
BENCHMARK(host_to_wasm_untyped);
BENCHMARK(wasm_to_host);
BENCHMARK(wasm_to_host_data);
BENCHMARK(trap_to_host);

}  // namespace

BENCHMARK_MAIN();
