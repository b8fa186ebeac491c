// Calls in both directions: every place that arguments and results travel in, and errors of host functions.
#include <thread>

#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

class CallTest : public testing::Test {
 protected:
  CallTest() : engine_(engine()), module_(compile(engine_, kHost)), linker_(engine_) {
    linker_.define("env", "add", [](int32_t a, int32_t b) -> int32_t { return a + b; });
    linker_.define("env", "fail", []() -> Result<void> { return fail(ErrorKind::host, "no luck"); });
    FuncType many = std::get<FuncType>(module_.imports()[2].type);
    linker_.define_func("env", "many", many, [this, many](Caller&, Slot* slots) -> Result<void> {
      seen_.assign(slots, slots + many.params.size());
      slots[0] = 0x1122334455667788;
      return {};
    });
    linker_.define("env", "three", []() -> std::tuple<double, int32_t, float> { return {1.5, -2, 2.5f}; });
    linker_.define("env", "six", [](int32_t v) -> std::tuple<int32_t, int64_t, float, double, int32_t, int64_t> {
      return {v, -2, 3.5f, 4.5, -5, INT64_MIN};
    });
    instance_ = instantiate(linker_, module_);
  }
  Engine engine_;
  Module module_;
  Linker linker_;
  Instance instance_;
  std::vector<Slot> seen_;
};

TEST_F(CallTest, TypedBothWays) {
  auto add = typed<int32_t(int32_t, int32_t)>(instance_, "call_add");
  EXPECT_EQ(must(add(40, 2)), 42);
  EXPECT_EQ(must(add(-1, 1)), 0);
}

/// Calls a guest function that calls a host function of the same type with its arguments, and that with other results.
template <class R, class... Args>
void expect_same_both_ways(const Engine& engine, R result, Args... args) {
  FuncType type = detail::func_type_of<R, Args...>();
  std::string signature;
  for (ValType param : type.params) signature += " (param " + to_string(param) + ")";
  for (ValType one : type.results) signature += " (result " + to_string(one) + ")";
  std::string text = "(module (import \"env\" \"f\" (func $f" + signature + ")) (func (export \"f\")" + signature;
  for (size_t i = 0; i < type.params.size(); ++i) text += " (local.get " + std::to_string(i) + ")";
  text += " (call $f)))";
  SCOPED_TRACE(text);
  Linker linker(engine);
  int calls = 0;
  linker.define("env", "f", [&](Args... got) -> R {
    ++calls;
    EXPECT_EQ(std::make_tuple(got...), std::make_tuple(args...));
    return result;
  });
  Instance instance = instantiate(linker, compile(engine, must(wat_to_wasm(text))));
  auto f = typed<R(Args...)>(instance, "f");
  for (int i = 0; i < 40; ++i) EXPECT_EQ(must(f(args...)), result);
  EXPECT_EQ(calls, 40);
}

TEST_F(CallTest, EveryWayOfTypedCalls) {
  const Engine& e = engine_;
  expect_same_both_ways<int32_t>(e, -1);
  expect_same_both_ways<uint64_t>(e, UINT64_MAX - 1, int32_t{-1}, INT64_MIN, 3u, uint64_t{4}, -5);
  expect_same_both_ways<int64_t>(e, INT64_MIN, 1, 2, 3, 4, 5, 6);  // one more than a typed call has registers for
  expect_same_both_ways<int32_t>(e, INT32_MIN, 1, 2, 3, 4, 5, 6, int64_t{7});  // one more than the guest has
  expect_same_both_ways<double>(e, 0.5, 1.f, 2.0, 3.f, 4.0, 5.f, 6.0, 7.f, 8.0);
  expect_same_both_ways<float>(e, -0.5f, 1.f, 2.0, 3.f, 4.0, 5.f, 6.0, 7.f, 8.0, 9.f);
  expect_same_both_ways<double>(e, 1e300, 1, 2.f, int64_t{3}, 4.0, 5u, 6.f, uint64_t{7}, 8.0, 9);
  expect_same_both_ways<std::tuple<int32_t, double, int64_t, float>>(e, {1, 2.5, -3, 4.5f}, 1, 2.0, 3.f);
  expect_same_both_ways<std::tuple<int32_t, int32_t, int32_t, int32_t, int32_t>>(e, {1, 2, 3, 4, 5}, 6.0);
}

TEST_F(CallTest, TypedCallsThatCantBeMade) {
  auto add = typed<int32_t(int32_t, int32_t)>(instance_, "call_add");
  auto fails = typed<void()>(instance_, "call_fail");
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(fails().error().message, "no luck");
    EXPECT_EQ(must(add(i, 2)), i + 2);
  }
  std::thread([&] { EXPECT_EQ(must(add(1, 2)), 3); }).join();
  instance_ = Instance();
  EXPECT_EQ(kind_of(add(1, 2)), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(TypedFunc<int32_t(int32_t, int32_t)>(add)(1, 2)), ErrorKind::stale_handle);
}

