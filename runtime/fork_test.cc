// What is left in the child of a fork, and what is done where the system gives no thread.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <thread>

#include "memory/testing/child.h"
#include "rotor/wat.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

using memory::test::deny_threads;
using memory::test::in_child;

using Clock = InterruptHandle::Clock;
using std::chrono::milliseconds;

/// Functions that call one another, so that lazy compilation has something to guess.
std::vector<uint8_t> guest(int functions) {
  std::string text = R"((module
    (import "env" "host" (func $host))
    (memory (export "memory") 1 1 shared)
    (func (export "call_host_and_spin") (call $host) (loop (br 0)))
    (func (export "spin") (loop (br 0)))
    (func (export "wait") (result i32) (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
    (func (export "notify") (result i32) (memory.atomic.notify (i32.const 0) (i32.const 1)))
    (func $f0 (param i32) (result i32) (local.get 0)))";
  for (int i = 1; i <= functions; i++) {
    std::string n = std::to_string(i);
    text += "(func $f" + n + " (export \"f" + n + "\") (param i32) (result i32) (i32.add (i32.const " + n +
            ") (call $f" + std::to_string(i - 1) + " (i32.mul (local.get 0) (i32.const " + n + ")))))";
  }
  return must(wat_to_wasm(text + ")"));
}
constexpr int kFunctions = 60;

std::string mode_name(const testing::TestParamInfo<CompileMode>& info) {
  constexpr const char* kNames[] = {"Aot", "Eager", "Lazy"};
  return kNames[static_cast<size_t>(info.param)];
}

class Fork : public testing::TestWithParam<CompileMode> {
 protected:
  static Config config() {
    Config config;
    config.mode = GetParam();
    config.hot_count = 100;
    config.compile_workers = 2;
    config.interruptible = true;
    return config;
  }
  Fork() : engine_(must(Engine::create(config()))), bytes_(guest(kFunctions)), module_(compile(engine_, bytes_)) {
    linker_.define("env", "host", [this] { host_(); });
  }
  void SetUp() override {
    if (const char* why = memory::test::why_no_child()) GTEST_SKIP() << why;
  }
  Instance make() { return instantiate(linker_, module_); }
  static Result<std::vector<Value>> call(const Instance& instance, std::string_view name) {
    return must(instance.get_func(name)).call();
  }
  /// Compiles in the modes that leave something to be.
  static bool works(const Instance& instance) {
    for (int i : {1, kFunctions, 7}) {
      auto f = instance.get_typed<int32_t(int32_t)>("f" + std::to_string(i));
      EXPECT_HERE(f);
      for (int k = 0; k < 300; k++) EXPECT_HERE((*f)(k));
    }
    return true;
  }
  bool makes_more() {
    for (CompileMode mode : {CompileMode::aot, CompileMode::eager, CompileMode::lazy}) {
      Config config = Fork::config();
      config.mode = mode;
      auto engine = Engine::create(std::move(config));
      EXPECT_HERE(engine);
      auto module = Module::compile(*engine, bytes_);
      EXPECT_HERE(module);
      Linker linker(*engine);
      linker.define("env", "host", [] {});
      auto instance = linker.instantiate(*module);
      EXPECT_HERE(instance);
      EXPECT_HERE(works(*instance));
    }
    auto module = Module::compile(engine_, bytes_);
    EXPECT_HERE(module);
    auto instance = linker_.instantiate(*module);
    EXPECT_HERE(instance);
    return works(*instance);
  }

  std::function<void()> host_ = [] {};
  Engine engine_;
  std::vector<uint8_t> bytes_;
  Module module_;
  Linker linker_{engine_};
};
const auto kModes = testing::Values(CompileMode::aot, CompileMode::eager, CompileMode::lazy);
INSTANTIATE_TEST_SUITE_P(, Fork, kModes, mode_name);

TEST_P(Fork, TheChildCompilesAndCalls) {
  Instance instance = make();
  EXPECT_TRUE(call(instance, "notify"));  // the pool has threads
  EXPECT_TRUE(in_child([&] {
    EXPECT_HERE(works(instance));
    EXPECT_HERE(makes_more());
    // And its child.
    return bool(in_child([&] { return works(make()) && makes_more(); }));
  }));
  EXPECT_TRUE(works(instance));
}

TEST_P(Fork, TheChildDropsAll) {
  EXPECT_TRUE(in_child([&] {
    {
      Engine engine = std::move(engine_);
      Config config;
      config.mode = CompileMode::aot;
      engine_ = must(Engine::create(config));
      module_ = compile(engine_, bytes_);
      linker_ = Linker(engine_);
    }
    return true;
  }));
}

TEST_P(Fork, WhileOthersCompile) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; i++)
    threads.emplace_back([&] {
      while (!stop) {
        Instance instance = instantiate(linker_, compile(engine_, bytes_));
        works(instance);
      }
    });
  Instance instance = make();
  for (int i = 0; i < 10; i++)
    EXPECT_TRUE(in_child([&] { return works(instance) && works(instantiate(linker_, compile(engine_, bytes_))); }));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(works(instance));
}

TEST_P(Fork, ADeadlineHolds) {
  Instance set_before = make(), set_after = make();
  must(set_before.set_deadline(Clock::now() + milliseconds(100)));
  EXPECT_TRUE(in_child([&] {
    auto ended = call(set_before, "spin");
    EXPECT_HERE(!ended && ended.error().trap && ended.error().trap->kind == TrapKind::interrupted);
    must(set_after.set_deadline(Clock::now() + milliseconds(50)));
    ended = call(set_after, "spin");
    EXPECT_HERE(!ended && ended.error().trap && ended.error().trap->kind == TrapKind::interrupted);
    return true;
  }));
  expect_trap(call(set_before, "spin"), TrapKind::interrupted);
}

