// Policies against a module.
#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "proxy/policy.h"
#include "rotor/engine.h"
#include "rotor/printable.h"
#include "wasm/testing/assemble.h"

namespace rotor::proxy {
namespace {

constexpr std::string_view kShapes = R"(
(module
  (import "env" "log" (func (param i32 i64 f64 externref)))
  (import "env" "read" (func (param i32 i32) (result i32)))
  (import "other" "log" (func (param i32)))
  (import "env" "memory" (memory 1))
  (global (export "used32") (mut i32) (i32.const 0))
  (global (export "used64") i64 (i64.const 0))
  (global (export "ratio") f64 (f64.const 0))
  (func (export "used") (result i64) i64.const 0)
  (func (export "used_by") (param i32) (result i32) i32.const 0)
  (func (export "set") (param i32 i32))
  (func (export "initThreadPool") (param i32))
  (func (export "exitThreadPool"))
  (func (export "__wbindgen_thread_destroy") (param i32 i32))
  (func (export "__wbg_thing_free") (param i32 i32))
  (func (export "ref") (result externref) ref.null extern)
  (func (export "takes_ref") (param externref))
  (func (export "takes_func") (param funcref)))
)";

const Module& shapes() {
  static const Module module = [] {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = OptLevel::o0;
    config.compile_workers = 1;
    return *Module::compile(*Engine::create(std::move(config)), wasm::test::assemble(kShapes));
  }();
  return module;
}

Result<Plan> plan_of(const Policy& policy) { return make_plan(policy, shapes()); }

Policy parsed(std::string_view text) {
  auto policy = Policy::parse_toml(text, "p.toml");
  EXPECT_TRUE(policy) << policy.error().message;
  return policy ? *policy : Policy();
}

std::string error_of(std::string_view text) {
  auto policy = Policy::parse_toml(text, "p.toml");
  if (!policy) return "parsing: " + policy.error().message;
  auto checked = policy->check(shapes());
  return checked ? "no error" : checked.error().message;
}

/// What takes references can't be a build, which all is that is not said to be something else.
constexpr std::string_view kRefs = "\n[exports]\n\"takes_*\" = { effect = \"query\" }\n";

std::string export_error(std::string_view rule) {
  return error_of("[exports]\n" + std::string(rule) + "\n\"t*s_*\" = { effect = \"query\" }");
}
std::string import_error(std::string_view rule) {
  return error_of("[imports]\n" + std::string(rule) + std::string(kRefs));
}
/// Returns a policy of C++ that is refused for nothing that the module exports.
Policy with_refs() {
  Policy policy;
  policy.exports = {{.name = "takes_*", .effect = Effect::query}};
  return policy;
}

TEST(PolicyPlan, FlagsOfBuilds) {
  EXPECT_EQ(export_error("set = { effect = \"build\", retry = true, key = [0] }"), "no error");
  EXPECT_EQ(export_error("set = { effect = \"build\", key = [] }"), "no error");
  EXPECT_EQ(export_error("set = { effect = \"build\", local = true, args = [\"handle\", \"scalar\"] }"), "no error");
  EXPECT_EQ(export_error("set = { effect = \"build\", local = true }"),
            "p.toml:2: set: with `local` it changes nothing but handles, and it neither takes nor makes any");
  EXPECT_EQ(export_error("set = { effect = \"build\", local = true, args = [\"consumed\", \"scalar\"] }"),
            "p.toml:2: set: with `local` it changes only handles, and it ends all that it takes: it would never be "
            "replayed");
  EXPECT_EQ(
      export_error("used_by = { effect = \"build\", local = true, args = [\"consumed\"], results = [\"handle\"] }"),
      "no error");
  EXPECT_EQ(export_error("set = { effect = \"query\", local = true, args = [\"handle\", \"scalar\"] }"),
            "p.toml:2: set: `local` is for builds");
  EXPECT_EQ(export_error("set = { effect = \"build\", reads = true, args = [\"handle\", \"scalar\"] }"),
            "p.toml:2: set: `reads` is for `local` builds: others are replayed in any case");
  EXPECT_EQ(export_error("set = { effect = \"build\", local = true, reads = true, args = [\"handle\", \"scalar\"] }"),
            "p.toml:2: set: with `reads` it changes no handle, and it makes none: it would never be replayed");
  EXPECT_EQ(export_error("set = { effect = \"query\", reads = true }"), "p.toml:2: set: `reads` is for builds");
  EXPECT_EQ(export_error("set = { effect = \"query\", key = [0] }"), "p.toml:2: set: `key` is for builds");
  EXPECT_EQ(export_error("set = { effect = \"release\", retry = true }"), "p.toml:2: set: `retry` is not for releases");
  EXPECT_EQ(export_error("set = { retry = true }"), "no error");
  EXPECT_EQ(export_error("takes_ref = { effect = \"query\", retry = true }"),
            "p.toml:2: takes_ref: takes a reference, which a retry on another instance can't pass");
}

TEST(PolicyPlan, Keys) {
  EXPECT_EQ(export_error("set = { effect = \"build\", key = [2] }"),
            "p.toml:2: set: `key` names argument 2, counted from 0, but there are 2");
  EXPECT_EQ(export_error("set = { effect = \"build\", args = [\"bytes\"], key = [1] }"),
            "p.toml:2: set: `key` names argument 1, counted from 0, but there are 1");
  EXPECT_EQ(export_error("set = { effect = \"build\", key = [1, 0, 1] }"),
            "p.toml:2: set: `key` names argument 1 twice");
  EXPECT_EQ(export_error("set = { effect = \"build\", args = [\"scalar\", \"consumed\"], key = [1] }"),
            "p.toml:2: set: `key` names argument 1, which is consumed");
  EXPECT_EQ(export_error("set = { effect = \"build\", once = true, key = [0] }"),
            "p.toml:2: set: `once` keeps the first of equal calls, `key` the last: not both");
}

TEST(PolicyPlan, TheShortestWayIsForPlainQueries) {
  Policy policy = parsed(R"(
[exports]
used = { effect = "query" }
used_by = { effect = "query", args = ["handle"], results = ["handle"] }
set = { effect = "query", args = ["handle", "consumed"] }
ref = { effect = "query", retry = true }
"takes_*" = { effect = "query" }
)");
  auto plan = plan_of(policy);
  ASSERT_TRUE(plan) << plan.error().message;
  auto of = [&](std::string_view name) { return plan->exports[*plan->find(name)]; };
  EXPECT_TRUE(of("used").simple);
  EXPECT_TRUE(of("takes_ref").simple);
  EXPECT_FALSE(of("takes_func").simple);
  EXPECT_FALSE(of("used_by").simple);
  EXPECT_TRUE(of("used_by").makes_handles);
  EXPECT_FALSE(of("used").makes_handles);
  EXPECT_FALSE(of("set").simple);
  EXPECT_FALSE(of("ref").simple);
  EXPECT_FALSE(of("initThreadPool").simple) << "no line names it";
  policy = parsed(std::string(kRefs) +
                  "used_by = { effect = \"query\", args = [\"handle\"] }\nset = { effect = \"build\" }");
  plan = plan_of(policy);
  ASSERT_TRUE(plan);
  EXPECT_TRUE(of("used_by").simple);
  EXPECT_FALSE(of("set").simple);
}

TEST(PolicyPlan, ImportsByDefault) {
  Policy policy = with_refs();
  auto plan = plan_of(policy);
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->imports.size(), 4u);
  const ImportPlan& log = plan->imports[0];
  EXPECT_EQ(log.name, "env.log");
  EXPECT_TRUE(log.is_function);
  EXPECT_EQ(log.mode, ImportMode::answer);
  EXPECT_EQ(log.args, (std::vector{ImportArg::pointer, ImportArg::scalar, ImportArg::scalar, ImportArg::any}));
  EXPECT_EQ(log.rule, nullptr);
  EXPECT_FALSE(log.by_preset);
  EXPECT_FALSE(plan->imports[3].is_function);
  EXPECT_TRUE(plan->records_answers);
}

