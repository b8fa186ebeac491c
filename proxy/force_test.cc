// Exchange under a lease that is held past force_at while others wait.
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "proxy/testing/answer_guest.h"

namespace rotor::proxy {
namespace {

using namespace std::chrono_literals;

constexpr int32_t kToForce = 61;  // of 64 pages, 2 in use: above 0.97

/// Opened once, by whoever says so.
class Latch {
 public:
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 20s, [&] { return open_; }));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

class Force : public testing::TestWithParam<ImageMode> {
 protected:
  Policy policy() const {
    Policy policy = answer_policy();
    policy.image = GetParam();
    return policy;
  }
  void start(Policy policy) {
    proxy_.emplace(guests_.proxy(std::move(policy), {.on_rotation =
                                                         [&](const RotationEvent& event) {
                                                           std::lock_guard lock(mutex_);
                                                           events_.push_back(event);
                                                         },
                                                     .on_event =
                                                         [&](const ProxyEvent& event) {
                                                           if (event.kind == ProxyEventKind::drain_overdue) overdue_++;
                                                         }}));
    a_ = proxy_->call("make", {5})->handle();
    ASSERT_TRUE(proxy_->prepare());
  }
  Proxy& proxy() { return *proxy_; }
  void expect_nothing_left() {
    EXPECT_TRUE(eventually([&] { return guests_.alive == 1 && proxy().counters().retired == 0; }))
        << guests_.alive << " alive";
    EXPECT_EQ(proxy().counters().retired_bytes, 0u);
  }

  AnswerGuests guests_;
  std::optional<Proxy> proxy_;
  std::mutex mutex_;
  std::vector<RotationEvent> events_;
  std::atomic<int> overdue_ = 0;
  uint32_t a_ = 0;
};
INSTANTIATE_TEST_SUITE_P(, Force, testing::Values(ImageMode::off, ImageMode::lazy),
                         [](const auto& info) { return info.param == ImageMode::off ? "Replay" : "Image"; });

TEST_P(Force, TheWaiterGetsTheNewActiveAndTheOldLeaseDrains) {
  Policy with_deadline = policy();
  with_deadline.drain_deadline_ms = 300;
  start(with_deadline);
  {
    auto lease = proxy().acquire();
    const uint32_t query = lease->call("mirror", {a_})->handle();
    ASSERT_TRUE(lease->call("leak", {kToForce}));
    std::thread waiter([&] {
      EXPECT_EQ(proxy().call("add", {a_, 1})->i32(), 6);
      EXPECT_EQ(proxy().call("leak", {0})->i32(), 2);
    });
    waiter.join();
    // Still in time: queries as before, on the old instance.
    EXPECT_EQ(lease->call("get", {a_})->i32(), 5);
    EXPECT_EQ(lease->call("leak", {0})->i32(), 2 + kToForce);
    EXPECT_EQ(proxy().call("get", {a_})->i32(), 5) << "joins the lease";
    EXPECT_TRUE(proxy().acquire()->call("live"));
    EXPECT_EQ(lease->raw("live")->at(0).i32(), 1);
    EXPECT_TRUE(lease->resolve(a_));
    EXPECT_EQ(lease->memory()->size_bytes(), 63 * Memory::kPageBytes);
    EXPECT_EQ((*proxy().get_typed<int32_t(uint32_t)>("get"))(*lease, a_).value(), 5);
    EXPECT_EQ(lease->call("get", {query})->i32(), 5) << "its instance still has it";
    // What would change the state, or give handles of it.
    EXPECT_EQ(lease->call("add", {a_, 1}).error().kind, ErrorKind::retired);
    EXPECT_EQ(lease->call("make", {1}).error().kind, ErrorKind::retired);
    EXPECT_EQ(lease->call("drop", {a_}).error().kind, ErrorKind::retired);
    EXPECT_EQ(lease->call("copy", {a_}).error().kind, ErrorKind::retired);
    EXPECT_EQ(lease->keep(query).error().kind, ErrorKind::retired);
    EXPECT_EQ(proxy().call("make", {1}).error().kind, ErrorKind::retired);
    EXPECT_EQ((*proxy().get_typed<uint32_t(int32_t)>("make"))(*lease, 1).error().kind, ErrorKind::retired);
    int runs = 0;
    EXPECT_EQ(proxy()
                  .with_lease([&](Lease& joined) -> Result<void> {
                    runs++;
                    ROTOR_CHECK(joined.call("make", {1}));
                    return {};
                  })
                  .error()
                  .kind,
              ErrorKind::retired);
    EXPECT_EQ(runs, 1);
    EXPECT_TRUE(eventually([&] { return proxy().counters().drain_overdue == 1; }));
    EXPECT_EQ(overdue_, 1);
    EXPECT_EQ(lease->call("get", {a_}).error().kind, ErrorKind::retired);
    EXPECT_EQ(lease->raw("live").error().kind, ErrorKind::retired);
    EXPECT_EQ((*proxy().get_typed<int32_t(uint32_t)>("get"))(*lease, a_).error().kind, ErrorKind::retired);
    EXPECT_EQ(guests_.alive, 2) << "nothing is freed under it";
    EXPECT_EQ(proxy().counters().retired, 1u);
    EXPECT_EQ(proxy().counters().retired_bytes, 63 * Memory::kPageBytes);
  }
  EXPECT_EQ(proxy().call("get", {a_})->i32(), 6);
  expect_nothing_left();
  ProxyCounters counters = proxy().counters();
  EXPECT_EQ(counters.rotations, 1u);
  EXPECT_EQ(counters.rotations_force, 1u);
  EXPECT_EQ(counters.drain_overdue, 1u);
  EXPECT_EQ(counters.drained, 1u);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].cause, RotationCause::force);
  EXPECT_EQ(events_[0].bytes_before, 63 * Memory::kPageBytes);
  EXPECT_EQ(events_[0].bytes_after, 2 * Memory::kPageBytes);
}

