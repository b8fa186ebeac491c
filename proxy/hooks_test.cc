// The rest of the interface: typed functions, on_rotate, prepare, verify, the gauge, at_swap with an image, events,
// counters, the switch.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <set>

#include "proxy/testing/answer_guest.h"

namespace rotor::proxy {
namespace {

// ---- typed functions ------------------------------------------------------------------------------------------------

TEST(Typed, TranslatesAndReturns) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  auto make = proxy.get_typed<uint32_t(int32_t)>("make");
  auto add = proxy.get_typed<int32_t(uint32_t, int32_t)>("add");
  auto get = proxy.get_typed<int32_t(uint32_t)>("get");
  auto drop = proxy.get_typed<void(uint32_t)>("drop");
  auto copy = proxy.get_typed<uint32_t(uint32_t)>("copy");
  auto mix = proxy.get_typed<int64_t(int64_t, double, float)>("mix");
  ASSERT_TRUE(make && add && get && drop && copy && mix);
  const uint32_t a = (*make)(7).value();
  EXPECT_TRUE(a & 0x80000000u) << "a token";
  EXPECT_EQ((*add)(a, 3).value(), 10);
  EXPECT_EQ((*mix)(int64_t{1} << 40, 2.5, 0.5f).value(), (int64_t{1} << 40) + 3);
  EXPECT_EQ(proxy.counters().log_calls, 2u);
  const uint32_t query = (*copy)(a).value();
  EXPECT_EQ((*get)(query).value(), 10);
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ((*get)(a).value(), 10);
    EXPECT_TRUE(proxy.call("drop", {query}) || i > 0);
    ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
  }
  EXPECT_EQ((*get)(query).error().kind, ErrorKind::stale_handle);
  EXPECT_EQ((*get)(0x1234u).error().kind, ErrorKind::stale_handle);
  EXPECT_EQ(proxy.counters().stale_handles, 4u) << "two of the loop's, and these";
  {
    auto lease = proxy.acquire();
    const uint32_t mine = (*copy)(*lease, a).value();
    EXPECT_EQ((*get)(*lease, mine).value(), 10);
    EXPECT_EQ((*get)(mine).value(), 10) << "joins";
  }
  ASSERT_TRUE((*drop)(a));
  EXPECT_EQ((*get)(a).error().kind, ErrorKind::stale_handle);
  EXPECT_EQ((*drop)(a).error().kind, ErrorKind::stale_handle);
}

TEST(Typed, TranslatesAllHandlesOrNoneAfterARotation) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.exports.push_back(
      {.name = "add", .effect = Effect::query, .args = {{ArgKind::handle, ArgKind::handle}}});  // for once a query
  std::erase_if(policy.exports,
                [](const ExportRule& rule) { return rule.name == "add" && rule.effect == Effect::build; });
  Proxy proxy = guests.proxy(policy);
  uint32_t a = proxy.call("make", {1})->handle(), b = proxy.call("make", {2})->handle();
  auto both = proxy.get_typed<int32_t(uint32_t, uint32_t)>("add");
  ASSERT_TRUE(both);
  ASSERT_TRUE((*both)(a, b));
  ASSERT_TRUE(proxy.rotate());
  ASSERT_TRUE(proxy.prepare());
  ASSERT_TRUE((*both)(a, a)) << "on the new active, which has yet to be asked where b is";
  ASSERT_EQ(proxy.counters().rotations, 1u);
  auto instance_knows_both = (*both)(a, b);
  EXPECT_TRUE(instance_knows_both) << error_of(instance_knows_both);
  auto lease = proxy.acquire();
  EXPECT_TRUE((*both)(*lease, b, a));
}

TEST(Typed, IsCheckedWhenItIsLookedUp) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  auto message = [](auto result) { return error_of(result); };
  EXPECT_EQ(message(proxy.get_typed<int32_t(uint32_t)>("gett")),
            "no exported function \"gett\"; did you mean \"get\"?");
  EXPECT_EQ(message(proxy.get_typed<int64_t(uint32_t)>("get")), "get is of type [i32] -> [i32], not [i32] -> [i64]");
  EXPECT_EQ(proxy.get_typed<int32_t()>("get").error().kind, ErrorKind::type_mismatch);
  EXPECT_EQ(proxy.get_typed<void(uint32_t)>("get").error().kind, ErrorKind::type_mismatch);
  EXPECT_EQ(proxy.get_typed<uint32_t(uint32_t)>("malloc").error().kind, ErrorKind::invalid_argument);
  TestGuests others;
  Proxy other = others.proxy(test_policy());
  EXPECT_EQ(message(other.get_typed<int32_t(uint32_t, uint32_t)>("total")),
            "total takes bytes or a vector: call it by name");
  EXPECT_EQ(other.get_typed<int32_t(uint32_t)>("bytes_of").error().kind, ErrorKind::type_mismatch);
}

