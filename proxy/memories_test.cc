// Guests with several memories: a leak in any of them is seen, and outlived.
#include <gtest/gtest.h>

#include "proxy/testing/held.h"
#include "rotor/engine.h"
#include "rotor/linker.h"
#include "rotor/proxy.h"
#include "wasm/testing/assemble.h"

namespace rotor::proxy {
namespace {

constexpr uint64_t kPage = Memory::kPageBytes;

const std::vector<uint8_t> kGuest = wasm::test::assemble(R"(
(module
  (memory $fixed 2 2)
  (memory $heap (export "heap") 1 40)
  (memory $more 1 40)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "free") (param i32))
  (func (export "set") (param i32) (i32.store $more (i32.const 8) (local.get 0)))
  (func (export "get") (result i32) (i32.load $more (i32.const 8)))
  (func (export "sum") (param i32 i32) (result i32)
    (i32.add (i32.load8_u $heap (local.get 0)) (i32.load8_u $heap (i32.add (local.get 0) (i32.const 1)))))
  (func (export "text") (result i32 i32)
    (i32.store16 $heap (i32.const 2048) (i32.const 0x6968)) (i32.const 2048) (i32.const 2))
  (func (export "in_fixed") (result i32) (i32.load $fixed (i32.const 1024)))
  (func (export "leak") (param i32) (result i32) (memory.grow $heap (local.get 0)))
  (func (export "leak_more") (param i32) (result i32) (memory.grow $more (local.get 0)))))");

class Memories : public testing::TestWithParam<RotationMode> {
 protected:
  Proxy make(uint64_t limit_bytes, uint64_t policy_limit_bytes = 0) {
    Policy policy;
    policy.mode = GetParam();
    policy.memory_limit_bytes = policy_limit_bytes;
    policy.at_swap = AtSwap::wait;
    policy.backoff_first_ms = 0;
    if (GetParam() == RotationMode::checkpoint) {
      policy.allow = {{.name = "get", .results = Returned::value}, {.name = "leak*", .results = Returned::value}};
    } else {
      policy.exports = {{.name = "set", .effect = Effect::build},
                        {.name = "get", .effect = Effect::query},
                        {.name = "leak*", .effect = Effect::query}};
    }
    Limits limits;
    limits.memory.limit_bytes = limit_bytes;
    auto pre = Linker(engine_).instantiate_pre(module_);
    auto made = Proxy::create(module_, linked_guests(*pre, limits), std::move(policy));
    EXPECT_TRUE(made) << made.error().to_string();
    return std::move(*made);
  }
  /// Returns how many pages could be leaked before one was refused, or 1,000.
  static int leak(Proxy& proxy, bool by_turns) {
    EXPECT_TRUE(proxy.call("set", {7}));
    for (int i = 0; i < 1000; i++) {
      auto leaked = proxy.call(by_turns && i % 2 ? "leak_more" : "leak", {1});
      EXPECT_TRUE(leaked) << leaked.error().to_string();
      if (!leaked || leaked->i32() == -1) return i;
    }
    EXPECT_EQ(proxy.call("get")->i32(), 7);
    EXPECT_GE(proxy.counters().rotations, 15u) << proxy.counters().last_problem;
    EXPECT_EQ(proxy.counters().denied_growths, 0u);
    return 1000;
  }
  Engine engine_ = *Engine::create();
  Module module_ = *Module::compile(engine_, kGuest);
};
INSTANTIATE_TEST_SUITE_P(In, Memories, testing::Values(RotationMode::replay, RotationMode::checkpoint),
                         [](const auto& mode) { return mode.param == RotationMode::replay ? "replay" : "checkpoint"; });

TEST_P(Memories, AreCountedTogether) {
  Proxy proxy = make(UINT64_C(4) << 30);
  EXPECT_EQ(proxy.counters().memory_bytes, 4 * kPage);
  ASSERT_TRUE(proxy.call("leak", {3}));
  ASSERT_TRUE(proxy.call("leak_more", {5}));
  EXPECT_EQ(proxy.counters().memory_bytes, 12 * kPage);
  EXPECT_EQ(proxy.call("leak", {100})->i32(), -1);
  EXPECT_EQ(proxy.counters().rotations, 0u) << "the one that can't grow is no reason";
}

TEST_P(Memories, OneThatComesToItsOwnLimitIsExchanged) {
  Proxy proxy = make(UINT64_C(4) << 30);
  EXPECT_EQ(leak(proxy, false), 1000);
}

TEST_P(Memories, TogetherTheyHaveALimit) {
  Proxy proxy = make(60 * kPage);
  EXPECT_EQ(leak(proxy, true), 1000);
}

TEST_P(Memories, ThePolicysLimitIsOfAllTogether) {
  Proxy proxy = make(UINT64_C(4) << 30, 30 * kPage);
  EXPECT_EQ(leak(proxy, true), 1000);
  EXPECT_GE(proxy.counters().rotations, 30u) << "after some 23 pages each, not 72";
}

TEST_P(Memories, DataGoToTheOneThatTheAllocatorIsOf) {
  Policy policy;
  policy.mode = GetParam();
  policy.allocator.memory = "heap";
  policy.exports = {{.name = "sum", .args = std::vector{ArgKind::bytes}},
                    {.name = "text", .results = std::vector{ResultKind::bytes}}};
  const GuestFactory guests = linked_guests(*Linker(engine_).instantiate_pre(module_));
  auto proxy = Proxy::create(module_, guests, policy);
  ASSERT_TRUE(proxy) << proxy.error().to_string();
  const uint8_t bytes[] = {40, 2};
  auto sum = proxy->call("sum", {Arg::bytes(bytes)});
  ASSERT_TRUE(sum) << sum.error().to_string();
  EXPECT_EQ(sum->i32(), 42);
  EXPECT_EQ(proxy->call("in_fixed")->i32(), 0) << "memory 0 has nothing of it";
  EXPECT_EQ(proxy->call("text")->bytes, (std::vector<uint8_t>{'h', 'i'}));
  policy.allocator.memory = "help";
  EXPECT_EQ(Proxy::create(module_, guests, policy).error().message,
            "policy: memory of the allocator: no exported 32-bit memory \"help\"; did you mean \"heap\"?");
  policy.allocator.memory = "sum";
  EXPECT_EQ(Proxy::create(module_, guests, policy).error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace rotor::proxy
