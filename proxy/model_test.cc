// Random programs of builds, releases and queries, with rotations and faults at random, against an instance that never
// rotates: every result must be equal.
//
//   proxy_model_test [STEPS [SEED]]      a million steps, seed from the clock
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "memory/fault_injection.h"
#include "proxy/testing/guest.h"
#include "proxy/testing/model.h"

namespace rotor::proxy {

uint64_t g_steps = 100'000;
uint64_t g_seed = 0;

namespace {

namespace faults = memory::fault_injection;

/// One handle of the host's, on both sides.
struct Both {
  uint32_t token = 0;
  uint32_t raw = 0;  ///< of the instance that never rotates
};

class Model {
 public:
  Model(const Variant& variant, uint64_t seed) : variant_(variant), random_(seed) {
    tested_guests_.on_note = plain_guests_.on_note = [](int32_t) -> Result<void> { return {}; };
    // Asks its host, whose answers differ from guest to guest: those of the log must hold.
    Policy policy = test_policy();
    policy.imports = {{.name = "env.salt", .mode = ImportMode::run}};
    for (ExportRule& rule : policy.exports) {
      if (rule.name == "tell") rule.key.emplace();  // touches no handle, but the last one is as good as all
      if (rule.name == "pair") rule.reads = true;
    }
    policy.probes = {{.name = "posted"}, {.name = "oldest", .query = "get", .args = {ProbeHandle{"make"}}}};
    variant.apply(policy);
    tested_.emplace(tested_guests_.proxy(policy, {.on_event = [this](const ProxyEvent& event) {
                                           if (event.text.find("divergence") == std::string::npos) return;
                                           std::lock_guard lock(mutex_);
                                           divergence_ = event.text;
                                         }}));
    policy.enabled = false;
    plain_.emplace(plain_guests_.proxy(policy));
    EXPECT_TRUE(plain_->call("leak", {62}));  // it frees nothing, and has to last
  }
  ~Model() { faults::off(); }

  void run(uint64_t steps) {
    for (step_ = 0; step_ < steps && !testing::Test::HasFailure(); step_++) {
      one_step();
      if (step_ % 512 == 0) check_all();
      if (step_ % 4096 == 4095) drop_all();
    }
    faults::off();
    check_all();
  }

  ProxyCounters counters() const { return tested_->counters(); }
  std::string divergence() const {
    std::lock_guard lock(mutex_);
    return divergence_;
  }

 private:
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  size_t any() { return below(static_cast<uint32_t>(handles_.size())); }
  std::string where() const { return std::string(variant_.name) + ", step " + std::to_string(step_); }

  /// The same call on both sides; scalars must be equal.
  template <class Args>
  std::pair<Result<Reply>, Result<Reply>> call(const char* name, Args args) {
    auto tested = tested_->call(name, args(&Both::token));
    // An injected fault may have kept a trapped instance from being replaced: the call was not made.
    for (int i = 0; i < 100 && !tested && tested.error().message.find("making another failed") != std::string::npos;
         i++) {
      faults::off();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      tested = tested_->call(name, args(&Both::token));
    }
    auto plain = plain_->call(name, args(&Both::raw));
    EXPECT_EQ(tested.has_value(), plain.has_value()) << where() << ": " << name << ": " << error_of(tested);
    return {std::move(tested), std::move(plain)};
  }
  template <class Args>
  void same(const char* name, Args args) {
    auto [tested, plain] = call(name, args);
    if (tested && plain) {
      EXPECT_EQ(tested->i32(), plain->i32()) << where() << ": " << name;
    }
  }
  template <class Args>
  Both make(const char* name, Args args) {
    auto [tested, plain] = call(name, args);
    if (!tested || !plain) return {};
    return {tested->handle(), plain->handle()};
  }
  void hold(Both handle) {
    if (handle.token) handles_.push_back(handle);
  }
  void forget(size_t index) {
    handles_[index] = handles_.back();
    handles_.pop_back();
  }

