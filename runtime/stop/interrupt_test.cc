// Calls that are ended from outside: stops, deadlines, and what is left of them afterwards.
#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "runtime/access.h"
#include "runtime/store/instance.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = InterruptHandle::Clock;

/// A flag that another thread waits for.
class Signal {
 public:
  void raise() { raised_.store(true); }
  void lower() { raised_.store(false); }
  bool raised() const { return raised_.load(); }
  void wait() const {
    while (!raised_.load()) std::this_thread::sleep_for(milliseconds(1));
  }

 private:
  std::atomic<bool> raised_{false};
};

class InterruptTest : public testing::TestWithParam<OptLevel> {
 protected:
  static Engine make_engine(bool interruptible) {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = GetParam();
    config.interruptible = interruptible;
    return must(Engine::create(config));
  }
  InterruptTest() : engine_(make_engine(true)), module_(compile(engine_, kInterrupt)) {
    // The guest calls `f` where it begins to be worth an interrupt.
    linker_.define("env", "f", [this] { started_.raise(); });
    linker_.define_func("env", "pick", {{}, {ValType::funcref}}, [](Caller&, Slot* slots) -> Result<void> {
      slots[0] = 0;
      return {};
    });
  }
  Instance make() { return instantiate(linker_, module_); }
  static Result<std::vector<Value>> call(const Instance& instance, std::string_view name) {
    return must(instance.get_func(name)).call();
  }
  static void expect_works(const Instance& instance) {
    EXPECT_EQ(must(typed<int32_t()>(instance, "leaf")()), 7);
    EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "call_then_sum")(100)), 5050);
  }
  /// Runs `name`, interrupts it once it has called `f`, and expects its trap with a frame of that function.
  void expect_ended(const Instance& instance, std::string_view name) {
    InterruptHandle handle = instance.interrupt_handle();
    started_.lower();
    std::thread other([&] {
      started_.wait();
      must(handle.interrupt());
    });
    auto result = call(instance, name);
    other.join();
    expect_trap(result, TrapKind::interrupted);
    ASSERT_FALSE(result.error().trap->frames().empty());
    EXPECT_EQ(result.error().trap->frames().back().func_name, name);
    EXPECT_GT(result.error().trap->frames().back().module_offset, 0u);
  }

  Signal started_;
  Engine engine_;
  Module module_;
  Linker linker_{engine_};
};
INSTANTIATE_TEST_SUITE_P(Levels, InterruptTest, testing::Values(OptLevel::o0, OptLevel::o1));

TEST_P(InterruptTest, EndsALoop) {
  Instance instance = make();
  expect_ended(instance, "spin");
  expect_works(instance);
}

TEST_P(InterruptTest, EndsALoopThatCalls) {
  Instance instance = make();
  expect_ended(instance, "spin_and_call");
  expect_works(instance);
}

TEST_P(InterruptTest, EndsLoopsInLoops) {
  Instance instance = make();
  expect_ended(instance, "spin_and_count");
  expect_works(instance);
}

TEST_P(InterruptTest, EndsRecursionOfTinyFunctions) {
  Instance instance = make();
  std::thread other([&] {
    started_.wait();
    must(instance.interrupt());
  });
  auto ended = call(instance, "recurse");
  other.join();
  expect_trap(ended, TrapKind::interrupted);
  ASSERT_FALSE(ended.error().trap->frames().empty());
  EXPECT_EQ(ended.error().trap->frames()[0].func_name, "fib");
  expect_works(instance);
}

TEST_P(InterruptTest, StackOverflowIsStillThat) {
  Instance instance = make();
  Func deep = must(instance.get_func("deep"));
  expect_trap(deep.call({Value(0)}), TrapKind::stack_overflow);
  must(instance.interrupt());
  expect_trap(deep.call({Value(0)}), TrapKind::interrupted);
  expect_trap(deep.call({Value(0)}), TrapKind::stack_overflow);
  // One that was withdrawn is no reason either.
  must(instance.interrupt());
  instance.interrupt_handle().cancel();
  expect_trap(deep.call({Value(0)}), TrapKind::stack_overflow);
}

