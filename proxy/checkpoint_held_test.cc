// Rotation by checkpoints: results that the host holds, and traps.
#include <gtest/gtest.h>

#include "proxy/testing/checkpoint_policy.h"
#include "proxy/testing/told.h"

namespace rotor::proxy {
namespace {

// ---- results that are held ------------------------------------------------------------------------------------------

TEST(CheckpointHeld, NoRewindWhileSomethingNewerIsHeld) {
  AnswerGuests guests;
  Told told;
  Policy policy = checkpoint_policy();
  policy.query_handle_calls = 3;
  Proxy proxy = guests.proxy(policy, told.options());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  const uint32_t copy = proxy.call("copy", {a})->handle();
  leak_to_swap(proxy);
  EXPECT_EQ(call_i32(proxy, "get", {copy}), 5);
  EXPECT_EQ(call_i32(proxy, "get", {copy}), 5);
  EXPECT_EQ(proxy.counters().rotations, 0u);
  EXPECT_EQ(proxy.counters().held, 1u);
  EXPECT_EQ(proxy.counters().rewinds_held_up, 0u) << "for few calls, so far";
  EXPECT_EQ(call_i32(proxy, "get", {copy}), 5);
  EXPECT_EQ(proxy.counters().rewinds_held_up, 1u);
  EXPECT_TRUE(eventually([&] { return told.texts(ProxyEventKind::rewind_held_up).size() == 1; }));
  EXPECT_EQ(told.texts(ProxyEventKind::rewind_held_up)[0],
            "the host holds results that are newer than the checkpoint: copy 1");
  ASSERT_TRUE(proxy.call("drop", {copy}));
  EXPECT_FALSE(proxy.counters().checkpoint_stale) << "a release of what is newer leaves nothing behind";
  EXPECT_EQ(call_i32(proxy, "live"), 1);
  EXPECT_EQ(proxy.counters().rotations, 1u);
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
}

TEST(CheckpointHeld, ALeaseDropsWhatItHasNoReleaseFor) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  const uint32_t copy = proxy.call("copy", {a})->handle();
  leak_to_swap(proxy);
  {
    auto lease = proxy.acquire();
    EXPECT_TRUE(lease->drop(0));
    EXPECT_EQ(lease->drop(a).error().kind, ErrorKind::not_found);
    EXPECT_TRUE(lease->drop(copy));
    EXPECT_EQ(lease->drop(copy).error().kind, ErrorKind::not_found);
  }
  EXPECT_EQ(call_i32(proxy, "live"), 1);
  EXPECT_EQ(proxy.counters().rotations, 1u);
  auto again = proxy.call("get", {copy});
  ASSERT_FALSE(again) << "it was dropped, and a rewind took it";
  EXPECT_EQ(again.error().kind, ErrorKind::stale_handle);
}

TEST(CheckpointHeld, AReleaseOfWhatIsInTheCheckpointChangesState) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t a = make(proxy, 5), b = make(proxy, 6);
  call_i32(proxy, "live");
  ASSERT_TRUE(proxy.call("drop", {a}));
  EXPECT_TRUE(proxy.counters().checkpoint_stale);
  EXPECT_EQ(call_i32(proxy, "live"), 1);
  EXPECT_EQ(proxy.counters().checkpoints, 2u);
  leak_to_swap(proxy);
  EXPECT_EQ(call_i32(proxy, "live"), 1);
  EXPECT_EQ(call_i32(proxy, "get", {b}), 6);
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

TEST(CheckpointHeld, MayBeTakenIntoANewCheckpoint) {
  AnswerGuests guests;
  Policy policy = checkpoint_policy();
  policy.checkpoint.while_held = WhileHeld::checkpoint;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  const uint32_t copy = proxy.call("copy", {a})->handle();
  EXPECT_EQ(proxy.counters().checkpoints, 2u);
  EXPECT_EQ(proxy.counters().held, 0u);
  leak_to_swap(proxy);
  EXPECT_EQ(call_i32(proxy, "get", {copy}), 5);
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

TEST(CheckpointHeld, AStaleStateWaitsForSoManyCalls) {
  AnswerGuests guests;
  Policy policy = checkpoint_policy();
  policy.query_handle_calls = 4;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  const uint32_t copy = proxy.call("copy", {a})->handle();
  call_i32(proxy, "add", {copy, 1});  // it may have become part of the state
  for (int i = 0; i < 2; i++) {
    call_i32(proxy, "live");
    EXPECT_EQ(proxy.counters().checkpoints, 1u);
  }
  call_i32(proxy, "live");
  EXPECT_EQ(proxy.counters().checkpoints, 2u);
  EXPECT_EQ(proxy.counters().held, 0u);
}

TEST(CheckpointHeld, AStaleStateDoesNotWaitForEverWhileResultsFollowEachOther) {
  AnswerGuests guests;
  Policy policy = checkpoint_policy();
  policy.query_handle_calls = 16;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
  const uint32_t kept = proxy.call("copy", {a})->handle();  // and what comes after it is released at once
  call_i32(proxy, "add", {a, 1});
  for (int i = 0; i < 3; i++) {
    const uint32_t copy = proxy.call("copy", {a})->handle();
    EXPECT_EQ(call_i32(proxy, "get", {copy}), 6);
    ASSERT_TRUE(proxy.call("drop", {copy}));
    EXPECT_EQ(proxy.counters().checkpoints, 1u);
  }
  leak_to_swap(proxy);
  call_i32(proxy, "live");
  EXPECT_EQ(proxy.counters().last_problem,
            "limit: no rewind: the checkpoint is stale; what left something behind: make 1, add 1; a new one waits for "
            "what the host holds: copy 1");
  for (int i = 0; i < 3; i++) {
    const uint32_t copy = proxy.call("copy", {a})->handle();
    EXPECT_EQ(call_i32(proxy, "get", {copy}), 6);
    ASSERT_TRUE(proxy.call("drop", {copy}));
  }
  EXPECT_EQ(proxy.counters().checkpoints, 3u) << "one for the change, one for the release of a copy that was in it";
  EXPECT_EQ(call_i32(proxy, "get", {kept}), 5);
}

TEST(CheckpointHeld, ATrapTakesIt) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  const uint32_t copy = proxy.call("copy", {a})->handle();
  ASSERT_FALSE(proxy.call("leak", {64}));
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(proxy.counters().rotations_trap, 1u);
  EXPECT_EQ(proxy.counters().held, 0u);
  auto gone = proxy.call("get", {copy});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ErrorKind::stale_handle);
  EXPECT_NE(gone.error().message.find("is what copy returned before rewind 1 took it"), std::string::npos)
      << gone.error().message;
  auto raw = proxy.acquire()->raw("get", {Value(static_cast<int32_t>(copy))});
  ASSERT_FALSE(raw);
  EXPECT_EQ(raw.error().kind, ErrorKind::stale_handle);
  auto typed = proxy.get_typed<int32_t(uint32_t)>("get");
  auto quick = (*typed)(copy);
  ASSERT_FALSE(quick) << "the shortest way looks, too";
  EXPECT_EQ(quick.error().kind, ErrorKind::stale_handle);
  EXPECT_EQ(proxy.counters().stale_handles, 3u);
  EXPECT_EQ(*(*typed)(a), 5);
  const uint32_t other = make(proxy, 9);
  EXPECT_EQ(other, copy) << "the guest gives the same number out again";
  EXPECT_EQ(call_i32(proxy, "get", {other}), 9);
}