TEST(Typed, ATrapIsOne) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  auto leak = proxy.get_typed<int32_t(int32_t)>("leak");
  auto lease = proxy.acquire();
  EXPECT_EQ((*leak)(*lease, 100).error().kind, ErrorKind::trap);
  auto after = (*leak)(*lease, 0);
  EXPECT_TRUE(after.error().message.ends_with("earlier in this lease")) << after.error().message;
  {
    Lease gone = std::move(*lease);
  }
  EXPECT_EQ((*leak)(0).value(), 2);
  EXPECT_EQ(proxy.counters().rotations_trap, 1u);
}

// ---- hooks ----------------------------------------------------------------------------------------------------------

TEST(OnRotate, HandsStateOverBeforeTheFirstCall) {
  AnswerGuests guests;
  int holder = 1;
  guests.on_rotate = [&](int retired, int next) {
    EXPECT_EQ(retired, holder);
    holder = next;
  };
  guests.on_gate = [&](const AnswerHost& host, int32_t) -> Result<int32_t> { return host.number == holder ? 1 : 0; };
  Proxy proxy = guests.proxy(answer_policy());
  for (int i = 0; i < 4; i++) {
    EXPECT_EQ(proxy.call("gate", {0})->i32(), 1);
    ASSERT_TRUE(rotates_now(proxy));
  }
  EXPECT_EQ(proxy.call("gate", {0})->i32(), 1);
  EXPECT_FALSE(proxy.call("leak", {100}));
  EXPECT_EQ(proxy.call("gate", {0})->i32(), 1) << "after a trap, too";
}

TEST(OnRotate, RefusingKeepsTheOldOne) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  const uint32_t a = proxy.call("make", {5})->handle();
  ASSERT_TRUE(proxy.prepare());
  guests.fail_step("on_rotate", 1);
  ASSERT_TRUE(proxy.rotate());
  const int32_t address = proxy.call("address", {a})->i32();
  ProxyCounters counters = proxy.counters();
  EXPECT_EQ(counters.rotations, 0u);
  EXPECT_EQ(counters.warmups_failed, 1u);
  EXPECT_NE(counters.last_problem.find("won't take over"), std::string::npos);
  EXPECT_EQ(proxy.call("get", {a})->i32(), 5);
  EXPECT_TRUE(eventually([&] { return proxy.call("live") && proxy.counters().rotations == 1; })) << "the next one does";
  EXPECT_NE(proxy.call("address", {a})->i32(), 0);
  EXPECT_EQ(proxy.call("get", {a})->i32(), 5);
  (void)address;
  EXPECT_TRUE(eventually([&] { return proxy.counters().retired == 0; }));
}

TEST(Saved, ComesAlongWithTheImage) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  ASSERT_TRUE(proxy.call("make", {5}));
  for (int i = 0; i < 3; i++) ASSERT_TRUE(rotates_now(proxy));
  EXPECT_EQ(guests.saves, 1);
  ASSERT_GE(guests.from_image.size(), 2u);
  for (int saved : guests.from_image) EXPECT_EQ(saved, 2) << "of the second guest, the first standby";
}

TEST(Saved, AStandbyThatCantBeImagedServesUnlessItsMemoryIsGone) {
  for (ErrorKind kind : {ErrorKind::io, ErrorKind::stale_handle}) {
    AnswerGuests guests;
    guests.save_fails_as = kind;
    Proxy proxy = guests.proxy(answer_policy());
    const uint32_t a = proxy.call("make", {5})->handle();
    guests.fail_step("save", 1);
    const bool serves = kind == ErrorKind::io;
    EXPECT_EQ(proxy.prepare().has_value(), serves);
    EXPECT_EQ(proxy.counters().images_failed, 1u);
    EXPECT_EQ(proxy.counters().warmups_failed, serves ? 0u : 1u);
    EXPECT_TRUE(eventually([&] { return rotates_now(proxy); }));
    EXPECT_EQ(proxy.call("get", {a})->i32(), 5);
  }
}

