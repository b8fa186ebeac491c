// Rotation by checkpoints: what stays, what is refused, and when.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "memory/testing/child.h"
#include "proxy/testing/checkpoint_policy.h"
#include "proxy/testing/random_guest.h"
#include "proxy/testing/told.h"

namespace rotor::proxy {
namespace {

TEST(Checkpoint, ARewindGivesMemoryBackAndPointersStayValid) {
  AnswerGuests guests;
  Told told;
  Proxy proxy = guests.proxy(checkpoint_policy(), told.options());
  const uint32_t a = make(proxy, 5), b = make(proxy, 7);
  EXPECT_LT(a, 1u << 20) << "a raw number";
  EXPECT_EQ(proxy.counters().checkpoints, 0u) << "the state is being built";
  EXPECT_TRUE(proxy.counters().checkpoint_stale);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(proxy.counters().checkpoints, 1u) << "after the first call that follows a build";
  EXPECT_FALSE(proxy.counters().checkpoint_stale);
  for (uint64_t n = 1; n <= 3; n++) {
    leak_to_swap(proxy);
    EXPECT_EQ(proxy.counters().rotations, n - 1);
    EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
    EXPECT_EQ(proxy.counters().rotations, n);
    EXPECT_EQ(proxy.counters().rotations_image, n);
    EXPECT_EQ(proxy.counters().memory_bytes, 2 * Memory::kPageBytes);
    EXPECT_EQ(call_i32(proxy, "address", {b}), static_cast<int32_t>(b));
    EXPECT_EQ(call_i32(proxy, "get", {b}), 7);
    EXPECT_EQ(call_i32(proxy, "live"), 2);
  }
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
  EXPECT_EQ(proxy.counters().log_calls, 0u);
  ASSERT_EQ(told.rotations.size(), 3u);
  EXPECT_EQ(told.rotations[0].cause, RotationCause::memory);
  EXPECT_EQ(told.rotations[0].origin, StandbyOrigin::image);
  EXPECT_EQ(told.rotations[0].bytes_before, (2 + kPagesToSwap) * Memory::kPageBytes);
  EXPECT_EQ(told.rotations[0].bytes_after, 2 * Memory::kPageBytes);
  EXPECT_GT(told.rotations[0].warmup_ns, 0u);
  EXPECT_TRUE(eventually([&] { return guests.alive == 1 && proxy.counters().retired == 0; }));
  EXPECT_TRUE(eventually([&] { return told.texts(ProxyEventKind::checkpoint_taken).size() == 1; }));
  EXPECT_GT(proxy.counters().image_bytes, 0u);
  EXPECT_EQ(proxy.counters().checkpoint_bytes, 2 * Memory::kPageBytes);
  EXPECT_GT(proxy.counters().checkpoint_ns_last, 0u);
}

TEST(Checkpoint, AnEmptyAllowListLosesNothing) {
  AnswerGuests guests;
  Told told;
  Policy policy = checkpoint_policy();
  policy.allow.clear();
  Proxy proxy = guests.proxy(policy, told.options());
  const uint32_t a = make(proxy, 5);
  for (int i = 0; i < 3; i++) EXPECT_EQ(call_i32(proxy, "add", {a, 1}), 6 + i);
  call_i32(proxy, "leak", {kPagesToSwap});
  EXPECT_EQ(call_i32(proxy, "get", {a}), 8);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 8);
  const ProxyCounters c = proxy.counters();
  EXPECT_EQ(c.rotations, 0u);
  EXPECT_EQ(c.checkpoints, 0u) << "none would be of use";
  EXPECT_EQ(c.state_changes, 7u);
  EXPECT_EQ(c.stale_by, "add 3, get 2, make 1, leak 1");
  EXPECT_EQ(c.rewinds_held_up, 1u) << "told once";
  EXPECT_EQ(c.last_problem,
            "limit: no rewind: there is no checkpoint; what left something behind: add 3, make 1, leak 1");
  EXPECT_TRUE(eventually([&] { return told.texts(ProxyEventKind::rewind_held_up).size() == 1; }));
}

TEST(Checkpoint, WhatIsNotAllowedMakesItStale) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(one_checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
  EXPECT_EQ(call_i32(proxy, "add", {a, 1}), 6);
  EXPECT_TRUE(proxy.counters().checkpoint_stale);
  leak_to_swap(proxy);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 6);
  EXPECT_EQ(proxy.counters().rotations, 0u) << "6 would be lost";
  EXPECT_EQ(proxy.counters().checkpoints, 1u) << "none is due";
  EXPECT_NE(proxy.counters().last_problem.find("the checkpoint is stale; what left something behind: make 1, add 1"),
            std::string::npos);
}

