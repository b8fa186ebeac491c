// Failures at every step: of the system, the guest, the factory and its hooks. Whatever fails, no call is lost, none
// has its side effects twice, the active goes on, and nothing is leaked.
#include <gtest/gtest.h>

#include <mutex>
#include <thread>

#include "memory/fault_injection.h"
#include "memory/slot_pool.h"
#include "proxy/testing/answer_guest.h"
#include "proxy/testing/held.h"

namespace rotor::proxy {
namespace {

using namespace std::chrono_literals;
namespace faults = memory::fault_injection;

/// A proxy, one object, and what it must be.
class Subject {
 public:
  Subject(AnswerGuests& guests, Proxy& proxy) : guests_(guests), proxy_(proxy) {
    asked_ = guests.asked;
    handle_ = proxy.call("make", {5})->handle();
  }
  uint32_t handle() const { return handle_; }
  /// Builds with a side effect. False: the call was not made, for want of an instance.
  bool ask() {
    auto reply = proxy_.call("ask_into", {handle_, 1});
    if (!reply) {
      EXPECT_NE(reply.error().message.find("making another failed"), std::string::npos) << reply.error().message;
      EXPECT_EQ(guests_.asked, asked_) << "a call that failed was made";
      return false;
    }
    asked_++;
    EXPECT_EQ(guests_.asked, asked_) << "a side effect happened twice";
    value_ += 100 * asked_ + 1;
    EXPECT_EQ(reply->i32(), value_);
    return true;
  }
  void trap() {
    auto trapped = proxy_.call("leak", {100});
    EXPECT_FALSE(trapped);
  }
  /// Everything is as it should be, and rotation works.
  void expect_well() {
    EXPECT_TRUE(eventually([&] { return ask(); }));
    for (int i = 0; i < 2; i++) {
      EXPECT_TRUE(eventually([&] { return rotates_now(proxy_); })) << proxy_.counters().last_problem;
      EXPECT_EQ(proxy_.call("get", {handle_})->i32(), value_);
      EXPECT_TRUE(ask());
    }
    EXPECT_EQ(proxy_.call("live")->i32(), 1);
    EXPECT_EQ(guests_.asked, asked_);
    EXPECT_TRUE(proxy_.counters().rotating) << proxy_.counters().off_reason;
    EXPECT_EQ(proxy_.counters().divergences, 0u) << proxy_.counters().last_problem;
  }

