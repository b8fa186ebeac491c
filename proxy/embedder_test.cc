// What an embedder may do to a proxy: hooks that throw, and forks.
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include "memory/testing/child.h"
#include "proxy/testing/guest.h"

namespace rotor::proxy {
namespace {

using memory::test::in_child;

// ---- hooks that throw -----------------------------------------------------------------------------------------------

/// A guest that forwards to the test's, and throws where it is told to.
class Thrower final : public Guest {
 public:
  static inline std::atomic<const char*> at = "";

  explicit Thrower(std::unique_ptr<Guest> guest) : inner_(std::move(guest)) {}
  Instance& instance() override { return inner_->instance(); }
  std::string describe_error(ExternRef error) override {
    throw_at("describe_error");
    return inner_->describe_error(error);
  }
  Result<std::shared_ptr<const void>> save() override {
    throw_at("save");
    return inner_->save();
  }
  Result<void> on_rotate(Guest&) override {
    throw_at("on_rotate");
    return {};
  }
  void on_trap() override { throw_at("on_trap"); }
  static void throw_at(std::string_view place) {
    if (at.load() == place) throw std::runtime_error("from " + std::string(place));
  }

 private:
  std::unique_ptr<Guest> inner_;
};

class ThrowingHooks : public testing::Test {
 protected:
  ThrowingHooks() { Thrower::at = ""; }
  Proxy proxy(Policy policy = test_policy()) {
    auto factory = [inner = guests_.factory()](const GuestRequest& request) -> Result<std::unique_ptr<Guest>> {
      Thrower::throw_at("factory");
      ROTOR_TRY(std::unique_ptr<Guest> guest, inner(request));
      return std::make_unique<Thrower>(std::move(guest));
    };
    ProxyOptions options;
    options.on_rotation = [](const RotationEvent&) { Thrower::throw_at("on_rotation"); };
    options.on_event = [](const ProxyEvent&) { Thrower::throw_at("on_event"); };
    return std::move(*Proxy::create(guests_.module(), factory, std::move(policy), std::move(options)));
  }
  /// A rotation's worth of work goes on as if nothing had been thrown.
  static void expect_works(Proxy& proxy) {
    Thrower::at = "";
    const uint32_t handle = proxy.call("make", {5})->handle();
    EXPECT_EQ(proxy.call("get", {handle})->i32(), 5);
    EXPECT_TRUE(eventually([&] { return proxy.prepare().has_value(); })) << proxy.counters().last_problem;
    EXPECT_TRUE(proxy.rotate());
    EXPECT_EQ(proxy.call("get", {handle})->i32(), 5);
  }
  static Policy quick() {
    Policy policy = test_policy();
    policy.backoff_first_ms = policy.backoff_max_ms = 1;
    return policy;
  }

