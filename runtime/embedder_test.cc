// What an embedder's threads and functions may bring along: blocked signals, a floating-point environment of their own,
// exceptions, and their end.
#include <fenv.h>
#include <pthread.h>
#include <signal.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <thread>

#include "rotor/import_observer.h"
#include "rotor/wat.h"
#include "runtime/enter/entry.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

constexpr std::string_view kGuest = R"(
  (module
    (import "env" "host" (func $host))
    (memory (export "memory") 1 8)
    (func (export "trap") unreachable)
    (func (export "load") (result i32) (i32.load (i32.const -1)))
    (func $recurse (export "recurse") (result i32) (i32.add (call $recurse) (i32.const 1)))
    (func (export "ok") (result i32) (i32.const 42))
    (func (export "call_host") (call $host))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "add") (param f64 f64) (result f64) (f64.add (local.get 0) (local.get 1)))
    (func (export "div") (param f64 f64) (result f64) (f64.div (local.get 0) (local.get 1)))
    (func (export "host_and_add") (param f64 f64) (result f64)
      (call $host) (f64.add (local.get 0) (local.get 1)))
    (func (export "grow_and_add") (param f64 f64) (result f64)
      (drop (memory.grow (i32.const 1))) (f64.add (local.get 0) (local.get 1)))
    (func (export "add_and_trap") (param f64 f64) (result f64)
      (f64.add (local.get 0) (local.get 1)) unreachable)
    (export "host" (func $host))))";

class Embedder : public testing::TestWithParam<CompileMode> {
 protected:
  static Config config() {
    Config config;
    config.mode = GetParam();
    return config;
  }
  Embedder() : engine_(must(Engine::create(config()))), module_(compile(engine_, must(wat_to_wasm(kGuest)))) {
    linker_.define("env", "host", [this] { host_(); });
  }
  Instance make(const InstanceOptions& options = {}) { return instantiate(linker_, module_, options); }
  static Result<std::vector<Value>> call(const Instance& instance, std::string_view name) {
    return must(instance.get_func(name)).call();
  }

  std::function<void()> host_ = [] {};
  Engine engine_;
  Module module_;
  Linker linker_{engine_};
};
// ---- signals --------------------------------------------------------------------------------------------------------

using Signals = Embedder;
INSTANTIATE_TEST_SUITE_P(, Signals, testing::Values(CompileMode::aot));

void block_all() {
  sigset_t all;
  sigfillset(&all);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &all, nullptr), 0);
}

void expect_traps(const Instance& instance) {
  auto call = [&](std::string_view name) { return must(instance.get_func(name)).call(); };
  expect_trap(call("trap"), TrapKind::unreachable);
  expect_trap(call("load"), TrapKind::out_of_bounds_memory);
  expect_trap(call("recurse"), TrapKind::stack_overflow);
}

TEST_P(Signals, BlockedBeforeTheFirstCall) {
  Instance instance = make();
  std::thread([&] {
    block_all();
    expect_traps(instance);
    // Only those of traps are unblocked.
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, nullptr, &now);
    EXPECT_TRUE(sigismember(&now, SIGTERM));
    EXPECT_FALSE(sigismember(&now, SIGSEGV) || sigismember(&now, SIGBUS));
  }).join();
}

TEST_P(Signals, BlockedAfterIt) {
  Instance instance = make();
  std::thread([&] {
    EXPECT_TRUE(call(instance, "ok"));
    block_all();
    must(Engine::prepare_thread());
    expect_traps(instance);
  }).join();
}

TEST_P(Signals, TheStackForThemTakenAway) {
  Instance instance = make();
  std::thread([&] {
    expect_traps(instance);
    for (int i = 0; i < 2; i++) {
      stack_t none{};
      none.ss_flags = SS_DISABLE;
      ASSERT_EQ(sigaltstack(&none, nullptr), 0);
      must(Engine::prepare_thread());
      expect_traps(instance);
    }
  }).join();
}

// ---- the floating-point environment ---------------------------------------------------------------------------------