TEST(Checkpoint, ANewOneKeepsWhatWasBuiltSince) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  call_i32(proxy, "leak", {3});
  EXPECT_EQ(call_i32(proxy, "add", {a, 1}), 6);
  EXPECT_EQ(proxy.counters().checkpoints, 1u) << "another build may follow";
  call_i32(proxy, "live");
  EXPECT_EQ(proxy.counters().checkpoints, 2u);
  leak_to_swap(proxy);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 6);
  EXPECT_EQ(proxy.counters().rotations, 1u);
  EXPECT_EQ(proxy.counters().memory_bytes, 5 * Memory::kPageBytes) << "with what had leaked until then";
}

TEST(Checkpoint, ARewindComesBeforeAChangeIfMuchHasLeaked) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  call_i32(proxy, "leak", {20});
  EXPECT_EQ(call_i32(proxy, "add", {a, 1}), 6);
  EXPECT_EQ(proxy.counters().rotations, 1u);
  EXPECT_EQ(proxy.counters().memory_bytes, 2 * Memory::kPageBytes) << "the next checkpoint keeps no leak";
  call_i32(proxy, "live");
  call_i32(proxy, "leak", {20});
  {
    auto lease = proxy.acquire();
    EXPECT_EQ(lease->call("add", {a, 1})->i32(), 7);
  }
  EXPECT_EQ(proxy.counters().rotations, 1u) << "a lease is not rewound under";
  const uint32_t copy = proxy.call("copy", {a})->handle();
  call_i32(proxy, "leak", {4});
  call_i32(proxy, "add", {copy, 1});
  EXPECT_EQ(proxy.counters().rotations, 1u) << "the copy is newer";
  EXPECT_EQ(call_i32(proxy, "get", {copy}), 8);
}

/// Changes state again and again, and leaks much in between: `work` leaks. Returns how the memory stands then.
uint64_t bytes_after_changes(Proxy& proxy, uint32_t object, const std::function<void()>& work) {
  call_i32(proxy, "live");
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
  for (int i = 1; i <= 20; i++) {
    for (int n = 0; n < 8; n++) work();
    EXPECT_EQ(call_i32(proxy, "add", {object, 1}), 5 + i);
    EXPECT_EQ(call_i32(proxy, "add", {object, 0}), 5 + i);
  }
  EXPECT_EQ(proxy.counters().rotations, 20u);
  EXPECT_LE(proxy.counters().checkpoints, 21u) << "one for each rewind, whatever the number of changes";
  return proxy.counters().memory_bytes;
}

Policy thrifty_policy() {
  Policy policy = checkpoint_policy();
  policy.checkpoint.cpu = 1e-12;
  policy.checkpoint.grown = 0.0625;  // 4 of 64 pages
  return policy;
}

TEST(Checkpoint, ChangesBetweenLeaksDoNotKeepThem) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(thrifty_policy());
  const uint32_t a = make(proxy, 5);
  EXPECT_EQ(bytes_after_changes(proxy, a, [&] { call_i32(proxy, "leak", {1}); }), 2 * Memory::kPageBytes);
}

TEST(Checkpoint, NorIfTheLeaksAreInLeases) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(thrifty_policy());
  const uint32_t a = make(proxy, 5);
  EXPECT_EQ(bytes_after_changes(proxy, a,
                                [&] {
                                  auto lease = proxy.acquire();
                                  EXPECT_TRUE(lease->call("leak", {1}));
                                }),
            2 * Memory::kPageBytes);
}

TEST(Checkpoint, NorIfTheyAreInTypedCalls) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(thrifty_policy());
  const uint32_t a = make(proxy, 5);
  auto leak = proxy.get_typed<int32_t(int32_t)>("leak");
  ASSERT_TRUE(leak);
  EXPECT_EQ(bytes_after_changes(proxy, a, [&] { EXPECT_TRUE((*leak)(1)); }), 2 * Memory::kPageBytes);
  EXPECT_TRUE((*leak)(10));
  ASSERT_TRUE(proxy.rotate());
  EXPECT_TRUE((*leak)(1)) << "on a new instance";
  EXPECT_EQ(proxy.counters().memory_bytes, 3 * Memory::kPageBytes);
  call_i32(proxy, "add", {a, 0});
  EXPECT_TRUE((*leak)(1)) << "by the shortest way";
  EXPECT_EQ(proxy.counters().checkpoint_bytes, 3 * Memory::kPageBytes);
}