  TestGuests guests_;
};

TEST_F(ThrowingHooks, TheFactory) {
  Thrower::at = "factory";
  auto factory = [](const GuestRequest&) -> Result<std::unique_ptr<Guest>> { throw std::runtime_error("no guest"); };
  auto none = Proxy::create(guests_.module(), factory, test_policy());
  EXPECT_EQ(error_of(none), "the guest factory threw: no guest");
  Thrower::at = "";
  Proxy ours = proxy(quick());
  Thrower::at = "factory";
  auto prepared = ours.prepare();
  EXPECT_EQ(error_of(prepared), "host: the guest factory threw: from factory");
  Thrower::at = "";
  EXPECT_TRUE(eventually([&] { return ours.prepare().has_value(); }));
  expect_works(ours);
}

TEST_F(ThrowingHooks, Save) {
  Proxy ours = proxy(quick());
  Thrower::at = "save";
  EXPECT_TRUE(ours.prepare()) << "a standby that can't be imaged serves without";
  EXPECT_EQ(ours.counters().last_problem, "no image: host: Guest::save threw: from save");
  expect_works(ours);
}

TEST_F(ThrowingHooks, OnRotate) {
  Proxy ours = proxy(quick());
  ASSERT_TRUE(ours.prepare());
  Thrower::at = "on_rotate";
  ASSERT_TRUE(ours.rotate());
  EXPECT_TRUE(ours.call("live"));
  EXPECT_TRUE(ours.counters().last_problem.ends_with("Guest::on_rotate threw: from on_rotate"));
  EXPECT_EQ(ours.counters().rotations, 0u);
  expect_works(ours);
}

TEST_F(ThrowingHooks, OnTrapOnRotationAndOnEvent) {
  Proxy ours = proxy(quick());
  const uint32_t handle = ours.call("make", {5})->handle();
  ASSERT_TRUE(ours.prepare());
  Thrower::at = "on_trap";
  EXPECT_EQ(ours.call("boom", {handle}).error().kind, ErrorKind::trap);
  EXPECT_EQ(ours.counters().last_problem, "host: Guest::on_trap threw: from on_trap");
  Thrower::at = "on_rotation";
  EXPECT_TRUE(ours.call("live"));
  EXPECT_EQ(ours.counters().last_problem, "host: on_rotation threw: from on_rotation");
  EXPECT_EQ(ours.counters().rotations_trap, 1u);
  Thrower::at = "on_event";
  EXPECT_TRUE(ours.prepare());
  EXPECT_TRUE(eventually([&] { return ours.counters().last_problem == "host: on_event threw: from on_event"; }));
  expect_works(ours);
}

TEST_F(ThrowingHooks, DescribeError) {
  Policy policy = test_policy();
  policy.preset = Preset::wasm_bindgen;
  Proxy ours = proxy(policy);
  Thrower::at = "describe_error";
  EXPECT_EQ(error_of(ours.call("try_make", {-1})), "Guest::describe_error threw: from describe_error");
}

TEST_F(ThrowingHooks, AHostFunction) {
  Proxy ours = proxy();
  guests_.on_note = [](int32_t) -> Result<void> { throw std::runtime_error("no note"); };
  auto told = ours.call("tell", {1});
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().kind, ErrorKind::host);
  EXPECT_EQ(told.error().message, "a host function threw: no note");
  guests_.on_note = nullptr;
  EXPECT_TRUE(ours.call("live"));
  EXPECT_EQ(ours.counters().rotations_trap, 1u);
}

TEST_F(ThrowingHooks, WorkWithinALease) {
  Proxy ours = proxy();
  int runs = 0;
  auto done = ours.with_lease([&](Lease& lease) -> Result<void> {
    runs++;
    ROTOR_CHECK(lease.call("make", {1}));
    throw std::runtime_error("no work");
  });
  EXPECT_EQ(error_of(done), "with_lease's work threw: no work");
  EXPECT_EQ(done.error().kind, ErrorKind::host);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(ours.call("live")->i32(), 1);
}

// ---- forks ----------------------------------------------------------------------------------------------------------

class ForkedProxy : public testing::Test {
 protected:
  void SetUp() override {
    if (const char* why = memory::test::why_no_child()) GTEST_SKIP() << why;
  }
};

/// Builds, traps, rotates.
bool works(Proxy& proxy, uint32_t handle) {
  const uint64_t rotations = proxy.counters().rotations;
  auto more = proxy.call("make", {6});
  if (!more || proxy.call("get", {handle})->i32() != 5) return false;
  if (!proxy.prepare() || !proxy.rotate() || !proxy.call("live")) return false;
  if (proxy.call("boom", {handle})) return false;
  if (proxy.call("get", {handle})->i32() != 5 || proxy.call("get", {more->handle()})->i32() != 6) return false;
  return proxy.counters().rotations == rotations + 2 &&
         eventually([&] { return proxy.counters().retired == 0; });  // by a thread that it has
}

TEST_F(ForkedProxy, GoesOnInTheChild) {
  for (ImageMode image : {ImageMode::off, ImageMode::lazy}) {
    for (bool prepared : {false, true}) {
      TestGuests guests;
      Policy policy = test_policy();
      policy.image = image;
      policy.query_handle_calls = 0;
      Proxy proxy = guests.proxy(policy);
      const uint32_t handle = proxy.call("make", {5})->handle();
      ASSERT_TRUE(!prepared || proxy.prepare());
      EXPECT_TRUE(in_child([&] { return works(proxy, handle); }));
      EXPECT_TRUE(works(proxy, handle));
      EXPECT_TRUE(in_child([&] {
        Proxy gone = std::move(proxy);
        return true;
      }));
    }
  }
}

TEST_F(ForkedProxy, WhileAStandbyIsMade) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.query_handle_calls = 0;
  Proxy proxy = guests.proxy(policy);
  const uint32_t handle = proxy.call("make", {5})->handle();
  guests.delay_ms = 300;
  ASSERT_TRUE(proxy.rotate());
  EXPECT_TRUE(in_child([&] {
    guests.delay_ms = 0;
    return proxy.call("get", {handle})->i32() == 5 && proxy.prepare() && proxy.call("get", {handle})->i32() == 5;
  }));
  guests.delay_ms = 0;
  ASSERT_TRUE(proxy.prepare());
  EXPECT_EQ(proxy.call("get", {handle})->i32(), 5);
}

TEST_F(ForkedProxy, AnothersLeaseIsAnError) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  std::atomic<bool> held = false, let_go = false;
  std::thread holder([&] {
    auto lease = proxy.acquire();
    held = true;
    while (!let_go) std::this_thread::yield();
  });
  while (!held) std::this_thread::yield();
  std::thread waiter([&] { EXPECT_TRUE(proxy.call("live")); });
  EXPECT_TRUE(eventually([&] { return proxy.counters().waiting == 1; }));
  EXPECT_TRUE(in_child([&] {
    auto lost = proxy.acquire();
    const bool right = !lost && lost.error().kind == ErrorKind::invalid_argument && !proxy.call("live");
    Proxy gone = std::move(proxy);
    return right;
  }));
  let_go = true;
  holder.join();
  waiter.join();
}

TEST_F(ForkedProxy, OnesOwnLeaseIsHeld) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  auto lease = proxy.acquire();
  const uint32_t handle = lease->call("make", {5})->handle();
  EXPECT_TRUE(in_child([&] {
    if (lease->call("get", {handle})->i32() != 5) return false;
    Lease ended = std::move(*lease);
    return true;
  }));
  EXPECT_EQ(lease->call("get", {handle})->i32(), 5);
}

}  // namespace
}  // namespace rotor::proxy