  void one_step() {
    using Side = uint32_t Both::*;
    if (handles_.size() < 3) return hold(make("make", [&, v = number()](Side) { return std::vector<Arg>{v}; }));
    const uint32_t what = below(1000);
    if (what < 150 && handles_.size() < 200) {
      hold(make("make", [&, v = number()](Side) { return std::vector<Arg>{v}; }));
    } else if (what < 280) {
      const size_t index = any();
      Both gone = handles_[index];
      call("drop", [&](Side side) { return std::vector<Arg>{gone.*side}; });
      forget(index);
    } else if (what < 480) {
      const Both h = handles_[any()];
      same("get", [&](Side side) { return std::vector<Arg>{h.*side}; });
    } else if (what < 620) {
      const Both h = handles_[any()];
      same("add", [&, v = number()](Side side) { return std::vector<Arg>{h.*side, v}; });
    } else if (what < 680) {
      const Both a = handles_[any()], b = handles_[any()];
      hold(make("pair", [&](Side side) { return std::vector<Arg>{a.*side, b.*side}; }));
    } else if (what < 720) {
      merge();
    } else if (what < 760) {
      many();
    } else if (what < 800) {
      uint8_t bytes[] = {static_cast<uint8_t>(below(10)), static_cast<uint8_t>(below(10))};
      hold(make("pack", [&](Side) { return std::vector<Arg>{Arg::bytes(bytes)}; }));
    } else if (what < 880) {
      query_then_maybe_build();
    } else if (what < 900) {
      call("tell", [&](Side) { return std::vector<Arg>{1}; });
    } else if (what < 902) {
      const Both h = handles_[any()];
      same("post", [&, v = number()](Side side) { return std::vector<Arg>{h.*side, v}; });
    } else {
      disturb(what);
    }
  }
  int32_t number() { return static_cast<int32_t>(below(1000)); }

  void merge() {
    using Side = uint32_t Both::*;
    const size_t i = any();
    Both a = handles_[i];
    forget(i);
    const size_t j = any();
    Both b = handles_[j];
    forget(j);
    hold(make("merge", [&](Side side) {
      both_[0] = a.*side;
      both_[1] = b.*side;
      return std::vector<Arg>{Arg::vector(both_)};
    }));
  }

  void many() {
    using Side = uint32_t Both::*;
    auto [tested, plain] = call("many", [&, v = number()](Side) { return std::vector<Arg>{3, v}; });
    if (!tested || !plain) return;
    for (size_t i = 0; i < 3; i++) hold({tested->vector[i], plain->vector[i]});
  }

  /// `cached` is a build the first time; then a query that makes an object, which a build may take, at once or after
  /// what it was made of has changed or gone.
  void query_then_maybe_build() {
    using Side = uint32_t Both::*;
    const size_t index = any();
    const Both of = handles_[index];
    Both made = make("cached", [&](Side side) { return std::vector<Arg>{of.*side, 7}; });
    if (!made.token) return;
    const uint32_t what = below(6);
    if (what < 2) same("add", [&](Side side) { return std::vector<Arg>{of.*side, 3}; });
    if (what == 2) {
      call("drop", [&](Side side) { return std::vector<Arg>{of.*side}; });
      forget(index);
    }
    // Its handle may have gone stale with a rotation: then it is the host's to forget.
    auto tested = tested_->call("add", {made.token, 5});
    if (!tested) {
      // Or the log was cut, and what it had read changed: it can't enter any more.
      const bool is_late = tested.error().message.find("the log was cut behind that") != std::string::npos;
      EXPECT_TRUE(is_late || tested.error().kind == ErrorKind::stale_handle) << where() << ": " << error_of(tested);
      (void)plain_->call("drop", {made.raw});
      return;
    }
    EXPECT_EQ(tested->i32(), plain_->call("add", {made.raw, 5})->i32()) << where();
    hold(made);
  }

