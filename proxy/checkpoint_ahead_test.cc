// Instances that the background thread makes from a checkpoint before a rewind wants them.
#include <gtest/gtest.h>

#include "memory/testing/child.h"
#include "proxy/testing/checkpoint_policy.h"
#include "proxy/testing/random_guest.h"
#include "proxy/testing/told.h"

namespace rotor::proxy {
namespace {

constexpr int32_t kPagesToWarm = 44;

/// Builds an object, has a checkpoint taken, and leaks until an instance is made in advance.
uint32_t build_and_warm(Proxy& proxy) {
  const uint32_t object = make(proxy, 5);
  EXPECT_EQ(call_i32(proxy, "live"), 1);
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
  call_i32(proxy, "leak", {kPagesToWarm});
  return object;
}

bool is_ready(const Proxy& proxy) {
  return eventually([&] { return proxy.counters().standby_bytes > 0; });
}

TEST(CheckpointAhead, AnInstanceIsMadeAtWarmAtAndUsedAtSwapAt) {
  AnswerGuests guests;
  Told told;
  Proxy proxy = guests.proxy(checkpoint_policy(), told.options());
  uint32_t object = 0;
  for (uint64_t rotation = 1; rotation <= 3; rotation++) {
    if (rotation == 1)
      object = build_and_warm(proxy);
    else
      call_i32(proxy, "leak", {kPagesToWarm});
    ASSERT_TRUE(is_ready(proxy));
    EXPECT_EQ(guests.made, static_cast<int>(rotation) + 1);
    EXPECT_EQ(proxy.counters().warmups, rotation);
    leak_to_swap(proxy);
    EXPECT_EQ(call_i32(proxy, "get", {object}), 5);
    EXPECT_EQ(proxy.counters().rotations, rotation);
    EXPECT_EQ(guests.made, static_cast<int>(rotation) + 1) << "the rewind made none";
    EXPECT_EQ(proxy.counters().memory_bytes, 2 * Memory::kPageBytes);
    EXPECT_EQ(proxy.counters().standby_bytes, 0u);
  }
  EXPECT_EQ(proxy.counters().checkpoints, 1u);
  EXPECT_TRUE(eventually([&] { return guests.alive == 1 && told.texts(ProxyEventKind::warmup_done).size() == 3; }));
  EXPECT_EQ(told.texts(ProxyEventKind::warmup_begun).size(), 3u);
}

TEST(CheckpointAhead, NoneIsMadeBelowWarmAtOrFromAStaleOne) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(one_checkpoint_policy());
  const uint32_t object = make(proxy, 5);
  call_i32(proxy, "live");
  call_i32(proxy, "leak", {kPagesToWarm - 2});
  EXPECT_EQ(proxy.counters().warmups, 0u);
  EXPECT_EQ(call_i32(proxy, "add", {object, 1}), 6);
  call_i32(proxy, "leak", {4});
  EXPECT_EQ(call_i32(proxy, "live"), 1);
  EXPECT_TRUE(proxy.counters().checkpoint_stale);
  EXPECT_EQ(proxy.counters().warmups, 0u);
}

TEST(CheckpointAhead, OneOfAnOlderCheckpointIsFreed) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(one_checkpoint_policy());
  const uint32_t object = build_and_warm(proxy);
  ASSERT_TRUE(is_ready(proxy));
  EXPECT_EQ(call_i32(proxy, "add", {object, 1}), 6);
  ASSERT_TRUE(proxy.checkpoint());
  EXPECT_TRUE(eventually([&] { return guests.alive == 1; })) << "it has 5, and stands above warm_at: none follows";
  leak_to_swap(proxy);
  ASSERT_TRUE(proxy.rotate());
  EXPECT_EQ(call_i32(proxy, "get", {object}), 6);
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

/// A state that changes and is checkpointed again and again, while instances are being made of older ones.
TEST(CheckpointAhead, NoneOfAnOlderCheckpointIsUsed) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t object = make(proxy, 0);
  call_i32(proxy, "live");
  for (int i = 1; i <= 50; i++) {
    call_i32(proxy, "leak", {kPagesToWarm});
    EXPECT_EQ(call_i32(proxy, "add", {object, 1}), i) << "a rewind came before";
    EXPECT_EQ(call_i32(proxy, "live"), 1);
    EXPECT_EQ(call_i32(proxy, "get", {object}), i);
    ASSERT_TRUE(proxy.rotate());
    EXPECT_EQ(call_i32(proxy, "get", {object}), i);
  }
  EXPECT_EQ(proxy.counters().rotations, 100u);
  EXPECT_TRUE(eventually([&] { return guests.alive == 1; }));
}

TEST(CheckpointAhead, WhereNoneCanBeMadeTheRewindTriesItself) {
  AnswerGuests guests;
  Policy policy = checkpoint_policy();
  policy.backoff_first_ms = 0;
  Proxy proxy = guests.proxy(policy);
  guests.fail_step("factory", 1);
  const uint32_t object = build_and_warm(proxy);
  ASSERT_TRUE(eventually([&] { return proxy.counters().warmups_failed == 1; }));
  EXPECT_NE(proxy.counters().last_problem.find("no guest today"), std::string::npos);
  leak_to_swap(proxy);
  EXPECT_EQ(call_i32(proxy, "get", {object}), 5);
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

TEST(CheckpointAhead, IsReseeded) {
  RandomGuests guests;
  Policy policy = random_policy();
  policy.checkpoint.reseed = "seed";
  auto proxy = guests.proxy(policy);
  ASSERT_TRUE(proxy) << error_of(proxy);
  const int64_t first = proxy->call("draw")->values[0].i64();
  ASSERT_EQ(proxy->counters().checkpoints, 1u);
  call_i32(*proxy, "leak", {kPagesToWarm});
  ASSERT_TRUE(is_ready(*proxy));
  leak_to_swap(*proxy);
  const int64_t second = proxy->call("draw")->values[0].i64();
  EXPECT_EQ(proxy->counters().rotations, 1u);
  ASSERT_TRUE(proxy->rotate());
  const int64_t third = proxy->call("draw")->values[0].i64();
  EXPECT_NE(first, second);
  EXPECT_NE(second, third);
}

TEST(CheckpointAhead, IsThereInAForkedChild) {
  if (const char* why = memory::test::why_no_child()) GTEST_SKIP() << why;
  AnswerGuests guests;
  Proxy proxy = guests.proxy(checkpoint_policy());
  const uint32_t object = build_and_warm(proxy);
  ASSERT_TRUE(is_ready(proxy));
  auto works = [&] {
    leak_to_swap(proxy);
    return call_i32(proxy, "get", {object}) == 5 && proxy.counters().rotations == 1 && guests.made == 2;
  };
  EXPECT_TRUE(memory::test::in_child(works));
  EXPECT_TRUE(works());
}

}  // namespace
}  // namespace rotor::proxy