TEST(CheckpointHeld, AScalarIsNoPointerWhereThePolicySaysSo) {
  AnswerGuests guests;
  Policy policy = checkpoint_policy();
  policy.exports.push_back({.name = "add", .args = {{ArgKind::handle, ArgKind::scalar}}});
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  const uint32_t copy = proxy.call("copy", {a})->handle();
  ASSERT_FALSE(proxy.call("leak", {64}));
  EXPECT_EQ(call_i32(proxy, "add", {a, copy}), static_cast<int32_t>(5 + copy));
  EXPECT_EQ(proxy.call("add", {copy, a}).error().kind, ErrorKind::stale_handle);
}

TEST(CheckpointHeld, TheHostMayKnowBetter) {
  AnswerGuests guests;
  bool live_in_checkpoint = true;
  int told = 0, asked = 0;
  ProxyOptions options;
  options.live_in_checkpoint = [&] { return asked++, live_in_checkpoint; };
  options.on_checkpoint = [&] { told++; };
  Proxy proxy = guests.proxy(checkpoint_policy(), options);
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  EXPECT_EQ(told, 1);
  EXPECT_EQ(asked, 0);
  ASSERT_TRUE(proxy.call("copy", {a}));
  EXPECT_EQ(proxy.counters().held, 0u) << "the proxy keeps no track";
  live_in_checkpoint = false;
  leak_to_swap(proxy);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(proxy.counters().rotations, 0u);
  EXPECT_EQ(asked, 1);
  EXPECT_NE(proxy.counters().last_problem.find("the host holds what is newer"), std::string::npos);
  live_in_checkpoint = true;
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(proxy.counters().rotations, 1u);
  ASSERT_TRUE(proxy.call("drop", {a}));
  EXPECT_TRUE(proxy.counters().checkpoint_stale);
}