TEST(Checkpoint, ALeaseThatBuildsAndThenWorksIsFollowedByOne) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  {
    auto lease = proxy.acquire();
    ASSERT_TRUE(lease->call("make", {1}));
    ASSERT_TRUE(lease->call("live"));
    EXPECT_EQ(proxy.counters().checkpoints, 0u) << "a lease is held";
  }
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
  {
    auto lease = proxy.acquire();
    ASSERT_TRUE(lease->call("live"));
    ASSERT_TRUE(lease->call("make", {1}));
  }
  EXPECT_EQ(proxy.counters().checkpoints, 1u) << "its last call built";
}

TEST(Checkpoint, GrowthMakesOneDue) {
  AnswerGuests guests;
  Policy policy = checkpoint_policy();
  policy.checkpoint.cpu = 1e-12;
  policy.checkpoint.grown = 0.125;  // 8 of 64 pages
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  call_i32(proxy, "add", {a, 1});
  call_i32(proxy, "leak", {7});
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
  call_i32(proxy, "leak", {1});
  EXPECT_EQ(proxy.counters().checkpoints, 2u);
  call_i32(proxy, "leak", {20});
  EXPECT_EQ(proxy.counters().checkpoints, 2u) << "it is not stale";
}

TEST(Checkpoint, OneThatStandsAboveWarmAtIsFutile) {
  AnswerGuests guests;
  Told told;
  Proxy proxy = guests.proxy(checkpoint_policy(), told.options());
  const uint32_t a = make(proxy, 5);
  ASSERT_TRUE(proxy.call("set_level", {1}));
  call_i32(proxy, "leak", {kPagesToWarm});
  EXPECT_EQ(proxy.counters().checkpoints, 1u) << "for a trap it is good";
  leak_to_swap(proxy);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(proxy.counters().rotations, 0u);
  EXPECT_EQ(proxy.counters().futile, 1u);
  EXPECT_TRUE(eventually([&] { return told.texts(ProxyEventKind::rewind_held_up).size() == 1; }));
  EXPECT_EQ(told.texts(ProxyEventKind::rewind_held_up)[0],
            "rotation is futile: the checkpoint itself uses 72 % of the memory; what left something behind: make 1, "
            "set_level 1");
  ASSERT_FALSE(proxy.call("leak", {64}));
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(proxy.counters().rotations_trap, 1u);
}

TEST(Checkpoint, IsTakenWhenAsked) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(one_checkpoint_policy());
  ASSERT_TRUE(proxy.checkpoint());
  const uint32_t a = make(proxy, 5);
  EXPECT_TRUE(proxy.counters().checkpoint_stale);
  ASSERT_TRUE(proxy.prepare());
  EXPECT_EQ(proxy.counters().checkpoints, 2u);
  ASSERT_TRUE(proxy.prepare());
  EXPECT_EQ(proxy.counters().checkpoints, 2u) << "there is one";
  {
    auto lease = proxy.acquire();
    EXPECT_EQ(error_of(proxy.checkpoint()), "a checkpoint can't be taken within a lease");
    EXPECT_EQ(lease->call("get", {a})->i32(), 5) << "the lease goes on";
  }
  leak_to_swap(proxy);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(proxy.counters().rotations, 1u);
  EXPECT_EQ(error_of(proxy.verify()), "there is no replay to verify with mode = \"checkpoint\"");
}

TEST(Checkpoint, RotateWaitsForOneThatIsNotStale) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  ASSERT_TRUE(proxy.rotate());
  EXPECT_EQ(call_i32(proxy, "add", {a, 1}), 6);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 6);
  EXPECT_EQ(proxy.counters().rotations, 0u);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 6) << "a checkpoint was taken before";
  EXPECT_EQ(proxy.counters().rotations, 1u);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 6);
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