TEST_P(InterruptTest, EndsAStartFunction) {
  Module module = compile(engine_, kStartSpin);
  InstanceOptions options;
  std::thread other;
  options.on_interrupt_handle = [&](const InterruptHandle& handle) {
    other = std::thread([handle] {
      std::this_thread::sleep_for(milliseconds(5));
      must(handle.interrupt());
    });
  };
  auto failed = linker_.instantiate(module, options);
  other.join();
  expect_trap(failed, TrapKind::interrupted);
  ASSERT_EQ(failed.error().trap->frames().size(), 1u);
  EXPECT_EQ(failed.error().trap->frames()[0].func_name, "start");
  InstanceOptions timed;
  timed.deadline = Clock::now() + milliseconds(5);
  expect_trap(linker_.instantiate(module, timed), TrapKind::interrupted);
}

TEST_P(InterruptTest, EndsTheNextCallIfNothingRuns) {
  Instance instance = make();
  must(instance.interrupt());
  must(instance.interrupt());  // once is enough: both are over with the first call
  auto ended = call(instance, "leaf");
  expect_trap(ended, TrapKind::interrupted);
  ASSERT_EQ(ended.error().trap->frames().size(), 1u);
  EXPECT_EQ(ended.error().trap->frames()[0].func_name, "leaf");
  EXPECT_FALSE(started_.raised());
  expect_works(instance);
}

/// A stay is no call: what ended one is over before the next.
TEST_P(InterruptTest, IsOverWithinAStay) {
  Instance instance = make();
  Stay stay = must(instance.stay());
  must(instance.interrupt());
  expect_trap(call(instance, "leaf"), TrapKind::interrupted);
  expect_works(instance);
  must(instance.interrupt());
  instance.interrupt_handle().cancel();
  expect_works(instance);
}

TEST_P(InterruptTest, CancelTakesItBack) {
  Instance instance = make();
  InterruptHandle handle = instance.interrupt_handle();
  must(handle.interrupt());
  handle.cancel();
  expect_works(instance);
  handle.cancel();
  expect_works(instance);
}

TEST_P(InterruptTest, HostFunctionsInBetweenPassItOn) {
  std::vector<std::string> told;
  InterruptHandle handle;
  bool swallow = false;
  Linker linker = linker_;
  linker.define("env", "f", [&](Caller& caller) -> Result<void> {
    must(handle.interrupt());
    // Until the outermost call is left, everything ends at once.
    for (int i = 0; i < 3; ++i) {
      auto inner = must(caller.get_func("leaf")).call();
      expect_trap(inner, TrapKind::interrupted);
      told.push_back(inner ? "" : inner.error().message);
      if (i == 2 && !swallow) return std::unexpected(inner.error());
    }
    return {};
  });
  Instance instance = instantiate(linker, module_);
  handle = instance.interrupt_handle();
  auto passed_on = call(instance, "call");
  expect_trap(passed_on, TrapKind::interrupted);
  ASSERT_EQ(passed_on.error().trap->frames().size(), 2u);
  EXPECT_EQ(passed_on.error().trap->frames()[1].func_name, "call");
  swallow = true;
  // The guest goes on after the host function, and ends at its loop; or nowhere, if it has none.
  auto loop = must(instance.get_func("call_then_sum")).call({Value(5)});
  expect_trap(loop, TrapKind::interrupted);
  EXPECT_EQ(loop.error().trap->frames().size(), 1u);
  must(call(instance, "call"));
  EXPECT_EQ(told.size(), 9u);
  // Consumed in each case: also by the call that returned.
  EXPECT_EQ(must(typed<int32_t()>(instance, "leaf")()), 7);
}

