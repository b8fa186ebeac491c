// Probes: queries whose answers are compared before an instance takes the active's place.
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/plan_parts.h"
#include "proxy/testing/database.h"

namespace rotor::proxy {
namespace {

/// Says of `step` that it changes nothing but its statement, which is wrong.
Policy wrong_policy() {
  Policy policy = database_policy();
  for (ExportRule& rule : policy.exports) rule.local = rule.effect == Effect::build;
  return policy;
}

/// The texts of one kind of events.
struct Told {
  ProxyOptions options() {
    return {.on_event = [this](const ProxyEvent& event) {
      if (event.kind != ProxyEventKind::probe_differed) return;
      std::lock_guard lock(mutex);
      texts.push_back(event.text);
    }};
  }
  std::string first() {
    EXPECT_TRUE(eventually([&] {
      std::lock_guard lock(mutex);
      return !texts.empty();
    }));
    std::lock_guard lock(mutex);
    return texts.empty() ? "" : texts[0];
  }
  std::mutex mutex;
  std::vector<std::string> texts;
};

TEST(Probe, RefusesAStandbyThatLostState) {
  Told told;
  Policy policy = wrong_policy();
  policy.probes = {{.name = "steps of all", .query = "leak", .args = {0}}, {.name = "row"}};
  Proxy proxy = serve(policy, told.options());
  write_row(proxy, 7);
  for (uint64_t i = 1; i <= 3; i++) {
    ASSERT_TRUE(proxy.prepare());
    ASSERT_TRUE(proxy.rotate());
    EXPECT_EQ(proxy.call("row")->i32(), 7);
    const ProxyCounters c = proxy.counters();
    EXPECT_EQ(c.rotations, 0u);
    EXPECT_EQ(c.probes_failed, i);
    EXPECT_EQ(c.probes, 2 * i);
    EXPECT_EQ(c.warmups_failed, i);
    EXPECT_TRUE(c.last_problem.ends_with("a probe differs: row: the active answers 0x7, the standby 0x0"))
        << c.last_problem;
  }
  EXPECT_EQ(told.first(), "row: the active answers 0x7, the standby 0x0");
  EXPECT_GT(proxy.counters().images_dropped, 0u) << "an image with a wrong state is of no use";
}

TEST(Probe, LetsOneWithTheStateTakeOver) {
  Told told;
  Policy policy = database_policy();
  policy.probes = {{.name = "row"}, {.name = "steps"}, {.name = "check"}};
  Proxy proxy = serve(policy, told.options());
  write_row(proxy, 7);
  EXPECT_EQ(row_after_rotation(proxy), 7);
  EXPECT_EQ(proxy.counters().probes, 3u);
  EXPECT_EQ(proxy.counters().probes_failed + proxy.counters().probes_skipped, 0u);
  EXPECT_TRUE(told.texts.empty());
}

TEST(Probe, ThatTrapsOnTheStandbyRefusesIt) {
  Told told;
  Policy policy = wrong_policy();
  policy.probes = {{.name = "check"}};
  Proxy proxy = serve(policy, told.options());
  write_row(proxy, 7);
  ASSERT_TRUE(proxy.prepare());
  ASSERT_TRUE(proxy.rotate());
  EXPECT_EQ(proxy.call("row")->i32(), 7);
  EXPECT_EQ(proxy.counters().rotations, 0u);
  EXPECT_TRUE(told.first().starts_with("check: the standby fails: ")) << told.first();
  EXPECT_EQ(proxy.counters().traps, 0u) << "the active is as it was";
}

TEST(Probe, IsSkippedAfterATrapAndCounted) {
  Policy policy = wrong_policy();
  policy.probes = {{.name = "row"}};
  Proxy proxy = serve(policy);
  write_row(proxy, 7);
  ASSERT_TRUE(proxy.prepare());
  EXPECT_FALSE(proxy.call("leak", {100'000}));
  EXPECT_EQ(proxy.call("row")->i32(), 0) << "there was nothing to compare with";
  EXPECT_EQ(proxy.counters().rotations_trap, 1u);
  EXPECT_EQ(proxy.counters().probes_skipped, 1u);
}

TEST(Probe, TakesTheOldestHandleThatLives) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.probes = {{.name = "first", .query = "get", .args = {ProbeHandle{"make"}}}};
  rule_of(policy, "add").effect = Effect::query;  // which is wrong
  rule_of(policy, "add").local = false;
  policy.backoff_first_ms = 0;
  Proxy proxy = guests.proxy(policy);
  auto rotates = [&] {
    const uint64_t before = proxy.counters().rotations;
    EXPECT_TRUE(proxy.prepare());
    EXPECT_TRUE(proxy.rotate());
    EXPECT_TRUE(proxy.call("live"));
    return proxy.counters().rotations == before + 1;
  };
  EXPECT_TRUE(rotates()) << "none lives";
  EXPECT_EQ(proxy.counters().probes, 0u);
  const uint32_t a = proxy.call("make", {1})->handle(), b = proxy.call("make", {2})->handle();
  EXPECT_TRUE(rotates());
  EXPECT_EQ(proxy.counters().probes, 1u);
  ASSERT_TRUE(proxy.call("add", {b, 10}));
  EXPECT_TRUE(rotates()) << "it asks of the first";
  ASSERT_TRUE(proxy.call("add", {a, 10}));
  EXPECT_FALSE(rotates());
  ASSERT_TRUE(proxy.call("drop", {a}));
  EXPECT_TRUE(rotates()) << "the second is the oldest now";
  EXPECT_EQ(proxy.counters().probes_failed, 1u);
}

TEST(Probe, IsSkippedUnderALease) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.probes = {{.name = "live"}};
  Proxy proxy = guests.proxy(policy);
  ASSERT_TRUE(proxy.call("make", {1}));
  auto lease = proxy.acquire();
  ASSERT_TRUE(lease->call("leak", {61}));
  std::thread other([&] { EXPECT_TRUE(proxy.call("live")); });
  EXPECT_TRUE(eventually([&] { return proxy.counters().rotations_force == 1; }));
  other.join();
  EXPECT_EQ(proxy.counters().probes_skipped, 1u);
  EXPECT_EQ(proxy.counters().probes, 0u);
}

// ---- with checkpoints -----------------------------------------------------------------------------------------------

Policy checkpoints() {
  Policy policy;
  policy.mode = RotationMode::checkpoint;
  policy.checkpoint.cpu = 1;
  for (const char* name : {"row", "steps", "check", "leak"})
    policy.allow.push_back({.name = name, .results = Returned::value});
  policy.probes = {{.name = "row"}};
  policy.backoff_first_ms = 0;
  return policy;
}

TEST(CheckpointProbe, ALineThatLosesStateIsFoundBeforeTheRewind) {
  Told told;
  Policy policy = checkpoints();
  policy.allow.push_back({.name = "step", .results = Returned::value});  // which is wrong
  Proxy proxy = serve(policy, told.options());
  ASSERT_TRUE(proxy.call("row"));
  ASSERT_TRUE(proxy.checkpoint());
  ASSERT_TRUE(proxy.call("step", {0, 7}));
  ASSERT_TRUE(proxy.rotate());
  EXPECT_EQ(proxy.call("row")->i32(), 7) << "what was written is not lost";
  EXPECT_EQ(told.first(), "row: the active answers 0x7, the standby 0x0");
  EXPECT_EQ(proxy.counters().probes_failed, 1u);
  EXPECT_TRUE(eventually([&] { return proxy.call("row")->i32() == 7 && proxy.counters().rotations == 1; }))
      << "the checkpoint counted as stale, so a new one was taken";
  EXPECT_EQ(proxy.call("row")->i32(), 7);
  EXPECT_NE(proxy.counters().stale_by.find("what a probe found 1"), std::string::npos) << proxy.counters().stale_by;
}

TEST(CheckpointProbe, ARewindAnswersAsTheActiveDid) {
  Proxy proxy = serve(checkpoints());
  ASSERT_TRUE(proxy.call("step", {0, 7}));
  ASSERT_TRUE(proxy.checkpoint());
  ASSERT_TRUE(proxy.rotate());
  EXPECT_EQ(proxy.call("row")->i32(), 7);
  EXPECT_EQ(proxy.counters().rotations, 1u);
  EXPECT_EQ(proxy.counters().probes, 1u);
  EXPECT_EQ(proxy.counters().probes_failed, 0u);
}

TEST(CheckpointProbe, AfterATrapTheAnswerAtTheCheckpointCounts) {
  Proxy proxy = serve(checkpoints());
  ASSERT_TRUE(proxy.call("step", {0, 7}));
  ASSERT_TRUE(proxy.checkpoint());
  EXPECT_FALSE(proxy.call("leak", {100'000}));
  EXPECT_EQ(proxy.call("row")->i32(), 7);
  EXPECT_EQ(proxy.counters().rotations_trap, 1u);
  EXPECT_EQ(proxy.counters().probes, 1u);
  EXPECT_EQ(proxy.counters().probes_skipped, 0u);
}

// ---- the policy -----------------------------------------------------------------------------------------------------

std::string probe_error(const std::string& probes, const std::string& mode = "") {
  static TestGuests guests;
  auto policy = Policy::parse_toml(mode + "[probe]\n" + probes, "p.toml");
  if (!policy) return policy.error().message;
  if (mode.empty()) policy->exports = test_policy().exports;
  return error_of(policy->check(guests.module()));
}

TEST(ProbePolicy, IsRead) {
  auto policy = Policy::parse_toml(R"(
[probe]
row = []
all = { query = "f", args = [1, -2.5, "text", [1, 2], { handle = "make" }] }
)");
  ASSERT_TRUE(policy) << error_of(policy);
  ASSERT_EQ(policy->probes.size(), 2u);
  EXPECT_EQ(policy->probes[0].name, "row");
  EXPECT_EQ(policy->probes[0].line, 3u);
  EXPECT_TRUE(policy->probes[0].args.empty());
  EXPECT_EQ(policy->probes[1].query, "f");
  EXPECT_EQ(policy->probes[1].args,
            (std::vector<ProbeArg>{int64_t{1}, -2.5, "text", std::vector<uint32_t>{1, 2}, ProbeHandle{"make"}}));
}

TEST(ProbePolicy, WhatCanBeNoProbeIsRefused) {
  EXPECT_EQ(probe_error("live = []\nget = [{ handle = \"make\" }]\nt = { query = \"total\", args = [[1, 2]] }"),
            "no error");
  EXPECT_EQ(probe_error("lvie = []"), "p.toml:2: probe lvie: no exported function \"lvie\"; did you mean \"live\"?");
  EXPECT_EQ(probe_error("memory = []"), "p.toml:2: probe memory: export \"memory\" is a memory, not a function");
  EXPECT_EQ(probe_error("make = [1]"), "p.toml:2: probe make: make returns handles");
  EXPECT_EQ(probe_error("add = [1, 2]"), "p.toml:2: probe add: add is no query");
  EXPECT_EQ(probe_error("takes_ref = [1]"), "p.toml:2: probe takes_ref: takes_ref passes references");
  EXPECT_EQ(probe_error("drop = [1]"), "p.toml:2: probe drop: drop ends handles");
  EXPECT_EQ(probe_error("malloc = [1]"), "p.toml:2: probe malloc: malloc can only be called through Lease::raw");
  EXPECT_EQ(probe_error("live = [1]"), "p.toml:2: probe live: live takes 0 arguments, not 1");
  EXPECT_EQ(probe_error("leak = [4294967296]"), "p.toml:2: probe leak: argument 1 4294967296 does not fit into an i32");
  EXPECT_EQ(probe_error("leak = [1.5]"), "p.toml:2: probe leak: argument 1 must be a scalar (i32), not a number");
  EXPECT_EQ(probe_error("get = [1]"), "p.toml:2: probe get: argument 1 must be a handle (i32), not a whole number");
  EXPECT_EQ(probe_error("get = [{ handle = \"mirror\" }]"),
            "p.toml:2: probe get: argument 1 mirror is no build that returns a handle");
  EXPECT_EQ(probe_error("get = [{ handel = \"make\" }]"), "p.toml:2: unknown key \"handel\"; did you mean \"handle\"?");
  EXPECT_EQ(probe_error("get = 1"), "p.toml:2: \"get\" must be a table");
  EXPECT_EQ(probe_error("get = [true]"),
            "p.toml:2: an argument must be a number, a text, a list of numbers or { handle = \"EXPORT\" }");
  const std::string checkpoint = "mode = \"checkpoint\"\n[allow]\nlive = \"value\"\nlent = \"held\"\n";
  EXPECT_EQ(probe_error("live = []", checkpoint), "no error");
  EXPECT_EQ(probe_error("lent = []", checkpoint),
            "p.toml:6: probe lent: lent may return a pointer: `allow` does not say that it is a value");
  EXPECT_EQ(probe_error("fills = []", checkpoint),
            "p.toml:6: probe fills: fills is not allowed to be called without making the checkpoint stale");
}

}  // namespace
}  // namespace rotor::proxy