TEST(Checkpoint, RawCallsAreTheSame) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  auto raw = [&](std::string_view name, std::initializer_list<Value> args) {
    auto lease = proxy.acquire();
    auto values = lease->raw(name, args);
    EXPECT_TRUE(values) << name << ": " << error_of(values);
    return values && !values->empty() ? (*values)[0].i32() : 0;
  };
  const int32_t a = raw("make", {Value(5)});
  EXPECT_TRUE(proxy.counters().checkpoint_stale);
  EXPECT_EQ(raw("get", {Value(a)}), 5);
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(proxy.acquire()->resolve(static_cast<uint32_t>(a)), static_cast<uint32_t>(a));
  const int32_t copy = raw("copy", {Value(a)});
  EXPECT_EQ(proxy.counters().held, 1u);
  leak_to_swap(proxy);
  EXPECT_EQ(raw("get", {Value(copy)}), 5);
  EXPECT_EQ(proxy.counters().rotations, 0u);
  raw("drop", {Value(copy)});
  EXPECT_EQ(proxy.counters().held, 0u);
  EXPECT_EQ(raw("get", {Value(a)}), 5);
  EXPECT_EQ(proxy.counters().rotations, 1u);
  EXPECT_EQ(raw("add", {Value(a), Value(1)}), 6);
  EXPECT_TRUE(proxy.counters().checkpoint_stale);
}

// ---- state outside of the guest -------------------------------------------------------------------------------------

TEST(CheckpointHost, AHostFunctionSaysThatStateChanged) {
  AnswerGuests guests;
  bool heard = false;
  guests.on_ask = [&](Caller& caller, int32_t x) -> Result<int32_t> {
    if (x) heard = caller.state_changed();
    return x;
  };
  Proxy proxy = guests.proxy(checkpoint_policy());
  auto ask = proxy.get_typed<int32_t(int32_t)>("ask");
  make(proxy, 5);
  ASSERT_TRUE((*ask)(0));
  ASSERT_TRUE((*ask)(0));
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
  EXPECT_FALSE(proxy.counters().checkpoint_stale);
  ASSERT_TRUE((*ask)(1));
  EXPECT_TRUE(heard);
  EXPECT_TRUE(proxy.counters().checkpoint_stale);
  EXPECT_EQ(proxy.counters().stale_by, "make 1, a host function by Caller::state_changed 1");
  ASSERT_TRUE((*ask)(0));
  EXPECT_EQ(proxy.counters().checkpoints, 2u);
  leak_to_swap(proxy);
  ASSERT_TRUE((*ask)(1));
  EXPECT_EQ(proxy.counters().rotations, 1u);
  EXPECT_TRUE(proxy.counters().checkpoint_stale) << "the new instance is heard, too";
}

TEST(CheckpointHost, WhatTheHostWritesIsStateUnlessThePolicySaysOtherwise) {
  for (HostWrites writes : {HostWrites::state, HostWrites::scratch}) {
    AnswerGuests guests;
    Policy policy = checkpoint_policy();
    policy.checkpoint.host_writes = writes;
    Proxy proxy = guests.proxy(policy);
    const uint32_t a = make(proxy, 5);
    call_i32(proxy, "live");
    {
      auto lease = proxy.acquire();
      const uint8_t six[4] = {6};
      ASSERT_TRUE(lease->memory()->write(a, six));
    }
    leak_to_swap(proxy);
    EXPECT_EQ(proxy.counters().checkpoints, writes == HostWrites::state ? 2u : 1u);
    EXPECT_EQ(proxy.counters().stale_by, writes == HostWrites::state ? "make 1, Lease::memory 1" : "make 1");
  }
}

TEST(CheckpointHost, SavedStateBelongsToIt) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  EXPECT_EQ(guests.saves, 1);
  for (int i = 0; i < 2; i++) {
    ASSERT_TRUE(proxy.rotate());
    call_i32(proxy, "get", {a});
  }
  EXPECT_EQ(guests.from_image, (std::vector<int>{1, 1})) << "what the first guest saved";
  call_i32(proxy, "add", {a, 1});
  call_i32(proxy, "live");
  EXPECT_EQ(guests.saves, 2);
  ASSERT_TRUE(proxy.rotate());
  EXPECT_EQ(call_i32(proxy, "get", {a}), 6);
  EXPECT_EQ(guests.from_image, (std::vector<int>{1, 1, 3}));
}

TEST(CheckpointHost, ThatCanNotBeSavedAnyMoreGoesOnWithoutOne) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  ASSERT_FALSE(proxy.counters().checkpoint_stale);
  guests.save_fails_as = ErrorKind::unsupported;
  guests.fail_step("save", 1);
  EXPECT_FALSE(proxy.checkpoint());
  EXPECT_FALSE(proxy.counters().rotating);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(call_i32(proxy, "add", {a, 1}), 6);
}