TEST(PolicyPlan, ImportsOfWasmBindgenRun) {
  Policy policy = parsed("preset = \"wasm-bindgen\"" + std::string(kRefs));
  auto plan = plan_of(policy);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->imports[0].mode, ImportMode::run);
  EXPECT_TRUE(plan->imports[0].by_preset);
  EXPECT_FALSE(plan->records_answers);
  policy = parsed("preset = \"wasm-bindgen\"\n[imports]\nread = \"answer\"" + std::string(kRefs));
  plan = plan_of(policy);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->imports[0].mode, ImportMode::run);
  EXPECT_EQ(plan->imports[1].mode, ImportMode::answer);
  EXPECT_EQ(plan->imports[1].rule, policy.imports.data());
  EXPECT_FALSE(plan->imports[1].by_preset);
  EXPECT_TRUE(plan->records_answers);
}

TEST(PolicyPlan, ImportsByFullNameThenFieldThenLastGlob) {
  Policy policy = parsed(R"(
[imports]
"env.log" = "run"
log = "answer"
"env.*" = "answer"
"r*d" = "run"
[exports]
"takes_*" = { effect = "query" }
)");
  auto plan = plan_of(policy);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->imports[0].mode, ImportMode::run);
  EXPECT_EQ(plan->imports[1].mode, ImportMode::run);
  EXPECT_EQ(plan->imports[1].rule->name, "r*d");
  EXPECT_EQ(plan->imports[2].mode, ImportMode::answer);
  EXPECT_EQ(plan->imports[2].rule->name, "log");
}

