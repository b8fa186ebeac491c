// What a policy does not say costs speed, never state: guests that write to more than their handles.
#include <gtest/gtest.h>

#include <algorithm>

#include "proxy/testing/guest.h"

namespace rotor::proxy {
namespace {

using enum ArgKind;

/// A statement on a database: `stmt` prepares one, `step` writes to the database through it, `finalize` ends it.
constexpr std::string_view kDatabase = R"(
(module
  (memory (export "memory") 1 16)
  (global $row (mut i32) (i32.const 0))
  (global $steps (mut i32) (i32.const 0))
  (func (export "stmt") (result i32) (i32.const 64))
  (func (export "step") (param i32 i32)
    (global.set $row (local.get 1))
    (global.set $steps (i32.add (global.get $steps) (i32.const 1))))
  (func (export "finalize") (param i32))
  (func (export "steps") (result i32) (global.get $steps))
  (func (export "row") (result i32) (global.get $row)))
)";

const Engine& engine() {
  static const Engine made = [] {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = OptLevel::o0;
    config.compile_workers = 1;
    return *Engine::create(std::move(config));
  }();
  return made;
}

const Module& database() {
  static const Module module = *Module::compile(engine(), wasm::test::assemble(kDatabase));
  return module;
}

Policy database_policy() {
  Policy policy;
  policy.exports = {
      {.name = "stmt", .effect = Effect::build, .results = {{ResultKind::handle}}},
      {.name = "step", .effect = Effect::build, .args = {{handle, scalar}}},
      {.name = "finalize", .effect = Effect::release},
      {.name = "row", .effect = Effect::query},
      {.name = "steps", .effect = Effect::query},
  };
  policy.backoff_first_ms = 0;
  return policy;
}

Proxy serve(Policy policy, ProxyOptions options = {}) {
  auto pre = Linker(engine()).instantiate_pre(database());
  EXPECT_TRUE(pre) << error_of(pre);
  auto proxy = Proxy::create(database(), linked_guests(*pre), std::move(policy), std::move(options));
  EXPECT_TRUE(proxy) << error_of(proxy);
  return std::move(*proxy);
}

void write_row(Proxy& proxy, int32_t value) {
  auto stmt = proxy.call("stmt");
  ASSERT_TRUE(stmt) << error_of(stmt);
  ASSERT_TRUE(proxy.call("step", {stmt->handle(), value}));
  ASSERT_TRUE(proxy.call("finalize", {stmt->handle()}));
}

int32_t row_after_rotation(Proxy& proxy) {
  EXPECT_TRUE(proxy.prepare());
  EXPECT_TRUE(proxy.rotate());
  auto row = proxy.call("row");
  EXPECT_EQ(proxy.counters().rotations, 1u) << proxy.counters().last_problem;
  return row ? row->i32() : -1;
}

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

}  // namespace
}  // namespace rotor::proxy