TEST(Saved, AnImageThatNoStandbyCanBeMadeFromIsDroppedForTheLog) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  const uint32_t a = proxy.call("make", {5})->handle();
  ASSERT_TRUE(rotates_now(proxy));
  ASSERT_EQ(proxy.counters().images, 1u);
  const uint64_t replayed = proxy.counters().calls_replayed;
  guests.fail_step("factory", 1);
  ASSERT_TRUE(proxy.prepare()) << "made from the log";
  const ProxyCounters counters = proxy.counters();
  EXPECT_EQ(counters.images_dropped, 1u);
  EXPECT_EQ(counters.warmups_failed, 0u);
  EXPECT_EQ(counters.calls_replayed, replayed + 1);
  EXPECT_EQ(counters.images, 2u) << "another one, of the standby that was replayed";
  EXPECT_TRUE(counters.last_problem.starts_with("no standby from the image: ")) << counters.last_problem;
  EXPECT_TRUE(rotates_now(proxy));
  EXPECT_EQ(proxy.call("get", {a})->i32(), 5);
}

// ---- prepare, rotate, verify ----------------------------------------------------------------------------------------

TEST(Prepare, HasStandbyAndImageThere) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  ASSERT_TRUE(proxy.call("make", {5}));
  ASSERT_TRUE(proxy.prepare());
  ProxyCounters counters = proxy.counters();
  EXPECT_EQ(counters.standby_bytes, 2 * Memory::kPageBytes);
  EXPECT_EQ(counters.images, 1u);
  EXPECT_GT(counters.image_bytes, 0u);
  EXPECT_EQ(guests.made, 2);
  ASSERT_TRUE(proxy.prepare()) << "again is no harm";
  EXPECT_EQ(guests.made, 2);
  EXPECT_EQ(proxy.counters().rotations, 0u);
  EXPECT_FALSE(proxy.call("leak", {100}));
  EXPECT_TRUE(proxy.call("live"));
  EXPECT_EQ(proxy.counters().rotations_trap, 1u);
  EXPECT_EQ(proxy.counters().wait_ns_max, 0u) << "the first trap found one";
}

TEST(Prepare, SaysWhatFailed) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  policy.backoff_first_ms = policy.backoff_max_ms = 60'000;
  Proxy proxy = guests.proxy(policy);
  guests.fail_step("factory", 1);
  auto failed = proxy.prepare();
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("no guest today"), std::string::npos) << failed.error().message;
  auto again = proxy.prepare();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::limit) << "not during the back-off";
  EXPECT_NE(again.error().message.find("no guest today"), std::string::npos) << again.error().message;
}

TEST(Rotate, WaitsForTheLeaseAndQueryHandles) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  const uint32_t a = proxy.call("make", {5})->handle();
  ASSERT_TRUE(proxy.prepare());
  const uint32_t query = proxy.call("copy", {a})->handle();
  {
    auto lease = proxy.acquire();
    ASSERT_TRUE(proxy.rotate());
    EXPECT_TRUE(proxy.call("get", {query}));
    EXPECT_EQ(proxy.counters().rotations, 0u);
  }
  EXPECT_TRUE(proxy.call("get", {query}));
  EXPECT_EQ(proxy.counters().rotations, 0u);
  ASSERT_TRUE(proxy.call("drop", {query}));
  EXPECT_EQ(proxy.call("get", {a})->i32(), 5);
  EXPECT_EQ(proxy.counters().rotations, 1u);
  EXPECT_EQ(proxy.call("get", {a})->i32(), 5);
  EXPECT_EQ(proxy.counters().rotations, 1u) << "once asked, once done";
}