using Floats = Embedder;
INSTANTIATE_TEST_SUITE_P(, Floats, testing::Values(CompileMode::aot, CompileMode::lazy),
                         [](const auto& info) { return info.param == CompileMode::aot ? "Aot" : "Lazy"; });

/// Rounds up, takes denormals for zero and raises what can be raised, for its scope.
class Strange {
 public:
  static constexpr uint32_t kControl = 0x8000 | 0x4000 | 0x0040;
  Strange() { FloatControl::set(kControl); }
  ~Strange() { FloatControl::set(FloatControl::kGuest); }
};

constexpr double kTiny = 1e-310;

void expect_own_results(const TypedFunc<double(double, double)>& add) {
  EXPECT_EQ(must(add(1.0, 1e-16)), 1.0);
  EXPECT_EQ(must(add(kTiny, kTiny)), 2e-310);
}

TEST_P(Floats, ResultsAreTheGuestsOwn) {
  Instance instance = make();
  auto add = typed<double(double, double)>(instance, "add");
  auto div = typed<double(double, double)>(instance, "div");
  double infinity = 0;
  uint32_t after = 0;
  {
    Strange strange;
    expect_own_results(add);
    infinity = must(div(1.0, 0.0));
    after = FloatControl::get();
  }
  EXPECT_EQ(infinity, std::numeric_limits<double>::infinity());
  EXPECT_EQ(after, Strange::kControl);
  ASSERT_EQ(FloatControl::get(), FloatControl::kGuest);
}

TEST_P(Floats, ATrapGivesTheHostItsOwnBack) {
  Instance instance = make();
  auto trap = typed<double(double, double)>(instance, "add_and_trap");
  uint32_t after = 0;
  {
    Strange strange;
    auto result = trap(kTiny, 1.0);
    after = FloatControl::get();
    FloatControl::set(FloatControl::kGuest);
    expect_trap(result, TrapKind::unreachable);
  }
  EXPECT_EQ(after, Strange::kControl);
}

TEST_P(Floats, AHostFunctionHasTheHosts) {
  Instance instance = make(), other = make();
  auto add = typed<double(double, double)>(instance, "host_and_add");
  auto nested = typed<double(double, double)>(other, "add");
  uint32_t inside = 0, after_nested = 0, after = 0;
  double nested_sum = 0;
  host_ = [&] {
    inside = FloatControl::get();
    nested_sum = *nested(kTiny, kTiny);
    after_nested = FloatControl::get();
  };
  {
    Strange strange;
    expect_own_results(add);
    after = FloatControl::get();
  }
  EXPECT_EQ(inside, Strange::kControl);
  EXPECT_EQ(after_nested, Strange::kControl);
  EXPECT_EQ(after, Strange::kControl);
  EXPECT_EQ(nested_sum, 2e-310);
}

TEST_P(Floats, WhatAHostFunctionChangesStaysTheHosts) {
  Instance instance = make();
  auto add = typed<double(double, double)>(instance, "host_and_add");
  int calls = 0;
  bool kept = false;
  host_ = [&] {
    if (calls++) kept = FloatControl::get() == Strange::kControl;
    FloatControl::set(Strange::kControl);
  };
  double first = must(add(1.0, 1e-16));
  const uint32_t after = FloatControl::get();
  double second = must(add(kTiny, kTiny));
  FloatControl::set(FloatControl::kGuest);
  EXPECT_EQ(first, 1.0);
  EXPECT_EQ(second, 2e-310);
  EXPECT_EQ(after, Strange::kControl);
  EXPECT_TRUE(kept);
}

TEST_P(Floats, ALoadedModuleHasItsOwn) {
  std::vector<uint8_t> code = must(module_.serialize());
  Module loaded = must(Module::deserialize(engine_, code));
  Instance instance = instantiate(linker_, loaded);
  Strange strange;
  expect_own_results(typed<double(double, double)>(instance, "add"));
}

