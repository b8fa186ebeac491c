// Tail calls as the host sees them: its functions as callees, backtraces, interruption. What they compute is tested in
// spec-tests/regress/tail_calls.wast.
#include <chrono>
#include <thread>

#include "runtime/testing/ref_modules.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

struct Setting {
  CompileMode mode;
  OptLevel opt;
};

class TailCallTest : public testing::TestWithParam<Setting> {
 protected:
  static Engine make_engine() {
    Config config;
    config.mode = GetParam().mode;
    config.opt = GetParam().opt;
    config.interruptible = true;
    config.hot_count = 10;
    return must(Engine::create(config));
  }
  TailCallTest() : engine_(make_engine()) {
    const ValType i32 = ValType::i32, i64 = ValType::i64, f32 = ValType::f32, f64 = ValType::f64;
    linker_.define_func("env", "host", {{i32, i64, f64}, {i32, i64, f64, f32, i32}},
                        [this](Caller& caller, Slot* slots) -> Result<void> {
                          EXPECT_EQ(caller.data<int>(), &data_);
                          EXPECT_EQ(slots[0], 1u);
                          EXPECT_EQ(slots[1], 2u);
                          slots[4] = 5;
                          slots[3] = detail::to_slot(4.5f);
                          return {};
                        });
    linker_.define_func("env", "fail", {{i64}, {}},
                        [](Caller&, Slot*) -> Result<void> { return fail(ErrorKind::host, "as asked"); });
    InstanceOptions options;
    options.host_data = &data_;
    instance_ = instantiate(linker_, compile(engine_, kTails), options);
  }
  Result<std::vector<Value>> call(std::string_view name, std::initializer_list<Value> args = {}) {
    return must(instance_.get_func(name)).call(args);
  }
  static std::vector<std::string> frames(const Error& error) {
    std::vector<std::string> names;
    for (const Frame& frame : error.frames()) names.push_back(frame.func_name);
    return names;
  }

  Engine engine_;
  Linker linker_{engine_};
  int data_ = 0;
  Instance instance_;
};
INSTANTIATE_TEST_SUITE_P(Settings, TailCallTest,
                         testing::Values(Setting{CompileMode::aot, OptLevel::o0},
                                         Setting{CompileMode::aot, OptLevel::o1},
                                         Setting{CompileMode::eager, OptLevel::o1},
                                         Setting{CompileMode::lazy, OptLevel::o1}));

TEST_P(TailCallTest, AHostFunctionsResultsAreTheCallers) {
  auto results = must(call("to_host", {Value(2.5)}));
  ASSERT_EQ(results.size(), 5u);
  EXPECT_EQ(results[0].i32(), 1);
  EXPECT_EQ(results[1].i64(), 2);
  EXPECT_EQ(results[2].f64(), 2.5);
  EXPECT_EQ(results[3].f32(), 4.5f);
  EXPECT_EQ(results[4].i32(), 5);
}

TEST_P(TailCallTest, AHostFunctionsErrorComesOut) {
  auto result = call("outer_fail");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::host);
  EXPECT_EQ(result.error().message, "as asked");
  EXPECT_EQ(frames(result.error()), (std::vector<std::string>{"outer_fail"}));
}

TEST_P(TailCallTest, ABacktraceHasNoFrameOfACallerThatIsGone) {
  auto near = call("outer");
  expect_trap(near, TrapKind::unreachable);
  EXPECT_EQ(frames(near.error()), (std::vector<std::string>{"inner", "outer"}));
  auto far = call("outer_far");
  expect_trap(far, TrapKind::unreachable);
  EXPECT_EQ(frames(far.error()), (std::vector<std::string>{"inner", "inner_far", "outer_far"}));
}

TEST_P(TailCallTest, ALoopOfTailCallsIsInterrupted) {
  InterruptHandle handle = instance_.interrupt_handle();
  std::thread stopper([&] {
    // Long enough for hot functions to be compiled again, where they are.
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    must(handle.interrupt());
  });
  expect_trap(call("spin", {Value(int64_t{1})}), TrapKind::interrupted);
  stopper.join();
  must(call("to_host", {Value(1.0)}));
}

}  // namespace
}  // namespace rotor::runtime::test
