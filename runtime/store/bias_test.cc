// Biased groups: a thread that calls the same instance again and again keeps it without an exchange; whoever else wants
// in, or drops it, takes it away.
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <thread>

#include "memory/testing/perturb.h"
#include "rotor/wat.h"
#include "runtime/access.h"
#include "runtime/store/instance.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

using memory::test::Perturbed;

constexpr std::string_view kGuest = R"(
  (module
    (import "env" "host" (func $host))
    (func (export "ok") (result i32) (i32.const 42))
    (func (export "call_host") (call $host))
    (global $count (mut i32) (i32.const 0))
    (func (export "count") (result i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (global.get $count))
    (table (export "table") 1 funcref)))";

class Bias : public testing::Test {
 protected:
  Bias() {
    linker_.define("env", "host", [this] { host_(); });
  }
  ~Bias() override { host_ = nullptr; }
  Instance make() { return instantiate(linker_, module_); }
  /// Makes an instance that is biased to this thread, where that can be.
  Instance make_biased() {
    Instance instance = make();
    expect_biases(instance);
    return instance;
  }
  void expect_biases(const Instance& instance) {
    auto ok = typed<int32_t()>(instance, "ok");
    for (int i = 0; i < 10'000; ++i) ASSERT_EQ(must(ok()), 42);
#ifndef __SANITIZE_THREAD__
    EXPECT_TRUE(is_biased(instance));
#endif
  }
  static bool is_biased(const Instance& instance) { return impl_of(instance)->group->is_biased(); }
  static ErrorKind call_elsewhere(const Instance& instance) {
    ErrorKind kind{};
    std::thread([&] { kind = kind_of(must(instance.get_func("ok")).call()); }).join();
    return kind;
  }

  Engine engine_ = engine();
  Module module_ = compile(engine_, must(wat_to_wasm(kGuest)));
  Linker linker_{engine_};
  std::function<void()> host_ = [] {};
};

constexpr ErrorKind kNone = ErrorKind::internal;  // of kind_of: no error

TEST_F(Bias, ComesAfterSomeCallsInARow) {
  Instance instance = make();
  auto ok = typed<int32_t()>(instance, "ok");
  EXPECT_EQ(must(ok()), 42);
  EXPECT_FALSE(is_biased(instance));
  expect_biases(instance);
}

TEST_F(Bias, AnotherThreadTakesItAway) {
  Instance instance = make_biased();
  EXPECT_EQ(call_elsewhere(instance), kNone);
  EXPECT_FALSE(is_biased(instance));
  expect_biases(instance);
  EXPECT_EQ(call_elsewhere(instance), kNone);
}

TEST_F(Bias, AnotherThreadStaysOutDuringACall) {
  Instance instance = make_biased();
  auto call_host = typed<void()>(instance, "call_host");
  ErrorKind inside = kNone;
  host_ = [&] { inside = call_elsewhere(instance); };
  must(call_host());
  EXPECT_EQ(inside, ErrorKind::invalid_argument);
  EXPECT_EQ(call_elsewhere(instance), kNone);
}

TEST_F(Bias, CallsWithinCalls) {
  Instance outer = make_biased(), inner = make_biased();
  auto call_host = typed<void()>(outer, "call_host");
  auto again = typed<int32_t()>(outer, "ok");
  auto other = typed<int32_t()>(inner, "ok");
  ErrorKind outside = kNone, beside = kNone;
  host_ = [&] {
    EXPECT_EQ(must(again()), 42);
    EXPECT_EQ(must(other()), 42);
    outside = call_elsewhere(outer);
    beside = call_elsewhere(inner);
  };
  must(call_host());
  EXPECT_EQ(outside, ErrorKind::invalid_argument);
  EXPECT_EQ(beside, kNone);
  EXPECT_EQ(must(again()), 42);
  EXPECT_EQ(must(other()), 42);
}

TEST_F(Bias, AStayKeepsOthersOut) {
  Instance instance = make_biased();
  {
    Stay stay = must(instance.stay());
    EXPECT_EQ(must(typed<int32_t()>(instance, "ok")()), 42);
    EXPECT_EQ(call_elsewhere(instance), ErrorKind::invalid_argument);
  }
  EXPECT_EQ(call_elsewhere(instance), kNone);
}

TEST_F(Bias, AStayThatBeginsWithinACallGoesOn) {
  Instance instance = make_biased();
  Stay stay;
  host_ = [&] { stay = must(instance.stay()); };
  must(typed<void()>(instance, "call_host")());
  EXPECT_EQ(call_elsewhere(instance), ErrorKind::invalid_argument);
  stay.end();
  EXPECT_EQ(call_elsewhere(instance), kNone);
}

TEST_F(Bias, GroupsThatMergeWithinACall) {
  Instance instance = make_biased(), other = make_biased();
  host_ = [&] {
    Table table = must(instance.get_table("table"));
    must(table.set(0, Value(must(other.get_func("ok")))));
    EXPECT_EQ(must(typed<int32_t()>(other, "ok")()), 42);
  };
  must(typed<void()>(instance, "call_host")());
  host_ = [&] { EXPECT_EQ(call_elsewhere(other), ErrorKind::invalid_argument) << "they are one now"; };
  must(typed<void()>(instance, "call_host")());
  EXPECT_EQ(call_elsewhere(other), kNone);
  EXPECT_EQ(must(typed<int32_t()>(instance, "ok")()), 42);
}

bool is_gone(const Func& func) { return !func.alive(); }

TEST_F(Bias, ADropFreesAtOnce) {
  Instance instance = make_biased();
  Func ok = must(instance.get_func("ok"));
  instance = Instance();
  EXPECT_TRUE(is_gone(ok));
}

TEST_F(Bias, ADropElsewhereFreesAtOnce) {
  Instance instance = make_biased();
  Func ok = must(instance.get_func("ok"));
  std::thread([&] { instance = Instance(); }).join();
  EXPECT_TRUE(is_gone(ok));
  EXPECT_EQ(kind_of(ok.call()), ErrorKind::stale_handle);
}

TEST_F(Bias, ADropWithinACallFreesBehindIt) {
  for (bool elsewhere : {false, true}) {
    Instance instance = make_biased();
    Func ok = must(instance.get_func("ok"));
    auto call_host = typed<void()>(instance, "call_host");
    bool alive = false;
    host_ = [&] {
      if (elsewhere)
        std::thread([&] { instance = Instance(); }).join();
      else
        instance = Instance();
      alive = ok.alive();
      EXPECT_EQ(must(ok.call()).at(0).i32(), 42);
    };
    must(call_host());
    EXPECT_TRUE(alive);
    EXPECT_TRUE(is_gone(ok));
    EXPECT_EQ(kind_of(call_host()), ErrorKind::stale_handle);
  }
}

TEST_F(Bias, AThreadEndsAndAnotherGoesOn) {
  Instance instance = make();
  for (int i = 0; i < 4; ++i) std::thread([&] { expect_biases(instance); }).join();
  EXPECT_EQ(must(typed<int32_t()>(instance, "ok")()), 42);
}

TEST_F(Bias, AChildOfAForkTakesItAway) {
  Instance instance = make_biased(), busy = make_biased();
  std::atomic<int> step = 0;
  // Another thread's: one that it is in, and one that it is not in.
  Instance theirs = make();
  std::thread thread([&] {
    expect_biases(theirs);
    expect_biases(busy);
    host_ = [&] {
      step = 1;
      while (step != 2) std::this_thread::yield();
    };
    must(typed<void()>(busy, "call_host")());
  });
  while (step != 1) std::this_thread::yield();
  pid_t child = fork();
  if (child == 0) {
    bool ok = kind_of(must(instance.get_func("ok")).call()) == kNone &&
              kind_of(must(theirs.get_func("ok")).call()) == kNone &&
              kind_of(must(busy.get_func("ok")).call()) == ErrorKind::invalid_argument;
    _exit(ok ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  step = 2;
  thread.join();
  EXPECT_EQ(status, 0);
}

TEST_F(Bias, ThreadsThatWantInAtOnceComeInOneAtATime) {
  Perturbed perturbed;
  Instance instance = make();
  std::atomic<bool> goes_on = true;
  std::atomic<uint32_t> counted = 0, refused = 0;
  auto work = [&](bool pauses) {
    auto count = typed<int32_t()>(instance, "count");
    while (goes_on) {
      for (int i = 0; i < 100; ++i) {
        if (auto r = count())
          ++counted;
        else if (r.error().kind == ErrorKind::invalid_argument)
          ++refused;
        else
          ADD_FAILURE() << r.error().to_string();
      }
      if (pauses) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  };
  std::thread first(work, true), second(work, true), third(work, false);
  while (perturbed.goes_on()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  goes_on = false;
  first.join();
  second.join();
  third.join();
  EXPECT_EQ(must(typed<int32_t()>(instance, "count")()), static_cast<int32_t>(counted + 1)) << refused << " refused";
}

TEST_F(Bias, ADropBesideCalls) {
  Perturbed perturbed;
  while (perturbed.goes_on()) {
    auto instance = std::make_unique<Instance>(make());
    std::atomic<int> there = 0;
    Func gone = must(instance->get_func("ok"));
    std::thread caller([&, ok = typed<int32_t()>(*instance, "ok")] {
      for (int i = 0; i < 100; ++i) (void)ok();
      there = 1;
      while (ok()) {
      }
    });
    while (!there) std::this_thread::yield();
    instance.reset();
    caller.join();
    EXPECT_TRUE(is_gone(gone));
  }
}

}  // namespace
}  // namespace rotor::runtime::test