// A guest that computes no floats leaves the control alone, until it is linked to one that does.
TEST_P(Floats, AGuestWithoutFloatsIsLinkedToOneThatHasThem) {
  Instance floats = make();
  Linker linker(engine_);
  Instance plain;
  linker.define("env", "link",
                [&] { must(must(plain.get_table("table")).set(0, Value(must(floats.get_func("add"))))); });
  constexpr std::string_view kText = R"(
    (module
      (import "env" "link" (func $link))
      (type $add (func (param f64 f64) (result f64)))
      (table (export "table") 1 funcref)
      (func (export "link_and_add") (param f64 f64) (result f64)
        (call $link)
        (call_indirect (type $add) (local.get 0) (local.get 1) (i32.const 0)))
      (func (export "add") (param f64 f64) (result f64)
        (call_indirect (type $add) (local.get 0) (local.get 1) (i32.const 0)))))";
  plain = instantiate(linker, compile(engine_, must(wat_to_wasm(kText))));
  double linked = 0;
  uint32_t after = 0;
  {
    Strange strange;
    linked = must(typed<double(double, double)>(plain, "link_and_add")(1.0, 1e-16));
    after = FloatControl::get();
    expect_own_results(typed<double(double, double)>(plain, "add"));
  }
  EXPECT_EQ(linked, 1.0);
  EXPECT_EQ(after, Strange::kControl);
}

TEST_P(Floats, AWatermarkHasTheHosts) {
  InstanceOptions options;
  options.limits.memory.watermark = 0;
  uint32_t inside = 0;
  options.limits.memory.on_watermark = [&](const MemoryGrowth&) {
    inside = FloatControl::get();
    return true;
  };
  Instance instance = make(options);
  auto add = typed<double(double, double)>(instance, "grow_and_add");
  {
    Strange strange;
    expect_own_results(add);
  }
  EXPECT_EQ(inside, Strange::kControl);
}

// ---- exceptions -----------------------------------------------------------------------------------------------------

using Exceptions = Embedder;
INSTANTIATE_TEST_SUITE_P(, Exceptions, testing::Values(CompileMode::aot, CompileMode::lazy),
                         [](const auto& info) { return info.param == CompileMode::aot ? "Aot" : "Lazy"; });

template <class T>
void expect_thrown(const Result<T>& result, std::string_view message) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::host);
  EXPECT_EQ(result.error().message, message);
}

void expect_works(const Instance& instance) { EXPECT_EQ(must(typed<int32_t()>(instance, "ok")()), 42); }

TEST_P(Exceptions, AHostFunctionThrows) {
  Instance instance = make();
  host_ = [] { throw std::runtime_error("no such row"); };
  auto result = call(instance, "call_host");
  expect_thrown(result, "a host function threw: no such row");
  EXPECT_FALSE(result.error().trap) << "the guest did not trap";
  ASSERT_EQ(result.error().frames().size(), 1u);
  EXPECT_EQ(result.error().frames()[0].func_name, "call_host");
  expect_works(instance);
  host_ = [] { throw 7; };
  expect_thrown(call(instance, "call_host"), "a host function threw what is no std::exception");
  expect_works(instance);
  host_ = [] {};
  EXPECT_TRUE(call(instance, "call_host"));
}

TEST_P(Exceptions, AHostFunctionThatIsExportedThrows) {
  Instance instance = make(), other = make();
  host_ = [] { throw std::runtime_error("no such row"); };
  expect_thrown(call(instance, "host"), "a host function threw: no such row");
  volatile char used[65536];
  for (volatile char& c : used) c = 'A';
  expect_works(instance);
  expect_works(other);
}

TEST_P(Exceptions, ThroughSeveralGuests) {
  Instance inner = make(), outer = make();
  Func call_host = must(inner.get_func("call_host"));
  int depth = 0;
  bool passed = false;
  host_ = [&] {
    if (depth++) throw std::runtime_error("deep");
    auto result = call_host.call();
    passed = !result && result.error().kind == ErrorKind::host;
    throw std::runtime_error(result.error().message);
  };
  expect_thrown(call(outer, "call_host"), "a host function threw: a host function threw: deep");
  EXPECT_TRUE(passed);
  expect_works(inner);
  expect_works(outer);
}