TEST_P(InterruptTest, EndsANestedLoop) {
  Linker linker = linker_;
  bool nested = false;
  linker.define("env", "f", [&](Caller& caller) -> Result<void> {
    started_.raise();
    if (std::exchange(nested, true)) return {};
    ROTOR_TRY(Func spin, caller.get_func("spin"));
    auto inner = spin.call();
    if (!inner) return std::unexpected(std::move(inner).error());
    return {};
  });
  Instance instance = instantiate(linker, module_);
  std::thread other([&] {
    started_.wait();
    must(instance.interrupt());
  });
  auto ended = call(instance, "call");
  other.join();
  expect_trap(ended, TrapKind::interrupted);
  ASSERT_EQ(ended.error().trap->frames().size(), 2u);
  EXPECT_EQ(ended.error().trap->frames()[0].func_name, "spin");
  EXPECT_EQ(ended.error().trap->frames()[1].func_name, "call");
  expect_works(instance);
}

/// With so small a stack that each entry has a limit of its own, which is put in force again after the one inside it.
TEST_P(InterruptTest, EndsTheOuterLoopAfterANestedCall) {
  Linker linker = linker_;
  linker.define("env", "f", [&](Caller& caller) -> Result<void> {
    started_.raise();
    ROTOR_TRY(Func leaf, caller.get_func("leaf"));
    auto inner = leaf.call();
    if (!inner) return std::unexpected(std::move(inner).error());
    return {};
  });
  InstanceOptions options;
  options.limits.stack_bytes = 64 << 10;
  Instance instance = instantiate(linker, module_, options);
  for (int i = 0; i < 20; ++i) {
    expect_ended(instance, "spin_and_call");
    expect_works(instance);
  }
}

/// A nested call that returns without having met the stop leaves it in force for the one around it.
TEST_P(InterruptTest, OutlivesTheReturnOfANestedCall) {
  Linker linker = linker_;
  InterruptHandle handle;
  bool nested = false;
  linker.define("env", "f", [&](Caller& caller) -> Result<void> {
    if (std::exchange(nested, true)) return handle.interrupt();
    ROTOR_TRY(Func again, caller.get_func("call"));
    must(again.call());
    return {};
  });
  InstanceOptions options;
  for (uint64_t stack_bytes : {options.limits.stack_bytes, uint64_t{64 << 10}}) {
    options.limits.stack_bytes = stack_bytes;
    Instance instance = instantiate(linker, module_, options);
    handle = instance.interrupt_handle();
    nested = false;
    expect_trap(must(instance.get_func("call_then_sum")).call({Value(5)}), TrapKind::interrupted);
    handle = {};
    EXPECT_EQ(must(typed<int32_t()>(instance, "leaf")()), 7);
  }
}

TEST_P(InterruptTest, OnlyTheOneThatIsMeant) {
  Instance meant = make(), other = make();
  must(meant.interrupt());
  expect_works(other);
  expect_trap(call(meant, "leaf"), TrapKind::interrupted);
  expect_works(meant);
  // While both run, each on its thread.
  Signal other_started;
  Linker linker = linker_;
  linker.define("env", "f", [&] { other_started.raise(); });
  Instance beside = instantiate(linker, module_);
  std::atomic<bool> done{false};
  std::thread runner([&] {
    other_started.raise();
    while (!done) expect_works(beside);
  });
  other_started.wait();
  expect_ended(meant, "spin");
  done = true;
  runner.join();
}

TEST_P(InterruptTest, LinkedInstancesStopTogether) {
  Instance provider = make();
  Linker linker(engine_);
  linker.define_instance("p", provider);
  InterruptHandle before = provider.interrupt_handle();
  Instance user = instantiate(linker, compile(engine_, kSpinUser));
  // A handle from before the merge and one of either member mean the same.
  for (const InterruptHandle& handle : {before, provider.interrupt_handle(), user.interrupt_handle()}) {
    must(handle.interrupt());
    expect_trap(call(provider, "leaf"), TrapKind::interrupted);
    must(handle.interrupt());
    expect_trap(call(user, "run"), TrapKind::interrupted);
    expect_works(provider);
  }
  started_.lower();
  std::thread other([&] {
    started_.wait();
    must(before.interrupt());
  });
  auto ended = call(user, "run");
  other.join();
  expect_trap(ended, TrapKind::interrupted);
  ASSERT_EQ(ended.error().trap->frames().size(), 2u);
  EXPECT_EQ(ended.error().trap->frames()[0].func_name, "spin");
}

