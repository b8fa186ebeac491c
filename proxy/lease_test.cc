// Leases: what lives as long as one, second attempts, the order of waiting, exchange under a holder.
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "proxy/testing/answer_guest.h"

namespace rotor::proxy {
namespace {

using namespace std::chrono_literals;

constexpr int32_t kToForce = 61;  // of 64 pages, 2 in use: above 0.97

// ---- what lives as long as a lease ----------------------------------------------------------------------------------

TEST(Lease, AQuerysHandleEndsWithTheOutermostUnlessKept) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  const uint32_t a = proxy.call("make", {5})->handle();
  uint32_t lost = 0, kept = 0, inner = 0;
  {
    auto lease = proxy.acquire();
    lost = lease->call("mirror", {a})->handle();
    kept = lease->call("mirror", {a})->handle();
    {
      auto joined = proxy.acquire();
      inner = joined->call("mirror", {a})->handle();
    }
    EXPECT_TRUE(lease->call("get", {inner})) << "until the outermost ends";
    ASSERT_TRUE(lease->keep(kept));
    EXPECT_TRUE(lease->keep(kept)) << "twice is as good as once";
    EXPECT_TRUE(lease->keep(a)) << "a built one lives longer as it is";
    EXPECT_TRUE(lease->keep(0));
    EXPECT_EQ(lease->keep(4096).error().kind, ErrorKind::stale_handle);
  }
  EXPECT_EQ(proxy.call("get", {lost}).error().kind, ErrorKind::stale_handle);
  EXPECT_EQ(proxy.call("get", {inner}).error().kind, ErrorKind::stale_handle);
  EXPECT_EQ(proxy.call("get", {kept})->i32(), 5);
  EXPECT_EQ(proxy.call("add", {kept, 1})->i32(), 6) << "and is promoted by a build";
  ASSERT_TRUE(rotates_now(proxy));
  EXPECT_EQ(proxy.call("get", {kept})->i32(), 6);
}

TEST(Lease, AKeptHandleHoldsASwapUpForSoManyCalls) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  policy.query_handle_calls = 4;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = proxy.call("make", {5})->handle();
  ASSERT_TRUE(proxy.prepare());
  uint32_t kept = 0;
  {
    auto lease = proxy.acquire();
    kept = lease->call("mirror", {a})->handle();
    ASSERT_TRUE(lease->keep(kept));
  }
  ASSERT_TRUE(proxy.rotate());
  int served = 0;
  while (proxy.counters().rotations == 0 && served < 20) {
    EXPECT_TRUE(proxy.call("get", {a}));
    served++;
  }
  EXPECT_GE(served, 4);
  EXPECT_LE(served, 6);
  EXPECT_EQ(proxy.call("get", {kept}).error().kind, ErrorKind::stale_handle);
}

TEST(Lease, CanBeMovedAndAssigned) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  Result<Lease> first = proxy.acquire();
  Lease second = std::move(*first);
  EXPECT_TRUE(second.call("live"));
  second = std::move(*proxy.acquire());  // joins, then the first one goes
  EXPECT_TRUE(second.call("live"));
  std::thread other([&] { EXPECT_TRUE(proxy.call("live")); });
  EXPECT_TRUE(eventually([&] { return proxy.counters().waiting == 1; }));
  {
    Lease last = std::move(second);
  }
  other.join();
  EXPECT_EQ(proxy.counters().waiting, 0u);
}

// ---- with_lease -----------------------------------------------------------------------------------------------------

/// Traps the first so many times that the gate is asked.
void trap_times(AnswerGuests& guests, int times) {
  auto left = std::make_shared<std::atomic<int>>(times);
  guests.on_gate = [left](const AnswerHost&, int32_t) -> Result<int32_t> { return (*left)-- > 0 ? 1 : 0; };
}