TEST_F(CallTest, ArgumentsOverflowToTheStackInOrder) {
  Func call = must(instance_.get_func("call_many"));
  std::vector<Value> args = {
      Value(-1),
      Value(0.25f),
      Value(INT64_MIN),
      Value(0.5),
      Value(4),
      Value(5),
      Value(6),
      Value(7),
      Value(-8),
      Value(9.f),
      Value(10.0),
      Value(11.f),
      Value(12.),
      Value(13.f),
      Value(14.0),
      Value(15.f),
      Value(16.0),
      Value(int64_t{17}),
      Value(ExternRef{18}),
  };
  auto results = must(call.call(args));
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].i64(), 0x1122334455667788);
  ASSERT_EQ(seen_.size(), args.size());
  for (size_t i = 0; i < args.size(); ++i) EXPECT_EQ(seen_[i], args[i].bits()) << "argument " << i;
}

TEST_F(CallTest, ResultsInRegisters) {
  auto three = typed<std::tuple<double, int32_t, float>()>(instance_, "call_three");
  EXPECT_EQ(must(three()), std::make_tuple(1.5, -2, 2.5f));
}

TEST_F(CallTest, ResultsInMemory) {
  auto six = typed<std::tuple<int32_t, int64_t, float, double, int32_t, int64_t>(int32_t)>(instance_, "call_six");
  EXPECT_EQ(must(six(-1)), std::make_tuple(-1, int64_t{-2}, 3.5f, 4.5, -5, INT64_MIN));
  auto own = typed<std::tuple<double, int64_t, int32_t, float, int64_t, double>(int64_t, double)>(instance_, "own_six");
  EXPECT_EQ(must(own(int64_t{3}, 2.5)), std::make_tuple(2.5, int64_t{3}, -1, 0.5f, int64_t{7}, 8.0));
}

TEST_F(CallTest, References) {
  auto is_null = typed<int32_t(ExternRef)>(instance_, "is_null");
  EXPECT_EQ(must(is_null(ExternRef{})), 1);
  EXPECT_EQ(must(is_null(ExternRef{7})), 0);
  Value self = must(must(instance_.get_func("self")).call())[0];
  ASSERT_FALSE(self.is_null());
  EXPECT_EQ(self.func().call().error().message, "no luck");
}

TEST_F(CallTest, ReexportedHostFunctionIsCalledDirectly) {
  auto add = typed<int32_t(int32_t, int32_t)>(instance_, "reexported");
  EXPECT_EQ(must(add(1, 2)), 3);
}

TEST_F(CallTest, WrongTypesAreErrorsThatNameThem) {
  Func add = must(instance_.get_func("call_add"));
  EXPECT_EQ(kind_of(add.call({Value(1)})), ErrorKind::type_mismatch);
  EXPECT_EQ(kind_of(add.call({Value(1), Value(2.0)})), ErrorKind::type_mismatch);
  auto wrong = instance_.get_typed<int64_t(int32_t)>("call_add");
  ASSERT_EQ(kind_of(wrong), ErrorKind::type_mismatch);
  EXPECT_NE(wrong.error().message.find("[i32 i32] -> [i32]"), std::string::npos);
  EXPECT_NE(wrong.error().message.find("[i32] -> [i64]"), std::string::npos);
}

TEST_F(CallTest, WrongNamesAreErrorsThatNameThem) {
  EXPECT_EQ(kind_of(instance_.get_func("nothing")), ErrorKind::not_found);
  auto error = instance_.get_func("mem");
  ASSERT_EQ(kind_of(error), ErrorKind::not_found);
  EXPECT_NE(error.error().message.find("memory"), std::string::npos);
}

TEST_F(CallTest, HostErrorPassesThroughTheGuestWithItsFrames) {
  auto call = typed<void()>(instance_, "call_fail");
  for (int i = 0; i < 2; ++i) {
    auto result = call();
    ASSERT_EQ(kind_of(result), ErrorKind::host);
    EXPECT_EQ(result.error().message, "no luck");
    EXPECT_FALSE(result.error().trap) << "the guest did not trap";
    const std::vector<Frame>& frames = result.error().frames();
    ASSERT_EQ(frames.size(), 2u);
    EXPECT_EQ(frames[0].func_name, "inner");
    EXPECT_EQ(frames[1].func_name, "outer");
    EXPECT_GT(frames[0].module_offset, frames[1].module_offset);
    EXPECT_TRUE(result.error().to_string().starts_with("host: no luck\n  #0 ")) << result.error().to_string();
  }
  EXPECT_EQ(must(typed<int32_t(int32_t, int32_t)>(instance_, "call_add")(1, 1)), 2);
}