TEST(Verify, FindsADeterministicGuestEqual) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  policy.imports.clear();  // what made guests differ is answered
  Proxy proxy = guests.proxy(policy);
  EXPECT_EQ(proxy.verify().error().kind, ErrorKind::not_found);
  const uint32_t a = proxy.call("make", {5})->handle();
  ASSERT_TRUE(proxy.call("ask_into", {a, 3}));
  ASSERT_TRUE(proxy.call("drop", {proxy.call("make", {6})->handle()}));
  ASSERT_TRUE(proxy.prepare());
  const int asked = guests.asked;
  auto report = proxy.verify();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->calls, 2u) << "what a slice leaves";
  EXPECT_TRUE(report->compared_digests);
  EXPECT_TRUE(report->digests_equal);
  EXPECT_EQ(guests.asked, asked);
  EXPECT_EQ(proxy.counters().verified, 1u);
  EXPECT_EQ(proxy.counters().verify_failed, 0u);
  EXPECT_TRUE(eventually([&] { return guests.alive == 2; })) << "active and standby";
}

TEST(Verify, ReportsAGuestThatDiffers) {
  AnswerGuests guests;
  Policy policy = answer_policy();  // env.salt runs: other addresses
  policy.verify_every = 1;
  std::mutex mutex;
  std::string text;
  Proxy proxy = guests.proxy(policy, {.on_event = [&](const ProxyEvent& event) {
                               std::lock_guard lock(mutex);
                               if (event.kind == ProxyEventKind::image_verified) text = event.text;
                             }});
  const uint32_t a = proxy.call("make", {5})->handle();
  ASSERT_TRUE(proxy.prepare());
  EXPECT_TRUE(eventually([&] {
    std::lock_guard lock(mutex);
    return text == "the digests differ";
  }));
  auto report = proxy.verify();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->digests_equal);
  EXPECT_EQ(proxy.counters().verified, 2u);
  EXPECT_EQ(proxy.counters().verify_failed, 2u);
  ASSERT_TRUE(rotates_now(proxy)) << "reported, and no more than that";
  EXPECT_EQ(proxy.call("get", {a})->i32(), 5);
}

TEST(Verify, ReturnsADivergence) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  guests.on_gate = [&](const AnswerHost& host, int32_t step) -> Result<int32_t> {
    return step > 0 ? 0 : host.number > 2 ? 3 : 1;
  };
  Proxy proxy = guests.proxy(policy);
  ASSERT_TRUE(proxy.call("script", {proxy.call("make", {5})->handle(), 1}));
  ASSERT_TRUE(proxy.prepare());
  auto report = proxy.verify();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::internal);
  EXPECT_EQ(proxy.counters().verify_failed, 1u);
}

// ---- thresholds -----------------------------------------------------------------------------------------------------

TEST(GaugeUse, IsAFunctionOrAGlobal) {
  for (const char* gauge : {"used", "level"}) {
    AnswerGuests guests;
    Policy policy = answer_policy();
    policy.gauge = gauge;
    policy.memory_limit_bytes = 1000;
    policy.at_swap = AtSwap::wait;
    Proxy proxy = guests.proxy(policy);
    const uint32_t a = proxy.call("make", {5})->handle();
    ASSERT_TRUE(proxy.call("set_level", {600}));
    EXPECT_EQ(proxy.counters().warmups, 0u);
    ASSERT_TRUE(proxy.call("set_level", {750}));
    ASSERT_TRUE(eventually([&] { return proxy.counters().standby_bytes > 0; }));
    EXPECT_EQ(proxy.call("used")->i32(), 750);
    ASSERT_TRUE(proxy.call("set_level", {950}));
    EXPECT_EQ(proxy.call("used")->i32(), 0) << gauge;
    EXPECT_EQ(proxy.counters().rotations, 1u);
    EXPECT_EQ(proxy.call("get", {a})->i32(), 5);
  }
}

class AtSwapWithImage : public testing::TestWithParam<AtSwap> {};
INSTANTIATE_TEST_SUITE_P(, AtSwapWithImage, testing::Values(AtSwap::serve, AtSwap::wait, AtSwap::fail));

