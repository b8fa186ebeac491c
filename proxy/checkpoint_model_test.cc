// Random programs of changes, queries and results that are held, with checkpoints, rewinds, traps and faults at random,
// against an instance that never rotates: every result must be equal, with raw pointers on both sides.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "memory/fault_injection.h"
#include "proxy/testing/checkpoint_policy.h"
#include "proxy/testing/model.h"

namespace rotor::proxy {
namespace {

namespace faults = memory::fault_injection;

struct CheckpointVariant {
  const char* name;
  double grown = 0.05;
  double cpu = 1;
  WhileHeld while_held = WhileHeld::wait;
  uint32_t query_handle_calls = 64;
  uint32_t workers = 0;
};
constexpr CheckpointVariant kCheckpointVariants[] = {
    {.name = "always due"},
    {.name = "due by growth", .grown = 0.02, .cpu = 1e-9},
    {.name = "what is held is taken in", .while_held = WhileHeld::checkpoint},
    {.name = "waits for few calls", .query_handle_calls = 2},
    {.name = "workers", .workers = 2},
};

/// A pointer that the host holds, on both sides.
struct Both {
  uint32_t tested = 0;
  uint32_t plain = 0;
};

class CheckpointModel {
 public:
  CheckpointModel(const CheckpointVariant& variant, uint64_t seed) : variant_(variant), random_(seed) {
    Policy policy = checkpoint_policy();
    policy.checkpoint.grown = variant.grown;
    policy.checkpoint.cpu = variant.cpu;
    policy.checkpoint.while_held = variant.while_held;
    policy.query_handle_calls = variant.query_handle_calls;
    policy.group.workers = variant.workers;
    if (variant.workers) policy.group.start = policy.group.stop = "live";
    policy.backoff_max_ms = 0;
    policy.probes = {{.name = "live"}, {.name = "used"}};
    tested_.emplace(tested_guests_.proxy(policy));
    policy.enabled = false;
    policy.group = {};
    plain_.emplace(plain_guests_.proxy(policy));
    EXPECT_TRUE(plain_->call("leak", {62}));  // it frees nothing, and has to last
  }
  ~CheckpointModel() { faults::off(); }

  void run(uint64_t steps) {
    for (step_ = 0; step_ < steps && !testing::Test::HasFailure(); step_++) {
      one_step();
      if (step_ % 512 == 0) check_all();
      if (step_ % 4096 == 4095) start_over();
    }
    check_all();
  }
  const ProxyCounters& counted() const { return counted_; }

 private:
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  int32_t number() { return static_cast<int32_t>(below(1000)); }
  std::string where() const { return std::string(variant_.name) + ", step " + std::to_string(step_); }

  /// Waits out injected faults that keep a trapped instance from being replaced: the call was not made.
  Result<Reply> call_tested(const char* name, std::vector<Arg> args) {
    auto reply = tested_->call(name, args);
    for (int i = 0; i < 100 && !reply && reply.error().message.find("nothing to rewind to") != std::string::npos; i++) {
      faults::off();
      reply = tested_->call(name, args);
    }
    return reply;
  }
  /// The same call on both sides, which must end alike.
  template <class Args>
  std::pair<Result<Reply>, Result<Reply>> call(const char* name, Args args) {
    auto tested = call_tested(name, args(&Both::tested));
    auto plain = plain_->call(name, args(&Both::plain));
    EXPECT_EQ(tested.has_value(), plain.has_value()) << where() << ": " << name << ": " << error_of(tested);
    return {std::move(tested), std::move(plain)};
  }
  template <class Args>
  void same(const char* name, Args args) {
    auto [tested, plain] = call(name, args);
    if (!tested || !plain) return;
    EXPECT_EQ(tested->i32(), plain->i32()) << where() << ": " << name;
  }
  Both make(const char* name, uint32_t Both::* of, int32_t value, const Both& from) {
    auto [tested, plain] =
        call(name, [&](uint32_t Both::* side) { return of ? std::vector<Arg>{from.*side} : std::vector<Arg>{value}; });
    if (!tested || !plain) return {};
    return {tested->handle(), plain->handle()};
  }
  const Both& any() {
    const uint32_t n = below(static_cast<uint32_t>(state_.size() + held_.size()));
    return n < state_.size() ? state_[n] : held_[n - state_.size()];
  }
  void drop(std::vector<Both>& from) {
    if (from.empty()) return;
    const size_t index = below(static_cast<uint32_t>(from.size()));
    const Both gone = from[index];
    call("drop", [&](uint32_t Both::* side) { return std::vector<Arg>{gone.*side}; });
    from[index] = from.back();
    from.pop_back();
  }

