// A guest for the proxy's tests that writes to more than its handles: statements on a database of one row.
#pragma once

#include "proxy/testing/guest.h"

namespace rotor::proxy {

/// A statement on a database: `stmt` prepares one, `step` writes to the database through it, `finalize` ends it.
inline constexpr std::string_view kDatabase = R"(
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
  (func (export "check") (if (i32.eqz (global.get $row)) (then unreachable)))
  (func (export "leak") (param i32) (if (i32.eq (memory.grow (local.get 0)) (i32.const -1)) (then unreachable)))
  (func (export "row") (result i32) (global.get $row)))
)";

inline const Engine& database_engine() {
  static const Engine made = [] {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = OptLevel::o0;
    config.compile_workers = 1;
    return *Engine::create(std::move(config));
  }();
  return made;
}

inline const Module& database() {
  static const Module module = *Module::compile(database_engine(), wasm::test::assemble(kDatabase));
  return module;
}

inline Policy database_policy() {
  using enum ArgKind;
  Policy policy;
  policy.exports = {
      {.name = "stmt", .effect = Effect::build, .results = {{ResultKind::handle}}},
      {.name = "step", .effect = Effect::build, .args = {{handle, scalar}}},
      {.name = "finalize", .effect = Effect::release},
      {.name = "check", .effect = Effect::query},
      {.name = "leak", .effect = Effect::query},
      {.name = "row", .effect = Effect::query},
      {.name = "steps", .effect = Effect::query},
  };
  policy.backoff_first_ms = 0;
  return policy;
}

inline Proxy serve(Policy policy, ProxyOptions options = {}) {
  auto pre = Linker(database_engine()).instantiate_pre(database());
  EXPECT_TRUE(pre) << error_of(pre);
  auto proxy = Proxy::create(database(), linked_guests(*pre), std::move(policy), std::move(options));
  EXPECT_TRUE(proxy) << error_of(proxy);
  return std::move(*proxy);
}

inline void write_row(Proxy& proxy, int32_t value) {
  auto stmt = proxy.call("stmt");
  ASSERT_TRUE(stmt) << error_of(stmt);
  ASSERT_TRUE(proxy.call("step", {stmt->handle(), value}));
  ASSERT_TRUE(proxy.call("finalize", {stmt->handle()}));
}

inline int32_t row_after_rotation(Proxy& proxy) {
  EXPECT_TRUE(proxy.prepare());
  EXPECT_TRUE(proxy.rotate());
  auto row = proxy.call("row");
  EXPECT_EQ(proxy.counters().rotations, 1u) << proxy.counters().last_problem;
  return row ? row->i32() : -1;
}

}  // namespace rotor::proxy
