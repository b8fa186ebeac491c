#include "proxy/policy.h"
#include "proxy/policy_names.h"

#include <gtest/gtest.h>

#include "proxy/testing/guest.h"

namespace rotor::proxy {
namespace {

std::string parse_error(std::string_view text) { return error_of(Policy::parse_toml(text, "p.toml")); }

/// Of a policy whose exports table is `exports`, against the test guest.
std::string check_error(std::string_view exports, std::string_view head = "") {
  static TestGuests guests;
  auto policy = Policy::parse_toml(std::string(head) + "\n[exports]\n" + std::string(exports), "p.toml");
  if (!policy) return policy.error().message;
  return error_of(policy->check(guests.module()));
}

TEST(PolicyToml, ReadsEverySetting) {
  auto policy = Policy::parse_toml(R"(
preset = "wasm-bindgen"
enabled = false
[rotation]
warm_at = 0.5
swap_at = 0.6
force_at = 1
memory_limit = "8 MiB"
at_swap = "wait"
on_trap = "keep"
catch_up_ns = 5
catch_up_rounds = 10
call_deadline_ms = 15
call_fuel = 16
drain_deadline_ms = 11
gauge = "used"
query_handle_calls = 6
backoff_first_ms = 7
backoff_max_ms = 8
[log]
max_calls = 9
max_bytes = "1KiB"
max_replay_ms = 12
[image]
mode = "off"
tail_ms = 13
verify_every = 14
[group]
workers = 2
start = "begin"
stop = "end"
thread_exit = "exit"
stop_deadline_ms = 15
[imports]
"env.*" = "run"
"env.read" = { mode = "answer", args = ["pointer", "scalar", "any"] }
write = {}
[exports]
"*_get" = { args = ["handle", "scalar"], results = ["bytes", "error"] }
set = { effect = "build", reads = true, retry = true, key = [0, 2] }
make = { effect = "build", once = true, args = ["vector", "handles"], results = ["handles"] }
drop = { effect = "release", args = ["consumed", "consumed_handles", "bytes"] }
open = { export = "b", args = ["text", "cstring", "out", "out_handle"] }
add = { args = ["count_bytes", "count_vector", "count_handles", "count_consumed_handles"] }
[allocator]
malloc = "m"
free = "f"
memory = "heap"
)",
                                   "p.toml");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_FALSE(policy->enabled);
  EXPECT_EQ(policy->preset, Preset::wasm_bindgen);
  EXPECT_EQ(policy->warm_at, 0.5);
  EXPECT_EQ(policy->swap_at, 0.6);
  EXPECT_EQ(policy->force_at, 1);
  EXPECT_EQ(policy->memory_limit_bytes, 8u << 20);
  EXPECT_EQ(policy->at_swap, AtSwap::wait);
  EXPECT_EQ(policy->on_trap, OnTrap::keep);
  EXPECT_EQ(policy->catch_up_ns, 5u);
  EXPECT_EQ(policy->query_handle_calls, 6u);
  EXPECT_EQ(policy->backoff_first_ms, 7u);
  EXPECT_EQ(policy->backoff_max_ms, 8u);
  EXPECT_EQ(policy->log_max_calls, 9u);
  EXPECT_EQ(policy->log_max_bytes, 1024u);
  EXPECT_EQ(policy->catch_up_rounds, 10u);
  EXPECT_EQ(policy->call_deadline_ms, 15u);
  EXPECT_EQ(policy->call_fuel, 16u);
  EXPECT_EQ(policy->drain_deadline_ms, 11u);
  EXPECT_EQ(policy->gauge, "used");
  EXPECT_EQ(policy->log_max_replay_ns, 12'000'000u);
  EXPECT_EQ(policy->image, ImageMode::off);
  EXPECT_EQ(policy->image_tail_ns, 13'000'000u);
  EXPECT_EQ(policy->verify_every, 14u);
  EXPECT_EQ(policy->group.workers, 2u);
  EXPECT_EQ(policy->group.start, "begin");
  EXPECT_EQ(policy->group.stop, "end");
  EXPECT_EQ(policy->group.thread_exit, "exit");
  EXPECT_EQ(policy->group.stop_deadline_ms, 15u);
  ASSERT_EQ(policy->imports.size(), 3u);
  EXPECT_EQ(policy->imports[0].name, "env.*");
  EXPECT_EQ(policy->imports[0].mode, ImportMode::run);
  EXPECT_FALSE(policy->imports[0].args);
  EXPECT_EQ(policy->imports[1].name, "env.read");
  EXPECT_EQ(policy->imports[1].line, 36u);
  EXPECT_EQ(policy->imports[1].mode, ImportMode::answer);
  EXPECT_EQ(policy->imports[1].args, (std::vector{ImportArg::pointer, ImportArg::scalar, ImportArg::any}));
  EXPECT_EQ(policy->imports[2].name, "write");
  EXPECT_EQ(policy->imports[2].mode, ImportMode::answer);
  ASSERT_EQ(policy->exports.size(), 6u);
  EXPECT_EQ(policy->exports[0].name, "*_get");
  EXPECT_EQ(policy->exports[0].line, 39u);
  EXPECT_EQ(policy->exports[0].results, (std::vector{ResultKind::bytes, ResultKind::error}));
  EXPECT_TRUE(policy->exports[1].reads);
  EXPECT_TRUE(policy->exports[1].retry);
  EXPECT_EQ(policy->exports[1].key, (std::vector<uint32_t>{0, 2}));
  EXPECT_EQ(policy->exports[2].effect, Effect::build);
  EXPECT_TRUE(policy->exports[2].once);
  EXPECT_FALSE(policy->exports[2].key);
  EXPECT_EQ(policy->exports[2].args, (std::vector{ArgKind::vector, ArgKind::handles}));
  EXPECT_EQ(policy->exports[3].effect, Effect::release);
  EXPECT_EQ(policy->exports[3].args, (std::vector{ArgKind::consumed, ArgKind::consumed_handles, ArgKind::bytes}));
  EXPECT_EQ(policy->exports[3].export_name, "");
  EXPECT_EQ(policy->exports[4].export_name, "b");
  EXPECT_EQ(policy->exports[4].args, (std::vector{ArgKind::text, ArgKind::cstring, ArgKind::out, ArgKind::out_handle}));
  EXPECT_EQ(policy->exports[5].args, (std::vector{ArgKind::count_bytes, ArgKind::count_vector, ArgKind::count_handles,
                                                  ArgKind::count_consumed_handles}));
  EXPECT_EQ(policy->allocator.allocate, "m");
  EXPECT_EQ(policy->allocator.deallocate, "f");
  EXPECT_EQ(policy->allocator.memory, "heap");
}

TEST(PolicyToml, EmptyIsTheDefault) {
  auto policy = Policy::parse_toml("");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_TRUE(policy->enabled);
  EXPECT_EQ(policy->warm_at, 0.70);
  EXPECT_EQ(policy->swap_at, 0.90);
  EXPECT_EQ(policy->at_swap, AtSwap::serve);
}

TEST(PolicyToml, NamesLineAndNearestWord) {
  EXPECT_EQ(parse_error("\nperset = \"plain\""), "p.toml:2: unknown key \"perset\"; did you mean \"preset\"?");
  EXPECT_EQ(parse_error("[rotation]\nwarmat = 0.7"), "p.toml:2: unknown key \"warmat\"; did you mean \"warm_at\"?");
  EXPECT_EQ(parse_error("[log]\nqqq = 1"), "p.toml:2: unknown key \"qqq\"");
  // A key that another table has is in the wrong place.
  EXPECT_EQ(parse_error("swap_at = 0.9"), "p.toml:1: unknown key \"swap_at\"; it belongs to [rotation]");
  EXPECT_EQ(parse_error("[rotation]\nmax_calls = 9"), "p.toml:2: unknown key \"max_calls\"; it belongs to [log]");
  EXPECT_EQ(parse_error("[log]\nenabled = true"),
            "p.toml:2: unknown key \"enabled\"; it belongs to the top of the file");
  EXPECT_EQ(
      parse_error("[image]\nargs = []"),
      "p.toml:2: unknown key \"args\"; it belongs to a line of [exports], or to a line of [imports], or to a line "
      "of [probe]");
  EXPECT_EQ(parse_error("[exports]\n\nf = { efect = \"build\" }"),
            "p.toml:3: unknown key \"efect\"; did you mean \"effect\"?");
  EXPECT_EQ(parse_error("[exports]\nf = { effect = \"biuld\" }"),
            "p.toml:2: effect = \"biuld\" is unknown; did you mean \"build\"?");
  EXPECT_EQ(parse_error("preset = \"emscripten\""), "p.toml:1: preset = \"emscripten\" is none of plain, wasm-bindgen");
  EXPECT_EQ(parse_error("[exports]\nf = { args = [\"handel\"] }"),
            "p.toml:2: args = \"handel\" is unknown; did you mean \"handle\"?");
  EXPECT_EQ(parse_error("[image]\nmode = \"lasy\""), "p.toml:2: mode = \"lasy\" is unknown; did you mean \"lazy\"?");
  EXPECT_EQ(parse_error("[group]\nworker = 2"), "p.toml:2: unknown key \"worker\"; did you mean \"workers\"?");
  EXPECT_EQ(parse_error("[imports]\nread = \"anwser\""),
            "p.toml:2: read = \"anwser\" is unknown; did you mean \"answer\"?");
  EXPECT_EQ(parse_error("[imports]\nread = { mdoe = \"run\" }"),
            "p.toml:2: unknown key \"mdoe\"; did you mean \"mode\"?");
  EXPECT_EQ(parse_error("[imports]\nenv.read = \"run\""),
            "p.toml:2: unknown key \"read\"; the import env.read must be written in quotes");
  EXPECT_EQ(parse_error("[imports.env]\nread = \"run\""),
            "p.toml:2: unknown key \"read\"; the import env.read must be written in quotes");
}

TEST(PolicyToml, RefusesWrongTypes) {
  EXPECT_EQ(parse_error("enabled = 1"), "p.toml:1: enabled must be true or false");
  EXPECT_EQ(parse_error("preset = 1"), "p.toml:1: preset must be one of plain, wasm-bindgen");
  EXPECT_EQ(parse_error("rotation = 1"), "p.toml:1: \"rotation\" must be a table");
  EXPECT_EQ(parse_error("exports = 1"), "p.toml:1: \"exports\" must be a table");
  EXPECT_EQ(parse_error("[rotation]\nwarm_at = 70"), "p.toml:2: warm_at must be a number above 0, at most 1");
  EXPECT_EQ(parse_error("[rotation]\nquery_handle_calls = -1"), "p.toml:2: query_handle_calls must be a whole number");
  EXPECT_EQ(parse_error("[rotation]\nquery_handle_calls = 5000000000"),
            "p.toml:2: query_handle_calls must be a whole number");
  EXPECT_EQ(parse_error("[rotation]\nmemory_limit = \"8 MB\""),
            "p.toml:2: memory_limit must be a number of bytes or a text like \"8 MiB\"");
  EXPECT_EQ(parse_error("[rotation]\nmemory_limit = 20"),
            "p.toml:2: memory_limit = 20 is less than a page of 64 KiB: write \"20 MiB\", or \"20 B\" if it is that");
  EXPECT_EQ(Policy::parse_toml("[rotation]\nmemory_limit = \"20 B\"", "p.toml")->memory_limit_bytes, 20u);
  EXPECT_EQ(Policy::parse_toml("[rotation]\nmemory_limit = 65536", "p.toml")->memory_limit_bytes, 65536u);
  EXPECT_EQ(parse_error("[exports]\nf = { args = \"handle\" }"), "p.toml:2: args must be a list");
  EXPECT_EQ(parse_error("[rotation]\ngauge = 1"), "p.toml:2: gauge must be a text");
  EXPECT_EQ(parse_error("[rotation]\ncatch_up_rounds = 0"), "p.toml:2: catch_up_rounds must be at least 1");
  EXPECT_EQ(parse_error("[image]\ntail_ms = 9223372036854775807"), "p.toml:2: tail_ms is too large");
  EXPECT_EQ(parse_error("image = \"off\""), "p.toml:1: \"image\" must be a table");
  EXPECT_EQ(parse_error("[imports]\nread = 1"), "p.toml:2: \"read\" must be a table");
  EXPECT_EQ(parse_error("[exports]\nf = { key = 0 }"), "p.toml:2: key must be a list");
  EXPECT_EQ(parse_error("[exports]\nf = { key = [-1] }"), "p.toml:2: key must be a whole number");
  EXPECT_TRUE(parse_error("a = [\n").starts_with("p.toml:")) << parse_error("a = [\n");
}

TEST(PolicyToml, AHeaderThatIsNoKeyIsAnError) {
  for (const char* text : {"[*exports]", "[[[a]]]", "[[=", "[ *"})
    EXPECT_TRUE(parse_error(text).starts_with("p.toml:1: ")) << text << ": " << parse_error(text);
}

TEST(PolicyToml, LettersOutsideAsciiNeedQuotes) {
  EXPECT_TRUE(parse_error("\né = 1").starts_with("p.toml:2: ")) << parse_error("\né = 1");
  EXPECT_TRUE(parse_error("enabled = trueɪ").starts_with("p.toml:1: ")) << parse_error("enabled = trueɪ");
  auto policy = Policy::parse_toml("# é\n[exports]\n\"é\" = {}");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ(policy->exports.at(0).name, "é");
}

TEST(PolicyToml, DeepKeysAreAnErrorNotAStackOverflow) {
  std::string deep = "a";
  for (int i = 0; i < 1'000'000; i++) deep += ".a";
  EXPECT_EQ(parse_error("\n" + deep + " = 1"), "p.toml:2: more than 100 dots in a line");
  EXPECT_EQ(parse_error("[" + deep + "]"), "p.toml:1: more than 100 dots in a line");
}

TEST(PolicyToml, FileThatIsNotThere) {
  auto policy = Policy::load_toml("no/such/policy.toml");
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().kind, ErrorKind::io);
  EXPECT_EQ(Policy::load_toml("/").error().kind, ErrorKind::io);
}