TEST_P(AtSwapWithImage, NobodyWaitsAndNothingFails) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  policy.at_swap = GetParam();
  std::vector<RotationEvent> events;
  Proxy proxy = guests.proxy(policy, {.on_rotation = [&](const RotationEvent& e) { events.push_back(e); }});
  const uint32_t a = proxy.call("make", {5})->handle();
  ASSERT_TRUE(proxy.prepare());
  guests.delay_ms = 1;
  uint64_t reclaimed = 0;
  for (int i = 1; i <= 5; i++) {
    ASSERT_TRUE(proxy.call("leak", {57})) << "from nothing to above swap_at at once";
    auto next = proxy.call("leak", {0});
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_EQ(next->i32(), 2);
    EXPECT_EQ(proxy.call("add", {a, 1})->i32(), 5 + i);
  }
  ASSERT_EQ(events.size(), 5u);
  for (const RotationEvent& event : events) {
    EXPECT_EQ(event.origin == StandbyOrigin::image, event.rotation > 1);
    EXPECT_EQ(event.bytes_before, 59 * Memory::kPageBytes);
    reclaimed += event.bytes_before - event.bytes_after;
  }
  ProxyCounters counters = proxy.counters();
  EXPECT_EQ(counters.rotations_image, 4u);
  EXPECT_EQ(counters.images, 1u);
  EXPECT_EQ(counters.reclaimed_bytes, reclaimed);
  EXPECT_EQ(counters.traps, 0u);
  EXPECT_GE(counters.peak_together_bytes, 61 * Memory::kPageBytes) << "a full one and its standby";
  EXPECT_LE(counters.peak_together_bytes, 5 * 61 * Memory::kPageBytes);
}

// ---- seeing it ------------------------------------------------------------------------------------------------------

/// A standby that the caller makes from the image counts as one that the background thread has made.
TEST(Counters, PeakIsOfActiveStandbyAndRetired) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  ASSERT_TRUE(proxy.prepare());
  EXPECT_EQ(proxy.counters().peak_together_bytes, 4 * Memory::kPageBytes);
  ASSERT_TRUE(rotates_now(proxy));
  ASSERT_TRUE(eventually([&] { return proxy.counters().retired == 0 && proxy.counters().standby_bytes == 0; }));
  {
    auto lease = proxy.acquire();
    ASSERT_TRUE(lease->call("leak", {40}));
    EXPECT_FALSE(lease->call("leak", {100}));
  }
  ASSERT_TRUE(proxy.call("live"));
  EXPECT_EQ(proxy.counters().rotations_image, 1u);
  EXPECT_GE(proxy.counters().peak_together_bytes, 44 * Memory::kPageBytes);
  EXPECT_EQ(proxy.counters().reclaimed_bytes, 40 * Memory::kPageBytes);
}

TEST(Counters, DeniedGrowthsAreTheActives) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  EXPECT_EQ(proxy.call("grow", {100})->i32(), -1) << "the call's own business";
  EXPECT_EQ(proxy.call("grow", {1})->i32(), 2);
  EXPECT_EQ(proxy.counters().denied_growths, 1u);
  EXPECT_EQ(proxy.counters().traps, 0u);
  ASSERT_TRUE(rotates_now(proxy));
  EXPECT_EQ(proxy.counters().denied_growths, 0u);
}

