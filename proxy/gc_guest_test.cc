// Guests whose state is objects of a garbage-collected heap rotate as others do: by replay, from an image, and by
// checkpoints.
#include <gtest/gtest.h>

#include "proxy/testing/held.h"
#include "rotor/engine.h"
#include "rotor/linker.h"
#include "rotor/proxy.h"
#include "rotor/wat.h"

namespace rotor::proxy {
namespace {

constexpr const char* kGuest = R"((module
  (type $apply (func (param i32) (result i32)))
  (type $node (struct (field $value i32) (field $by (ref $apply)) (field $next (ref null $node))))
  (type $bytes (array (mut i8)))
  (type $leaks (struct (field (ref $bytes)) (field (ref null $leaks))))
  (import "env" "seen" (func $seen (type $apply)))
  (global $list (mut (ref null $node)) (ref.null $node))
  (global $leaks (mut (ref null $leaks)) (ref.null $leaks))
  (elem declare func $twice $seen)
  (func $twice (type $apply) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "add") (param $value i32) (param $host i32)
    (global.set $list (struct.new $node (local.get $value)
      (if (result (ref $apply)) (local.get $host) (then (ref.func $seen)) (else (ref.func $twice)))
      (global.get $list))))
  (func (export "sum") (result i32) (local $at (ref null $node)) (local $sum i32)
    (local.set $at (global.get $list))
    (block $end
      (loop $again
        (br_if $end (ref.is_null (local.get $at)))
        (local.set $sum (i32.add (local.get $sum)
          (call_ref $apply (struct.get $node $value (local.get $at)) (struct.get $node $by (local.get $at)))))
        (local.set $at (struct.get $node $next (local.get $at)))
        (br $again)))
    (local.get $sum))
  ;; Keeps some bytes for ever, which changes no answer.
  (func (export "leak") (param $bytes i32) (result i32)
    (global.set $leaks (struct.new $leaks (array.new_default $bytes (local.get $bytes)) (global.get $leaks)))
    (array.len (struct.get $leaks 0 (global.get $leaks))))
  ;; Makes as many bytes, and lets them go.
  (func (export "churn") (param $bytes i32) (result i32)
    (array.len (array.new_default $bytes (local.get $bytes))))))";

/// What the heap of a guest here may have; a hundredth of it, or less, leaks at a time, and takes a cell.
constexpr uint64_t kHeapBytes = 4 << 20, kCellBytes = 32'768;
constexpr int32_t kLeak = 32'700;

class GcGuests : public testing::TestWithParam<std::pair<RotationMode, ImageMode>> {
 protected:
  GcGuests() {
    Config config;
    config.features.gc = true;
    engine_.emplace(*Engine::create(config));
    auto bytes = wat_to_wasm(kGuest);
    EXPECT_TRUE(bytes) << bytes.error().to_string();
    module_.emplace(*Module::compile(*engine_, *bytes));
  }
  Proxy make() {
    Policy policy;
    std::tie(policy.mode, policy.image) = GetParam();
    policy.at_swap = AtSwap::wait;
    if (policy.mode == RotationMode::checkpoint) {
      policy.allow = {{.name = "sum", .results = Returned::value},
                      {.name = "leak", .results = Returned::value},
                      {.name = "churn", .results = Returned::value}};
      policy.checkpoint.cpu = 1;  // a checkpoint as soon as the state is built
    } else {
      policy.exports = {{.name = "add", .effect = Effect::build},
                        {.name = "sum", .effect = Effect::query},
                        {.name = "leak", .effect = Effect::query},
                        {.name = "churn", .effect = Effect::query}};
    }
    policy.imports = {{.name = "env.seen", .mode = ImportMode::run}};
    Linker linker(*engine_);
    linker.define("env", "seen", [](int32_t x) { return x + 1; });
    Limits limits;
    limits.heap_bytes = kHeapBytes;
    auto made = Proxy::create(*module_, linked_guests(*linker.instantiate_pre(*module_), limits), std::move(policy));
    EXPECT_TRUE(made) << made.error().to_string();
    return std::move(*made);
  }
  static int32_t call(Proxy& proxy, const char* name, std::vector<Arg> args = {}) {
    auto result = proxy.call(name, args);
    EXPECT_TRUE(result) << result.error().to_string();
    return result ? result->i32() : -1;
  }
  std::optional<Engine> engine_;
  std::optional<Module> module_;
};
INSTANTIATE_TEST_SUITE_P(In, GcGuests,
                         testing::Values(std::pair(RotationMode::replay, ImageMode::off),
                                         std::pair(RotationMode::replay, ImageMode::lazy),
                                         std::pair(RotationMode::checkpoint, ImageMode::lazy)),
                         [](const auto& info) {
                           if (info.param.first == RotationMode::checkpoint) return "checkpoint";
                           return info.param.second == ImageMode::off ? "replay" : "image";
                         });

