// Policies of mode checkpoint: what they say, and what is refused.
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>

#include "proxy/plan.h"
#include "proxy/policy.h"
#include "proxy/testing/guest.h"
#include "proxy/testing/random_guest.h"

namespace rotor::proxy {
namespace {

std::string parse_error(std::string_view text) { return error_of(Policy::parse_toml(text, "p.toml")); }

/// What is wrong with a policy for the test guest; "no error".
std::string check_error(std::string_view text) {
  static TestGuests guests;
  auto policy = Policy::parse_toml(text, "p.toml");
  return policy ? error_of(policy->check(guests.module())) : error_of(policy);
}

TEST(CheckpointPolicy, IsRead) {
  auto policy = Policy::parse_toml(R"(
mode = "checkpoint"
[checkpoint]
grown = 0.25
cpu = 0.02
while_held = "checkpoint"
host_writes = "scratch"
reseed = "seed"
[allow]
get = "value"
"m*" = { results = "held" }
make = { results = "value" }
)",
                                   "p.toml");
  ASSERT_TRUE(policy) << error_of(policy);
  EXPECT_EQ(policy->mode, RotationMode::checkpoint);
  EXPECT_EQ(policy->checkpoint.grown, 0.25);
  EXPECT_EQ(policy->checkpoint.cpu, 0.02);
  EXPECT_EQ(policy->checkpoint.while_held, WhileHeld::checkpoint);
  EXPECT_EQ(policy->checkpoint.host_writes, HostWrites::scratch);
  EXPECT_EQ(policy->checkpoint.reseed, "seed");
  ASSERT_EQ(policy->allow.size(), 3u);
  EXPECT_EQ(policy->allow[0].name, "get");
  EXPECT_EQ(policy->allow[0].results, Returned::value);
  EXPECT_EQ(policy->allow[0].line, 10u);
  EXPECT_EQ(policy->allow[1].name, "m*");
  EXPECT_EQ(policy->allow[1].results, Returned::held);
  EXPECT_EQ(policy->allow[2].results, Returned::value);
}

TEST(CheckpointPolicy, ItsDefaults) {
  const Policy policy;
  EXPECT_EQ(policy.mode, RotationMode::replay);
  EXPECT_EQ(policy.checkpoint.grown, 0.05);
  EXPECT_EQ(policy.checkpoint.cpu, 0.01);
  EXPECT_EQ(policy.checkpoint.while_held, WhileHeld::wait);
  EXPECT_EQ(policy.checkpoint.host_writes, HostWrites::state);
}

TEST(CheckpointPolicy, WrongWordsAreNamed) {
  EXPECT_EQ(parse_error("mode = \"checkpiont\""),
            "p.toml:1: mode = \"checkpiont\" is unknown; did you mean \"checkpoint\"?");
  EXPECT_NE(parse_error("[checkpoint]\ngrwon = 0.1").find("p.toml:2: unknown key \"grwon\"; did you mean \"grown\"?"),
            std::string::npos);
  EXPECT_NE(parse_error("[checkpoint]\ncpu = 2").find("cpu must be a number above 0, at most 1"), std::string::npos);
  EXPECT_NE(parse_error("[allow]\nwork = \"values\"").find("did you mean \"value\"?"), std::string::npos);
  EXPECT_NE(parse_error("[allow]\nwork = { result = \"value\" }").find("did you mean \"results\"?"), std::string::npos);
  EXPECT_NE(parse_error("allow = [\"work\"]").find("\"allow\" must be a table"), std::string::npos);
}

TEST(CheckpointPolicy, WhatDoesNotFitTheModuleOrTheModeIsRefused) {
  const std::string mode = "mode = \"checkpoint\"\n";
  EXPECT_EQ(check_error(mode + "[allow]\nget = \"value\""), "no error");
  EXPECT_EQ(check_error("[allow]\nget = \"value\""), "p.toml:2: `allow` is for mode = \"checkpoint\"");
  EXPECT_EQ(check_error(mode + "[allow]\ngte = \"value\""),
            "p.toml:3: `allow`: no export \"gte\"; did you mean \"get\"?");
  EXPECT_EQ(check_error(mode + "[allow]\n\"zz*\" = \"value\""), "p.toml:3: no exported function matches \"zz*\"");
  EXPECT_EQ(check_error(mode + "[allow]\nmemory = \"value\""),
            "p.toml:3: `allow`: export \"memory\" is a memory, not a function");
  EXPECT_EQ(check_error(mode + "[allow]\nadd = \"value\"\n[exports]\nadd = { effect = \"build\" }"),
            "p.toml:3: add is allowed, since it leaves nothing behind, and p.toml:5: it is a build");
  EXPECT_EQ(check_error(mode + "[allow]\nmake = \"value\"\n[exports]\nmake = { results = [\"handle\"] }"),
            "p.toml:3: make returns a handle, so that it can't be \"value\"");
  EXPECT_EQ(check_error(mode + "[exports]\nget = { retry = true }"), "p.toml:3: get: `retry` is for mode = \"replay\"");
  EXPECT_EQ(check_error(mode + "[image]\nverify_every = 1"), "p.toml: verify_every is for mode = \"replay\"");
  TestGuests guests;
  Policy policy;
  policy.mode = RotationMode::checkpoint;
  policy.checkpoint.grown = 0;
  EXPECT_NE(error_of(policy.check(guests.module())).find("grown and cpu of the checkpoint"), std::string::npos);
}

TEST(CheckpointPolicy, ExplainsWhatEachExportLeaves) {
  TestGuests guests;
  Policy policy = *Policy::parse_toml(R"(
mode = "checkpoint"
[allow]
get = "value"
"m*" = "held"
pair = "value"
[exports]
drop = { effect = "release" }
many = { effect = "build" }
)",
                                      "p.toml");
  auto explained = policy.explain(guests.module());
  ASSERT_TRUE(explained) << error_of(explained);
  EXPECT_EQ(explained->mode, RotationMode::checkpoint);
  EXPECT_TRUE(explained->warnings.empty());
  auto of = [&](std::string_view name) -> const ExplainedExport& {
    return *std::ranges::find(explained->exports, name, &ExplainedExport::name);
  };
  EXPECT_EQ(of("get").leaves, Leaves::nothing);
  EXPECT_EQ(of("get").returned, Returned::value);
  EXPECT_EQ(of("get").allow_rule, "p.toml:4 get");
  EXPECT_EQ(of("make").leaves, Leaves::nothing);
  EXPECT_EQ(of("make").returned, Returned::held);
  EXPECT_EQ(of("make").allow_rule, "p.toml:5 m*");
  EXPECT_EQ(of("add").leaves, Leaves::state);
  EXPECT_EQ(of("add").allow_rule, "");
  EXPECT_EQ(of("drop").leaves, Leaves::release);
  EXPECT_EQ(of("many").leaves, Leaves::state) << "its own line says more than the glob";
  EXPECT_EQ(of("free").leaves, Leaves::release) << "of the preset";
  EXPECT_EQ(of("free").allow_rule, "preset");
  EXPECT_EQ(of("malloc").allow_rule, "p.toml:5 m*");
  EXPECT_EQ(of("malloc").returned, Returned::held);
  EXPECT_EQ(of("malloc").raw_only, "");
  policy.allow.clear();
  explained = policy.explain(guests.module());
  ASSERT_TRUE(explained);
  EXPECT_EQ(of("malloc").leaves, Leaves::nothing) << "of the preset";
  EXPECT_EQ(of("malloc").returned, Returned::held);
  ASSERT_EQ(explained->warnings.size(), 1u);
  EXPECT_NE(explained->warnings[0].find("futile"), std::string::npos);
}