TEST(WithLease, RunsAgainAsAWhole) {
  AnswerGuests guests;
  int retried = 0;
  Proxy proxy = guests.proxy(answer_policy(), {.on_event = [&](const ProxyEvent& event) {
                               if (event.kind != ProxyEventKind::retried) return;
                               retried++;
                               EXPECT_NE(event.text.find("unreachable"), std::string::npos) << event.text;
                             }});
  const uint32_t a = proxy.call("make", {1})->handle();
  const uint32_t b = proxy.call("make", {2})->handle();
  trap_times(guests, 1);
  std::vector<uint32_t> made;
  std::vector<int32_t> answers;
  const uint64_t recorded = proxy.counters().log_calls;
  auto done = proxy.with_lease([&](Lease& lease) -> Result<void> {
    ROTOR_TRY(Reply m, lease.call("make", {10}));
    made.push_back(m.handle());
    ROTOR_CHECK(lease.call("drop", {b}));
    ROTOR_CHECK(lease.call("add", {a, 5}));
    ROTOR_TRY(Reply asked, lease.call("ask_into", {a, 3}));
    answers.push_back(asked.i32());
    ROTOR_TRY(Reply query, lease.call("ask", {4}));
    answers.push_back(query.i32());
    ROTOR_CHECK(lease.call("risky", {m.handle(), 6}));
    return {};
  });
  ASSERT_TRUE(done) << done.error().message;
  ASSERT_EQ(made.size(), 2u);
  EXPECT_EQ(answers, (std::vector<int32_t>{1 + 5 + 103, 204, 1 + 5 + 103, 204})) << "the host said it once";
  EXPECT_EQ(guests.asked, 4) << "ask_into, ask, risky and risky's second, once each";
  EXPECT_EQ(error_of(proxy.call("get", {made[0]})),
            "get, argument 1: stale handle 0x80000002 of make: the attempt that made it trapped and ran again");
  EXPECT_EQ(proxy.call("get", {made[1]})->i32(), 10 + 306);
  EXPECT_EQ(proxy.call("get", {a})->i32(), 109) << "the first attempt's changes are gone with its instance";
  EXPECT_EQ(proxy.call("get", {b}).error().kind, ErrorKind::stale_handle);
  EXPECT_EQ(proxy.call("live")->i32(), 2);
  ProxyCounters counters = proxy.counters();
  EXPECT_EQ(counters.retries, 1u);
  EXPECT_EQ(retried, 1);
  EXPECT_EQ(counters.rotations_trap, 1u);
  EXPECT_EQ(counters.log_calls, recorded + 5) << "make, drop, add, ask_into, risky";
  ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
  EXPECT_EQ(proxy.call("get", {made[1]})->i32(), 316);
  EXPECT_EQ(proxy.call("get", {a})->i32(), 109);
  EXPECT_EQ(guests.asked, 4);
}

TEST(WithLease, WhatTheFailedAttemptEndedLivesAgain) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  const uint32_t a = proxy.call("make", {1})->handle();
  const uint32_t b = proxy.call("make", {2})->handle();
  trap_times(guests, 1);
  int runs = 0;
  ASSERT_TRUE(proxy.with_lease([&](Lease& lease) -> Result<void> {
    if (runs++ == 0) {
      ROTOR_CHECK(lease.call("drop", {a}));
      EXPECT_EQ(lease.call("get", {a}).error().kind, ErrorKind::stale_handle);
    }
    ROTOR_CHECK(lease.call("risky", {b, 1}));
    return {};
  }));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(proxy.call("get", {a})->i32(), 1) << "nobody dropped it, as it turned out";
  EXPECT_EQ(proxy.call("live")->i32(), 2);
  ASSERT_TRUE(rotates_now(proxy));
  EXPECT_EQ(proxy.call("get", {a})->i32(), 1);
}

TEST(WithLease, TheSecondTrapIsReturned) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  const uint32_t a = proxy.call("make", {1})->handle();
  trap_times(guests, 2);
  int runs = 0;
  auto done = proxy.with_lease([&](Lease& lease) -> Result<void> {
    runs++;
    ROTOR_CHECK(lease.call("risky", {a, 1}));
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::trap);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(guests.asked, 1);
  EXPECT_EQ(proxy.call("get", {a})->i32(), 1);
  EXPECT_EQ(proxy.counters().rotations_trap, 2u);
  EXPECT_EQ(proxy.counters().retries, 1u);
}

TEST(WithLease, AnErrorOfTheWorkIsNoTrap) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  int runs = 0;
  auto done = proxy.with_lease([&](Lease& lease) -> Result<void> {
    runs++;
    ROTOR_CHECK(lease.call("make", {1}));
    return fail(ErrorKind::io, "the work's own");
  });
  EXPECT_EQ(error_of(done), "the work's own");
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(proxy.counters().log_calls, 1u) << "what it built is built";
}