TEST(PolicyPlan, ArgumentsOfImports) {
  Policy policy = parsed("[imports]\nread = { args = [\"scalar\", \"any\"] }" + std::string(kRefs));
  auto plan = plan_of(policy);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->imports[1].args, (std::vector{ImportArg::scalar, ImportArg::any}));
  EXPECT_EQ(plan->imports[1].mode, ImportMode::answer);
  EXPECT_EQ(import_error("read = { args = [\"scalar\"] }"),
            "p.toml:2: env.read: 1 arguments are described, there are 2 in [i32 i32] -> [i32]");
  EXPECT_EQ(import_error("\"env.log\" = { args = [\"any\", \"pointer\", \"any\", \"any\"] }"),
            "p.toml:2: env.log: argument 2 can't be a pointer, it is i64 in [i32 i64 f64 externref] -> []");
  EXPECT_EQ(import_error("\"env.log\" = { args = [\"any\", \"any\", \"any\", \"scalar\"] }"),
            "p.toml:2: env.log: argument 4 can't be a scalar, it is externref in [i32 i64 f64 externref] -> []");
}

TEST(PolicyPlan, ImportsThatAreNotThere) {
  EXPECT_EQ(import_error("raed = \"run\""), "p.toml:2: no imported function \"raed\"; did you mean \"read\"?");
  EXPECT_EQ(import_error("\"evn.read\" = \"run\""),
            "p.toml:2: no imported function \"evn.read\"; did you mean \"env.read\"?");
  EXPECT_EQ(import_error("\"wasi*\" = \"run\""), "p.toml:2: no imported function matches \"wasi*\"");
  EXPECT_EQ(import_error("\"env.mem*\" = \"run\""), "p.toml:2: no imported function matches \"env.mem*\"");
  EXPECT_EQ(import_error("memory = \"run\""), "p.toml:2: import \"memory\" is a memory, not a function");
}

TEST(PolicyPlan, Gauges) {
  auto gauge_of = [](const char* name) {
    Policy policy = with_refs();
    policy.gauge = name;
    auto plan = plan_of(policy);
    EXPECT_TRUE(plan) << plan.error().message;
    return plan ? plan->gauge : Gauge();
  };
  EXPECT_EQ(gauge_of("").kind, Gauge::Kind::memory_size);
  EXPECT_EQ(gauge_of("used").kind, Gauge::Kind::function);
  EXPECT_EQ(gauge_of("used").type, ValType::i64);
  EXPECT_EQ(gauge_of("used32").kind, Gauge::Kind::global);
  EXPECT_EQ(gauge_of("used32").type, ValType::i32);
  EXPECT_EQ(gauge_of("used64").name, "used64");

  auto gauge_error = [](std::string name) { return error_of("[rotation]\ngauge = \"" + name + "\""); };
  EXPECT_EQ(gauge_error("usde"), "p.toml: no export \"usde\" for the gauge; did you mean \"used\"?");
  EXPECT_EQ(
      gauge_error("used_by"),
      "p.toml: the gauge \"used_by\" must be a function [] -> [i32] or [] -> [i64], or a global of i32 or i64; it "
      "is func [i32] -> [i32]");
  EXPECT_EQ(gauge_error("ratio"),
            "p.toml: the gauge \"ratio\" must be a function [] -> [i32] or [] -> [i64], or a global of i32 or i64; it "
            "is global f64");
  EXPECT_EQ(error_of("[rotation]\ngauge = \"used\"\n[exports]\nused = { effect = \"build\" }"),
            "p.toml: the gauge \"used\" is a build; it must be a query");
}

