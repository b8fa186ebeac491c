// Failures at every step of a checkpoint and of a rewind: of the system, the guest, the factory and its hooks. Whatever
// fails, the state is there, the next checkpoint and the next rewind work, and nothing is leaked.
#include <gtest/gtest.h>

#include <thread>

#include "memory/fault_injection.h"
#include "memory/slot_pool.h"
#include "proxy/testing/checkpoint_policy.h"
#include "proxy/testing/held.h"

namespace rotor::proxy {
namespace {

namespace faults = memory::fault_injection;

/// A proxy's state, and what it must be.
struct State {
  uint32_t object = 0;
  int32_t value = 0;
};
using Step = std::function<void(Proxy&, State&)>;

/// Repeats a call as long as injected faults keep a trapped instance from being replaced.
void expect_state(Proxy& proxy, State& state) {
  Result<Reply> got = proxy.call("get", {state.object});
  for (int i = 0; i < 1000 && !got && got.error().message.find("nothing to rewind to") != std::string::npos; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    got = proxy.call("get", {state.object});
  }
  ASSERT_TRUE(got) << error_of(got);
  EXPECT_EQ(got->i32(), state.value);
}

void expect_well(Proxy& proxy, State& state) {
  expect_state(proxy, state);
  ASSERT_TRUE(proxy.call("add", {state.object, 1}));
  state.value++;
  ASSERT_TRUE(eventually([&] { return proxy.checkpoint().has_value(); })) << proxy.counters().last_problem;
  const uint64_t rotations = proxy.counters().rotations;
  ASSERT_TRUE(proxy.rotate());
  EXPECT_TRUE(eventually([&] { return proxy.call("live") && proxy.counters().rotations == rotations + 1; }));
  expect_state(proxy, state);
  EXPECT_EQ(call_i32(proxy, "live"), 1);
  EXPECT_TRUE(proxy.counters().rotating) << proxy.counters().off_reason;
}

/// Lets the n-th system call of `act` fail, for each n that it gets to.
void for_each_failure(const Step& prepare, const Step& act, uint64_t least,
                      faults::Scope scope = faults::Scope::this_thread) {
  AnswerGuests guests;
  Policy policy = one_checkpoint_policy();
  Held before;
  bool hit = true;
  uint64_t n = 0;
  for (; hit && n < 200 && !testing::Test::HasFailure(); n++) {
    SCOPED_TRACE("failure " + std::to_string(n));
    {
      Proxy proxy = guests.proxy(policy);
      State state{.object = make(proxy, 5), .value = 5};
      prepare(proxy, state);
      memory::SlotPool::release_all();
      faults::fail_after(n == 0 ? UINT64_MAX : n, scope);
      act(proxy, state);
      hit = n == 0 || faults::calls() >= n;
      faults::off();
      expect_well(proxy, state);
      EXPECT_TRUE(eventually([&] { return proxy.counters().retired == 0; }));
    }
    EXPECT_EQ(guests.alive, 0);
    memory::SlotPool::release_all();
    if (n == 0)
      before = held_now();
    else
      EXPECT_EQ(held_now(), before);
  }
  faults::off();
  EXPECT_GT(n, least + 1) << "it makes too few system calls that could fail";
  EXPECT_LT(n, 200u);
}

void nothing(Proxy&, State&) {}
void checkpoint(Proxy& proxy, State&) { ASSERT_TRUE(proxy.checkpoint()); }
/// Takes a checkpoint, and the address space away that the background then has ready for a rewind.
void checkpoint_without_slot(Proxy& proxy, State&) {
  ASSERT_TRUE(proxy.checkpoint());
  ASSERT_TRUE(eventually([] { return memory::SlotPool::release_all(); }));
}
void try_checkpoint(Proxy& proxy, State&) {
  const bool taken = proxy.checkpoint().has_value();
  EXPECT_EQ(taken, proxy.counters().checkpoints_failed == 0);
}

TEST(CheckpointFault, OfTheSystemInTheFirstCheckpoint) { for_each_failure(nothing, try_checkpoint, 2); }

TEST(CheckpointFault, OfTheSystemInTheNextCheckpoint) {
  for_each_failure(
      [](Proxy& proxy, State& state) {
        checkpoint(proxy, state);
        ASSERT_TRUE(proxy.rotate());
        ASSERT_TRUE(proxy.call("add", {state.object, 1}));
        state.value++;
      },
      try_checkpoint, 2);
}

TEST(CheckpointFault, OfTheSystemInARewind) {
  for_each_failure(
      [](Proxy& proxy, State& state) {
        checkpoint_without_slot(proxy, state);
        ASSERT_TRUE(proxy.rotate());
      },
      expect_state, 1);
}

/// The background thread makes it: what fails there, the rewind does.
TEST(CheckpointFault, OfTheSystemInAnInstanceMadeInAdvance) {
  for_each_failure(
      checkpoint_without_slot,
      [](Proxy& proxy, State& state) {
        // To warm_at, twice if the guest was refused its growth, and trapped.
        for (int i = 0; i < 2 && proxy.counters().memory_bytes < 46 * Memory::kPageBytes; i++)
          (void)proxy.call("leak", {44});
        ASSERT_TRUE(eventually([&] {
          const ProxyCounters c = proxy.counters();
          return c.standby_bytes > 0 || c.warmups_failed > 0;
        }));
        (void)proxy.call("leak", {kPagesToSwap - 44});
        expect_state(proxy, state);
      },
      1, faults::Scope::all_threads);
}

TEST(CheckpointFault, OfTheSystemInARewindAfterATrap) {
  for_each_failure(
      checkpoint_without_slot,
      [](Proxy& proxy, State& state) {
        EXPECT_FALSE(proxy.call("leak", {100}));
        expect_state(proxy, state);
      },
      1);
}

TEST(CheckpointFault, OfTheGuestAndItsFactory) {
  for (const char* step : {"factory", "start", "stop", "save", "on_rotate"}) {
    for (const bool trap : {false, true}) {
      SCOPED_TRACE(std::string(step) + (trap ? ", trap" : ""));
      AnswerGuests guests;
      Policy policy = checkpoint_policy();
      policy.group.workers = 1;
      policy.group.start = policy.group.stop = "live";
      {
        Proxy proxy = guests.proxy(policy);
        State state{.object = make(proxy, 5), .value = 5};
        ASSERT_TRUE(proxy.checkpoint());
        guests.fail_step(step, 1);
        if (trap)
          EXPECT_FALSE(proxy.call("leak", {100}));
        else
          leak_to_swap(proxy);
        expect_state(proxy, state);
        (void)proxy.checkpoint();  // the active may be lost in it, but not the state: the checkpoint is not stale
        expect_state(proxy, state);
        guests.fail_step("", 0);
        expect_well(proxy, state);
      }
      EXPECT_EQ(guests.alive, 0);
    }
  }
}

TEST(CheckpointFault, CallbacksThatThrow) {
  AnswerGuests guests;
  ProxyOptions options;
  options.on_checkpoint = [] { throw std::runtime_error("on_checkpoint threw"); };
  options.live_in_checkpoint = []() -> bool { throw std::runtime_error("live threw"); };
  Proxy proxy = guests.proxy(checkpoint_policy(), options);
  State state{.object = make(proxy, 5), .value = 5};
  ASSERT_TRUE(proxy.checkpoint());
  EXPECT_NE(proxy.counters().last_problem.find("on_checkpoint threw"), std::string::npos);
  leak_to_swap(proxy);
  expect_state(proxy, state);
  EXPECT_EQ(proxy.counters().rotations, 0u) << "who knows what is held";
}

}  // namespace
}  // namespace rotor::proxy