/// The work may keep the trap to itself: the instance is as dead.
TEST(WithLease, RunsAgainAfterATrapThatTheWorkSwallowed) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  const uint32_t a = proxy.call("make", {1})->handle();
  trap_times(guests, 1);
  int runs = 0;
  ASSERT_TRUE(proxy.with_lease([&](Lease& lease) -> Result<void> {
    runs++;
    (void)lease.call("risky", {a, 1});
    return {};
  }));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(proxy.call("get", {a})->i32(), 1 + 101);
}

TEST(WithLease, NestedInALeaseItDoesNotRunAgain) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  const uint32_t a = proxy.call("make", {1})->handle();
  trap_times(guests, 1);
  int runs = 0;
  auto work = [&](Lease& lease) -> Result<void> {
    runs++;
    ROTOR_CHECK(lease.call("risky", {a, 1}));
    return {};
  };
  {
    auto lease = proxy.acquire();
    EXPECT_FALSE(proxy.with_lease(work));
    EXPECT_EQ(runs, 1);
  }
  trap_times(guests, 1);
  EXPECT_TRUE(proxy.with_lease([&](Lease&) { return proxy.with_lease(work); })) << "the outer one does";
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(proxy.counters().retries, 1u);
}

/// A query of before a build of the same attempt, whose handle is taken after that: it must come before it in the log.
TEST(WithLease, AQueryIsRecordedBeforeWhatChangedWhatItRead) {
  for (bool traps : {false, true}) {
    AnswerGuests guests;
    Proxy proxy = guests.proxy(answer_policy());
    const uint32_t a = proxy.call("make", {1})->handle();
    trap_times(guests, traps ? 1 : 0);
    uint32_t copy = 0;
    ASSERT_TRUE(proxy.with_lease([&](Lease& lease) -> Result<void> {
      ROTOR_TRY(Reply made, lease.call("copy", {a}));
      copy = made.handle();
      ROTOR_CHECK(lease.call("add", {a, 100}));
      ROTOR_CHECK(lease.call("add", {copy, 10}));
      ROTOR_CHECK(lease.call("risky", {a, 0}));
      return {};
    }));
    EXPECT_EQ(proxy.call("get", {copy})->i32(), 11);
    ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
    EXPECT_EQ(proxy.call("get", {copy})->i32(), 11);
    EXPECT_EQ(proxy.call("get", {a})->i32(), 201);
  }
}

/// Query handles of an attempt that failed are no more, nor is what they would be repeated by.
TEST(WithLease, AFailedAttemptsQueriesHoldNoHistory) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  policy.log_max_calls = 20;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = proxy.call("make", {0})->handle();
  for (int i = 0; i < 30 && proxy.counters().rotating; i++) {
    const uint32_t h = proxy.call("make", {i})->handle();
    trap_times(guests, 1);
    ASSERT_TRUE(proxy.with_lease([&](Lease& lease) -> Result<void> {
      ROTOR_TRY(Reply copy, lease.call("copy", {h}));
      ROTOR_CHECK(lease.keep(copy.handle()));
      ROTOR_CHECK(lease.call("copy", {copy.handle()}));
      ROTOR_CHECK(lease.call("risky", {h, 1}));
      ROTOR_CHECK(lease.call("drop", {copy.handle()}));
      return {};
    }));
    ASSERT_TRUE(proxy.call("drop", {h}));
  }
  EXPECT_TRUE(proxy.counters().rotating) << proxy.counters().off_reason;
  ASSERT_TRUE(rotates_now(proxy));
  EXPECT_EQ(proxy.call("get", {a})->i32(), 0);
  EXPECT_EQ(proxy.call("live")->i32(), 1);
}