TEST_F(CallTest, ErrorsOfEachKindThatTheHostReturns) {
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::internal); ++kind) {
    Linker linker(engine_);
    linker.define("env", "f", [&]() -> Result<void> { return fail(static_cast<ErrorKind>(kind), "no luck"); });
    const Instance instance = instantiate(linker, compile(engine_, kCallsHost));
    const auto result = typed<int32_t()>(instance, "run")();
    ASSERT_EQ(kind_of(result), static_cast<ErrorKind>(kind)) << kind;
    EXPECT_EQ(result.error().message, "no luck");
    EXPECT_EQ(result.error().frames().size(), 1u);
    // A trap is there for who says that it is one, and for nobody else.
    EXPECT_EQ(result.error().trap != nullptr, result.error().kind == ErrorKind::trap) << kind;
    if (result.error().trap) {
      EXPECT_EQ(result.error().trap->kind, TrapKind::host);
    }
  }
}

TEST_F(CallTest, CallerIsTheImportingInstance) {
  Linker linker(engine_);
  int data = 0;
  linker.define("env", "f", [&](Caller& caller) -> Result<void> {
    EXPECT_EQ(caller.data<int>(), &data);
    EXPECT_EQ(kind_of(caller.get_memory()), ErrorKind::not_found);
    EXPECT_EQ(kind_of(caller.read(0, {})), ErrorKind::not_found);
    ROTOR_TRY(Func other, caller.get_func("other"));
    ROTOR_TRY(auto results, other.call());
    EXPECT_EQ(results[0].i32(), 6);
    return {};
  });
  InstanceOptions options;
  options.host_data = &data;
  Instance instance = instantiate(linker, compile(engine_, kCallsHost), options);
  EXPECT_EQ(must(typed<int32_t()>(instance, "run")()), 5);
}

TEST_F(CallTest, CallerMemory) {
  linker_.define("env", "add", [](Caller& caller, int32_t a, int32_t) -> Result<int32_t> {
    uint8_t bytes[4] = {1, 2, 3, 4};
    ROTOR_CHECK(caller.write(static_cast<uint32_t>(a), bytes));
    uint8_t back[4];
    ROTOR_CHECK(caller.read(static_cast<uint32_t>(a), back));
    return back[3];
  });
  Instance instance = instantiate(linker_, module_);
  auto add = typed<int32_t(int32_t, int32_t)>(instance, "call_add");
  EXPECT_EQ(must(add(65532, 0)), 4);
  EXPECT_EQ(kind_of(add(65533, 0)), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(add(-1, 0)), ErrorKind::invalid_argument);
}

TEST_F(CallTest, NestedTrapHasTheWholeBacktrace) {
  Linker linker(engine_);
  linker.define("env", "again", [](Caller& caller, int32_t n) -> Result<void> {
    ROTOR_TRY(Func down, caller.get_func("down"));
    ROTOR_TRY(auto typed_down, down.typed<void(int32_t)>());
    return typed_down(n);
  });
  Instance instance = instantiate(linker, compile(engine_, kNested));
  auto down = typed<void(int32_t)>(instance, "down");
  auto result = down(3);
  expect_trap(result, TrapKind::unreachable);
  const auto& frames = result.error().trap->frames();
  ASSERT_EQ(frames.size(), 8u);
  for (size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(frames[i].func_name, i % 2 ? "down" : "middle") << i;
  auto deep = down(100);
  expect_trap(deep, TrapKind::unreachable);
  EXPECT_EQ(deep.error().trap->frames().size(), size_t{Trap::kMaxFrames});
}

TEST_F(CallTest, GuestAndHostInTurnEndInAnError) {
  Linker linker(engine_);
  linker.define("env", "again", [](Caller& caller, int32_t n) -> Result<void> {
    ROTOR_TRY(Func down, caller.get_func("down"));
    ROTOR_TRY(auto typed_down, down.typed<void(int32_t)>());
    return typed_down(n);
  });
  Instance instance = instantiate(linker, compile(engine_, kNested));
  auto down = typed<void(int32_t)>(instance, "down");
  std::thread([&] { expect_trap(down(-1), TrapKind::stack_overflow); }).join();
  expect_trap(down(0), TrapKind::unreachable);
}

TEST_F(CallTest, AnotherThreadInsideIsAnError) {
  Linker linker(engine_);
  Instance* running = nullptr;
  linker.define("env", "f", [&] {
    std::thread([&] {
      auto other = running->get_func("other");
      EXPECT_EQ(kind_of(other->call()), ErrorKind::invalid_argument);
    }).join();
  });
  Instance instance = instantiate(linker, compile(engine_, kCallsHost));
  running = &instance;
  EXPECT_EQ(must(typed<int32_t()>(instance, "run")()), 5);
  std::thread([&] { EXPECT_EQ(must(typed<int32_t()>(instance, "other")()), 6); }).join();
}

}  // namespace
}  // namespace rotor::runtime::test
