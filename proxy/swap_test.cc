// Rotation: thresholds, at_swap, traps, quiescent points, many threads.
#include <gtest/gtest.h>

#include <mutex>
#include <thread>
#include <vector>

#include "proxy/testing/guest.h"
#include "rotor/proxy.h"

namespace rotor::proxy {
namespace {

constexpr int32_t kToWarm = 44;  // of 64 pages, 2 in use: at warm_at
constexpr int32_t kToSwap = 13;  // from there: at swap_at
constexpr int32_t kToForce = 4;  // from there: at force_at

bool standby_ready(const Proxy& proxy) {
  ProxyCounters counters = proxy.counters();
  return counters.warmup_ns_last > 0 && counters.warmups > counters.warmups_failed;
}

TEST(Swap, TakesTheStateAlongAndFreesTheRetired) {
  TestGuests guests;
  std::vector<RotationEvent> events;
  Proxy proxy = guests.proxy(test_policy(), {.on_rotation = [&](const RotationEvent& e) { events.push_back(e); }});
  const uint8_t digits[] = {4, 2};
  uint32_t a = proxy.call("make", {1})->handle();
  uint32_t packed = proxy.call("pack", {Arg::bytes(digits)})->handle();
  std::vector<uint32_t> many = proxy.call("many", {3, 10})->vector;
  uint32_t two[] = {many[0], many[2]};
  uint32_t merged = proxy.call("merge", {Arg::vector(two)})->handle();
  uint32_t pair = proxy.call("pair", {packed, a})->handle();
  ASSERT_TRUE(proxy.call("cached", {a, 5}));
  ASSERT_TRUE(proxy.acquire()->call("cached", {a, 5})) << "a query: its handle ends with this lease";
  uint32_t dropped = proxy.call("make", {9})->handle();
  ASSERT_TRUE(proxy.call("drop", {dropped}));
  int32_t address = proxy.call("address", {a})->i32();

  ASSERT_TRUE(proxy.call("leak", {kToWarm}));
  ASSERT_TRUE(eventually([&] { return standby_ready(proxy); }));
  EXPECT_EQ(proxy.counters().rotations, 0u);
  EXPECT_EQ(proxy.call("add", {a, 1})->i32(), 2) << "a build after the warm-up: the tail";
  ASSERT_TRUE(proxy.call("leak", {kToSwap}));

  EXPECT_EQ(proxy.call("get", {a})->i32(), 2);
  EXPECT_EQ(proxy.counters().rotations, 1u);
  EXPECT_NE(proxy.call("address", {a})->i32(), address);
  EXPECT_EQ(proxy.call("get", {packed})->i32(), 42);
  EXPECT_EQ(proxy.call("get", {pair})->i32(), 4201);
  EXPECT_EQ(proxy.call("get", {merged})->i32(), 22);
  EXPECT_EQ(proxy.call("get", {many[1]})->i32(), 11);
  EXPECT_EQ(proxy.call("fills")->i32(), 1);
  EXPECT_EQ(proxy.call("live")->i32(), 6) << "a, packed, many[1], merged, pair and what the first `cached` made";
  EXPECT_EQ(proxy.call("get", {many[0]}).error().kind, ErrorKind::stale_handle);

  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].rotation, 1u);
  EXPECT_EQ(events[0].cause, RotationCause::memory);
  EXPECT_EQ(events[0].bytes_before, 59 * Memory::kPageBytes);
  EXPECT_EQ(events[0].bytes_after, 2 * Memory::kPageBytes);
  EXPECT_EQ(events[0].calls_replayed, 7u) << "nine builds, of which one made what a release ended";
  EXPECT_GT(events[0].warmup_ns, 0u);
  EXPECT_GT(events[0].swap_pause_ns, 0u);
  EXPECT_EQ(events[0].wait_ns, 0u);
  EXPECT_TRUE(eventually([&] { return guests.alive == 1 && proxy.counters().retired == 0; }));
  EXPECT_EQ(guests.made, 2);
}

TEST(Swap, ALeaseStaysOnItsInstance) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  uint32_t a = proxy.call("make", {1})->handle();
  {
    auto lease = proxy.acquire();
    ASSERT_TRUE(lease->call("leak", {kToWarm + kToSwap}));
    auto joined = proxy.acquire();
    EXPECT_EQ(joined->call("get", {a})->i32(), 1);
    EXPECT_EQ(proxy.counters().warmups, 0u) << "use is sampled when the lease ends";
  }
  ASSERT_TRUE(eventually([&] { return standby_ready(proxy); }));
  EXPECT_EQ(proxy.call("get", {a})->i32(), 1);
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

