// Fuel of calls (Policy::call_fuel): what a call may use up, and that what the proxy does of its own accord is not
// counted.
#include <gtest/gtest.h>

#include <optional>

#include "rotor/engine.h"
#include "rotor/linker.h"
#include "rotor/proxy.h"
#include "rotor/trap.h"
#include "wasm/testing/assemble.h"

namespace rotor::proxy {
namespace {

// Its start function alone takes 5,000 units.
const std::vector<uint8_t> kGuest = wasm::test::assemble(R"(
(module
  (import "env" "asked" (func $asked))
  (memory (export "memory") 1 4)
  (global $sum (mut i32) (i32.const 0))
  (func $begin (local $n i32)
    (loop $l (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000)))))
  (start $begin)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "free") (param i32))
  (func $add (export "add") (param i32) (global.set $sum (i32.add (global.get $sum) (local.get 0))))
  (func (export "add_often") (param i32) (local $n i32)
    (loop $l
      (call $add (local.get 0))
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10)))))
  (func (export "sum") (result i32) (global.get $sum))
  (func (export "add_for_ever") (param i32) (call $asked) (loop $l (call $add (local.get 0)) (br $l)))
  (func (export "ask_for_ever") (call $asked) (loop $l (br $l)))))");

struct Paying {
  explicit Paying(bool metered = true) {
    Config config;
    config.mode = CompileMode::aot;
    config.fuel = metered;
    engine.emplace(*Engine::create(config));
    module.emplace(*Module::compile(*engine, kGuest));
  }
  Result<Proxy> make(RotationMode mode, uint64_t call_fuel) {
    Policy policy;
    policy.mode = mode;
    policy.call_fuel = call_fuel;
    policy.backoff_first_ms = 0;
    if (mode == RotationMode::checkpoint) {
      policy.allow = {{.name = "sum", .results = Returned::value}, {.name = "ask_for_ever"}};
    } else {
      policy.exports = {{.name = "add*", .effect = Effect::build},
                        {.name = "sum", .effect = Effect::query},
                        {.name = "ask_for_ever", .effect = Effect::query, .retry = true}};
      policy.imports = {{.name = "env.asked", .mode = ImportMode::run}};
    }
    Linker linker(*engine);
    linker.define("env", "asked", [this] { asked++; });
    auto pre = linker.instantiate_pre(*module);
    return Proxy::create(*module, linked_guests(*pre, {}), std::move(policy));
  }
  std::optional<Engine> engine;
  std::optional<Module> module;
  int asked = 0;
};

int32_t sum(Proxy& proxy) {
  auto reply = proxy.call("sum");
  EXPECT_TRUE(reply) << reply.error().to_string();
  return reply ? reply->i32() : -1;
}

class CallFuel : public testing::TestWithParam<RotationMode> {
 protected:
  Proxy make(uint64_t call_fuel) {
    auto made = guest_.make(GetParam(), call_fuel);
    EXPECT_TRUE(made) << made.error().to_string();
    return std::move(*made);
  }
  Paying guest_;
};
INSTANTIATE_TEST_SUITE_P(In, CallFuel, testing::Values(RotationMode::replay, RotationMode::checkpoint),
                         [](const auto& mode) { return mode.param == RotationMode::replay ? "replay" : "checkpoint"; });

TEST_P(CallFuel, EndsACallAndNothingIsLost) {
  Proxy proxy = make(200);
  // Each of these takes 141 units: that is nothing to the next one, nor to what replays all of them.
  for (int i = 0; i < 20; ++i) {
    auto added = proxy.call("add_often", {1});
    ASSERT_TRUE(added) << added.error().to_string();
  }
  if (GetParam() == RotationMode::checkpoint) {
    ASSERT_TRUE(proxy.checkpoint()) << "what is before it comes back";
  }
  for (const char* endless : {"add_for_ever", "ask_for_ever"}) {
    const uint64_t rotations = proxy.counters().rotations;
    guest_.asked = 0;
    std::string_view name = endless;
    const auto reply = name == "add_for_ever" ? proxy.call(name, {1}) : proxy.call(name);
    ASSERT_FALSE(reply);
    ASSERT_TRUE(reply.error().trap) << reply.error().to_string();
    EXPECT_EQ(reply.error().trap->kind, TrapKind::out_of_fuel);
    EXPECT_EQ(guest_.asked, 1) << "it is not tried again";
    EXPECT_EQ(sum(proxy), 200) << endless;
    EXPECT_EQ(proxy.counters().rotations, rotations + 1) << endless;
  }
  EXPECT_TRUE(proxy.counters().rotating);
}

TEST_P(CallFuel, IsForEachCallAndNotKept) {
  Proxy proxy = make(150);
  auto sum_of = *proxy.get_typed<int32_t()>("sum");
  Lease lease = *proxy.acquire();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(lease.call("add_often", {1}));
  EXPECT_EQ(*sum_of(lease), 30);
  EXPECT_EQ(lease.raw("sum")->front().i32(), 30);
}

TEST_P(CallFuel, WithoutItNothingIsCounted) {
  Proxy proxy = make(0);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(proxy.call("add_often", {1}));
  EXPECT_EQ(sum(proxy), 30);
}

TEST_P(CallFuel, NeedsCodeThatPays) {
  auto made = Paying(false).make(GetParam(), 1);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(made.error().message, "call_fuel: the module was compiled without Config::fuel");
}

}  // namespace
}  // namespace rotor::proxy
