// Vectors through every door: calls both ways in every place that they travel in, globals, snapshots; and what
// Config::deterministic makes of numbers.
#include <bit>
#include <cmath>

#include "runtime/testing/support.h"
#include "runtime/testing/vector_modules.h"
#include "wasm/testing/assemble.h"

namespace rotor::runtime::test {
namespace {

V128 vec(uint32_t n) { return V128::of<uint32_t>({0x7fa00000 + n, n, 0xff800001 + n, ~n}); }

TEST(V128, Lanes) {
  V128 v = V128::of<uint16_t>({1, 2, 3, 4, 5, 6, 7, 0x8000});
  EXPECT_EQ(v.bytes[0], 1);
  EXPECT_EQ(v.bytes[14], 0);
  EXPECT_EQ(v.bytes[15], 0x80);
  EXPECT_EQ(v.lane<int16_t>(7), INT16_MIN);
  EXPECT_EQ(v.lane<uint32_t>(1), 0x00040003u);
  EXPECT_EQ(v.with_lane<uint8_t>(15, 7).lane<uint16_t>(7), 0x700);
  EXPECT_EQ(V128::splat<float>(1.5f), V128::of<float>({1.5f, 1.5f, 1.5f, 1.5f}));
  EXPECT_EQ(V128(), V128::splat<uint64_t>(0));
  EXPECT_NE(v, V128());
  EXPECT_EQ(to_string(V128::of<uint64_t>({1, UINT64_C(0x8000000000000000)})),
            "i32x4 0x00000001 0x00000000 0x00000000 0x80000000");
}

TEST(V128, IsAValue) {
  Value value(vec(3));
  EXPECT_EQ(value.type(), ValType::v128);
  EXPECT_EQ(value.v128(), vec(3));
  EXPECT_FALSE(value.is_null());
  EXPECT_EQ(Value(value).v128(), vec(3));
}

TEST(V128, TakesTwoSlots) {
  EXPECT_EQ(slot_count(std::array{ValType::i32, ValType::v128, ValType::v128}), 5u);
  EXPECT_EQ(detail::func_type_of<V128>().results, std::vector{ValType::v128});
}

class VectorTest : public testing::TestWithParam<OptLevel> {
 protected:
  static Config config() {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = GetParam();
    return config;
  }
  VectorTest() : engine_(must(Engine::create(config()))), module_(compile(engine_, kVectors)), linker_(engine_) {
    linker_.define("env", "add", [](V128 a, V128 b) -> V128 {
      return V128::of<uint64_t>({a.lane<uint64_t>(0) + b.lane<uint64_t>(0), a.lane<uint64_t>(1) + b.lane<uint64_t>(1)});
    });
    linker_.define("env", "two", [](Caller&, V128 v) -> Result<std::tuple<V128, double>> {
      return std::tuple<V128, double>(v, 2.5);
    });
    mixed_ = std::get<FuncType>(module_.imports()[1].type);
    linker_.define_func("env", "mixed", mixed_, [this](Caller&, Slot* slots) -> Result<void> {
      seen_.assign(slots, slots + slot_count(mixed_.params));
      detail::Results<Six>::store(slots, {vec(50), -51, vec(52), INT64_MIN, vec(54), 55.5f});
      return {};
    });
    global_ =
        must(Global::create(engine_, {.value = ValType::v128, .is_mutable = true}, Value(V128::splat<uint32_t>(7))));
    linker_.define("env", "vector", global_);
    instance_ = instantiate(linker_, module_);
  }
  using Six = std::tuple<V128, int32_t, V128, int64_t, V128, float>;