// ---- traps ----------------------------------------------------------------------------------------------------------

TEST(CheckpointTrap, RewindsIfNothingIsLost) {
  AnswerGuests guests;
  Told told;
  Proxy proxy = guests.proxy(checkpoint_policy(), told.options());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  auto trapped = proxy.call("leak", {64});
  ASSERT_FALSE(trapped);
  EXPECT_EQ(trapped.error().kind, ErrorKind::trap);
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  ASSERT_EQ(told.rotations.size(), 1u);
  EXPECT_EQ(told.rotations[0].cause, RotationCause::trap);
  EXPECT_EQ(guests.traps_seen, 1);
}

TEST(CheckpointTrap, NeverLosesStateInSilence) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(one_checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  call_i32(proxy, "add", {a, 1});
  ASSERT_FALSE(proxy.call("leak", {64}));
  for (int i = 0; i < 2; i++) {
    auto refused = proxy.call("get", {a});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::trap);
    EXPECT_NE(
        refused.error().message.find("there is nothing to rewind to: the checkpoint is stale; what left something "
                                     "behind: make 1, add 1"),
        std::string::npos)
        << refused.error().message;
  }
  EXPECT_EQ(proxy.counters().rotations, 0u);
  EXPECT_FALSE(proxy.checkpoint()) << "a guest in the middle of something is not imaged";
}

TEST(CheckpointTrap, KeepGoesOn) {
  AnswerGuests guests;
  Policy policy = checkpoint_policy();
  policy.on_trap = OnTrap::keep;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  call_i32(proxy, "add", {a, 1});
  ASSERT_FALSE(proxy.call("leak", {64}));
  EXPECT_EQ(call_i32(proxy, "get", {a}), 6);
  EXPECT_EQ(proxy.counters().rotations, 0u);
}

TEST(CheckpointTrap, ABuildThatTrapsLosesNothingElse) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t a = make(proxy, 5);
  call_i32(proxy, "live");
  auto trap = [&](std::string_view name) { return proxy.acquire()->call(name, {1}); };
  ASSERT_FALSE(trap("nested_trap"));
  EXPECT_EQ(call_i32(proxy, "total"), 0) << "what it did before the trap is gone";
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  EXPECT_EQ(proxy.counters().rotations_trap, 1u);
  EXPECT_FALSE(proxy.counters().checkpoint_stale);
  call_i32(proxy, "add", {a, 1});
  ASSERT_FALSE(trap("nested_trap"));
  EXPECT_FALSE(proxy.call("get", {a})) << "6 would be lost";
}

TEST(CheckpointTrap, TheVeryFirstCallMayTrap) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  ASSERT_FALSE(proxy.call("leak", {64}));
  ASSERT_FALSE(proxy.call("nested_trap", {1}));
  const uint32_t a = make(proxy, 5);
  EXPECT_EQ(proxy.counters().rotations_trap, 2u) << "the factory makes another";
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
  ASSERT_FALSE(proxy.call("leak", {64}));
  EXPECT_EQ(call_i32(proxy, "get", {a}), 5);
}

TEST(CheckpointTrap, WithoutACheckpointNothingIsGuessed) {
  AnswerGuests guests;
  Policy policy = checkpoint_policy();
  Proxy proxy = guests.proxy(policy);
  make(proxy, 5);
  ASSERT_FALSE(proxy.call("leak", {64})) << "the first call that follows the build";
  auto refused = proxy.call("live");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("there is no checkpoint; what left something behind: make 1"),
            std::string::npos)
      << refused.error().message;
}

}  // namespace
}  // namespace rotor::proxy
