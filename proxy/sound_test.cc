// What a policy does not say costs speed, never state: guests that write to more than their handles.
#include <gtest/gtest.h>

#include <cstdlib>

#include "proxy/testing/answer_guest.h"
#include "proxy/testing/database.h"

namespace rotor::proxy {
namespace {

TEST(Sound, AWriteOutlivesTheHandleThatItWasMadeThrough) {
  Proxy proxy = serve(database_policy());
  write_row(proxy, 7);
  EXPECT_EQ(row_after_rotation(proxy), 7);
}

TEST(Sound, WhatIsSaidToBeLocalIsDroppedWithItsHandles) {
  Policy policy = database_policy();
  for (ExportRule& rule : policy.exports) rule.local = rule.effect == Effect::build;
  Proxy proxy = serve(policy);
  write_row(proxy, 7);
  EXPECT_EQ(row_after_rotation(proxy), 0) << "the policy says that step changes nothing but its statement";
}

TEST(Sound, ACompactedLogKeepsEveryWrite) {
  Policy policy = database_policy();
  policy.log_max_calls = 20'000;
  Proxy proxy = serve(policy);
  for (int32_t i = 1; i <= 2000; i++) write_row(proxy, i);
  EXPECT_TRUE(eventually([&] { return proxy.counters().log_compactions > 0; }));
  EXPECT_EQ(proxy.counters().log_calls, 6000u);
  EXPECT_EQ(row_after_rotation(proxy), 2000);
  EXPECT_EQ(proxy.call("steps")->i32(), 2000);
}

TEST(Sound, OfAKeyTheLastWriteIsEnough) {
  Policy policy = database_policy();
  for (ExportRule& rule : policy.exports)
    if (rule.name == "step") rule.key.emplace();
  Proxy proxy = serve(policy);
  for (int32_t i = 1; i <= 10; i++) write_row(proxy, i);
  EXPECT_EQ(row_after_rotation(proxy), 10);
  EXPECT_EQ(proxy.call("steps")->i32(), 1);
}

// ---- a log that is cut ----------------------------------------------------------------------------------------------

/// With ROTOR_WRITES as many writes as that says: scripts/nightly.sh has it make a million.
TEST(Cut, AGuestThatWritesForEverRotatesForEver) {
  Policy policy = database_policy();
  policy.log_max_calls = 1000;
  Proxy proxy = serve(policy);
  const char* asked = std::getenv("ROTOR_WRITES");
  const int32_t writes = asked ? std::atoi(asked) : 100'000;
  for (int32_t i = 1; i <= writes; i++) {
    ASSERT_TRUE(proxy.call("step", {0, i})) << i;
    ASSERT_LE(proxy.counters().log_calls, 2001u);
    if (i % 10'000 != 0) continue;
    ASSERT_TRUE(proxy.rotate());
    ASSERT_TRUE(eventually([&] {
      return proxy.call("row")->i32() == i && proxy.counters().rotations == static_cast<uint64_t>(i / 10'000);
    })) << proxy.counters().last_problem;
    ASSERT_EQ(proxy.call("steps")->i32(), i);
  }
  const ProxyCounters c = proxy.counters();
  EXPECT_TRUE(c.rotating) << c.off_reason;
  EXPECT_EQ(c.log_recorded, static_cast<uint64_t>(writes));
  EXPECT_GE(c.log_cuts, static_cast<uint64_t>(writes) / 2000);
  EXPECT_EQ(c.divergences + c.warmups_failed, 0u) << c.last_problem;
}

TEST(Cut, HandlesAcrossACutAreThoseOfTheImage) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.log_max_calls = 40;
  policy.backoff_first_ms = policy.backoff_max_ms = 0;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = proxy.call("make", {1})->handle(), b = proxy.call("make", {2})->handle();
  for (int32_t i = 0; i < 300; i++) ASSERT_TRUE(proxy.call("post", {a, 1}));
  EXPECT_GT(proxy.counters().log_cuts, 1u);
  ASSERT_TRUE(proxy.call("add", {a, 10}));
  ASSERT_TRUE(proxy.call("drop", {b}));
  const int32_t posted = proxy.call("posted")->i32();
  for (uint64_t i = 1; i <= 3; i++) {
    ASSERT_TRUE(proxy.rotate());
    ASSERT_TRUE(eventually([&] { return proxy.call("live")->i32() == 1 && proxy.counters().rotations >= i; }))
        << proxy.counters().last_problem;
    EXPECT_EQ(proxy.call("get", {a})->i32(), 11);
    EXPECT_EQ(proxy.call("posted")->i32(), posted);
  }
  EXPECT_EQ(proxy.counters().divergences, 0u);
  auto verified = proxy.verify();
  EXPECT_TRUE(verified) << error_of(verified);
}

TEST(Cut, WithoutImagesTheBoundEndsRotationByName) {
  Policy policy = database_policy();
  policy.log_max_calls = 10;
  policy.image = ImageMode::off;
  Proxy proxy = serve(policy);
  for (int32_t i = 1; i <= 100; i++) ASSERT_TRUE(proxy.call("step", {0, i}));
  const ProxyCounters c = proxy.counters();
  EXPECT_FALSE(c.rotating);
  EXPECT_TRUE(c.off_reason.starts_with("the log reached its bound max_calls (21 calls of 10, ")) << c.off_reason;
  EXPECT_TRUE(
      c.off_reason.ends_with("no image can stand for its calls: unsupported: the policy says image.mode = \"off\""))
      << c.off_reason;
  EXPECT_EQ(proxy.call("row")->i32(), 100) << "the active goes on";
  EXPECT_EQ(c.log_calls, 0u);
}

TEST(Cut, EachBoundIsNamed) {
  Policy policy = database_policy();
  policy.image = ImageMode::off;
  policy.log_max_bytes = 2000;
  Proxy proxy = serve(policy);
  for (int32_t i = 1; i <= 100; i++) ASSERT_TRUE(proxy.call("step", {0, i}));
  EXPECT_TRUE(proxy.counters().off_reason.starts_with("the log reached its bound max_bytes ("))
      << proxy.counters().off_reason;
}

TEST(Cut, ALocalLogIsCompactedAtTheBoundAndNeedsNoImage) {
  Policy policy = database_policy();
  for (ExportRule& rule : policy.exports) rule.local = rule.effect == Effect::build;
  policy.log_max_calls = 100;
  policy.image = ImageMode::off;
  Proxy proxy = serve(policy);
  for (int32_t i = 1; i <= 2000; i++) write_row(proxy, i);
  const ProxyCounters c = proxy.counters();
  EXPECT_TRUE(c.rotating) << c.off_reason;
  EXPECT_EQ(c.log_cuts, 0u);
  EXPECT_GT(c.log_compactions, 10u);
}

TEST(Cut, AQueryThatWouldHaveToEnterBehindItIsRefused) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  policy.log_max_calls = 20;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = proxy.call("make", {1})->handle(), b = proxy.call("make", {2})->handle();
  const uint32_t of_a = proxy.call("copy", {a})->handle(), of_b = proxy.call("copy", {b})->handle();
  for (int32_t i = 0; i < 100; i++) ASSERT_TRUE(proxy.call("add", {a, 1}));
  ASSERT_GT(proxy.counters().log_cuts, 0u);
  const auto refused = proxy.call("add", {of_a, 5});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(refused.error().message,
            "add can't be recorded: it takes a handle of copy, which would have to be recorded where it was made, but "
            "the log was cut behind that, and what it read has changed");
  EXPECT_EQ(proxy.call("get", {of_a})->i32(), 1) << "the handle lives, and nothing was done to it";
  ASSERT_TRUE(proxy.call("drop", {of_a}));
  EXPECT_EQ(proxy.call("add", {of_b, 5})->i32(), 7) << "what it read is as it was: it may as well be made now";
  ASSERT_TRUE(proxy.rotate());
  EXPECT_TRUE(eventually([&] { return proxy.call("get", {of_b})->i32() == 7 && proxy.counters().rotations == 1; }));
  EXPECT_EQ(proxy.call("get", {a})->i32(), 101);
  EXPECT_EQ(proxy.counters().divergences, 0u) << proxy.counters().last_problem;
}

TEST(Cut, NothingIsCutWithinAnAttempt) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  policy.log_max_calls = 10;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = proxy.call("make", {1})->handle();
  for (int round = 0; round < 3; round++) {
    const uint64_t cuts = proxy.counters().log_cuts;
    ASSERT_TRUE(proxy.with_lease([&](Lease& lease) -> Result<void> {
      ROTOR_TRY(Reply copy, lease.call("copy", {a}));
      for (int i = 0; i < 50; i++) ROTOR_CHECK(lease.call("add", {a, 1}));
      ROTOR_CHECK(lease.call("add", {copy.handle(), 1}));
      EXPECT_EQ(proxy.counters().log_cuts, cuts);
      ROTOR_CHECK(lease.call("drop", {copy.handle()}));
      return {};
    }));
    EXPECT_GT(proxy.counters().log_cuts, cuts);
  }
  ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
  EXPECT_EQ(proxy.call("get", {a})->i32(), 151);
}

TEST(Cut, AnImageWhoseCallsReturnSomethingElseIsNotCutAt) {
  AnswerGuests guests;
  guests.on_gate = [](const AnswerHost& host, int32_t) -> Result<int32_t> { return host.number == 3 ? 1 : 0; };
  Policy policy = answer_policy();
  policy.log_max_calls = 10;
  rule_of(policy, "gate").effect = Effect::build;
  Proxy proxy = guests.proxy(policy);
  for (int32_t i = 0; i < 60; i++) ASSERT_EQ(proxy.call("gate", {i})->i32(), 0);
  EXPECT_EQ(proxy.counters().verify_failed, 1u) << "by the third guest, on which the image's calls were replayed";
  EXPECT_GT(proxy.counters().log_cuts, 0u);
  EXPECT_TRUE(proxy.counters().rotating) << proxy.counters().off_reason;
}

TEST(Cut, WhereNoImageCanBeMadeRotationEndsAndSaysWhy) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.log_max_calls = 10;
  Proxy proxy = guests.proxy(policy);
  guests.failures = 1'000'000;
  const uint32_t a = proxy.call("make", {1})->handle();
  for (int i = 0; i < 50; i++) ASSERT_TRUE(proxy.call("post", {a, i}));
  const ProxyCounters c = proxy.counters();
  EXPECT_FALSE(c.rotating);
  EXPECT_TRUE(c.off_reason.starts_with("the log reached its bound max_calls (21 calls of 10, ")) << c.off_reason;
  EXPECT_TRUE(c.off_reason.ends_with("no guest today")) << c.off_reason;
}

}  // namespace
}  // namespace rotor::proxy