TEST_P(InterruptTest, AStopIsMergedWithItsGroup) {
  Instance provider = make();
  Linker linker(engine_);
  linker.define_instance("p", provider);
  must(provider.interrupt());
  Instance user = instantiate(linker, compile(engine_, kSpinUser));
  expect_trap(call(user, "run"), TrapKind::interrupted);
  expect_works(provider);
  EXPECT_EQ(impl_of(user)->group->members().size(), 2u);
}

TEST_P(InterruptTest, GroupsThatMergeWhileOneRuns) {
  Instance joining = make();
  Func leaf = must(joining.get_func("leaf"));
  Linker linker = linker_;
  linker.define_func("env", "pick", {{}, {ValType::funcref}}, [&](Caller&, Slot* slots) -> Result<void> {
    slots[0] = Value(leaf).bits();
    return {};
  });
  // The larger group absorbs the other: once it is the one that runs, once the one that joins.
  for (bool runs_in_larger : {false, true}) {
    std::optional<Instance> larger;
    Instance instance = instantiate(linker, module_);
    Linker linked(engine_);
    linked.define_instance("p", runs_in_larger ? instance : joining);
    larger = instantiate(linked, compile(engine_, kSpinUser));
    expect_ended(instance, "pick_and_spin");
    EXPECT_GE(impl_of(instance)->group->members().size(), 3u);
    expect_works(instance);
    expect_works(joining);
    joining = make();
    leaf = must(joining.get_func("leaf"));
  }
}

TEST_P(InterruptTest, Deadline) {
  Instance instance = make();
  auto begin = Clock::now();
  must(instance.set_deadline(begin + milliseconds(30)));
  EXPECT_EQ(must(typed<int32_t()>(instance, "leaf")()), 7);
  auto ended = call(instance, "spin");
  expect_trap(ended, TrapKind::interrupted);
  EXPECT_GE(Clock::now() - begin, milliseconds(30));
  ASSERT_EQ(ended.error().trap->frames().size(), 1u);
  EXPECT_EQ(ended.error().trap->frames()[0].func_name, "spin");
  // It stays passed until it is set anew.
  expect_trap(call(instance, "leaf"), TrapKind::interrupted);
  expect_trap(call(instance, "leaf"), TrapKind::interrupted);
  must(instance.set_deadline(Clock::now() + seconds(1000)));
  expect_works(instance);
  must(instance.set_deadline(Clock::now() - seconds(1)));
  expect_trap(call(instance, "leaf"), TrapKind::interrupted);
  instance.clear_deadline();
  expect_works(instance);
  must(instance.set_deadline(Clock::time_point::max()));
  must(instance.set_deadline(Clock::time_point::min()));
  expect_trap(call(instance, "leaf"), TrapKind::interrupted);
}

TEST_P(InterruptTest, AnInterruptLeavesTheDeadline) {
  Instance instance = make();
  must(instance.set_deadline(Clock::now() - seconds(1)));
  must(instance.interrupt());
  expect_trap(call(instance, "leaf"), TrapKind::interrupted);
  expect_trap(call(instance, "leaf"), TrapKind::interrupted);
  instance.clear_deadline();
  expect_works(instance);
  must(instance.set_deadline(Clock::now() + milliseconds(20)));
  must(instance.interrupt());
  expect_trap(call(instance, "leaf"), TrapKind::interrupted);
  expect_trap(call(instance, "spin"), TrapKind::interrupted);
}

TEST_P(InterruptTest, AHostFunctionMovesTheDeadline) {
  Linker linker = linker_;
  InterruptHandle handle;
  linker.define("env", "f", [&] {
    must(handle.set_deadline(Clock::now() - seconds(1)));
    must(handle.set_deadline(Clock::now() + seconds(1000)));
  });
  Instance instance = instantiate(linker, module_);
  handle = instance.interrupt_handle();
  expect_works(instance);
}

