// Deadlines of calls: what a lease sets, and what the policy says for all.
#include <gtest/gtest.h>

#include <chrono>

#include "proxy/testing/held.h"
#include "rotor/engine.h"
#include "rotor/linker.h"
#include "rotor/proxy.h"
#include "rotor/trap.h"
#include "wasm/testing/assemble.h"

namespace rotor::proxy {
namespace {

using namespace std::chrono_literals;
using Clock = InterruptHandle::Clock;

const std::vector<uint8_t> kGuest = wasm::test::assemble(R"(
(module
  (import "env" "asked" (func $asked))
  (memory (export "memory") 1 4)
  (global $sum (mut i32) (i32.const 0))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "free") (param i32))
  (func $add (export "add") (param i32) (global.set $sum (i32.add (global.get $sum) (local.get 0))))
  (func (export "sum") (result i32) (global.get $sum))
  (func (export "add_for_ever") (param i32) (call $asked) (loop $l (call $add (local.get 0)) (br $l)))
  (func (export "ask_for_ever") (call $asked) (loop $l (br $l)))))");

struct Spinning {
  explicit Spinning(bool interruptible = true) {
    Config config;
    config.mode = CompileMode::aot;
    config.interruptible = interruptible;
    engine.emplace(*Engine::create(config));
    module.emplace(*Module::compile(*engine, kGuest));
  }
  Result<Proxy> make(Policy policy) {
    Linker linker(*engine);
    linker.define("env", "asked", [this] { asked++; });
    auto pre = linker.instantiate_pre(*module);
    return Proxy::create(*module, linked_guests(*pre, {}), std::move(policy));
  }
  std::optional<Engine> engine;
  std::optional<Module> module;
  int asked = 0;
};

Policy policy_of(RotationMode mode, uint64_t call_deadline_ms = 0) {
  Policy policy;
  policy.mode = mode;
  policy.call_deadline_ms = call_deadline_ms;
  policy.backoff_first_ms = 0;
  if (mode == RotationMode::checkpoint) {
    policy.allow = {{.name = "sum", .results = Returned::value}, {.name = "ask_for_ever"}};
  } else {
    policy.exports = {{.name = "add*", .effect = Effect::build},
                      {.name = "sum", .effect = Effect::query},
                      {.name = "ask_for_ever", .effect = Effect::query, .retry = true}};
    policy.imports = {{.name = "env.asked", .mode = ImportMode::run}};
  }
  return policy;
}

void expect_ended(const Result<Reply>& reply) {
  ASSERT_FALSE(reply);
  ASSERT_EQ(reply.error().kind, ErrorKind::trap) << reply.error().to_string();
  EXPECT_EQ(reply.error().trap->kind, TrapKind::interrupted);
}
int32_t sum(Proxy& proxy) {
  auto reply = proxy.call("sum");
  EXPECT_TRUE(reply) << reply.error().to_string();
  return reply ? reply->i32() : -1;
}

class Deadlines : public testing::TestWithParam<RotationMode> {
 protected:
  Proxy make(uint64_t call_deadline_ms = 0) {
    auto made = guest_.make(policy_of(GetParam(), call_deadline_ms));
    EXPECT_TRUE(made) << made.error().to_string();
    return std::move(*made);
  }
  Spinning guest_;
};
INSTANTIATE_TEST_SUITE_P(In, Deadlines, testing::Values(RotationMode::replay, RotationMode::checkpoint),
                         [](const auto& mode) { return mode.param == RotationMode::replay ? "replay" : "checkpoint"; });

TEST_P(Deadlines, OfALeaseEndACallAndNothingIsLost) {
  Proxy proxy = make();
  ASSERT_TRUE(proxy.call("add", {5}));
  if (GetParam() == RotationMode::checkpoint) {
    ASSERT_TRUE(proxy.checkpoint()) << "what is before it comes back";
  }
  for (const char* endless : {"add_for_ever", "ask_for_ever"}) {
    const uint64_t rotations = proxy.counters().rotations;
    {
      Lease lease = *proxy.acquire();
      ASSERT_TRUE(lease.set_deadline(Clock::now() + 30ms));
      EXPECT_EQ(lease.call("sum")->i32(), 5) << "in time";
      const auto start = Clock::now();
      guest_.asked = 0;
      std::string_view name = endless;
      expect_ended(name == "add_for_ever" ? lease.call(name, {1}) : lease.call(name));
      EXPECT_LT(Clock::now() - start, 20s);
      EXPECT_EQ(guest_.asked, 1) << "it is not tried again";
      expect_ended(lease.call("sum"));  // further calls repeat it
    }
    EXPECT_EQ(sum(proxy), 5) << endless;
    EXPECT_EQ(proxy.counters().rotations, rotations + 1) << endless;
  }
  ASSERT_TRUE(proxy.call("add", {2}));
  EXPECT_EQ(sum(proxy), 7);
  EXPECT_TRUE(proxy.counters().rotating);
}