TEST(AtSwap, ServeGoesOn) {
  TestGuests guests;
  guests.delay_ms = 0;
  Proxy proxy = guests.proxy(test_policy());
  guests.delay_ms = 200;
  ASSERT_TRUE(proxy.call("leak", {kToWarm + kToSwap}));
  EXPECT_EQ(proxy.call("leak", {1})->i32(), 2 + kToWarm + kToSwap + 1);
  EXPECT_EQ(proxy.counters().rotations, 0u);
  EXPECT_TRUE(eventually([&] { return proxy.call("leak", {0})->i32() == 2; }));
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

TEST(AtSwap, WaitBlocksForTheStandby) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.at_swap = AtSwap::wait;
  RotationEvent event;
  Proxy proxy = guests.proxy(policy, {.on_rotation = [&](const RotationEvent& e) { event = e; }});
  guests.delay_ms = 100;
  ASSERT_TRUE(proxy.call("leak", {kToWarm + kToSwap}));
  EXPECT_EQ(proxy.call("leak", {1})->i32(), 3);
  EXPECT_EQ(event.rotation, 1u);
  EXPECT_GT(event.wait_ns, 50'000'000u);
  EXPECT_LT(event.swap_pause_ns, 50'000'000u) << "the wait is not part of the pause";
  EXPECT_EQ(proxy.counters().wait_ns_max, event.wait_ns);
}

TEST(AtSwap, FailReturnsAnErrorUntilTheStandbyIsThere) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.at_swap = AtSwap::fail;
  Proxy proxy = guests.proxy(policy);
  guests.delay_ms = 100;
  ASSERT_TRUE(proxy.call("leak", {kToWarm + kToSwap}));
  auto refused = proxy.call("live");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::limit);
  EXPECT_EQ(refused.error().message, "memory use is 92 % and no standby is ready (at_swap = fail)");
  EXPECT_FALSE(proxy.acquire());
  EXPECT_TRUE(eventually([&] { return proxy.call("live").has_value(); }));
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

TEST(Quiescence, ALiveQueryHandleHoldsASwapUp) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.at_swap = AtSwap::wait;
  Proxy proxy = guests.proxy(policy);
  uint32_t a = proxy.call("make", {1})->handle();
  uint32_t query = proxy.call("mirror", {a})->handle();
  ASSERT_TRUE(proxy.call("leak", {kToWarm + kToSwap}));
  EXPECT_EQ(proxy.call("get", {query})->i32(), 1);
  EXPECT_EQ(proxy.counters().rotations, 0u);
  ASSERT_TRUE(proxy.call("drop", {query}));
  EXPECT_EQ(proxy.call("leak", {0})->i32(), 2) << "freed: the swap goes ahead";
}

TEST(Quiescence, OnlyForSoManyCalls) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.at_swap = AtSwap::wait;
  policy.query_handle_calls = 5;
  Proxy proxy = guests.proxy(policy);
  uint32_t query = proxy.call("mirror", {proxy.call("make", {1})->handle()})->handle();
  ASSERT_TRUE(proxy.call("leak", {kToWarm + kToSwap}));
  int served = 0;
  while (proxy.counters().rotations == 0 && served < 20) proxy.call("live"), served++;
  EXPECT_EQ(served, 5);
  EXPECT_EQ(error_of(proxy.call("get", {query})),
            "get, argument 1: stale handle 0x80000001 of mirror: rotation 1 ended it");
}

TEST(Quiescence, NotAtForceAt) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.at_swap = AtSwap::wait;
  Proxy proxy = guests.proxy(policy);
  uint32_t query = proxy.call("mirror", {proxy.call("make", {1})->handle()})->handle();
  ASSERT_TRUE(proxy.call("leak", {kToWarm + kToSwap + kToForce}));
  EXPECT_EQ(proxy.call("get", {query}).error().kind, ErrorKind::stale_handle);
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

TEST(Trap, TheNextCallRunsOnAFreshInstance) {
  TestGuests guests;
  std::vector<RotationEvent> events;
  Proxy proxy = guests.proxy(test_policy(), {.on_rotation = [&](const RotationEvent& e) { events.push_back(e); }});
  uint32_t a = proxy.call("make", {1})->handle();
  auto trap = proxy.call("boom", {a});
  ASSERT_FALSE(trap);
  EXPECT_EQ(trap.error().kind, ErrorKind::trap);
  EXPECT_EQ(proxy.call("get", {a})->i32(), 1) << "not the -7 that the trapped call left";
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].cause, RotationCause::trap);
  EXPECT_EQ(proxy.counters().traps, 1u);
}