  Engine engine_;
  Module module_;
  Linker linker_;
  FuncType mixed_;
  Global global_;
  Instance instance_;
  std::vector<Slot> seen_;
};

INSTANTIATE_TEST_SUITE_P(Levels, VectorTest, testing::Values(OptLevel::o0, OptLevel::o1),
                         [](const auto& info) { return info.param == OptLevel::o0 ? "o0" : "o1"; });

TEST_P(VectorTest, TypedBothWays) {
  EXPECT_EQ(must(typed<V128(V128)>(instance_, "same")(vec(1))), vec(1));
  auto add = typed<V128(V128, V128)>(instance_, "call_add");
  EXPECT_EQ(must(add(V128::of<uint64_t>({1, UINT64_MAX}), V128::of<uint64_t>({2, 1}))), V128::of<uint64_t>({3, 0}));
  auto [d, v] = must(typed<std::tuple<double, V128>(V128)>(instance_, "call_two")(vec(9)));
  EXPECT_EQ(d, 2.5);
  EXPECT_EQ(v, vec(9));
  auto swapped =
      must(typed<std::tuple<double, V128, int32_t>(int32_t, V128, double)>(instance_, "swap")(-4, vec(5), .5));
  EXPECT_EQ(swapped, std::make_tuple(.5, vec(5), -4));
}

TEST_P(VectorTest, ManyOfThemOverflowToTheStackAndToTheResultsBuffer) {
  std::vector<Value> args;
  std::vector<Slot> expected;
  for (uint32_t i = 0; i < mixed_.params.size(); ++i) {
    ValType type = mixed_.params[i];
    if (type == ValType::v128) {
      args.emplace_back(vec(i));
      expected.push_back(vec(i).lane<uint64_t>(0));
      expected.push_back(vec(i).lane<uint64_t>(1));
    } else {
      bool is32 = type == ValType::i32 || type == ValType::f32;
      args.push_back(Value::from_bits(type, is32 ? 0xffa00000 + i : 0xfff4000000000000 + i));
      expected.push_back(args.back().bits());
    }
  }
  auto results = must(must(instance_.get_func("call_mixed")).call(args));
  EXPECT_EQ(seen_, expected);
  ASSERT_EQ(results.size(), 6u);
  EXPECT_EQ(results[0].v128(), vec(50));
  EXPECT_EQ(results[1].i32(), -51);
  EXPECT_EQ(results[2].v128(), vec(52));
  EXPECT_EQ(results[3].i64(), INT64_MIN);
  EXPECT_EQ(results[4].v128(), vec(54));
  EXPECT_EQ(results[5].f32(), 55.5f);
}

TEST_P(VectorTest, WrongTypesAreErrorsThatNameThem) {
  EXPECT_EQ(kind_of(must(instance_.get_func("same")).call({Value(1)})), ErrorKind::type_mismatch);
  auto wrong = instance_.get_typed<int32_t(int32_t)>("same");
  ASSERT_EQ(kind_of(wrong), ErrorKind::type_mismatch);
  EXPECT_EQ(wrong.error().message, "the function is of type [v128] -> [v128], not [i32] -> [i32]");
}

TEST_P(VectorTest, Globals) {
  auto own = must(instance_.get_global("own"));
  EXPECT_EQ(must(own.get()).v128(), V128::of<uint32_t>({1, 2, 3, 4}));
  must(own.set(Value(vec(8))));
  EXPECT_EQ(must(own.get()).v128(), vec(8));
  EXPECT_EQ(kind_of(own.set(Value(1))), ErrorKind::type_mismatch);
  EXPECT_EQ(must(must(instance_.get_global("fixed")).get()).v128(), V128::of<int64_t>({-1, 7}));
  EXPECT_EQ(must(must(instance_.get_global("after")).get()).i32(), 99);
  // One of the host's.
  auto add = typed<V128(V128)>(instance_, "reexported");
  EXPECT_EQ(must(add(V128::of<uint32_t>({1, 2, 3, 4}))), V128::of<uint32_t>({8, 9, 10, 11}));
  EXPECT_EQ(must(global_.get()).v128(), V128::of<uint32_t>({8, 9, 10, 11}));
  EXPECT_EQ(kind_of(Global::create(engine_, {.value = ValType::v128, .is_mutable = true}, Value(1))),
            ErrorKind::type_mismatch);
}

const std::vector<uint8_t> kVectorGlobals = wasm::test::assemble(R"(
(module
  (global (export "a") (mut i32) (i32.const 1))
  (global (export "v") (mut v128) (v128.const i64x2 2 3))
  (global (export "b") (mut i64) (i64.const 4)))
)");

TEST(VectorSnapshot, KeepsGlobals) {
  Engine engine = test::engine();
  Module module = compile(engine, kVectorGlobals);
  Linker linker(engine);
  Instance instance = instantiate(linker, module);
  must(must(instance.get_global("v")).set(Value(vec(1))));
  Snapshot snapshot = must(instance.snapshot());
  must(must(instance.get_global("v")).set(Value(vec(2))));
  EXPECT_NE(must(snapshot.digest()), must(must(instance.snapshot()).digest()));
  Instance stamped = must(must(linker.instantiate_pre(module)).instantiate(snapshot));
  EXPECT_EQ(must(must(stamped.get_global("a")).get()).i32(), 1);
  EXPECT_EQ(must(must(stamped.get_global("v")).get()).v128(), vec(1));
  EXPECT_EQ(must(must(stamped.get_global("b")).get()).i64(), 4);
}

struct Numbers {
  bool deterministic;
  const char* cpu;
};
class Deterministic : public testing::TestWithParam<std::tuple<OptLevel, Numbers>> {
 protected:
  static Engine make_engine() {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = std::get<0>(GetParam());
    config.deterministic = std::get<1>(GetParam()).deterministic;
    config.cpu = std::get<1>(GetParam()).cpu;
    return must(Engine::create(std::move(config)));
  }
  V128 call(std::string_view name, std::initializer_list<Value> args) {
    return must(must(instance_.get_func(name)).call(args))[0].v128();
  }
  bool deterministic_ = std::get<1>(GetParam()).deterministic;
  Engine engine_ = make_engine();
  Module module_ = compile(engine_, kRelaxed);
  Linker linker_{engine_};
  Instance instance_ = instantiate(linker_, module_);
};

INSTANTIATE_TEST_SUITE_P(Targets, Deterministic,
                         testing::Combine(testing::Values(OptLevel::o0, OptLevel::o1),
                                          testing::Values(Numbers{true, "native"}, Numbers{true, "baseline"},
                                                          Numbers{false, "native"}, Numbers{false, "baseline"})));

TEST_P(Deterministic, RelaxedInstructions) {
  float fused = std::fma(0x1.000004p+0f, 0x1.0002p+0f, -0x1.000204p+0f);
  bool fuses = !deterministic_ && std::get<1>(GetParam()).cpu == std::string("native") && __builtin_cpu_supports("fma");
  EXPECT_EQ(call("madd", {V128::splat(0x1.000004p+0f), V128::splat(0x1.0002p+0f), V128::splat(-0x1.000204p+0f)}),
            V128::splat(fuses ? fused : 0.f));
  EXPECT_EQ(call("dot", {V128::splat<int8_t>(-128), V128::splat<int8_t>(-128)}),
            V128::splat<int16_t>(deterministic_ ? INT16_MAX : INT16_MIN));
  EXPECT_EQ(call("swizzle", {V128::splat<uint8_t>(5), V128::splat<uint8_t>(16)}),
            V128::splat<uint8_t>(deterministic_ ? 0 : 5));
  EXPECT_EQ(call("trunc", {V128::splat(0x1p40f)}), V128::splat<int32_t>(deterministic_ ? INT32_MAX : INT32_MIN));
  EXPECT_EQ(call("select", {V128::splat<uint32_t>(UINT32_MAX), V128(), V128::splat<uint32_t>(0x80000001)}),
            V128::splat<uint32_t>(deterministic_ ? 0x80000001 : UINT32_MAX));
  EXPECT_EQ(call("min", {V128::splat(-0.f), V128::splat(0.f)}), V128::splat(deterministic_ ? -0.f : 0.f));
  EXPECT_EQ(call("q15", {V128::splat<int16_t>(INT16_MIN), V128::splat<int16_t>(INT16_MIN)}),
            V128::splat<int16_t>(deterministic_ ? INT16_MAX : INT16_MIN));
}

TEST_P(Deterministic, NaNs) {
  auto scalar = [&](std::string_view name, std::initializer_list<Value> args) {
    return must(must(instance_.get_func(name)).call(args))[0].bits();
  };
  Value payload = Value::from_bits(ValType::f32, 0xffc12345);
  EXPECT_EQ(scalar("add", {payload, Value(1.f)}), deterministic_ ? 0x7fc00000 : 0xffc12345);
  EXPECT_EQ(scalar("promote", {payload}), deterministic_ ? 0x7ff8000000000000 : 0xfff82468a0000000);
  EXPECT_EQ(scalar("sqrt", {Value(-1.0)}), deterministic_ ? 0x7ff8000000000000 : 0xfff8000000000000);
  V128 sum = call("vadd", {V128::of<uint32_t>({0xffc12345, 0, 0x7f800001, 0x3f800000}), V128()});
  EXPECT_EQ(sum.lane<uint32_t>(0), deterministic_ ? 0x7fc00000u : 0xffc12345u);
  EXPECT_EQ(sum.lane<uint32_t>(1), 0u);
  EXPECT_EQ(sum.lane<uint32_t>(2), deterministic_ ? 0x7fc00000u : 0x7fc00001u);
  EXPECT_EQ(sum.lane<uint32_t>(3), 0x3f800000u);
  EXPECT_EQ(call("demote", {V128::of<uint64_t>({0xfff8000000000001, 0})}),
            V128::of<uint32_t>({deterministic_ ? 0x7fc00000u : 0xffc00000u, 0, 0, 0}));
}

}  // namespace
}  // namespace rotor::runtime::test