TEST(WithLease, RawCallsAreToldWhatTheHostAnswered) {
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  const uint32_t a = proxy.call("make", {1})->handle();
  trap_times(guests, 1);
  std::vector<int32_t> answers;
  ASSERT_TRUE(proxy.with_lease([&](Lease& lease) -> Result<void> {
    ROTOR_TRY(auto raw, lease.raw("ask", {Value(1)}));
    answers.push_back(raw[0].i32());
    ROTOR_CHECK(lease.call("risky", {a, 1}));
    ROTOR_TRY(raw, lease.raw("ask", {Value(2)}));
    answers.push_back(raw[0].i32());
    return {};
  }));
  EXPECT_EQ(answers, (std::vector<int32_t>{101, 101, 402}));
  EXPECT_EQ(guests.asked, 4) << "ask, twice by risky, ask";
}

/// What the host did to the guest unseen can't be done again: so the work is not.
TEST(WithLease, DoesNotRunAgainAfterWhatCantBeAnswered) {
  AnswerGuests guests;
  guests.on_ask = [&](Caller& caller, int32_t x) -> Result<int32_t> {
    EXPECT_TRUE(caller.get_memory());
    return x;
  };
  Proxy proxy = guests.proxy(answer_policy());
  trap_times(guests, 1);
  int runs = 0;
  auto done = proxy.with_lease([&](Lease& lease) -> Result<void> {
    runs++;
    ROTOR_CHECK(lease.call("ask", {1}));
    ROTOR_TRY(Reply made, lease.call("make", {1}));
    ROTOR_CHECK(lease.call("risky", {made.handle(), 1}));
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::trap);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(guests.asked, 2);
  EXPECT_TRUE(proxy.call("live")) << "on a fresh instance";
  EXPECT_EQ(proxy.counters().rotations_trap, 1u);
}

// ---- retry ----------------------------------------------------------------------------------------------------------

TEST(Retry, ABuildsCallerSeesNoTrap) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  rule_of(policy, "risky").retry = true;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = proxy.call("make", {1})->handle();
  trap_times(guests, 1);
  auto reply = proxy.call("risky", {a, 4});
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->i32(), 1 + 104);
  EXPECT_EQ(guests.asked, 2) << "before the trap, and behind it";
  ProxyCounters counters = proxy.counters();
  EXPECT_EQ(counters.retries, 1u);
  EXPECT_EQ(counters.traps, 1u);
  EXPECT_EQ(counters.rotations_trap, 1u);
  ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
  EXPECT_EQ(proxy.call("get", {a})->i32(), 105);
  EXPECT_EQ(guests.asked, 2);
}

TEST(Retry, OfAQueryWithinALease) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  rule_of(policy, "risky") = {
      .name = "risky", .effect = Effect::query, .retry = true, .args = {{ArgKind::handle, ArgKind::scalar}}};
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = proxy.call("make", {1})->handle();
  trap_times(guests, 1);
  auto lease = proxy.acquire();
  ASSERT_TRUE(lease->call("risky", {a, 4}));
  EXPECT_EQ(guests.asked, 2);
  EXPECT_TRUE(lease->call("get", {a})) << "the lease goes on, on the fresh instance";
  auto func = proxy.get_typed<int32_t(uint32_t, int32_t)>("risky");
  trap_times(guests, 1);
  EXPECT_TRUE((*func)(*lease, a, 4));
  EXPECT_EQ(proxy.counters().retries, 2u);
}

TEST(Retry, TheSecondTrapIsReturned) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  rule_of(policy, "risky").retry = true;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = proxy.call("make", {1})->handle();
  trap_times(guests, 2);
  EXPECT_EQ(proxy.call("risky", {a, 4}).error().kind, ErrorKind::trap);
  EXPECT_EQ(guests.asked, 1);
  EXPECT_EQ(proxy.call("get", {a})->i32(), 1);
  EXPECT_EQ(proxy.counters().rotations_trap, 2u);
}

/// A host whose call number `failing` fails.
void fail_ask(AnswerGuests& guests, int failing) {
  guests.on_ask = [&guests, failing](Caller&, int32_t x) -> Result<int32_t> {
    if (guests.asked == failing) return fail(ErrorKind::host, "the line is busy");
    return x + 100 * guests.asked;
  };
}