TEST(Trap, TheRestOfTheLeaseRepeatsIt) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  uint32_t a = proxy.call("make", {1})->handle();
  {
    auto lease = proxy.acquire();
    EXPECT_FALSE(lease->call("boom", {a}));
    auto after = lease->call("get", {a});
    EXPECT_EQ(after.error().kind, ErrorKind::trap);
    EXPECT_TRUE(after.error().trap);
    EXPECT_TRUE(after.error().message.ends_with("earlier in this lease")) << after.error().message;
    EXPECT_EQ(lease->raw("live").error().kind, ErrorKind::trap);
  }
  EXPECT_EQ(proxy.call("get", {a})->i32(), 1);
}

TEST(Trap, KeepGoesOnWithTheOldInstance) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.on_trap = OnTrap::keep;
  Proxy proxy = guests.proxy(policy);
  uint32_t a = proxy.call("make", {1})->handle();
  EXPECT_FALSE(proxy.call("boom", {a}));
  EXPECT_EQ(proxy.call("get", {a})->i32(), -7);
  EXPECT_EQ(proxy.counters().rotations, 0u);
}

TEST(Trap, AHostFunctionsErrorIsOneToo) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  guests.on_note = [](int32_t) { return fail(ErrorKind::host, "no"); };
  EXPECT_FALSE(proxy.call("tell", {1}));
  EXPECT_EQ(proxy.counters().log_calls, 0u) << "a build that did not return is not recorded";
  ASSERT_TRUE(proxy.call("live"));
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

TEST(Trap, UsesAStandbyThatStandsAboveWarmAt) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.exports.push_back({.name = "leak", .effect = Effect::build});
  Proxy proxy = guests.proxy(policy);
  uint32_t a = proxy.call("make", {1})->handle();
  ASSERT_TRUE(proxy.call("leak", {kToWarm}));
  ASSERT_TRUE(eventually([&] { return proxy.counters().warmups_failed == 1; }));
  EXPECT_EQ(proxy.counters().last_problem, "rotation is futile: after replay a standby uses 72 % of its memory");
  EXPECT_FALSE(proxy.call("boom", {a}));
  EXPECT_EQ(proxy.call("get", {a})->i32(), 1);
  EXPECT_EQ(proxy.counters().rotations, 1u);
}

TEST(Trap, WithoutAReplacementEachCallSaysSo) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.backoff_first_ms = policy.backoff_max_ms = 60'000;
  Proxy proxy = guests.proxy(policy);
  guests.failures = 1;
  ASSERT_FALSE(proxy.call("boom", {proxy.call("make", {1})->handle()}));
  for (int i = 0; i < 3; i++) {
    auto refused = proxy.call("live");
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().message.find("making another failed: ") != std::string::npos);
    EXPECT_TRUE(refused.error().message.ends_with("no guest today")) << refused.error().message;
  }
  EXPECT_EQ(guests.made, 1) << "no attempt during the back-off";
}

TEST(WarmUp, BacksOffAfterFailure) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.at_swap = AtSwap::wait;
  policy.backoff_first_ms = 30;
  Proxy proxy = guests.proxy(policy);
  guests.failures = 3;
  ASSERT_TRUE(proxy.call("leak", {kToWarm + kToSwap}));
  auto start = std::chrono::steady_clock::now();
  int served = 0;
  EXPECT_TRUE(eventually([&] { return served++, proxy.call("leak", {0})->i32() == 2; }));
  auto took = std::chrono::steady_clock::now() - start;
  ProxyCounters counters = proxy.counters();
  EXPECT_EQ(counters.warmups_failed, 3u);
  EXPECT_EQ(counters.warmups, 4u);
  EXPECT_TRUE(counters.last_problem.ends_with("no guest today")) << counters.last_problem;
  EXPECT_GE(took, std::chrono::milliseconds(30 + 60 + 120 - 1));
  EXPECT_GT(served, 3) << "the old instance serves meanwhile";
}

TEST(WarmUp, ADivergenceDropsTheStandby) {
  TestGuests guests;
  Policy policy = test_policy();
  rule_of(policy, "ask").effect = Effect::build;
  Proxy proxy = guests.proxy(policy);
  ASSERT_EQ(proxy.call("ask")->i32(), 3) << "what the host said to this instance alone";
  ASSERT_TRUE(proxy.call("leak", {kToWarm}));
  ASSERT_TRUE(eventually([&] { return proxy.counters().warmups_failed == 1; }));
  EXPECT_TRUE(proxy.counters().last_problem.ends_with("divergence: ask returned 0x6, not 0x3"))
      << proxy.counters().last_problem;
  EXPECT_TRUE(proxy.call("live"));
  EXPECT_TRUE(eventually([&] { return guests.alive == 1; }));
}