TEST_P(GcGuests, RotateBeforeTheirHeapIsFull) {
  Proxy proxy = make();
  ASSERT_TRUE(proxy.call("add", {20, 0}));
  constexpr int32_t kCalls = 500;
  for (int32_t i = 0; i < kCalls; ++i) {
    ASSERT_EQ(call(proxy, "leak", {kLeak}), kLeak) << i;
    const ProxyCounters counters = proxy.counters();
    ASSERT_LT(counters.heap_live_bytes, kHeapBytes);
    ASSERT_EQ(counters.heap_limit_bytes, kHeapBytes);
  }
  EXPECT_EQ(call(proxy, "sum"), 40);
  // At 90 % at the earliest, and before it is full.
  const uint64_t most = kCalls * kCellBytes * 10 / (kHeapBytes * 9), least = kCalls * kCellBytes / kHeapBytes;
  EXPECT_GE(proxy.counters().rotations, least);
  EXPECT_LE(proxy.counters().rotations, most);
  EXPECT_EQ(proxy.counters().traps, 0U);
}

TEST_P(GcGuests, WhatNobodyRefersToIsNotUse) {
  Proxy proxy = make();
  for (int32_t i = 0; i < 500; ++i) ASSERT_EQ(call(proxy, "churn", {kLeak}), kLeak);
  EXPECT_EQ(proxy.counters().rotations, 0U);
  EXPECT_EQ(proxy.counters().warmups, 0U);
  EXPECT_GT(proxy.counters().heap_collections, 4U);
  EXPECT_GT(proxy.counters().heap_pause_ns_max, 0U);
  EXPECT_LT(proxy.counters().heap_live_bytes, kHeapBytes / 10);
}

TEST_P(GcGuests, RotateWithTheirObjects) {
  Proxy proxy = make();
  int32_t sum = 0;
  for (int32_t i = 1; i <= 100; ++i) {
    ASSERT_TRUE(proxy.call("add", {i, i % 2}));
    sum += i % 2 ? i + 1 : 2 * i;
  }
  EXPECT_EQ(call(proxy, "sum"), sum);
  // Two thirds of what the heap may have leak between two rotations.
  for (uint64_t n = 1; n <= 6; ++n) {
    EXPECT_EQ(call(proxy, "leak", {1'500'000}), 1'500'000);
    EXPECT_EQ(call(proxy, "leak", {1'300'000}), 1'300'000);
    ASSERT_TRUE(proxy.prepare());
    ASSERT_TRUE(proxy.rotate());
    EXPECT_EQ(call(proxy, "sum"), sum);
    EXPECT_EQ(call(proxy, "sum"), sum);
    EXPECT_EQ(proxy.counters().rotations, n) << proxy.counters().last_problem;
    if (n != 3) continue;
    ASSERT_TRUE(proxy.call("add", {1000, 0}));
    sum += 2000;
    EXPECT_EQ(call(proxy, "sum"), sum);
  }
}

}  // namespace
}  // namespace rotor::proxy