TEST(PolicyCheck, UnknownExport) {
  EXPECT_EQ(check_error("make = {}\nmkae = {}"), "p.toml:4: no export \"mkae\"; did you mean \"make\"?");
  EXPECT_EQ(check_error("\"*_fred\" = {}"), "p.toml:3: no exported function matches \"*_fred\"");
  EXPECT_EQ(check_error("memory = {}"), "p.toml:3: export \"memory\" is a memory, not a function");
}

TEST(PolicyCheck, ArgumentsThatDoNotFit) {
  EXPECT_EQ(check_error("get = { args = [\"handle\", \"scalar\"] }"),
            "p.toml:3: get: arguments stand for 2 wasm values, there are 1 in [i32] -> [i32]");
  EXPECT_EQ(check_error("get = { args = [\"bytes\"] }"),
            "p.toml:3: get: arguments stand for 2 wasm values, there are 1 in [i32] -> [i32]");
  EXPECT_EQ(check_error("make = { results = [] }"),
            "p.toml:3: make: results stand for 0 wasm values, there are 1 in [i32] -> [i32]");
  EXPECT_EQ(check_error("takes_ref = { args = [\"handle\"] }"),
            "p.toml:3: takes_ref: argument 1 must be i32, it is externref in [externref] -> []");
}