TEST(Retry, AnAnswerThatWasAnErrorIsAskedForAgain) {
  // `risky` asks twice: what it was answered before the error is not asked again.
  for (int failing : {1, 2}) {
    AnswerGuests guests;
    fail_ask(guests, failing);
    Policy policy = answer_policy();
    rule_of(policy, "risky").retry = true;
    Proxy proxy = guests.proxy(policy);
    const uint32_t a = proxy.call("make", {1})->handle();
    auto reply = proxy.call("risky", {a, 4});
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(reply->i32(), 1 + 4 + (failing == 1 ? 200 : 100));
    EXPECT_EQ(guests.asked, 3);
    EXPECT_EQ(proxy.counters().retries, 1u);
    ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
    EXPECT_EQ(proxy.call("get", {a})->i32(), reply->i32());
    EXPECT_EQ(guests.asked, 3) << "what was asked again is in the log";
  }
}

TEST(WithLease, AnAnswerThatWasAnErrorIsAskedForAgain) {
  AnswerGuests guests;
  fail_ask(guests, 2);
  Proxy proxy = guests.proxy(answer_policy());
  const uint32_t a = proxy.call("make", {0})->handle();
  ASSERT_TRUE(proxy.with_lease([&](Lease& lease) -> Result<void> {
    for (int i = 0; i < 3; i++) ROTOR_CHECK(lease.call("ask_into", {a, 1}));
    return {};
  }));
  EXPECT_EQ(guests.asked, 4) << "the second is asked twice, the first once";
  EXPECT_EQ(proxy.call("get", {a})->i32(), 3 + 100 + 300 + 400);
  EXPECT_EQ(proxy.counters().retries, 1u);
}

TEST(Retry, NotAfterRaw) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  rule_of(policy, "risky").retry = true;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = proxy.call("make", {1})->handle();
  using Touch = std::function<void(Lease&)>;
  for (const Touch& touch :
       {Touch([](Lease& lease) { (void)lease.raw("live"); }), Touch([&](Lease& lease) { (void)lease.resolve(a); }),
        Touch([](Lease& lease) { (void)lease.memory(); })}) {
    trap_times(guests, 1);
    auto lease = proxy.acquire();
    touch(*lease);
    EXPECT_EQ(lease->call("risky", {a, 4}).error().kind, ErrorKind::trap) << "the host holds raw pointers";
  }
  trap_times(guests, 1);
  EXPECT_TRUE(proxy.call("risky", {a, 4})) << "in the next lease it may";
  EXPECT_EQ(proxy.counters().retries, 1u);
}

TEST(Retry, NotAfterWhatCantBeAnswered) {
  AnswerGuests guests;
  guests.on_ask = [&](Caller& caller, int32_t x) -> Result<int32_t> {
    EXPECT_TRUE(caller.get_memory());
    return x;
  };
  Policy policy = answer_policy();
  rule_of(policy, "risky").retry = true;
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = proxy.call("make", {1})->handle();
  trap_times(guests, 1);
  EXPECT_EQ(proxy.call("risky", {a, 4}).error().kind, ErrorKind::trap);
  EXPECT_EQ(guests.asked, 1);
  EXPECT_EQ(proxy.call("get", {a})->i32(), 1);
}

// ---- order ----------------------------------------------------------------------------------------------------------

TEST(Order, ManyThreadsComeInAsTheyCame) {
  constexpr int kThreads = 12;
  AnswerGuests guests;
  Proxy proxy = guests.proxy(answer_policy());
  const uint32_t a = proxy.call("make", {0})->handle();
  std::vector<int> order;
  std::vector<std::thread> threads;
  {
    auto lease = proxy.acquire();
    for (int t = 0; t < kThreads; t++) {
      threads.emplace_back([&, t] {
        if (t % 3 == 0) {
          EXPECT_TRUE(proxy.with_lease([&](Lease& mine) -> Result<void> {
            order.push_back(t);
            ROTOR_CHECK(mine.call("add", {a, 1}));
            return {};
          }));
        } else {
          auto mine = proxy.acquire();
          order.push_back(t);
          EXPECT_TRUE(mine->call("add", {a, 1}));
        }
      });
      ASSERT_TRUE(eventually([&] { return proxy.counters().waiting == static_cast<uint64_t>(t) + 1; }));
    }
    EXPECT_TRUE(proxy.rotate()) << "those that wait end up on the new active";
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < kThreads; t++) EXPECT_EQ(order[static_cast<size_t>(t)], t);
  EXPECT_EQ(proxy.call("get", {a})->i32(), kThreads);
}

}  // namespace
}  // namespace rotor::proxy