TEST_P(Deadlines, EndWithTheLease) {
  Proxy proxy = make();
  auto add = *proxy.get_typed<void(int32_t)>("add");
  {
    Lease lease = *proxy.acquire();
    ASSERT_TRUE(lease.set_deadline(Clock::now() + 10s));
    ASSERT_TRUE(add(lease, 1));
    ASSERT_TRUE(lease.set_deadline(Clock::now() + 1ms));
    std::this_thread::sleep_for(2ms);
    // It is too late: these are not made, and the instance goes on.
    EXPECT_EQ(lease.call("add", {10}).error().kind, ErrorKind::limit);
    EXPECT_EQ(add(lease, 10).error().kind, ErrorKind::limit);
    EXPECT_EQ(lease.raw("sum").error().kind, ErrorKind::limit);
    {
      Lease joined = *proxy.acquire();
      EXPECT_EQ(joined.call("sum").error().kind, ErrorKind::limit) << "it is the outermost one's";
    }
    lease.clear_deadline();
    EXPECT_TRUE(lease.call("sum"));
    ASSERT_TRUE(lease.set_deadline(Clock::now() + 5s));
    ASSERT_TRUE(lease.call("add", {2})) << "soon enough";
    const auto soon = Clock::now() + 300ms;
    ASSERT_TRUE(lease.set_deadline(soon));
    ASSERT_TRUE(lease.call("sum"));
    ASSERT_TRUE(lease.set_deadline(Clock::now()));
    std::this_thread::sleep_until(soon + 10ms);
  }
  ASSERT_TRUE(proxy.call("add", {4}));
  ASSERT_TRUE(add(8));
  EXPECT_EQ(sum(proxy), 15);
  EXPECT_EQ(proxy.counters().traps, 0u);
}

TEST_P(Deadlines, OfThePolicyHoldForEachCall) {
  Proxy proxy = make(50);
  ASSERT_TRUE(proxy.call("add", {5}));
  if (GetParam() == RotationMode::checkpoint) {
    ASSERT_TRUE(proxy.checkpoint());
  }
  auto spin = *proxy.get_typed<void(int32_t)>("add_for_ever");
  auto get = *proxy.get_typed<int32_t()>("sum");
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ(*get(), 5);
    auto ended = spin(1);
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().trap->kind, TrapKind::interrupted);
  }
  expect_ended(proxy.call("ask_for_ever"));
  EXPECT_EQ(*get(), 5);
  {
    Lease lease = *proxy.acquire();
    std::this_thread::sleep_for(60ms);
    EXPECT_EQ(lease.call("sum")->i32(), 5) << "it is the call's, not the lease's";
    ASSERT_TRUE(lease.set_deadline(Clock::now() + 1h));
    expect_ended(lease.call("add_for_ever", {1}));  // the earlier one holds
  }
  EXPECT_EQ(sum(proxy), 5);
  EXPECT_EQ(proxy.counters().traps, 5u);
}

TEST(Deadline, OfAWithLeaseIsNotTriedAgain) {
  Spinning guest;
  Proxy proxy = *guest.make(policy_of(RotationMode::replay));
  ASSERT_TRUE(proxy.call("add", {5}));
  int runs = 0;
  auto done = proxy.with_lease([&](Lease& lease) -> Result<void> {
    runs++;
    ROTOR_CHECK(lease.set_deadline(Clock::now() + 20ms));
    ROTOR_CHECK(lease.call("add", {1}));
    ROTOR_CHECK(lease.call("add_for_ever", {1}));
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(sum(proxy), 6) << "what went well stays, as of any lease";
}

TEST(Deadline, NeedsInterruptibleCode) {
  Spinning guest(false);
  Proxy proxy = *guest.make(policy_of(RotationMode::replay));
  Lease lease = *proxy.acquire();
  EXPECT_EQ(lease.set_deadline(Clock::now() + 1h).error().kind, ErrorKind::invalid_argument);
  EXPECT_TRUE(lease.call("sum"));
  const auto refused = guest.make(policy_of(RotationMode::replay, 100));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid_argument) << refused.error().to_string();
}

}  // namespace
}  // namespace rotor::proxy