TEST(PolicyCheck, WhatCannotBeRecorded) {
  EXPECT_EQ(check_error("takes_ref = { effect = \"build\" }"),
            "p.toml:3: takes_ref: takes a reference, which can't be recorded");
  EXPECT_EQ(check_error("drop = { effect = \"release\", args = [\"handle\"] }"),
            "p.toml:3: drop: a release has no `consumed` argument");
  EXPECT_EQ(check_error("get = { effect = \"query\", once = true }"),
            "p.toml:3: get: `once` is for builds that consume nothing");
  EXPECT_EQ(check_error("try_make = { results = [\"error\", \"scalar\"] }"),
            "p.toml:3: try_make: `error` is not the last result");
}

TEST(PolicyCheck, Thresholds) {
  EXPECT_EQ(check_error("", "[rotation]\nwarm_at = 0.95"),
            "p.toml: thresholds must be 0 < warm_at <= swap_at <= force_at <= 1, not 0.95, 0.9, 0.97");
  Policy policy;
  policy.backoff_first_ms = policy.backoff_max_ms + 1;
  EXPECT_EQ(error_of(policy.check(TestGuests().module())), "policy: backoff_first_ms is above backoff_max_ms");
}

TEST(PolicyCheck, ExactNameWinsOverGlobsAndLaterGlobsOverEarlier) {
  TestGuests guests;
  auto policy = Policy::parse_toml(R"(
[exports]
"takes_*" = { effect = "query" }
make = { effect = "query", results = ["handle"] }
"m*" = { effect = "build" }
"ma?e" = { effect = "query" }
"man*" = { effect = "build", results = ["handles"] }
)");
  ASSERT_TRUE(policy) << policy.error().message;
  auto plan = make_plan(*policy, guests.module());
  ASSERT_TRUE(plan) << plan.error().message;
  auto of = [&](std::string_view name) { return plan->exports[*plan->find(name)]; };
  EXPECT_EQ(of("make").results[0], ResultKind::handle);
  EXPECT_EQ(of("make").effect, Effect::query);
  EXPECT_EQ(of("merge").effect, Effect::build);
  EXPECT_EQ(of("many").results, std::vector{ResultKind::handles});
  EXPECT_EQ(of("live").effect, Effect::build);
}