TEST(CheckpointPolicy, ARandomGuestNeedsAReseed) {
  RandomGuests guests;
  Policy policy = random_policy();
  EXPECT_NE(error_of(policy.check(guests.module())).find("imports wasi_snapshot_preview1.random_get"),
            std::string::npos);
  EXPECT_FALSE(guests.proxy(policy));
  policy.checkpoint.reseed = "none";
  EXPECT_TRUE(policy.check(guests.module()));
  policy.checkpoint.reseed = "sede";
  EXPECT_EQ(error_of(policy.check(guests.module())), "policy: no export \"sede\" for reseed; did you mean \"seed\"?");
  policy.checkpoint.reseed = "memory";
  EXPECT_EQ(error_of(policy.check(guests.module())), "policy: reseed: export \"memory\" is a memory, not a function");
  policy.checkpoint.reseed = "draw";
  EXPECT_NE(error_of(policy.check(guests.module())).find("must return nothing and take nothing but integers"),
            std::string::npos);
  for (const char* name : {"seed", "seed_with"}) {
    policy.checkpoint.reseed = name;
    EXPECT_TRUE(policy.check(guests.module())) << name;
  }
  policy.mode = RotationMode::replay;
  policy.allow.clear();
  policy.checkpoint.reseed.clear();
  EXPECT_TRUE(policy.check(guests.module())) << "a replay draws anew";
}

TEST(CheckpointPolicy, TheDocsNameItsKeysAndDefaults) {
  std::ifstream docs(ROTOR_LEAKY_FOLDER "/../../docs/rotation.md");
  const std::regex row(R"(\| `\[checkpoint\]` `(\w+)` \| `?([^`|]+?)`? \| .*)");
  std::set<std::string> keys;
  for (std::string line; std::getline(docs, line);) {
    std::smatch found;
    if (!std::regex_match(line, found, row)) continue;
    keys.insert(found[1]);
    const std::string value = found[2] == "none" ? "\"\"" : found[2].str();
    auto policy = Policy::parse_toml("[checkpoint]\n" + found[1].str() + " = " + value);
    ASSERT_TRUE(policy) << line << error_of(policy);
    EXPECT_EQ(policy->checkpoint, CheckpointRule()) << line;
  }
  EXPECT_EQ(keys, (std::set<std::string>{"cpu", "grown", "host_writes", "reseed", "while_held"}));
}

}  // namespace
}  // namespace rotor::proxy