TEST(PolicyPlan, Groups) {
  auto group_error = [](std::string text) { return error_of("[group]\n" + text); };
  EXPECT_EQ(group_error("workers = 2"), "p.toml: start of the group: no export is named for it, but there are workers");
  EXPECT_EQ(group_error("workers = 2\nstart = \"initThreadPool\""),
            "p.toml: stop of the group: no export is named for it, but there are workers");
  EXPECT_EQ(group_error("workers = 2\nstart = \"initThreadPol\"\nstop = \"exitThreadPool\""),
            "p.toml: start of the group: no export \"initThreadPol\"; did you mean \"initThreadPool\"?");
  EXPECT_EQ(group_error("thread_exit = \"used32\""),
            "p.toml: thread_exit of the group: export \"used32\" is a global, not a function");
  EXPECT_EQ(group_error("workers = 2\nstart = \"initThreadPool\"\nstop = \"exitThreadPool\"" + std::string(kRefs)),
            "no error");

  Policy policy = parsed("preset = \"wasm-bindgen\"\n[group]\nworkers = 3\nstop = \"set\"" + std::string(kRefs));
  auto plan = plan_of(policy);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->group.workers, 3u);
  EXPECT_EQ(plan->group.start, "initThreadPool");
  EXPECT_EQ(plan->group.stop, "set");
  EXPECT_EQ(plan->group.thread_exit, "__wbindgen_thread_destroy");
  EXPECT_EQ(plan->group.stop_deadline_ms, 5000u);
}

TEST(PolicyPlan, Bounds) {
  Policy policy;
  policy.catch_up_rounds = 0;
  EXPECT_EQ(policy.check(shapes()).error().message, "policy: catch_up_rounds must be at least 1");
  policy = {};
  policy.log_max_replay_ns = 0;
  EXPECT_EQ(policy.check(shapes()).error().message, "policy: a bound of the log is 0");
}

TEST(PolicyExplain, SaysWhichRuleDecided) {
  Policy policy = parsed(R"(preset = "wasm-bindgen"
[imports]
read = { mode = "answer", args = ["pointer", "scalar"] }
[exports]
set = { effect = "build", local = true, args = ["handle", "scalar"], key = [0] }
"used*" = {}
"takes_*" = { effect = "query" }
)");
  auto explained = policy.explain(shapes());
  ASSERT_TRUE(explained) << explained.error().message;
  auto of = [&](std::string_view name) -> const ExplainedExport& {
    return *std::ranges::find(explained->exports, name, &ExplainedExport::name);
  };
  EXPECT_EQ(explained->exports.size(), 10u);
  EXPECT_EQ(of("set").rule, "p.toml:5 set");
  EXPECT_EQ(of("set").effect, Effect::build);
  EXPECT_TRUE(of("set").local);
  EXPECT_EQ(of("set").key, std::vector<uint32_t>{0});
  EXPECT_EQ(of("used").rule, "p.toml:6 used*");
  EXPECT_EQ(of("__wbg_thing_free").rule, "preset");
  EXPECT_EQ(of("__wbg_thing_free").effect, Effect::release);
  EXPECT_FALSE(of("set").unsaid);
  EXPECT_EQ(of("used").effect, Effect::build);
  EXPECT_TRUE(of("used").unsaid);
  EXPECT_EQ(of("ref").rule, "default");
  EXPECT_EQ(of("ref").effect, Effect::build);
  EXPECT_TRUE(of("ref").unsaid);
  EXPECT_EQ(of("__wbindgen_thread_destroy").rule, "preset");
  EXPECT_EQ(of("__wbindgen_thread_destroy").effect, Effect::query);
  EXPECT_EQ(of("takes_func").raw_only, "passes a function reference");
  ASSERT_EQ(explained->imports.size(), 3u);
  EXPECT_EQ(explained->imports[0].rule, "preset");
  EXPECT_EQ(explained->imports[0].mode, ImportMode::run);
  EXPECT_EQ(explained->imports[1].rule, "p.toml:3 read");
  EXPECT_EQ(explained->imports[1].args, (std::vector{ImportArg::pointer, ImportArg::scalar}));

  policy = with_refs();
  policy.exports.insert(policy.exports.begin(), {.name = "set"});
  explained = policy.explain(shapes());
  ASSERT_TRUE(explained);
  EXPECT_EQ(of("set").rule, "set");
  policy.exports[0].name = "sett";
  EXPECT_EQ(policy.explain(shapes()).error().message, "policy: no export \"sett\"; did you mean \"set\"?");
}

