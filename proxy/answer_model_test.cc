// Random programs that ask their host, whose every answer is another one: a side effect that happens twice shows in all
// numbers to come. Against a model that knows what each object must be.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "memory/fault_injection.h"
#include "proxy/testing/answer_guest.h"
#include "proxy/testing/model.h"

namespace rotor::proxy {
namespace {

namespace faults = memory::fault_injection;

struct Object {
  uint32_t token = 0;
  uint32_t value = 0;
};

class AnswerModel {
 public:
  AnswerModel(const Variant& variant, uint64_t seed) : variant_(variant), random_(seed) {
    auto write = [](Caller& caller, int32_t address, int32_t value) {
      uint8_t bytes[4];
      std::memcpy(bytes, &value, 4);
      return caller.write(static_cast<uint32_t>(address), bytes);
    };
    guests_.on_ask = [this](Caller&, int32_t x) -> Result<int32_t> {
      int32_t expected = x;
      if (fail_at_.compare_exchange_strong(expected, kNever)) return fail(ErrorKind::host, "the line is busy");
      return answer(x);
    };
    guests_.on_fill = [this, write](Caller& caller, int32_t p, int32_t x) -> Result<void> {
      ROTOR_CHECK(write(caller, p, answer(x)));
      return write(caller, p + 8, x);
    };
    guests_.on_lend = [this, write](Caller& caller, int32_t x) -> Result<int32_t> {
      ROTOR_TRY(auto lent, caller.call("malloc", {Value(16)}));
      ROTOR_CHECK(write(caller, lent[0].i32(), answer(x)));
      return lent[0].i32();
    };
    guests_.on_gate = [this](const AnswerHost&, int32_t x) -> Result<int32_t> {
      int32_t expected = x;
      return trap_at_.compare_exchange_strong(expected, 0) ? 1 : 0;
    };
    Policy policy = answer_policy();
    rule_of(policy, "risky").retry = true;
    policy.probes = {{.name = "oldest", .query = "get", .args = {ProbeHandle{"make"}}}};
    variant.apply(policy);
    proxy_.emplace(guests_.proxy(policy, {.on_event = [this](const ProxyEvent& event) {
                                   if (event.text.find("divergence") == std::string::npos) return;
                                   std::lock_guard lock(mutex_);
                                   divergence_ = event.text;
                                 }}));
    get_.emplace(*proxy_->get_typed<int32_t(uint32_t)>("get"));
    add_.emplace(*proxy_->get_typed<int32_t(uint32_t, int32_t)>("add"));
    make_.emplace(*proxy_->get_typed<uint32_t(int32_t)>("make"));
  }
  ~AnswerModel() { faults::off(); }

  void run(uint64_t steps) {
    for (step_ = 0; step_ < steps && !testing::Test::HasFailure(); step_++) {
      one_step();
      if (step_ % 1024 == 1023) check_all();
    }
    check_all();
  }
  ProxyCounters counters() const { return proxy_->counters(); }
  std::string divergence() const {
    std::lock_guard lock(mutex_);
    return divergence_;
  }

 private:
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  size_t any() { return below(static_cast<uint32_t>(objects_.size())); }
  std::string where() const { return std::string(variant_.name) + ", step " + std::to_string(step_); }
  /// What the host says next.
  static uint32_t answer_of(int asked, int32_t x) {
    return 7919u * static_cast<uint32_t>(asked) + static_cast<uint32_t>(x);
  }
  int32_t answer(int32_t x) const { return static_cast<int32_t>(answer_of(guests_.asked, x)); }
  uint32_t expect_answer(int32_t x) { return answer_of(++asked_, x); }