TEST_P(Force, NotWithoutAWaiterNorBelowForceAt) {
  start(policy());
  auto lease = proxy().acquire();
  ASSERT_TRUE(lease->call("leak", {kToForce}));
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(lease->call("add", {a_, 1})->i32(), 6);
  EXPECT_EQ(proxy().counters().rotations, 0u);
  {
    Lease gone = std::move(*lease);
  }
  EXPECT_EQ(proxy().call("leak", {0})->i32(), 2);

  auto second = proxy().acquire();
  ASSERT_TRUE(second->call("leak", {kToForce - 3}));
  std::thread waiter([&] { EXPECT_TRUE(proxy().call("live")); });
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(proxy().counters().waiting, 1u);
  EXPECT_EQ(second->call("add", {a_, 1})->i32(), 7);
  {
    Lease gone = std::move(*second);
  }
  waiter.join();
  EXPECT_EQ(proxy().counters().rotations_force, 0u);
}

TEST_P(Force, NeverUnderABuild) {
  start(policy());
  Latch inside, go_on;
  guests_.on_gate = [&](const AnswerHost& host, int32_t) -> Result<int32_t> {
    if (host.number != 1) return 0;
    inside.open();
    go_on.wait();
    return 0;
  };
  std::atomic<bool> let_in = false;
  std::thread waiter;
  {
    auto lease = proxy().acquire();
    ASSERT_TRUE(lease->call("leak", {kToForce}));
    std::thread opener([&] {
      inside.wait();
      waiter = std::thread([&] {
        EXPECT_EQ(proxy().call("get", {a_})->i32(), 106) << "the build that was in flight is part of the state";
        let_in = true;
      });
      std::this_thread::sleep_for(50ms);
      EXPECT_FALSE(let_in);
      EXPECT_EQ(proxy().counters().rotations, 0u);
      go_on.open();
    });
    EXPECT_EQ(lease->call("risky", {a_, 1})->i32(), 106);
    opener.join();
    EXPECT_TRUE(eventually([&] { return let_in.load(); })) << "between two calls it may be";
    EXPECT_EQ(lease->call("get", {a_})->i32(), 106);
    EXPECT_EQ(lease->call("risky", {a_, 1}).error().kind, ErrorKind::retired);
  }
  waiter.join();
  EXPECT_EQ(guests_.asked, 2);
  EXPECT_EQ(proxy().counters().rotations_force, 1u);
  expect_nothing_left();
}

/// By each way there is to call.
TEST_P(Force, UnderALongQueryWhoseResultIsStillReturned) {
  start(policy());
  auto typed = proxy().get_typed<int32_t(int32_t)>("gate");
  using Call = std::function<int32_t(Lease*)>;
  const Call calls[] = {
      [](Lease* lease) { return lease->call("gate", {3})->i32(); },
      [](Lease* lease) { return lease->raw("gate", {3})->at(0).i32(); },
      [&](Lease* lease) { return *(*typed)(*lease, 3); },
      [&](Lease*) { return proxy().call("gate", {3})->i32(); },
      [&](Lease*) { return *(*typed)(3); },
  };
  uint64_t forced = 0;
  for (const Call& call : calls) {
    SCOPED_TRACE(forced);
    Latch inside, go_on;
    std::atomic<int> first = 0;
    guests_.on_gate = [&](const AnswerHost& host, int32_t x) -> Result<int32_t> {
      int none = 0;
      if (!first.compare_exchange_strong(none, host.number)) return 0;
      // From within, on the guest that the call is in: a call of its own would find the active full and swap first.
      EXPECT_TRUE(proxy().call("leak", {kToForce}));
      inside.open();
      go_on.wait();
      return x + 4;
    };
    const bool explicit_lease = forced < 3;
    std::thread holder([&] {
      std::optional<Lease> lease;
      if (explicit_lease) lease.emplace(std::move(*proxy().acquire()));
      EXPECT_EQ(call(lease ? &*lease : nullptr), 7);
      if (lease) {
        EXPECT_EQ(lease->call("leak", {0})->i32(), 63) << "still its instance";
        EXPECT_EQ(lease->call("make", {1}).error().kind, ErrorKind::retired);
      }
    });
    inside.wait();
    EXPECT_EQ(proxy().call("leak", {0})->i32(), 2) << "while the query is in the old one";
    EXPECT_EQ(proxy().call("add", {a_, 1})->i32(), 6 + static_cast<int32_t>(forced));
    go_on.open();
    holder.join();
    forced++;
    EXPECT_EQ(proxy().counters().rotations_force, forced);
    guests_.on_gate = nullptr;
    expect_nothing_left();
  }
}