  /// Rotations, traps, faults: nothing of which the other side knows.
  void disturb(uint32_t what) {
    if (what < 930) {
      (void)tested_->call("leak", {static_cast<int32_t>(below(8))});
    } else if (what < 945) {
      ASSERT_TRUE(tested_->rotate() || !tested_->counters().rotating);
    } else if (what < 960) {
      // Leaves its object broken on an instance that nobody sees again.
      const Both h = handles_[any()];
      EXPECT_FALSE(tested_->call("boom", {h.token}));
    } else if (what < 965) {
      (void)tested_->prepare();
    } else if (what < 975) {
      faults::fail_after(1 + below(40), faults::Scope::all_threads);
    } else if (what < 980) {
      tested_guests_.failures = 1;
    } else if (what < 985) {
      auto lease = tested_->acquire();
      if (!lease) return;
      const Both h = handles_[any()];
      auto first = lease->call("get", {h.token});
      (void)lease->call("leak", {1});
      auto second = lease->call("get", {h.token});
      if (first && second) {
        EXPECT_EQ(first->i32(), second->i32()) << where();
      }
    } else {
      faults::off();
    }
  }

  /// What was merged and paired drags a history along that would only grow.
  void drop_all() {
    using Side = uint32_t Both::*;
    while (!handles_.empty()) {
      const Both gone = handles_.back();
      call("drop", [&](Side side) { return std::vector<Arg>{gone.*side}; });
      handles_.pop_back();
    }
  }

  void check_all() {
    using Side = uint32_t Both::*;
    faults::off();
    for (const Both& h : handles_) same("get", [&](Side side) { return std::vector<Arg>{h.*side}; });
    // What was sliced away made and ended the same.
    same("live", [&](Side) { return std::vector<Arg>{}; });
    same("posted", [&](Side) { return std::vector<Arg>{}; });
  }

  const Variant variant_;
  std::mt19937_64 random_;
  TestGuests tested_guests_, plain_guests_;
  std::optional<Proxy> tested_, plain_;
  std::vector<Both> handles_;
  uint32_t both_[2] = {};
  uint64_t step_ = 0;
  mutable std::mutex mutex_;
  std::string divergence_;
};

TEST(Model, EqualsAnInstanceThatNeverRotates) {
  const uint64_t seed =
      g_seed ? g_seed : static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  uint64_t rotations = 0;
  for (const Variant& variant : kVariants) {
    Model model(variant, seed);
    model.run(g_steps / 2 / std::size(kVariants));
    const ProxyCounters c = model.counters();
    std::printf(
        "%s: %llu rotations (%llu after traps, %llu from images), %llu warm-ups of which %llu failed, log %llu of "
        "%llu calls%s%s\n",
        variant.name, static_cast<unsigned long long>(c.rotations), static_cast<unsigned long long>(c.rotations_trap),
        static_cast<unsigned long long>(c.rotations_image), static_cast<unsigned long long>(c.warmups),
        static_cast<unsigned long long>(c.warmups_failed), static_cast<unsigned long long>(c.log_calls),
        static_cast<unsigned long long>(c.log_recorded), c.divergences ? ", divergence: " : "",
        model.divergence().c_str());
    EXPECT_TRUE(c.rotating) << c.off_reason;
    EXPECT_EQ(c.divergences, 0u) << model.divergence();
    EXPECT_EQ(c.probes_failed, 0u) << c.last_problem;
    EXPECT_GT(c.probes, 0u);
    if (variant.log_max_calls < 1000) {
      EXPECT_GT(c.log_cuts, 0u);
    }
    rotations += c.rotations;
    if (HasFailure()) return;
  }
  EXPECT_GT(rotations, g_steps / 2000);
}

}  // namespace
}  // namespace rotor::proxy

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1) rotor::proxy::g_steps = std::strtoull(argv[1], nullptr, 10);
  if (argc > 2) rotor::proxy::g_seed = std::strtoull(argv[2], nullptr, 10);
  return RUN_ALL_TESTS();
}
