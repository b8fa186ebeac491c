// Stops and deadlines while a guest waits for a function to be compiled. What it waits for does not come before the
// test lets it: the engine's only compile thread has other work.
#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>

#include "rotor/wat.h"
#include "runtime/access.h"
#include "runtime/engine.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

using std::chrono::milliseconds;
using Clock = InterruptHandle::Clock;

/// The engine's compile thread, kept busy until `release`: which a test that waits in vain gets after a while, so that
/// it fails and does not hang.
class BusyCompiler {
 public:
  explicit BusyCompiler(Engine& engine) : engine_(engine) {
    (void)impl_of(engine_).foreground.submit(this, CompilePool::Urgency::waited_for, [this] {
      begun_.set_value();
      given_up_ = released_.get_future().wait_for(std::chrono::seconds(20)) == std::future_status::timeout;
    });
    begun_.get_future().wait();
  }
  ~BusyCompiler() { release(); }
  void release() {
    if (!std::exchange(is_released_, true)) released_.set_value();
    impl_of(engine_).foreground.cancel(this);
    EXPECT_FALSE(given_up_) << "what should have been ended waited for the compiler";
  }

 private:
  Engine& engine_;
  std::promise<void> begun_, released_;
  bool is_released_ = false;
  bool given_up_ = false;
};

class CompileWaitTest : public testing::Test {
 protected:
  static Engine make_engine() {
    Config config;
    config.mode = CompileMode::lazy;
    config.compile_workers = 1;
    config.interruptible = true;
    return must(Engine::create(config));
  }
  Module compile_text(std::string_view text) { return must(Module::compile(engine_, must(wat_to_wasm(text)))); }
  static void expect_frames(const Error& error, std::vector<std::string> names) {
    std::vector<std::string> found;
    for (const Frame& frame : error.trap->frames()) found.push_back(frame.func_name);
    EXPECT_EQ(found, names);
  }

  Engine engine_ = make_engine();
  Linker linker_{engine_};
};

constexpr std::string_view kCalls = R"((module
  (func $outer (export "outer") (result i32) (call $middle))
  (func $middle (export "middle") (result i32) (i32.add (call_indirect (result i32) (i32.const 0)) (i32.const 1)))
  (func $inner (export "inner") (result i32) (i32.const 41))
  (table 1 funcref)
  (elem (i32.const 0) $inner)))";

TEST_F(CompileWaitTest, ADeadlineEndsTheWait) {
  Instance instance = must(linker_.instantiate(compile_text(kCalls)));
  BusyCompiler busy(engine_);
  must(instance.set_deadline(Clock::now() + milliseconds(20)));
  auto result = must(instance.get_func("outer")).call();
  expect_trap(result, TrapKind::interrupted);
  expect_frames(result.error(), {"outer"});
  // Nor does the next call begin, until the deadline is another.
  expect_trap(must(instance.get_func("outer")).call(), TrapKind::interrupted);
  busy.release();
  instance.clear_deadline();
  EXPECT_EQ(must(typed<int32_t()>(instance, "outer")()), 42);
}

TEST_F(CompileWaitTest, AnInterruptEndsTheWaitWithTheBacktrace) {
  // The compiler is busy from the call of `stop` on, when the functions around it are there. The innermost is not:
  // it is called by a table's element, so that none guesses it.
  std::optional<BusyCompiler> busy;
  Linker linker(engine_);
  std::promise<void> is_inside;
  linker.define("env", "stop", [&] {
    busy.emplace(engine_);
    is_inside.set_value();
  });
  Module stopper = compile_text(R"((module
    (import "env" "stop" (func $stop))
    (func $outer (export "outer") (result i32) (call $middle))
    (func $middle (export "middle") (result i32) (call $stop) (i32.add (call_indirect (result i32) (i32.const 0)) (i32.const 1)))
    (func $inner (export "inner") (result i32) (i32.const 41))
    (table 1 funcref)
    (elem (i32.const 0) $inner)))");
  Instance guest = must(linker.instantiate(stopper));
  std::thread stop([&, handle = guest.interrupt_handle()] {
    is_inside.get_future().wait();
    std::this_thread::sleep_for(milliseconds(20));  // in the wait, by then; were it before it, it would end there, too
    must(handle.interrupt());
  });
  auto result = must(guest.get_func("outer")).call();
  stop.join();
  expect_trap(result, TrapKind::interrupted);
  expect_frames(result.error(), {"inner", "middle", "outer"});
  busy.reset();
}

TEST_F(CompileWaitTest, AStopFromBeforeEndsTheCall) {
  Instance instance = must(linker_.instantiate(compile_text(kCalls)));
  BusyCompiler busy(engine_);
  must(instance.interrupt());
  expect_trap(must(instance.get_func("outer")).call(), TrapKind::interrupted);
  busy.release();
  EXPECT_EQ(must(typed<int32_t()>(instance, "outer")()), 42);
}

TEST_F(CompileWaitTest, TheStartFunctionIsEnded) {
  Module module = compile_text(R"((module (func $start (export "start")) (start $start)))");
  BusyCompiler busy(engine_);
  InstanceOptions options;
  options.deadline = Clock::now() + milliseconds(20);
  auto instance = linker_.instantiate(module, options);
  expect_trap(instance, TrapKind::interrupted);
  expect_frames(instance.error(), {"start"});
}

TEST_F(CompileWaitTest, OnlyTheStoppedGroupLeaves) {
  // Two wait for one function; one is stopped, and the other gets it.
  Module module = compile_text(kCalls);
  Instance stopped = must(linker_.instantiate(module));
  Instance goes_on = must(linker_.instantiate(module));
  BusyCompiler busy(engine_);
  std::promise<int32_t> answer;
  std::thread other([&] { answer.set_value(must(typed<int32_t()>(goes_on, "inner")())); });
  must(stopped.set_deadline(Clock::now() + milliseconds(20)));
  expect_trap(must(stopped.get_func("inner")).call(), TrapKind::interrupted);
  busy.release();
  EXPECT_EQ(answer.get_future().get(), 41);
  other.join();
}

}  // namespace
}  // namespace rotor::runtime::test