TEST_P(InterruptTest, DeadlinesOfManyInstances) {
  constexpr int kInstances = 6;
  std::vector<std::thread> threads;
  for (int i = 0; i < kInstances; ++i) {
    threads.emplace_back([&, i] {
      Instance instance = make();
      auto deadline = Clock::now() + milliseconds(5 * (kInstances - i));
      must(instance.set_deadline(Clock::now() + seconds(1000)));
      must(instance.set_deadline(deadline));
      expect_trap(call(instance, "spin"), TrapKind::interrupted);
      EXPECT_GE(Clock::now(), deadline);
      must(instance.set_deadline(Clock::now() + seconds(1000)));  // dropped with it
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_P(InterruptTest, TheEarlierDeadlineHoldsForJoinedGroups) {
  for (bool of_user : {false, true}) {
    Instance provider = make();
    Linker linker(engine_);
    linker.define_instance("p", provider);
    InstanceOptions options;
    if (of_user) options.deadline = Clock::now() + milliseconds(20);
    must(provider.set_deadline(Clock::now() + (of_user ? milliseconds(1'000'000) : milliseconds(20))));
    Instance user = instantiate(linker, compile(engine_, kSpinUser), options);
    expect_trap(call(user, "run"), TrapKind::interrupted);
    user.clear_deadline();
    expect_works(provider);
  }
}

TEST_P(InterruptTest, HandlesOutliveInstancesAndEngines) {
  InterruptHandle handle;
  EXPECT_EQ(kind_of(handle.interrupt()), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(Instance().interrupt()), ErrorKind::stale_handle);
  {
    Engine own = make_engine(true);
    Linker linker(own);
    Instance instance = instantiate(linker, compile(own, kProvider));
    handle = instance.interrupt_handle();
    must(handle.set_deadline(Clock::now() + milliseconds(1)));
    must(handle.set_deadline(Clock::now() + seconds(1000)));
  }
  EXPECT_EQ(kind_of(handle.interrupt()), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(handle.interrupt_best_effort()), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(handle.set_deadline(Clock::now())), ErrorKind::stale_handle);
  handle.cancel();
  handle.clear_deadline();
}

TEST_P(InterruptTest, HandlesRaceWithTheDrop) {
  for (int i = 0; i < 100; ++i) {
    std::optional<Instance> instance = make();
    InterruptHandle handle = instance->interrupt_handle();
    std::atomic<int> turns{0};
    std::atomic<bool> done{false};
    std::thread other([&] {
      while (!done) {
        (void)handle.interrupt();
        handle.cancel();
        (void)handle.set_deadline(Clock::now() + milliseconds(turns % 2));
        ++turns;
      }
    });
    while (turns < 2) std::this_thread::yield();
    instance.reset();
    EXPECT_EQ(kind_of(handle.interrupt()), ErrorKind::stale_handle);
    done = true;
    other.join();
  }
}

TEST_P(InterruptTest, RacesWithTheReturn) {
  Instance instance = make();
  InterruptHandle handle = instance.interrupt_handle();
  auto sum = typed<int32_t(int32_t)>(instance, "call_then_sum");
  std::atomic<int> wanted{0}, sent{0};
  std::thread other([&] {
    for (int turn = 1; turn <= 2000; ++turn) {
      while (wanted < turn) std::this_thread::yield();
      must(handle.interrupt());
      sent = turn;
    }
  });
  int ended = 0;
  for (int turn = 1; turn <= 2000; ++turn) {
    wanted = turn;
    bool stopped = false;
    // Every interrupt ends one call, the one that runs or a later one, and never more than that one.
    while (!stopped) {
      bool was_sent = sent == turn;
      auto result = sum(200);
      if (!result) {
        expect_trap(result, TrapKind::interrupted);
        stopped = true;
      } else {
        EXPECT_EQ(*result, 20100);
        ASSERT_FALSE(was_sent) << "a call began after the interrupt and returned";
      }
    }
    ++ended;
    while (sent < turn) std::this_thread::yield();
    ASSERT_EQ(must(sum(10)), 55);
  }
  other.join();
  EXPECT_EQ(ended, 2000);
}

TEST_P(InterruptTest, WithdrawnStopsAreNoStackOverflow) {
  Instance instance = make();
  InterruptHandle handle = instance.interrupt_handle();
  std::atomic<bool> done{false};
  std::thread other([&] {
    while (!done) {
      must(handle.interrupt());
      handle.cancel();
      must(handle.set_deadline(Clock::now()));
      handle.clear_deadline();
    }
  });
  Func recurse = must(instance.get_func("recurse"));
  for (int i = 0; i < 300; ++i) expect_trap(recurse.call(), TrapKind::interrupted);
  done = true;
  other.join();
  handle.cancel();
  expect_works(instance);
}

TEST_P(InterruptTest, WakesAWaiter) {
  for (bool interruptible : {true, false}) {
    Engine engine = make_engine(interruptible);
    Linker linker(engine);
    linker.define("env", "memory", must(Memory::create(engine, {.limits = {1, 4}, .shared = true, .is64 = false})));
    Module module = compile(engine, kShared);
    Instance instance = instantiate(linker, module), beside = instantiate(linker, module);
    InterruptHandle handle = instance.interrupt_handle();
    auto wait = typed<int32_t(int32_t, int32_t, int64_t)>(instance, "wait");
    auto wait64 = typed<int32_t(int32_t, int64_t, int64_t)>(instance, "wait64");
    auto notify = typed<int32_t(int32_t, int32_t)>(beside, "notify");
    for (int64_t timeout_ns : {int64_t{-1}, INT64_MAX}) {
      for (int delay_ms : {0, 10}) {
        std::thread other([&] {
          std::this_thread::sleep_for(milliseconds(delay_ms));
          must(interruptible ? handle.interrupt() : handle.interrupt_best_effort());
        });
        auto ended = wait(64, 0, timeout_ns);
        other.join();
        expect_trap(ended, TrapKind::interrupted);
        EXPECT_EQ(ended.error().trap->frames().at(0).func_name, "wait");
      }
    }
    // Nobody is left in the queue, and the instance waits again.
    EXPECT_EQ(must(notify(64, 5)), 0);
    EXPECT_EQ(must(wait(64, 0, 1'000'000)), 2);
    EXPECT_EQ(must(wait64(64, 1, -1)), 1);
    must(handle.interrupt_best_effort());
    expect_trap(wait64(64, 0, -1), TrapKind::interrupted);
    if (!interruptible) continue;
    must(handle.set_deadline(Clock::now() + milliseconds(10)));
    expect_trap(wait64(64, 0, -1), TrapKind::interrupted);
  }
}

TEST_P(InterruptTest, WakesAHostFunctionThatWaits) {
  Linker linker = linker_;
  Signal woken;
  int waits = 0;
  bool went_on = true, had_to_stop = false;
  linker.define("env", "f", [&](Caller& caller) {
    woken.lower();
    ++waits;
    EXPECT_EQ(must(caller.wait([] {}, [] { ADD_FAILURE() << "woken for nothing"; })), true);
    EXPECT_FALSE(caller.must_stop());
    started_.raise();
    went_on = must(caller.wait([&] { woken.wait(); }, [&] { woken.raise(); }));
    had_to_stop = caller.must_stop();
    EXPECT_EQ(must(caller.wait([] { ADD_FAILURE() << "a wait of a call that has to stop"; }, [] {})), false);
  });
  Instance instance = instantiate(linker, module_);
  expect_ended(instance, "spin");
  EXPECT_FALSE(went_on);
  EXPECT_TRUE(had_to_stop);
  must(instance.set_deadline(Clock::now() + milliseconds(10)));
  went_on = true;
  expect_trap(call(instance, "spin"), TrapKind::interrupted);
  EXPECT_FALSE(went_on);
  EXPECT_EQ(waits, 2);
}

TEST_P(InterruptTest, AHostFunctionsWaitMayThrow) {
  Linker linker = linker_;
  std::string message;
  linker.define("env", "f", [&](Caller& caller) {
    auto failed = caller.wait([] { throw std::runtime_error("no"); }, [] { ADD_FAILURE() << "woken afterwards"; });
    message = failed ? "went on" : failed.error().message;
  });
  Instance instance = instantiate(linker, module_);
  EXPECT_TRUE(call(instance, "call"));
  EXPECT_EQ(message, "a host function's wait threw: no");
  must(instance.interrupt());
}

TEST_P(InterruptTest, WaitersRaceWithNotify) {
  Linker linker(engine_);
  linker.define("env", "memory", must(Memory::create(engine_, {.limits = {1, 4}, .shared = true, .is64 = false})));
  Module module = compile(engine_, kShared);
  Instance instance = instantiate(linker, module), beside = instantiate(linker, module);
  InterruptHandle handle = instance.interrupt_handle();
  std::atomic<bool> done{false};
  std::thread notifier([&] {
    auto notify = typed<int32_t(int32_t, int32_t)>(beside, "notify");
    while (!done) must(notify(64, 1));
  });
  std::thread interrupter([&] {
    while (!done) must(handle.interrupt());
  });
  auto wait = typed<int32_t(int32_t, int32_t, int64_t)>(instance, "wait");
  for (int i = 0; i < 1000; ++i) {
    auto result = wait(64, 0, -1);
    if (result)
      EXPECT_EQ(*result, 0);
    else
      expect_trap(result, TrapKind::interrupted);
  }
  done = true;
  notifier.join();
  interrupter.join();
}

TEST_P(InterruptTest, TheSettingIsNamed) {
  Engine engine = make_engine(false);
  Linker linker(engine);
  linker.define("env", "f", [this] { started_.raise(); });
  linker.define_func("env", "pick", {{}, {ValType::funcref}}, [](Caller&, Slot*) -> Result<void> { return {}; });
  Module module = compile(engine, kInterrupt);
  Instance instance = instantiate(linker, module);
  for (const auto& refused : {instance.interrupt(), instance.set_deadline(Clock::now())}) {
    ASSERT_EQ(kind_of(refused), ErrorKind::invalid_argument);
    EXPECT_NE(refused.error().message.find("Config::interruptible"), std::string::npos);
  }
  expect_works(instance);
  InstanceOptions options;
  options.deadline = Clock::now();
  EXPECT_EQ(kind_of(linker.instantiate(module, options)), ErrorKind::invalid_argument);
  // At function entries it ends any code.
  started_.lower();
  std::thread other([&] {
    started_.wait();
    must(instance.interrupt_handle().interrupt_best_effort());
  });
  expect_trap(call(instance, "recurse"), TrapKind::interrupted);
  other.join();
  must(instance.interrupt_handle().interrupt_best_effort());
  expect_trap(call(instance, "leaf"), TrapKind::interrupted);
  expect_works(instance);
}

TEST_P(InterruptTest, OneThatIsNotInterruptibleIsEnoughToRefuse) {
  // Code that an engine without the setting made is as it was compiled, wherever it is loaded.
  auto bytes = must(compile(make_engine(false), kInterrupt).serialize());
  Instance provider = instantiate(linker_, must(Module::deserialize(engine_, bytes)));
  EXPECT_EQ(kind_of(provider.interrupt()), ErrorKind::invalid_argument);
  Linker linker(engine_);
  linker.define_instance("p", provider);
  Instance user = instantiate(linker, compile(engine_, kSpinUser));
  EXPECT_EQ(kind_of(user.interrupt()), ErrorKind::invalid_argument);
  // And the other way round.
  Instance loaded = instantiate(linker_, must(Module::deserialize(engine_, must(module_.serialize()))));
  EXPECT_TRUE(loaded.interrupt());
}

}  // namespace
}  // namespace rotor::runtime::test