TEST(Events, EveryKindIsSeen) {
  AnswerGuests guests;
  std::mutex mutex;
  std::map<ProxyEventKind, int> seen;
  auto count = [&](ProxyEventKind kind) {
    std::lock_guard lock(mutex);
    return seen[kind];
  };
  Policy policy = answer_policy();
  rule_of(policy, "risky").retry = true;
  policy.verify_every = 1;
  policy.drain_deadline_ms = 20;
  Proxy proxy = guests.proxy(policy, {.on_event = [&](const ProxyEvent& event) {
                               std::lock_guard lock(mutex);
                               seen[event.kind]++;
                             }});
  using enum ProxyEventKind;
  guests.fail_step("factory", 1);
  EXPECT_FALSE(proxy.prepare());
  EXPECT_TRUE(eventually([&] { return count(warmup_begun) == 1 && count(warmup_failed) == 1; }));
  EXPECT_TRUE(eventually([&] { return proxy.prepare().has_value(); }));
  EXPECT_TRUE(
      eventually([&] { return count(warmup_done) == 1 && count(image_made) == 1 && count(image_verified) == 1; }));
  std::atomic<int> left = 1;
  guests.on_gate = [&](const AnswerHost&, int32_t) -> Result<int32_t> { return left-- > 0; };
  ASSERT_TRUE(proxy.call("risky", {proxy.call("make", {1})->handle(), 1}));
  EXPECT_EQ(count(retried), 1);
  ASSERT_TRUE(proxy.call("live"));
  EXPECT_TRUE(eventually([&] { return count(drained) == 1; }));
  {
    auto lease = proxy.acquire();
    ASSERT_TRUE(lease->call("leak", {61}));
    std::thread waiter([&] { EXPECT_TRUE(proxy.call("live")); });
    waiter.join();
    EXPECT_TRUE(eventually([&] { return count(drain_overdue) == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return count(drained) == 2; }));
  for (int i = 0; i < 4200; i++) {
    const uint32_t h = proxy.call("make", {i})->handle();
    ASSERT_TRUE(proxy.call("drop", {h}));
  }
  EXPECT_TRUE(eventually([&] { return count(log_compacted) > 0; }));
  EXPECT_TRUE(
      eventually([&] { return proxy.counters().log_compactions == static_cast<uint64_t>(count(log_compacted)); }));
  EXPECT_LT(proxy.counters().log_calls, proxy.counters().log_recorded);
  guests.on_fill = [](Caller& caller, int32_t, int32_t) -> Result<void> {
    ROTOR_TRY(Memory memory, caller.get_memory());
    (void)memory;
    return {};
  };
  ASSERT_TRUE(proxy.call("fill_into", {proxy.call("make", {1})->handle(), 1}));
  EXPECT_EQ(count(rotation_ended), 1);
  std::lock_guard lock(mutex);
  EXPECT_EQ(seen.size(), 10u);
}

// ---- the switch -----------------------------------------------------------------------------------------------------

void expect_switched_off(AnswerGuests& guests, Proxy& proxy) {
  const uint32_t a = proxy.call("make", {5})->handle();
  EXPECT_FALSE(a & 0x80000000u) << "a raw value";
  EXPECT_EQ(proxy.call("address", {a})->i32(), static_cast<int32_t>(a));
  EXPECT_EQ((*proxy.get_typed<int32_t(uint32_t)>("get"))(a).value(), 5);
  EXPECT_EQ(proxy.call("ask_into", {a, 1})->i32(), 5 + 101);
  EXPECT_TRUE(proxy.call("ask_into", {proxy.call("copy", {a})->handle(), 1}));
  int runs = 0;
  EXPECT_TRUE(proxy.with_lease([&](Lease& lease) -> Result<void> {
    runs++;
    ROTOR_TRY(Reply query, lease.call("copy", {a}));
    ROTOR_CHECK(lease.keep(query.handle()));
    ROTOR_TRY(uint32_t raw, lease.resolve(a));
    EXPECT_EQ(raw, a);
    ROTOR_CHECK(lease.raw("get", {Value(a)}));
    return {};
  }));
  EXPECT_FALSE(proxy.with_lease([&](Lease& lease) -> Result<void> {
    runs++;
    ROTOR_CHECK(lease.call("leak", {100}));
    return {};
  }));
  EXPECT_EQ(runs, 2) << "a trap is a trap";
  EXPECT_EQ(proxy.call("get", {a})->i32(), 106) << "and its instance serves on";
  EXPECT_EQ(proxy.prepare().error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(proxy.rotate().error().kind, ErrorKind::invalid_argument);
  EXPECT_FALSE(proxy.verify());
  ASSERT_TRUE(proxy.call("leak", {60}));
  ASSERT_TRUE(proxy.call("drop", {a}));
  ProxyCounters counters = proxy.counters();
  EXPECT_FALSE(counters.rotating);
  EXPECT_EQ(counters.log_recorded, 0u);
  EXPECT_EQ(counters.warmups, 0u);
  EXPECT_EQ(counters.rotations, 0u);
  EXPECT_EQ(guests.made, 1);
}

TEST(Switch, Policy) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  policy.enabled = false;
  Proxy proxy = guests.proxy(policy);
  expect_switched_off(guests, proxy);
}

TEST(Switch, Environment) {
  AnswerGuests guests;
  setenv("ROTOR_ROTATION", "off", 1);
  Proxy proxy = guests.proxy(answer_policy());
  unsetenv("ROTOR_ROTATION");
  EXPECT_EQ(proxy.counters().off_reason, "ROTOR_ROTATION=off");
  expect_switched_off(guests, proxy);
}

}  // namespace
}  // namespace rotor::proxy