TEST_P(Force, NotUnderWithLease) {
  start(policy());
  std::atomic<bool> let_in = false;
  std::thread waiter;
  EXPECT_TRUE(proxy().with_lease([&](Lease& lease) -> Result<void> {
    ROTOR_CHECK(lease.call("leak", {kToForce}));
    waiter = std::thread([&] {
      EXPECT_EQ(proxy().call("get", {a_})->i32(), 6);
      let_in = true;
    });
    std::this_thread::sleep_for(50ms);
    EXPECT_FALSE(let_in);
    ROTOR_CHECK(lease.call("add", {a_, 1}));
    return {};
  }));
  waiter.join();
  EXPECT_EQ(proxy().counters().rotations_force, 0u);
  EXPECT_EQ(proxy().counters().rotations, 1u);
}

/// A lease on a retired instance that traps poisons nobody else's.
TEST_P(Force, ATrapOnTheRetiredStaysThere) {
  start(policy());
  {
    auto lease = proxy().acquire();
    ASSERT_TRUE(lease->call("leak", {kToForce}));
    std::thread waiter([&] { EXPECT_TRUE(proxy().call("live")); });
    waiter.join();
    EXPECT_EQ(lease->call("leak", {64}).error().kind, ErrorKind::trap);
    EXPECT_TRUE(proxy().counters().rotations == 1);
  }
  EXPECT_EQ(proxy().call("get", {a_})->i32(), 5);
  EXPECT_EQ(proxy().counters().rotations, 1u);
  expect_nothing_left();
}

TEST_P(Force, DestructionMayFollowTheLastLeaseAtOnce) {
  for (int i = 0; i < 20; i++) {
    start(policy());
    {
      auto lease = proxy().acquire();
      ASSERT_TRUE(lease->call("leak", {kToForce}));
      std::thread waiter([&] { EXPECT_TRUE(proxy().call("live")); });
      waiter.join();
    }
    proxy_.reset();
    ASSERT_EQ(guests_.alive, 0);
  }
}

/// Eight threads hold leases that leak; whoever is exchanged under begins again. No build is lost, none is there twice.
TEST_P(Force, ManyThreadsUnderForce) {
  constexpr int kThreads = 8, kRounds = 60;
  Policy early = policy();
  early.memory_limit_bytes = 32 * Memory::kPageBytes;
  early.warm_at = 0.3;
  early.swap_at = 0.5;
  early.force_at = 0.6;
  start(early);
  std::atomic<int> added = 0, exchanged = 0, wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&] {
      auto typed_get = proxy().get_typed<int32_t(uint32_t)>("get");
      for (int i = 0; i < kRounds; i++) {
        auto lease = proxy().acquire();
        if (!lease) {
          wrong++;
          return;
        }
        int32_t last = -1;
        for (int k = 0; k < 4; k++) {
          auto added_now = lease->call("add", {a_, 1});
          if (added_now) {
            added++;
            last = added_now->i32();
          } else if (added_now.error().kind == ErrorKind::retired) {
            exchanged++;
            auto got = (*typed_get)(*lease, a_);
            if (last >= 0 && (!got || *got != last)) wrong++;
            break;
          } else {
            wrong++;
          }
          if (lease->memory()->size_bytes() < 28 * Memory::kPageBytes && !lease->call("leak", {1})) wrong++;
          if (k == 1) std::this_thread::sleep_for(std::chrono::microseconds(300));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(proxy().call("get", {a_})->i32(), 5 + added);
  ProxyCounters counters = proxy().counters();
  EXPECT_EQ(counters.divergences, 0u) << counters.last_problem;
  EXPECT_GT(counters.rotations, 3u);
  EXPECT_EQ(counters.rotations, events_.size());
  EXPECT_TRUE(eventually([&] { return proxy().counters().retired == 0; }));
}

}  // namespace
}  // namespace rotor::proxy