  void one_step() {
    using Side = uint32_t Both::*;
    if (state_.size() < 3) return state_.push_back(make("make", nullptr, number(), {}));
    const uint32_t what = below(1000);
    if (what < 300) {
      const Both h = any();
      same("get", [&](Side side) { return std::vector<Arg>{h.*side}; });
    } else if (what < 400) {
      const Both h = any();
      same("add", [&, v = number()](Side side) { return std::vector<Arg>{h.*side, v}; });
    } else if (what < 450 && state_.size() < 50) {
      state_.push_back(make("make", nullptr, number(), {}));
    } else if (what < 600 && held_.size() < 20) {
      held_.push_back(make("copy", &Both::tested, 0, any()));
    } else if (what < 720) {
      drop(held_);
    } else if (what < 750) {
      drop(state_);
    } else if (what < 800) {
      a_lease();
    } else if (what < 820) {
      same("live", [](Side) { return std::vector<Arg>{}; });
    } else {
      disturb(what);
    }
  }

  /// Makes a copy, uses it and gives it up within one lease, by raw calls on one side.
  void a_lease() {
    const Both of = any();
    int32_t got[2] = {};
    {
      auto lease = tested_->acquire();
      if (!lease) return;
      auto copy = lease->raw("copy", {Value(static_cast<int32_t>(of.tested))});
      ASSERT_TRUE(copy) << where() << error_of(copy);
      got[0] = (*lease->raw("get", {(*copy)[0]}))[0].i32();
      ASSERT_TRUE(lease->raw("drop", {(*copy)[0]})) << where();
    }
    auto lease = plain_->acquire();
    const uint32_t copy = lease->call("copy", {of.plain})->handle();
    got[1] = lease->call("get", {copy})->i32();
    ASSERT_TRUE(lease->call("drop", {copy}));
    EXPECT_EQ(got[0], got[1]) << where();
  }

  /// Leaks, checkpoints, rewinds, traps, faults: nothing of which the other side knows.
  void disturb(uint32_t what) {
    if (what < 880) {
      // If what is held keeps rewinds away for long, the memory runs out.
      if (tested_->counters().memory_bytes >= 60 * Memory::kPageBytes) return let_go();
      (void)call_tested("grow", {static_cast<int32_t>(below(4))});  // traps at no fault
    } else if (what < 900) {
      EXPECT_TRUE(tested_->rotate());
    } else if (what < 920) {
      (void)tested_->checkpoint();
    } else if (what < 940) {
      trap(below(2) ? "leak" : "nested_trap");
    } else if (what < 965) {
      tested_guests_.fail_step("", 0);  // two failures at once may lose an active that no checkpoint has
      faults::fail_after(1 + below(30), faults::Scope::all_threads);
    } else if (what < 975) {
      faults::off();
      const char* steps[] = {"factory", "save", "on_rotate", "start"};
      tested_guests_.fail_step(steps[below(variant_.workers ? 4 : 3)], 1);
    } else {
      faults::off();
    }
  }