 private:
  AnswerGuests& guests_;
  Proxy& proxy_;
  uint32_t handle_ = 0;
  int32_t value_ = 5;
  int asked_ = 0;
};

using Step = std::function<void(Proxy&, Subject&)>;

uint64_t failures(const ProxyCounters& c) {
  return c.warmups_failed + c.images_failed + c.images_dropped + c.not_kept_ready;
}

/// Lets the n-th system call of `act` fail, for each n that it gets to. Who counts failures must leave out the calls of
/// threads that free a retired guest meanwhile: what fails there costs nobody anything, and is not counted.
/// `least`: so many calls it makes at least.
void for_each_failure(const Policy& policy, const Step& prepare, const Step& act, bool counts_failures = true,
                      faults::Scope scope = faults::Scope::all_threads, uint64_t least = 2) {
  AnswerGuests guests;
  Held before;
  bool hit = true;
  uint64_t n = 0;
  for (; hit && n < 200; n++) {
    SCOPED_TRACE("failure " + std::to_string(n));
    {
      Proxy proxy = guests.proxy(policy);
      Subject subject(guests, proxy);
      prepare(proxy, subject);
      EXPECT_TRUE(eventually([&] { return proxy.counters().retired == 0; }));
      const ProxyCounters was = proxy.counters();
      faults::fail_after(n == 0 ? UINT64_MAX : n, scope);
      act(proxy, subject);
      hit = n == 0 || faults::calls() >= n;
      faults::off();
      const ProxyCounters is = proxy.counters();
      if (n > 0 && hit && counts_failures) {
        EXPECT_GT(failures(is), failures(was));
        EXPECT_FALSE(is.last_problem.empty());
      }
      subject.expect_well();
      EXPECT_TRUE(eventually([&] { return proxy.counters().retired == 0; }));
    }
    EXPECT_EQ(guests.alive, 0);
    if (n == 0)
      before = held_now();
    else
      EXPECT_EQ(held_now(), before);
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_GT(n, least + 1) << "it makes too few system calls that could fail";
  EXPECT_LT(n, 200u);
  faults::off();
}

void nothing(Proxy&, Subject&) {}

Policy policy_with(ImageMode image) {
  Policy policy = answer_policy();
  policy.image = image;
  return policy;
}

/// Gives back what guests that are gone left, which would spare the next one system calls.
void release_slots(Proxy&, Subject&) { memory::SlotPool::release_all(); }

TEST(FaultOfTheSystem, WhileAStandbyIsReplayed) {
  for_each_failure(policy_with(ImageMode::off), release_slots, [](Proxy& proxy, Subject& subject) {
    EXPECT_TRUE(subject.ask());
    (void)proxy.prepare();
    EXPECT_TRUE(subject.ask());
  });
}

TEST(FaultOfTheSystem, WhileAStandbyIsImaged) {
  for_each_failure(policy_with(ImageMode::lazy), nothing, [](Proxy& proxy, Subject& subject) {
    EXPECT_TRUE(subject.ask());
    (void)proxy.prepare();
    EXPECT_TRUE(subject.ask());
  });
}

TEST(FaultOfTheSystem, WhileAStandbyIsMadeFromTheImage) {
  auto has_image = [](Proxy& proxy, Subject&) { ASSERT_TRUE(rotates_now(proxy)); };
  // In the background: what fails with the image is made from the log. Address space for the next one is kept ready,
  // and tables have none of their own: nothing is left to fail but what makes the next one ready.
  for_each_failure(
      policy_with(ImageMode::lazy), has_image,
      [](Proxy& proxy, Subject& subject) {
        EXPECT_TRUE(subject.ask());
        (void)proxy.prepare();
        EXPECT_TRUE(subject.ask());
      },
      false, faults::Scope::all_threads, 0);
  // By the caller, while the one that trapped is freed by another thread.
  for (faults::Scope scope : {faults::Scope::this_thread, faults::Scope::all_threads})
    for_each_failure(
        policy_with(ImageMode::lazy), has_image,
        [](Proxy&, Subject& subject) {
          subject.trap();
          (void)subject.ask();
        },
        scope == faults::Scope::this_thread, scope, 0);
}

TEST(FaultOfTheSystem, WhileAStandbyIsImagedAnew) {
  Policy policy = policy_with(ImageMode::lazy);
  policy.image_tail_ns = 0;
  for_each_failure(
      policy, [](Proxy& proxy, Subject&) { ASSERT_TRUE(rotates_now(proxy)); },
      [](Proxy& proxy, Subject& subject) {
        EXPECT_TRUE(subject.ask());
        (void)proxy.prepare();
        EXPECT_TRUE(subject.ask());
      },
      false);
}

TEST(FaultOfTheSystem, OnTheWayToAStandbyThatATrapAsksFor) {
  for (ImageMode image : {ImageMode::off, ImageMode::lazy})
    for_each_failure(
        policy_with(image), release_slots,
        [](Proxy&, Subject& subject) {
          EXPECT_TRUE(subject.ask());
          subject.trap();
          (void)subject.ask();
        },
        false);
}

/// Builds for twice as long as the log may be: it is cut.
void fill_log(Proxy& proxy, Subject& subject) {
  const uint64_t cuts = proxy.counters().log_cuts;
  for (int i = 0; i < 40; i++) EXPECT_TRUE(subject.ask());
  EXPECT_GT(proxy.counters().log_cuts, cuts) << proxy.counters().last_problem;
}

Policy policy_of_a_short_log() {
  Policy policy = answer_policy();
  policy.log_max_calls = 8;
  return policy;
}

TEST(FaultOfTheSystem, WhileTheLogIsCut) { for_each_failure(policy_of_a_short_log(), release_slots, fill_log, false); }

TEST(FaultOfTheSystem, WhileTheLogIsCutAgain) { for_each_failure(policy_of_a_short_log(), fill_log, fill_log, false); }

TEST(FaultOfAHost, WhileTheLogIsCut) {
  for (const char* step : {"factory", "save", "start", "stop"})
    for (int n = 1; n <= 2; n++) {
      SCOPED_TRACE(std::string(step) + " " + std::to_string(n));
      AnswerGuests guests;
      Policy policy = policy_of_a_short_log();
      policy.group = {.workers = 1, .start = "live", .stop = "live"};
      Proxy proxy = guests.proxy(policy);
      Subject subject(guests, proxy);
      guests.fail_step(step, n);
      fill_log(proxy, subject);
      EXPECT_FALSE(guests.failure_is_due());
      subject.expect_well();
    }
}

// ---- of the guest ---------------------------------------------------------------------------------------------------

/// How the k-th call of a log of eight goes wrong on the first standby, and only there.
enum class Wrong : uint8_t { trap, host_error, divergence };
std::string name_of(Wrong wrong) {
  return wrong == Wrong::trap ? "Trap" : wrong == Wrong::host_error ? "HostError" : "Divergence";
}
class FaultOfTheGuest : public testing::TestWithParam<Wrong> {};
INSTANTIATE_TEST_SUITE_P(, FaultOfTheGuest, testing::Values(Wrong::trap, Wrong::host_error, Wrong::divergence),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(FaultOfTheGuest, InEachReplayedCall) {
  constexpr int kCalls = 8;
  const Wrong wrong = GetParam();
  for (ImageMode image : {ImageMode::off, ImageMode::lazy}) {
    for (int k = 0; k < kCalls; k++) {
      SCOPED_TRACE(k);
      AnswerGuests guests;
      std::atomic<int> replayed = 0;
      // In `risky` the gate says whether to trap; in `script` which function to ask.
      guests.on_gate = [&](const AnswerHost& host, int32_t) -> Result<int32_t> {
        const bool now = host.number == 2 && replayed++ == k;
        if (wrong == Wrong::divergence) return now ? 3 : 1;
        if (now && wrong == Wrong::host_error) return fail(ErrorKind::host, "not on the standby");
        return now;
      };
      const char* name = wrong == Wrong::divergence ? "script" : "risky";
      Proxy proxy = guests.proxy(policy_with(image));
      const uint32_t a = proxy.call("make", {5})->handle();
      for (int i = 0; i < kCalls; i++) ASSERT_TRUE(proxy.call(name, {a, 1}));
      const int32_t value = proxy.call("get", {a})->i32();
      const int asked = guests.asked;
      EXPECT_FALSE(proxy.prepare());
      ProxyCounters counters = proxy.counters();
      EXPECT_EQ(counters.warmups_failed, 1u);
      EXPECT_EQ(counters.divergences, wrong == Wrong::divergence ? 1u : 0u) << counters.last_problem;
      EXPECT_EQ(counters.calls_replayed, static_cast<uint64_t>(1 + k)) << "make, and those before";
      EXPECT_EQ(counters.traps, 0u) << "of the active";
      EXPECT_EQ(proxy.call("get", {a})->i32(), value);
      EXPECT_TRUE(eventually([&] { return guests.alive == 1; }));
      EXPECT_TRUE(eventually([&] { return rotates_now(proxy); })) << "the next one does not fail";
      EXPECT_EQ(proxy.call("get", {a})->i32(), value);
      EXPECT_EQ(guests.asked, asked);
    }
  }
}

/// A script of eight host calls, one of which is another on the first standby.
TEST(FaultOfAGuest, InEachHostCallOfOneCall) {
  constexpr int kSteps = 8;
  for (int k = 0; k < kSteps; k++) {
    for (int32_t instead : {0, 3}) {
      AnswerGuests guests;
      guests.on_gate = [&](const AnswerHost& host, int32_t step) -> Result<int32_t> {
        return host.number == 2 && step == k ? instead : 1;
      };
      Proxy proxy = guests.proxy(answer_policy());
      const uint32_t a = proxy.call("make", {5})->handle();
      const int32_t value = proxy.call("script", {a, kSteps})->i32();
      EXPECT_FALSE(proxy.prepare());
      EXPECT_EQ(proxy.counters().divergences, 1u) << k << ", " << instead << ": " << proxy.counters().last_problem;
      EXPECT_TRUE(eventually([&] { return rotates_now(proxy); }));
      EXPECT_EQ(proxy.call("get", {a})->i32(), value);
      EXPECT_EQ(guests.asked, kSteps);
    }
  }
}

/// The caller replays the tail itself, and that fails, when another thread has asked for the next standby already.
TEST(FaultOfAGuest, InTheTailThatACallerReplays) {
  AnswerGuests guests;
  Proxy* rotated = nullptr;
  std::atomic<bool> keeps_up = false, replays = false;
  guests.on_gate = [&](const AnswerHost& host, int32_t) -> Result<int32_t> {
    if (host.number != 2) return 0;
    replays = true;
    EXPECT_TRUE(eventually([&] { return rotated->counters().warmups == 2; }));
    return fail(ErrorKind::host, "not on the standby");
  };
  Policy policy = policy_with(ImageMode::off);
  policy.catch_up_ns = 1'000'000'000'000;
  Proxy proxy = guests.proxy(policy, {.on_event = [&](const ProxyEvent& event) {
                               if (event.kind == ProxyEventKind::warmup_done)
                                 eventually([&] { return keeps_up.load(); });
                             }});
  rotated = &proxy;
  const uint32_t a = proxy.call("make", {5})->handle();
  ASSERT_TRUE(proxy.prepare());
  ASSERT_TRUE(proxy.call("risky", {a, 1})) << "a tail, which the background thread does not see yet";
  const int32_t value = proxy.call("get", {a})->i32();
  ASSERT_TRUE(proxy.rotate());
  Result<void> prepared;
  std::thread preparing([&] {
    EXPECT_TRUE(eventually([&] { return replays.load(); }));
    prepared = proxy.prepare();
  });
  EXPECT_EQ(proxy.call("get", {a})->i32(), value) << "the active goes on";
  EXPECT_EQ(proxy.counters().warmups_failed, 1u);
  keeps_up = true;
  preparing.join();
  EXPECT_TRUE(prepared) << "the next one does not fail: " << error_of(prepared);
  EXPECT_EQ(proxy.counters().warmups, 2u);
  EXPECT_EQ(proxy.call("get", {a})->i32(), value);
  EXPECT_EQ(proxy.counters().rotations, 1u);
  EXPECT_TRUE(eventually([&] { return guests.alive == 1; }));
}

// ---- of the factory and its hooks -----------------------------------------------------------------------------------

class FaultOfTheHost : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, FaultOfTheHost, testing::Values("factory", "start", "stop", "save", "on_rotate"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(FaultOfTheHost, AtEachStep) {
  for (ImageMode image : {ImageMode::off, ImageMode::lazy}) {
    Policy policy = policy_with(image);
    policy.image_tail_ns = 0;
    policy.group = {.workers = 2, .start = "leak", .stop = "live"};
    int n = 1;
    for (bool due = false; !due; n++) {
      SCOPED_TRACE(std::string(GetParam()) + " " + std::to_string(n));
      AnswerGuests guests;
      guests.fail_step(GetParam(), n);
      {
        auto proxy = guests.try_proxy(policy);
        if (!proxy) {
          EXPECT_EQ(n, 1);
          EXPECT_EQ(guests.alive, 0);
          continue;
        }
        Subject subject(guests, *proxy);
        EXPECT_TRUE(subject.ask());
        for (int i = 0; i < 2; i++) {
          (void)proxy->prepare();
          EXPECT_TRUE(subject.ask());
          EXPECT_TRUE(proxy->rotate());
          EXPECT_TRUE(subject.ask());
          subject.trap();
          EXPECT_TRUE(eventually([&] { return subject.ask(); }));
        }
        due = guests.failure_is_due();
        if (due) guests.fail_step("", 0);
        const ProxyCounters counters = proxy->counters();
        const uint64_t failed = failures(counters);
        // One whose workers did not stop as it was freed fails nothing; workers that do not start again after an image
        // was made fail that and the standby.
        if (!due && std::string(GetParam()) != "stop") {
          EXPECT_GE(failed, 1u);
          if (image == ImageMode::off) {
            EXPECT_EQ(failed, 1u) << counters.last_problem;
          }
        }
        EXPECT_LE(failed, 2u) << counters.last_problem;
        if (due) {
          EXPECT_EQ(failed, 0u) << counters.last_problem;
        }
        subject.expect_well();
      }
      EXPECT_EQ(guests.alive, 0);
    }
    EXPECT_GT(n, image == ImageMode::off && std::string(GetParam()) == "save" ? 1 : 3);
  }
}

TEST(FaultOfAHost, BacksOffLongerEachTime) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  policy.backoff_first_ms = 20;
  policy.backoff_max_ms = 50;
  std::mutex mutex;
  std::vector<std::chrono::steady_clock::time_point> begun;
  Proxy proxy = guests.proxy(policy, {.on_event = [&](const ProxyEvent& event) {
                               if (event.kind != ProxyEventKind::warmup_failed) return;
                               std::lock_guard lock(mutex);
                               begun.push_back(std::chrono::steady_clock::now());
                               if (begun.size() < 5) guests.fail_step("factory", 1);
                             }});
  guests.fail_step("factory", 1);
  ASSERT_TRUE(proxy.call("leak", {46}));
  ASSERT_TRUE(eventually([&] { return proxy.call("live") && proxy.counters().standby_bytes > 0; }));
  ASSERT_EQ(begun.size(), 5u);
  const int64_t pauses_ms[] = {20, 40, 50, 50};
  for (size_t i = 1; i < begun.size(); i++) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(begun[i] - begun[i - 1]).count();
    EXPECT_GE(ms, pauses_ms[i - 1] - 2) << i;
  }
  EXPECT_EQ(proxy.counters().warmups, 6u);
  EXPECT_EQ(proxy.counters().warmups_failed, 5u);
}

// ---- what no retry mends --------------------------------------------------------------------------------------------

TEST(Futile, IsReportedAndNotLooped) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  rule_of(policy, "leak").effect = Effect::build;
  policy.backoff_first_ms = policy.backoff_max_ms = 60'000;
  std::atomic<int> reported = 0;
  Proxy proxy = guests.proxy(policy, {.on_event = [&](const ProxyEvent& event) {
                               if (event.kind == ProxyEventKind::warmup_failed)
                                 reported += event.text.find("futile") != std::string::npos;
                             }});
  ASSERT_TRUE(proxy.call("leak", {46}));
  ASSERT_TRUE(eventually([&] { return proxy.counters().futile == 1; }));
  for (int i = 0; i < 200; i++) ASSERT_TRUE(proxy.call("live"));
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(proxy.counters().warmups, 1u);
  EXPECT_EQ(proxy.counters().warmups_failed, 1u);
  EXPECT_TRUE(eventually([&] { return reported == 1; }));
  EXPECT_TRUE(eventually([&] { return guests.alive == 1; }));
}

/// The image holds what a later call with the same key made superfluous: from the log it is less.
TEST(Futile, FromAnImageItStartsAgainFromTheLog) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  rule_of(policy, "leak").effect = Effect::build;
  rule_of(policy, "leak").key.emplace();
  Proxy proxy = guests.proxy(policy);
  const uint32_t a = proxy.call("make", {5})->handle();
  ASSERT_TRUE(proxy.call("leak", {20}));
  ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
  EXPECT_EQ(proxy.counters().images, 1u);
  // From the image: 2 + 20 + 30 of 64 pages. From the log: 2 + 30. What the call returned differs.
  auto grown = proxy.call("leak", {30});
  ASSERT_TRUE(grown);
  ASSERT_TRUE(eventually([&] { return proxy.counters().standby_bytes > 0 || proxy.counters().warmups_failed > 0; }));
  ProxyCounters counters = proxy.counters();
  // The one from the log returns another size, which is a divergence; but it was tried.
  EXPECT_EQ(counters.futile, 0u) << counters.last_problem;
  EXPECT_EQ(counters.divergences, 1u) << counters.last_problem;
  EXPECT_EQ(proxy.call("get", {a})->i32(), 5);
}

TEST(CatchUp, IsGivenUpWhereTheLogGrowsFaster) {
  for (ImageMode image : {ImageMode::off, ImageMode::lazy}) {
    AnswerGuests guests;
    std::atomic<bool> slow = true;
    guests.on_gate = [&](const AnswerHost& host, int32_t) -> Result<int32_t> {
      if (host.number > 1 && slow) std::this_thread::sleep_for(6ms);
      return 0;
    };
    Policy policy = policy_with(image);
    policy.catch_up_ns = 1;
    policy.catch_up_rounds = 3;
    policy.backoff_first_ms = policy.backoff_max_ms = 60'000;
    Proxy proxy = guests.proxy(policy);
    const uint32_t a = proxy.call("make", {5})->handle();
    for (int i = 0; i < 3; i++) ASSERT_TRUE(proxy.call("risky", {a, 1}));
    Result<void> prepared;
    std::thread preparing([&] { prepared = proxy.prepare(); });
    while (proxy.counters().warmups == 0) std::this_thread::yield();
    int calls = 3;
    for (; calls < 2000 && proxy.counters().warmups_failed == 0; calls++) {
      ASSERT_TRUE(proxy.call("risky", {a, 1}));
      std::this_thread::sleep_for(2ms);
    }
    preparing.join();
    ProxyCounters counters = proxy.counters();
    EXPECT_FALSE(prepared);
    EXPECT_EQ(counters.catch_up_failed, 1u) << counters.last_problem;
    EXPECT_EQ(counters.warmups_failed, 1u);
    EXPECT_EQ(counters.divergences, 0u);
    EXPECT_NE(counters.last_problem.find("after 3 rounds"), std::string::npos) << counters.last_problem;
    EXPECT_EQ(guests.asked, 2 * calls);
    EXPECT_TRUE(eventually([&] { return guests.alive == 1; }));
  }
}

// ---- all at once ----------------------------------------------------------------------------------------------------

/// Eight callers, while the active is exchanged and traps as fast as it can be.
class Race : public testing::TestWithParam<ImageMode> {};
INSTANTIATE_TEST_SUITE_P(, Race, testing::Values(ImageMode::off, ImageMode::lazy),
                         [](const auto& info) { return info.param == ImageMode::off ? "Replay" : "Image"; });

TEST_P(Race, OfSwapsWithEightCallers) {
  constexpr int kThreads = 8, kRounds = 150;
  AnswerGuests guests;
  guests.on_ask = [&](Caller&, int32_t x) -> Result<int32_t> { return x; };
  std::atomic<int> gate = 0;
  Policy policy = policy_with(GetParam());
  rule_of(policy, "risky").retry = true;
  policy.image_tail_ns = 1'000'000;
  // Of the replayed ones none traps: the host says so once for each call.
  guests.on_gate = [&](const AnswerHost&, int32_t x) -> Result<int32_t> {
    if (x == 1) return 0;
    int expected = 1;
    return gate.compare_exchange_strong(expected, 0) ? 1 : 0;
  };
  std::atomic<int> asked = 0, wrong = 0, rotations = 0;
  std::atomic<bool> done = false;
  {
    Proxy proxy = guests.proxy(policy, {.on_rotation = [&](const RotationEvent&) { rotations++; }});
    const uint32_t shared = proxy.call("make", {0})->handle();
    std::atomic<int> sum = 0;
    std::thread disturber([&] {
      while (!done) {
        (void)proxy.rotate();
        (void)proxy.counters();
        std::this_thread::sleep_for(500us);
      }
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; t++) {
      threads.emplace_back([&, t] {
        auto get = proxy.get_typed<int32_t(uint32_t)>("get");
        const uint32_t own = proxy.call("make", {t})->handle();
        int32_t value = t;
        for (int i = 0; i < kRounds; i++) {
          auto added = proxy.call("risky", {own, 1});
          asked += 2;
          value++;
          if (!added || added->i32() != value) wrong++;
          if (i % 20 == t) {
            if (proxy.call("leak", {100})) wrong++;  // a trap
          }
          if (auto got = (*get)(own); !got || *got != value) wrong++;
          auto done = proxy.with_lease([&](Lease& lease) -> Result<void> {
            ROTOR_CHECK(lease.call("add", {shared, 1}));
            ROTOR_CHECK(lease.call("ask_into", {own, 1}));
            return {};
          });
          asked++;
          value++;
          sum++;
          if (!done) wrong++;
        }
        if (!proxy.call("drop", {own})) wrong++;
      });
    }
    for (std::thread& thread : threads) thread.join();
    done = true;
    disturber.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(guests.asked, asked);
    EXPECT_EQ(proxy.call("get", {shared})->i32(), sum);
    ProxyCounters counters = proxy.counters();
    EXPECT_EQ(counters.rotations, static_cast<uint64_t>(rotations));
    EXPECT_GT(counters.rotations, 20u);
    EXPECT_EQ(counters.divergences, 0u) << counters.last_problem;
    EXPECT_EQ(proxy.call("live")->i32(), 1);
    EXPECT_TRUE(eventually([&] { return proxy.counters().retired == 0; }));
  }
  EXPECT_EQ(guests.alive, 0);
}

}  // namespace
}  // namespace rotor::proxy