TEST_P(Exceptions, AnObserverThrows) {
  struct : ImportObserver {
    Result<void> on_import(uint32_t, Caller&, Slot*, const HostFunction&) override {
      throw std::runtime_error("observed");
    }
  } observer;
  InstanceOptions options;
  options.import_observer = &observer;
  Instance instance = make(options);
  expect_thrown(call(instance, "call_host"), "a host function threw: observed");
  expect_works(instance);
}

TEST_P(Exceptions, AWatermarkThrows) {
  InstanceOptions options;
  options.limits.memory.watermark = 0;
  bool throws = true;
  options.limits.memory.on_watermark = [&](const MemoryGrowth&) -> bool {
    if (throws) throw std::runtime_error("no budget");
    return true;
  };
  Instance instance = make(options);
  auto result = call(instance, "grow");
  expect_thrown(result, "on_watermark threw: no budget");
  EXPECT_FALSE(result.error().trap) << "the guest did not trap";
  ASSERT_EQ(result.error().frames().size(), 1u);
  EXPECT_EQ(result.error().frames()[0].func_name, "grow");
  Memory memory = must(instance.get_memory("memory"));
  expect_thrown(memory.grow(1), "on_watermark threw: no budget");
  EXPECT_EQ(memory.denied_growths(), 2u);
  EXPECT_EQ(memory.size_pages(), 1u);
  throws = false;
  EXPECT_EQ(must(typed<int32_t()>(instance, "grow")()), 1);
  expect_works(instance);
}

TEST_P(Exceptions, WhatMakesAnInstanceThrows) {
  InstanceOptions options;
  options.on_interrupt_handle = [](const InterruptHandle&) { throw std::runtime_error("no handle"); };
  expect_thrown(linker_.instantiate(module_, options), "on_interrupt_handle threw: no handle");
  Linker linker(engine_);
  linker.define_per_instance("env", "host", ExternType(FuncType{}),
                             [](const InstanceOptions&) -> Result<Extern> { throw std::runtime_error("no import"); });
  expect_thrown(linker.instantiate(module_), "what makes an import per instance threw: no import");
  expect_works(make());
}

TEST_P(Exceptions, CompilationIsToldOfByWhatThrows) {
  Config config = Embedder::config();
  config.mode = CompileMode::aot;
  config.compile_workers = 4;
  config.compile_progress = [](uint32_t, uint32_t) { throw std::runtime_error("not interested"); };
  Engine engine = must(Engine::create(std::move(config)));
  expect_thrown(Module::compile(engine, must(wat_to_wasm(kGuest))), "compile_progress threw: not interested");
}

// A thread that ends in a host function (pthread_exit, pthread_cancel) can't unwind the guest: its frames are skipped,
// the process goes on, and what the thread was inside stays so.
TEST_P(Exceptions, AThreadEndsInAHostFunction) {
  Instance instance = make(), other = make();
  std::atomic<bool> destroyed = false;
  struct Local {
    std::atomic<bool>& destroyed;
    ~Local() { destroyed = true; }
  };
  host_ = [&] {
    Local local{destroyed};
    pthread_exit(nullptr);
  };
  // Not std::thread, which leaks what it holds.
  auto run = [](void* in) -> void* {
    (void)call(*static_cast<Instance*>(in), "call_host");
    return nullptr;
  };
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, nullptr, run, &instance), 0);
  pthread_join(thread, nullptr);
  EXPECT_TRUE(destroyed) << "of the host function, what it has is cleaned up";
  host_ = [] {};
  EXPECT_EQ(kind_of(call(instance, "ok")), ErrorKind::invalid_argument);
  expect_works(other);
  // It is never freed, for its thread never left it: what is named from here is no leak to LeakSanitizer.
  static auto* never_freed = new std::vector<Instance>;
  never_freed->push_back(std::move(instance));
}

}  // namespace
}  // namespace rotor::runtime::test