  /// A call traps, and what is held and newer than the checkpoint is gone with the instance. Nothing else is: there is
  /// a checkpoint of it.
  void trap(const char* name) {
    faults::off();
    tested_guests_.fail_step("", 0);
    if (tested_->counters().checkpoint_stale) {
      ASSERT_TRUE(tested_->checkpoint()) << where() << tested_->counters().last_problem;
    }
    EXPECT_FALSE(tested_->call(name, {100})) << where();
    std::erase_if(held_, [&](const Both& copy) {
      auto still = call_tested("get", {copy.tested});
      if (still) return false;
      EXPECT_EQ(still.error().kind, ErrorKind::stale_handle) << where() << still.error().message;
      EXPECT_TRUE(plain_->call("drop", {copy.plain}));
      return true;
    });
  }

  void let_go() {
    while (!held_.empty()) drop(held_);
    if (tested_->counters().memory_bytes < 60 * Memory::kPageBytes) return;
    faults::off();
    tested_guests_.fail_step("", 0);
    start_over();
  }
  /// Checkpoints keep what leaked before them: after many of them, a new guest.
  void start_over() {
    check_all();
    for (std::vector<Both>* all : {&held_, &state_}) {
      while (!all->empty()) drop(*all);
    }
    count();
    const Policy policy = tested_->policy();
    tested_.emplace(tested_guests_.proxy(policy));
    const Policy plain_policy = plain_->policy();
    plain_.emplace(plain_guests_.proxy(plain_policy));
    EXPECT_TRUE(plain_->call("leak", {62}));
    counted_.leases++;
  }
  void count() {
    const ProxyCounters c = tested_->counters();
    EXPECT_TRUE(c.rotating) << c.off_reason;
    EXPECT_EQ(c.probes_failed, 0u) << c.last_problem;
    counted_.probes += c.probes;
    counted_.rotations += c.rotations;
    counted_.rotations_trap += c.rotations_trap;
    counted_.checkpoints += c.checkpoints;
    counted_.checkpoints_failed += c.checkpoints_failed;
    counted_.warmups_failed += c.warmups_failed;
  }

 public:
  void check_all() {
    using Side = uint32_t Both::*;
    faults::off();
    tested_guests_.fail_step("", 0);
    for (const std::vector<Both>* all : {&state_, &held_})
      for (const Both& h : *all) same("get", [&](Side side) { return std::vector<Arg>{h.*side}; });
    same("live", [](Side) { return std::vector<Arg>{}; });
  }
  void finish() {
    check_all();
    count();
  }

 private:
  const CheckpointVariant variant_;
  std::mt19937_64 random_;
  AnswerGuests tested_guests_, plain_guests_;
  std::optional<Proxy> tested_, plain_;
  std::vector<Both> state_;  ///< made by calls that change state
  std::vector<Both> held_;   ///< made by calls that are allowed
  uint64_t step_ = 0;
  ProxyCounters counted_;
};

TEST(CheckpointModel, EqualsAnInstanceThatNeverRotates) {
  const uint64_t seed =
      g_seed ? g_seed : static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  uint64_t rotations = 0;
  for (const CheckpointVariant& variant : kCheckpointVariants) {
    CheckpointModel model(variant, seed);
    model.run(g_steps / 2 / std::size(kCheckpointVariants));
    model.finish();
    const ProxyCounters& c = model.counted();
    std::printf(
        "%s: %llu rewinds (%llu after traps), %llu checkpoints, %llu failed, %llu instances failed, %llu new "
        "proxies\n",
        variant.name, static_cast<unsigned long long>(c.rotations), static_cast<unsigned long long>(c.rotations_trap),
        static_cast<unsigned long long>(c.checkpoints), static_cast<unsigned long long>(c.checkpoints_failed),
        static_cast<unsigned long long>(c.warmups_failed), static_cast<unsigned long long>(c.leases));
    std::fflush(stdout);
    EXPECT_GT(c.probes, 0u);
    rotations += c.rotations;
    if (HasFailure()) return;
  }
  EXPECT_GT(rotations, g_steps / 2000);
}

}  // namespace
}  // namespace rotor::proxy