  /// Whether the call was not made, because an injected fault kept a trapped instance from being replaced.
  template <class T>
  bool not_made(const Result<T>& result) {
    if (result || result.error().message.find("making another failed") == std::string::npos) return false;
    faults::off();
    guests_.fail_step("", 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return true;
  }
  /// Until it is made.
  template <class Call>
  auto made(Call call) {
    auto result = call();
    for (int i = 0; i < 200 && not_made(result); i++) result = call();
    return result;
  }
  template <class T>
  bool good(const Result<T>& result) {
    EXPECT_TRUE(result.has_value()) << where() << ": " << error_of(result);
    EXPECT_EQ(guests_.asked, asked_) << where() << ": a side effect happened twice, or not at all";
    return result.has_value() && guests_.asked == asked_;
  }

  void one_step() {
    const uint32_t what = below(1000);
    if (objects_.size() < 3 || (what < 100 && objects_.size() < 60)) {
      const int32_t value = static_cast<int32_t>(below(1000));
      auto token = made([&] { return (*make_)(value); });
      if (good(token)) objects_.push_back({*token, static_cast<uint32_t>(value)});
    } else if (what < 190) {
      const size_t index = any();
      good(made([&] { return proxy_->call("drop", {objects_[index].token}); }));
      objects_.erase(objects_.begin() + static_cast<ptrdiff_t>(index));
    } else if (what < 330) {
      check(objects_[any()]);
    } else if (what < 430) {
      Object& object = objects_[any()];
      auto reply = made([&] { return (*add_)(object.token, 3); });
      object.value += 3;
      if (good(reply)) {
        EXPECT_EQ(*reply, static_cast<int32_t>(object.value)) << where();
      }
    } else if (what < 600) {
      ask();
    } else if (what < 680) {
      risk();
    } else if (what < 780) {
      with_lease();
    } else if (what < 850) {
      lease_and_keep();
    } else if (what < 900) {
      copy_and_build();
    } else {
      disturb(what);
    }
  }

  void check(const Object& object) {
    auto got = made([&] { return (*get_)(object.token); });
    if (good(got)) {
      EXPECT_EQ(*got, static_cast<int32_t>(object.value)) << where();
    }
  }

  void ask() {
    Object& object = objects_[any()];
    const int32_t x = static_cast<int32_t>(below(1000));
    const uint32_t way = below(3);
    const char* name = way == 0 ? "ask_into" : way == 1 ? "fill_into" : "lend_into";
    auto reply = made([&] { return proxy_->call(name, {object.token, x}); });
    object.value += expect_answer(x);
    if (way == 1) object.value += static_cast<uint32_t>(x);
    if (good(reply)) {
      EXPECT_EQ(reply->i32(), static_cast<int32_t>(object.value)) << where() << ": " << name;
    }
  }

  /// A number of no other call.
  int32_t next_mark() { return 1'000'000 + ++mark_; }

  /// With `retry`: its caller sees no trap, unless a fault keeps it from being made again.
  void risk() {
    Object& object = objects_[any()];
    const int32_t x = next_mark();
    const uint32_t how = below(3);
    if (how == 1) trap_at_ = x;
    if (how == 2) fail_at_ = x;  // its first question: asked once more
    auto reply = made([&] { return proxy_->call("risky", {object.token, x}); });
    if (how == 2) asked_++;
    if (!reply && (reply.error().kind == ErrorKind::trap || (how == 2 && reply.error().kind == ErrorKind::host))) {
      if (how != 2) asked_++;  // before the trap; that attempt is gone
      EXPECT_EQ(guests_.asked, asked_) << where();
      faults::off();
      guests_.fail_step("", 0);
      return;
    }
    object.value += expect_answer(x);
    asked_++;
    if (good(reply)) {
      EXPECT_EQ(reply->i32(), static_cast<int32_t>(object.value)) << where();
    }
  }

  /// A few builds that may run twice, of which nobody must be able to tell.
  void with_lease() {
    struct Op {
      uint32_t what;
      size_t index;
      int32_t x;
    };
    std::vector<Op> ops;
    for (uint32_t i = 0, n = 1 + below(5); i < n; i++) {
      ops.push_back({below(7), any(), next_mark()});
      if (ops.back().what == 1 && below(3) == 0) trap_at_ = ops.back().x;
    }
    std::vector<Object> after;
    int asked = 0;
    auto done = made([&] {
      asked_ = guests_.asked;  // if a fault kept the second attempt from being made, what the first one asked is lost
      return proxy_->with_lease([&](Lease& lease) -> Result<void> {
        after = objects_;
        asked = asked_;
        for (const Op& op : ops) {
          if (after.size() < 2) break;
          Object& object = after[op.index % after.size()];
          if (op.what == 0) {
            ROTOR_TRY(Reply made, lease.call("make", {op.x}));
            after.push_back({made.handle(), static_cast<uint32_t>(op.x)});
          } else if (op.what == 1) {
            ROTOR_CHECK(lease.call("risky", {object.token, op.x}));
            object.value += answer_of(++asked, op.x);
            asked++;
          } else if (op.what == 2) {
            ROTOR_CHECK(lease.call("drop", {object.token}));
            after.erase(after.begin() + static_cast<ptrdiff_t>(op.index % after.size()));
          } else if (op.what == 3) {
            ROTOR_CHECK(lease.call("ask_into", {object.token, op.x}));
            object.value += answer_of(++asked, op.x);
          } else if (op.what == 4) {
            // A query's handle, taken by a build after what it was made of has changed.
            ROTOR_TRY(Reply copied, lease.call("copy", {object.token}));
            Object copy{copied.handle(), object.value};
            ROTOR_CHECK((*add_)(lease, object.token, 5));
            object.value += 5;
            ROTOR_CHECK(lease.call("add", {copy.token, 2}));
            copy.value += 2;
            after.push_back(copy);
          } else if (op.what == 5) {
            ROTOR_TRY(Reply said, lease.call("ask", {op.x}));
            EXPECT_EQ(said.i32(), static_cast<int32_t>(answer_of(++asked, op.x))) << where();
          } else {
            ROTOR_TRY(auto said, lease.raw("ask", {Value(op.x)}));
            EXPECT_EQ(said[0].i32(), static_cast<int32_t>(answer_of(++asked, op.x))) << where();
          }
        }
        return {};
      });
    });
    trap_at_ = 0;
    if (!done && done.error().kind == ErrorKind::trap) {
      // It was not to be had again, and its first attempt is forgotten.
      asked_ = guests_.asked;
      return;
    }
    asked_ = asked;
    if (good(done)) objects_ = after;
  }

  void lease_and_keep() {
    const Object object = objects_[any()];
    const bool keeps = below(2);
    uint32_t query = 0;
    {
      auto lease = made([&] { return proxy_->acquire(); });
      if (!good(lease)) return;
      auto copied = lease->call("copy", {object.token});
      if (!good(copied)) return;
      query = copied->handle();
      EXPECT_EQ((*get_)(*lease, query).value_or(-1), static_cast<int32_t>(object.value)) << where();
      if (keeps) {
        EXPECT_TRUE(lease->keep(query)) << where();
      }
    }
    for (uint32_t i = below(3); i > 0; i--) check(objects_[any()]);
    auto got = made([&] { return (*get_)(query); });
    if (got) {
      EXPECT_TRUE(keeps) << where();
      EXPECT_EQ(*got, static_cast<int32_t>(object.value)) << where();
      auto dropped = made([&] { return proxy_->call("drop", {query}); });
      EXPECT_TRUE(dropped || dropped.error().kind == ErrorKind::stale_handle) << where() << ": " << error_of(dropped);
    } else {
      EXPECT_EQ(got.error().kind, ErrorKind::stale_handle) << where();
    }
  }

  void copy_and_build() {
    Object& object = objects_[any()];
    auto copied = made([&] { return proxy_->call("copy", {object.token}); });
    if (!good(copied)) return;
    Object copy{copied->handle(), object.value};
    if (below(2)) {
      auto added = made([&] { return (*add_)(object.token, 1); });
      object.value++;
      if (!good(added)) return;
    }
    const int32_t x = static_cast<int32_t>(below(1000));
    auto reply = made([&] { return proxy_->call("ask_into", {copy.token, x}); });
    if (!reply) {
      // Or the log was cut, and what it had read changed: it can't enter any more.
      const bool is_late = reply.error().message.find("the log was cut behind that") != std::string::npos;
      EXPECT_TRUE(is_late || reply.error().kind == ErrorKind::stale_handle) << where() << ": " << error_of(reply);
      if (is_late) {
        EXPECT_TRUE(proxy_->call("drop", {copy.token}));
      }
      return;
    }
    copy.value += expect_answer(x);
    if (good(reply)) objects_.push_back(copy);
  }

  void disturb(uint32_t what) {
    if (what < 940) {
      (void)proxy_->call("leak", {static_cast<int32_t>(below(6))});
    } else if (what < 955) {
      EXPECT_TRUE(proxy_->rotate()) << where() << ": " << proxy_->counters().off_reason;
    } else if (what < 965) {
      EXPECT_FALSE(proxy_->call("leak", {100}));
    } else if (what < 970) {
      (void)proxy_->prepare();
    } else if (what < 978) {
      faults::fail_after(1 + below(40), faults::Scope::all_threads);
    } else if (what < 990) {
      const char* steps[] = {"factory", "save", "on_rotate"};
      guests_.fail_step(steps[below(3)], 1 + static_cast<int>(below(2)));
    } else {
      faults::off();
    }
  }

  void check_all() {
    faults::off();
    guests_.fail_step("", 0);
    for (const Object& object : objects_) check(object);
    // On a fresh instance nothing lives but what the host holds.
    const uint64_t rotations = proxy_->counters().rotations;
    EXPECT_TRUE(proxy_->rotate()) << where();
    EXPECT_TRUE(eventually([&] { return proxy_->call("live") && proxy_->counters().rotations > rotations; }))
        << where() << ": " << proxy_->counters().last_problem;
    auto live = made([&] { return proxy_->call("live"); });
    if (good(live)) {
      EXPECT_EQ(live->i32(), static_cast<int32_t>(objects_.size())) << where();
    }
    for (const Object& object : objects_) check(object);
  }

  const Variant variant_;
  std::mt19937_64 random_;
  AnswerGuests guests_;
  std::optional<Proxy> proxy_;
  std::optional<ProxyFunc<int32_t(uint32_t)>> get_;
  std::optional<ProxyFunc<int32_t(uint32_t, int32_t)>> add_;
  std::optional<ProxyFunc<uint32_t(int32_t)>> make_;
  std::vector<Object> objects_;
  static constexpr int32_t kNever = -1;  ///< nothing is asked with it
  std::atomic<int32_t> trap_at_ = 0, fail_at_ = kNever;
  int asked_ = 0;  ///< so often the host must have been asked
  int32_t mark_ = 0;
  uint64_t step_ = 0;
  mutable std::mutex mutex_;
  std::string divergence_;
};

TEST(AnswerModel, NoSideEffectHappensTwice) {
  const uint64_t seed =
      g_seed ? g_seed : static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  uint64_t retries = 0;
  for (const Variant& variant : kVariants) {
    AnswerModel model(variant, seed);
    model.run(g_steps / 2 / std::size(kVariants));
    const ProxyCounters c = model.counters();
    std::printf(
        "%s: %llu rotations (%llu after traps, %llu from images), %llu retries, %llu warm-ups of which %llu "
        "failed, log %llu of %llu calls\n",
        variant.name, static_cast<unsigned long long>(c.rotations), static_cast<unsigned long long>(c.rotations_trap),
        static_cast<unsigned long long>(c.rotations_image), static_cast<unsigned long long>(c.retries),
        static_cast<unsigned long long>(c.warmups), static_cast<unsigned long long>(c.warmups_failed),
        static_cast<unsigned long long>(c.log_calls), static_cast<unsigned long long>(c.log_recorded));
    std::fflush(stdout);
    EXPECT_TRUE(c.rotating) << c.off_reason;
    EXPECT_EQ(c.divergences, 0u) << model.divergence();
    EXPECT_EQ(c.probes_failed, 0u) << c.last_problem;
    retries += c.retries;
    if (HasFailure()) return;
  }
  EXPECT_GT(retries, g_steps / 1000);
}

}  // namespace
}  // namespace rotor::proxy