TEST(WarmUp, AHostFunctionMustNotCallTheProxyDuringReplay) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  auto live = *proxy.get_typed<int32_t()>("live");
  ASSERT_TRUE(live()) << "from the second call on it takes the short way";
  std::mutex mutex;
  std::string error, error_of_typed;
  guests.on_note = [&](int32_t) -> Result<void> {
    auto called = proxy.call("live");
    auto called_typed = live();
    std::lock_guard lock(mutex);
    error = error_of(called);
    error_of_typed = error_of(called_typed);
    return {};
  };
  ASSERT_TRUE(proxy.call("tell", {1}));
  EXPECT_EQ(error, "no error");
  EXPECT_EQ(error_of_typed, "no error");
  ASSERT_TRUE(proxy.call("leak", {kToWarm}));
  ASSERT_TRUE(eventually([&] { return standby_ready(proxy); }));
  std::lock_guard lock(mutex);
  EXPECT_EQ(error, "a host function called the proxy while its call was replayed");
  EXPECT_EQ(error_of_typed, error);
}

TEST(WarmUp, DestructionEndsIt) {
  TestGuests guests;
  {
    Proxy proxy = guests.proxy(test_policy());
    guests.delay_ms = 50;
    ASSERT_TRUE(proxy.call("leak", {kToWarm}));
  }
  EXPECT_EQ(guests.alive, 0);
}

struct Load {
  AtSwap at_swap;
  int rounds;      // of each thread
  int leak_every;  // so many rounds
};

/// Eight threads that query, build and leak; each checks what it gets.
void run_threads(const Load& load) {
  constexpr int kThreads = 8, kBuildEvery = 16;
  TestGuests guests;
  Policy policy = test_policy();
  policy.at_swap = load.at_swap;
  std::atomic<int> rotations = 0;
  Proxy proxy = guests.proxy(policy, {.on_rotation = [&](const RotationEvent&) { rotations++; }});
  uint32_t shared = proxy.call("make", {1000})->handle();
  std::atomic<int> wrong = 0;
  auto expect = [&](bool right) { wrong += !right; };
  // A lease with room for a page. With `serve` nobody waits for the standby, and on a busy machine the leak would get
  // to the limit before it is ready: that is the guest's trap, not a lost call. So the load itself holds back.
  auto room = [&](bool leaks) {
    for (;;) {
      auto lease = proxy.acquire();
      if (!leaks || !lease || lease->memory()->size_bytes() < guests.limit_bytes * 95 / 100) return lease;
      lease = fail(ErrorKind::limit, "full");  // ends the lease
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      uint32_t own = proxy.call("make", {t})->handle();
      int32_t value = t;
      for (int i = 0; i < load.rounds; i++) {
        expect(proxy.call("get", {own})->i32() == value);
        if (i % kBuildEvery == 0) {
          value += i;
          expect(proxy.call("add", {own, i})->i32() == value);
        }
        auto lease = room(i % load.leak_every == 0);
        if (!lease) return expect(false);
        if (i % load.leak_every == 0) expect(lease->call("leak", {1}).has_value());
        uint32_t query = lease->call("mirror", {shared})->handle();
        expect(lease->call("get", {query})->i32() == 1000);
        int32_t raw = static_cast<int32_t>(*lease->resolve(own));
        expect((*lease->raw("get", {raw}))[0].i32() == value);
      }
    });
  }
  while (proxy.counters().leases < 100) std::this_thread::yield();  // read while it all happens
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  const int pages = kThreads * load.rounds / load.leak_every;
  EXPECT_GE(rotations, pages / 64 - 1);
  ProxyCounters counters = proxy.counters();
  EXPECT_EQ(counters.traps, 0u);
  EXPECT_EQ(counters.warmups_failed, 0u) << counters.last_problem;
  EXPECT_EQ(counters.rotations, static_cast<uint64_t>(rotations));
  EXPECT_EQ(counters.log_calls, 1u + kThreads + kThreads * static_cast<unsigned>(load.rounds / kBuildEvery));
  EXPECT_TRUE(eventually([&] { return guests.alive <= 2 && proxy.counters().retired == 0; }));
}

TEST(Threads, NoCallIsLostWithWait) { run_threads({AtSwap::wait, 400, 1}); }
TEST(Threads, NoCallIsLostWithServe) { run_threads({AtSwap::serve, 4000, 64}); }

TEST(Threads, WaitersComeInOrder) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  std::vector<int> order;
  std::vector<std::thread> threads;
  {
    auto lease = proxy.acquire();
    for (int t = 0; t < 4; t++) {
      threads.emplace_back([&, t] {
        auto mine = proxy.acquire();
        order.push_back(t);
      });
      while (proxy.counters().waiting != static_cast<uint64_t>(t) + 1) std::this_thread::yield();
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3}));
}

}  // namespace
}  // namespace rotor::proxy