TEST(CheckpointHost, OnlyTheActiveHandsOver) {
  AnswerGuests guests;
  std::vector<std::pair<int, int>> handed;
  guests.on_rotate = [&](int retired, int next) { handed.emplace_back(retired, next); };
  Proxy proxy = guests.proxy(checkpoint_policy());
  make(proxy, 5);
  call_i32(proxy, "live");
  guests.fail_step("on_rotate", 1);
  leak_to_swap(proxy);
  EXPECT_EQ(call_i32(proxy, "live"), 1);
  EXPECT_EQ(proxy.counters().rotations, 0u);
  EXPECT_NE(proxy.counters().last_problem.find("won't take over"), std::string::npos);
  EXPECT_TRUE(eventually([&] { return proxy.call("live") && proxy.counters().rotations == 1; }));
  EXPECT_EQ(handed.size(), 1u);
  EXPECT_EQ(handed[0].first, 1);
}

// ---- workers --------------------------------------------------------------------------------------------------------

Policy with_workers() {
  Policy policy = checkpoint_policy();
  policy.group.workers = 2;
  policy.group.start = "live";
  policy.group.stop = "live";
  return policy;
}

TEST(CheckpointGroup, WorkersAreStoppedForIt) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(with_workers());
  const uint32_t a = make(proxy, 5);
  EXPECT_EQ(guests.starts, 1);
  call_i32(proxy, "live");
  EXPECT_EQ(guests.stops, 1);
  EXPECT_EQ(guests.starts, 2);
  leak_to_swap(proxy);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(guests.starts, 3) << "the new instance has its own";
}

TEST(CheckpointGroup, AnActiveThatDoesNotGoOnIsReplacedByWhatWasTakenOfIt) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(with_workers());
  const uint32_t a = make(proxy, 5);
  guests.fail_step("start", 1);
  call_i32(proxy, "live");
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
  EXPECT_EQ(call_i32(proxy, "add", {a, 1}), 6) << "nothing is lost";
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

TEST(CheckpointGroup, AnActiveThatCanNotBeStoppedIsLostAloud) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(with_workers());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  call_i32(proxy, "add", {a, 1});
  guests.fail_step("stop", 1);
  call_i32(proxy, "live");
  EXPECT_EQ(proxy.counters().checkpoints_failed, 1u);
  auto refused = proxy.call("get", {a});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("workers won't stop"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("the checkpoint is stale"), std::string::npos);
}