TEST_P(Fork, ADeadlineHoldsForACallThatForks) {
  Instance instance = make();
  must(instance.set_deadline(Clock::now() + milliseconds(200)));
  pid_t child = -1;
  host_ = [&] {
    child = fork();
    if (child == 0) alarm(60);
  };
  auto ended = call(instance, "call_host_and_spin");
  const bool right = !ended && ended.error().trap && ended.error().trap->kind == TrapKind::interrupted;
  if (child == 0) _exit(right ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(right);
}

// A memory that is its own file, to be sealed as an image, is shared with nobody.
TEST_P(Fork, AnImageableMemoryIsEachProcesssOwn) {
  Module module = compile(engine_, must(wat_to_wasm(R"((module (memory (export "memory") 1)
    (func (export "store") (param i32) (i32.store (i32.const 8) (local.get 0)))
    (func (export "load") (result i32) (i32.load (i32.const 8)))))")));
  InstanceOptions options;
  options.limits.memory.imageable = true;
  Instance instance = instantiate(Linker(engine_), module, options);
  auto store = typed<void(int32_t)>(instance, "store");
  auto load = typed<int32_t()>(instance, "load");
  must(store(1));
  int to_parent[2], to_child[2];
  ASSERT_TRUE(pipe(to_parent) == 0 && pipe(to_child) == 0);
  char byte = 0;
  std::thread parent([&] {
    if (read(to_parent[0], &byte, 1) != 1) return;
    EXPECT_EQ(must(load()), 1);
    must(store(3));
    (void)!write(to_child[1], &byte, 1);
  });
  EXPECT_TRUE(in_child([&] {
    EXPECT_HERE(must(load()) == 1);
    must(store(2));
    EXPECT_HERE(write(to_parent[1], &byte, 1) == 1 && read(to_child[0], &byte, 1) == 1);
    return must(load()) == 2;
  }));
  parent.join();
  EXPECT_EQ(must(load()), 3);
  EXPECT_TRUE(instance.snapshot());
}

// What another thread was inside of stays so: an error, and no wait.
TEST_P(Fork, OtherThreadsInstancesAreTheirs) {
  Instance taken = make(), waiting = make();
  std::atomic<bool> inside = false, let_go = false;
  host_ = [&] {
    inside = true;
    while (!let_go) std::this_thread::yield();
  };
  std::thread other([&] { (void)call(taken, "call_host_and_spin"); });
  std::thread waiter([&] { (void)call(waiting, "wait"); });
  while (!inside) std::this_thread::yield();
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_TRUE(in_child([&] {
    EXPECT_HERE(kind_of(call(taken, "f1")) == ErrorKind::invalid_argument);
    EXPECT_HERE(kind_of(call(waiting, "notify")) == ErrorKind::invalid_argument);
    Instance gone = std::move(taken);
    return works(make());
  }));
  must(taken.interrupt());
  let_go = true;
  must(waiting.interrupt());
  other.join();
  waiter.join();
}

// ---- no threads -----------------------------------------------------------------------------------------------------

using NoThreads = Fork;
INSTANTIATE_TEST_SUITE_P(, NoThreads, kModes, mode_name);

TEST_P(NoThreads, CompilingAndCalling) {
  EXPECT_TRUE(in_child([&] {
    deny_threads();
    auto module = Module::compile(engine_, bytes_);
    if (GetParam() != CompileMode::lazy) {
      EXPECT_HERE(!module && module.error().kind == ErrorKind::io);
      EXPECT_HERE(module.error().message.find("no thread to compile on") == 0);
      return works(make());  // what is compiled; what is hot stays at tier 0
    }
    EXPECT_HERE(module);
    auto instance = linker_.instantiate(*module);
    EXPECT_HERE(instance);
    auto result = instance->get_func("f7")->call({Value(1)});
    EXPECT_HERE(!result && result.error().kind == ErrorKind::io);
    EXPECT_HERE(result.error().message.find("can't start a thread to compile") == 0);
    auto text = module->serialize();
    EXPECT_HERE(!text && text.error().kind == ErrorKind::io);
    return true;
  }));
}

TEST_P(NoThreads, TheThreadsThatThereAreGoOn) {
  EXPECT_TRUE(in_child([&] {
    Instance instance = make();
    EXPECT_HERE(instance.get_func("f1")->call({Value(1)}));
    deny_threads();
    // Compiling what is new takes new threads, but in the mode lazy.
    return works(instance) &&
           (GetParam() != CompileMode::lazy || works(instantiate(linker_, compile(engine_, bytes_))));
  }));
}

TEST_P(NoThreads, ADeadlineCantBeSet) {
  EXPECT_TRUE(in_child([&] {
    Instance instance = make();
    deny_threads();
    EXPECT_HERE(kind_of(instance.set_deadline(Clock::now() + milliseconds(100))) == ErrorKind::io);
    return true;
  }));
}

// One that was set before a fork is kept, or the guest does not run.
TEST_P(NoThreads, ADeadlineFromBeforeAFork) {
  Instance instance = make();
  must(instance.set_deadline(Clock::now() + std::chrono::hours(1)));
  EXPECT_TRUE(in_child([&] {
    deny_threads();
    auto ended = call(instance, "notify");
    EXPECT_HERE(!ended && ended.error().trap && ended.error().trap->kind == TrapKind::interrupted);
    instance.clear_deadline();
    if (GetParam() != CompileMode::lazy) EXPECT_HERE(call(instance, "notify"));
    return true;
  }));
}

}  // namespace
}  // namespace rotor::runtime::test