TEST(PolicyCheck, Presets) {
  TestGuests guests;
  Policy policy;
  policy.exports = {{.name = "takes_ref", .effect = Effect::query}};
  auto plain = make_plan(policy, guests.module());
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_TRUE(plain->exports[*plain->find("malloc")].raw_only);
  EXPECT_FALSE(plain->exports[*plain->find("__wbindgen_malloc")].raw_only);
  EXPECT_EQ(plain->exports[*plain->find("malloc")].effect, Effect::query);
  EXPECT_EQ(plain->exports[*plain->find("__wbg_thing_free")].effect, Effect::build);

  policy.preset = Preset::wasm_bindgen;
  auto bindgen = make_plan(policy, guests.module());
  ASSERT_TRUE(bindgen) << bindgen.error().message;
  EXPECT_TRUE(bindgen->exports[*bindgen->find("__wbindgen_free")].raw_only);
  EXPECT_EQ(bindgen->exports[*bindgen->find("__externref_table_dealloc")].effect, Effect::query);
  const ExportPlan& release = bindgen->exports[*bindgen->find("__wbg_thing_free")];
  EXPECT_EQ(release.effect, Effect::release);
  EXPECT_EQ(release.args, (std::vector{ArgKind::consumed, ArgKind::scalar}));
  EXPECT_EQ(bindgen->reference_table, "refs");
}

TEST(Globs, Match) {
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("a*b*c", "axxbyybzc"));
  EXPECT_FALSE(glob_matches("a*b*c", "axxbyybz"));
  EXPECT_TRUE(glob_matches("a?c", "abc"));
  EXPECT_FALSE(glob_matches("a?c", "ac"));
  EXPECT_TRUE(glob_matches("__wbg_*_free", "__wbg_x_free_free"));
  EXPECT_FALSE(glob_matches("__wbg_*_free", "__wbindgen_free"));
}

}  // namespace
}  // namespace rotor::proxy