TEST(CheckpointGroup, AFailureToSaveChangesNothing) {
  AnswerGuests guests;
  Told told;
  Proxy proxy = guests.proxy(with_workers(), told.options());
  const uint32_t a = make(proxy, 5);
  guests.fail_step("save", 1);
  EXPECT_NE(error_of(proxy.checkpoint()).find("can't be saved"), std::string::npos);
  EXPECT_EQ(guests.starts, 2) << "the workers run again";
  EXPECT_EQ(proxy.counters().checkpoints_failed, 1u);
  EXPECT_TRUE(eventually([&] { return told.texts(ProxyEventKind::checkpoint_failed).size() == 1; }));
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  ASSERT_TRUE(proxy.checkpoint());
  leak_to_swap(proxy);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

// ---- randomness -----------------------------------------------------------------------------------------------------

/// Draws before the checkpoint, then after each of two rewinds.
std::vector<int64_t> draws(Policy policy) {
  RandomGuests guests;
  auto proxy = guests.proxy(std::move(policy));
  EXPECT_TRUE(proxy) << error_of(proxy);
  std::vector<int64_t> drawn;
  auto draw = [&] { drawn.push_back(proxy->call("draw")->values[0].i64()); };
  draw();
  EXPECT_EQ(proxy->counters().checkpoints, 1u);
  for (int i = 0; i < 2; i++) {
    EXPECT_TRUE(proxy->rotate());
    draw();
  }
  EXPECT_EQ(proxy->counters().rotations, 2u);
  return drawn;
}

TEST(CheckpointRandom, NoRewindRepeatsWhatWasDrawn) {
  for (const char* reseed : {"seed", "seed_with"}) {
    Policy policy = random_policy();
    policy.checkpoint.reseed = reseed;
    const std::vector<int64_t> drawn = draws(policy);
    EXPECT_EQ(std::set<int64_t>(drawn.begin(), drawn.end()).size(), 3u) << reseed;
  }
}

TEST(CheckpointRandom, WithoutItTheyComeAgain) {
  Policy policy = random_policy();
  policy.checkpoint.reseed = "none";
  const std::vector<int64_t> drawn = draws(policy);
  EXPECT_EQ(drawn[1], drawn[2]) << "this is why a policy has to say it";
}

TEST(CheckpointRandom, AnInstanceThatCanNotBeReseededDoesNotServe) {
  RandomGuests guests;
  Policy policy = random_policy();
  policy.checkpoint.reseed = "seed_fails";
  policy.backoff_first_ms = 60'000;
  auto proxy = guests.proxy(policy);
  ASSERT_TRUE(proxy) << error_of(proxy);
  ASSERT_TRUE(proxy->call("leak", {0}));
  ASSERT_TRUE(proxy->call("leak", {kPagesToSwap}));
  for (int i = 0; i < 3; i++) EXPECT_EQ(call_i32(*proxy, "leak", {0}), 2 + kPagesToSwap);
  EXPECT_EQ(proxy->counters().rotations, 0u);
  EXPECT_EQ(proxy->counters().warmups_failed, 1u) << "the next attempt waits";
  EXPECT_NE(proxy->counters().last_problem.find("unreachable"), std::string::npos) << proxy->counters().last_problem;
}

// ---- the rest -------------------------------------------------------------------------------------------------------

TEST(Checkpoint, IsOffWithRotation) {
  AnswerGuests guests;
  Policy policy = checkpoint_policy();
  policy.enabled = false;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = make(proxy, 5);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(proxy.checkpoint().error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(proxy.rotate().error().kind, ErrorKind::invalid_argument);
  EXPECT_TRUE(proxy.acquire()->drop(a)) << "there is nothing that it would hold up";
  ASSERT_FALSE(proxy.call("leak", {64}));
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(proxy.counters().checkpoints, 0u);
}

TEST(Checkpoint, IsNotForReplay) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  EXPECT_EQ(error_of(proxy.checkpoint()), "a checkpoint is for mode = \"checkpoint\"");
  EXPECT_EQ(error_of(proxy.acquire()->drop(1)), "Lease::drop is for mode = \"checkpoint\"");
}

TEST(Checkpoint, AtSwapFailSaysWhy) {
  AnswerGuests guests;
  Policy policy = checkpoint_policy();
  policy.at_swap = AtSwap::fail;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  const uint32_t copy = proxy.call("copy", {a})->handle();
  leak_to_swap(proxy);
  auto refused = proxy.call("get", {copy});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::limit);
  EXPECT_NE(refused.error().message.find("copy 1"), std::string::npos) << refused.error().message;
}

TEST(Checkpoint, ALeaseIsNotRewoundUnder) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  auto lease = proxy.acquire();
  ASSERT_TRUE(lease->call("leak", {61}));  // at force_at
  std::thread other([&] { EXPECT_EQ(call_i32(proxy, "get", {a}), 5); });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(proxy.counters().rotations, 0u);
  EXPECT_EQ(lease->call("get", {a})->i32(), 5);
  {
    Lease ended = std::move(*lease);
  }
  other.join();
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

TEST(Checkpoint, GoesOnInAForkedChild) {
  if (const char* why = memory::test::why_no_child()) GTEST_SKIP() << why;
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  auto works = [&] {
    leak_to_swap(proxy);
    const uint64_t before = proxy.counters().rotations;
    return call_i32(proxy, "get", {a}) == 5 && proxy.counters().rotations == before + 1 && proxy.checkpoint() &&
           !testing::Test::HasFailure();
  };
  EXPECT_TRUE(memory::test::in_child([&] { return proxy.checkpoint() && works(); })) << "before the first";
  call_i32(proxy, "live");
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
  EXPECT_TRUE(memory::test::in_child(works));
  EXPECT_TRUE(works());
}

TEST(Checkpoint, ManyThreads) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; i++) {
        if (t == 0 && i % 50 == 49) {
          EXPECT_TRUE(proxy.call("set_level", {i}));
        } else if (t == 1) {
          auto lease = proxy.acquire();
          const uint32_t copy = lease->call("copy", {a})->handle();
          EXPECT_EQ(lease->call("get", {copy})->i32(), 5);
          EXPECT_TRUE(lease->call("drop", {copy}));
        } else {
          call_i32(proxy, "leak", {i % 2});
          EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
        }
        (void)proxy.counters();
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(call_i32(proxy, "used"), 199);
  EXPECT_EQ(call_i32(proxy, "live"), 1);
  EXPECT_GT(proxy.counters().rotations, 0u);
}

}  // namespace
}  // namespace rotor::proxy