TEST(PolicyPlan, WhatNoLineNamesIsABuild) {
  const std::string both = "takes_ref (takes a reference), takes_func (passes a function reference)";
  EXPECT_EQ(
      error_of(""),
      "p.toml: no line names " + both +
          ": an export that none names is a build, and these can't be recorded. If no later call needs what a call "
          "of it does, say effect = \"query\"");
  EXPECT_EQ(
      error_of("[exports]\ntakes_ref = { effect = \"query\" }"),
      "p.toml: no line names takes_func (passes a function reference): an export that none names is a build, and it "
      "can't be recorded. If no later call needs what a call of it does, say effect = \"query\"");
  EXPECT_EQ(error_of("[exports]\n\"takes_*\" = {}"), "p.toml:2: takes_ref: takes a reference, which can't be recorded");
  EXPECT_EQ(error_of("mode = \"checkpoint\""), "no error") << "nothing is recorded";
  Policy policy = parsed("[rotation]\ngauge = \"used\"\n[group]\nstart = \"initThreadPool\"" + std::string(kRefs) +
                         "ref = { args = [] }");
  auto plan = plan_of(policy);
  ASSERT_TRUE(plan) << plan.error().message;
  auto of = [&](std::string_view name) { return plan->exports[*plan->find(name)]; };
  EXPECT_EQ(of("set").effect, Effect::build);
  EXPECT_EQ(of("ref").effect, Effect::build) << "its line does not say what it is";
  EXPECT_EQ(of("used").effect, Effect::query) << "the gauge is read";
  EXPECT_EQ(of("initThreadPool").effect, Effect::query) << "each instance has its own";
  EXPECT_EQ(of("exitThreadPool").effect, Effect::build);
}

TEST(PolicyExplain, WordsAreThoseOfPolicyFiles) {
  EXPECT_STREQ(to_string(Effect::release), "release");
  EXPECT_STREQ(to_string(ArgKind::consumed_handles), "consumed_handles");
  EXPECT_STREQ(to_string(ResultKind::error), "error");
  EXPECT_STREQ(to_string(ImportMode::run), "run");
  EXPECT_STREQ(to_string(ImportArg::any), "any");
}

TEST(PolicyPlan, NamesInErrorsArePrintable) {
  // A function that is exported as "a", ESC, "b" and a newline.
  constexpr uint8_t kModule[] = {0, 'a', 's', 'm', 1, 0,   0,    0,   1,    4, 1, 0x60, 0, 0, 3, 2, 1,
                                 0, 7,   8,   1,   4, 'a', 0x1b, 'b', '\n', 0, 0, 10,   4, 1, 2, 0, 0x0b};
  const Module module = *Module::compile(*Engine::create(), kModule);
  const std::string name = module.exports()[0].name;
  Policy policy;
  auto plan = make_plan(policy, module);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->exports[0].shown, "a\\u{1b}b\\n");
  EXPECT_EQ(plan->find(name.substr(0, 3)).error().message,
            "no exported function \"a\\u{1b}b\"; did you mean \"a\\u{1b}b\\n\"?");
  policy.exports.push_back({.name = name, .args = std::vector{ArgKind::scalar}});
  const std::string wrong = make_plan(policy, module).error().message;
  EXPECT_EQ(printable(wrong), wrong);
  EXPECT_NE(wrong.find("a\\u{1b}b\\n"), wrong.npos) << wrong;
  policy.exports[0].name = "no" + name;
  const std::string unknown = make_plan(policy, module).error().message;
  EXPECT_EQ(printable(unknown), unknown);
}

}  // namespace
}  // namespace rotor::proxy
