// Fuel: what instructions cost, that it is the same however their functions were compiled, and who pays for what.
#include <gtest/gtest.h>

#include <thread>

#include "runtime/testing/support.h"
#include "runtime/testing/tiers.h"
#include "wasm/testing/assemble.h"

namespace rotor::runtime::test {
namespace {

constexpr uint64_t kPlenty = 1'000'000'000;

/// A way to come to code, which what it costs must not depend on.
struct Way {
  const char* name;
  void (*set)(Config&);
  bool from_file = false;
};
const Way kWays[] = {
    {"aot o0", [](Config& c) { c.opt = OptLevel::o0; }},
    {"aot o1", [](Config&) {}},
    {"lazy", [](Config& c) { c.mode = CompileMode::lazy, c.hot_count = 1; }},
    {"eager", [](Config& c) { c.mode = CompileMode::eager, c.hot_count = 1; }},
    {"o0 in frames", [](Config& c) { c.opt = OptLevel::o0, c.compile_steps_per_byte = 0; }},
    {"o1 in frames", [](Config& c) { c.compile_steps_per_byte = 0; }},
    {"on slabs", [](Config& c) { c.slab_memories = true; }},
    {"without wide products", [](Config& c) { c.wide_products = false; }},
    {"interruptible and deterministic", [](Config& c) { c.interruptible = c.deterministic = true; }},
    {"from a code file", [](Config&) {}, true},
};

Engine engine_of(const Way& way) {
  Config config;
  config.mode = CompileMode::aot;
  config.features.gc = config.features.legacy_exceptions = true;
  config.fuel = true;
  way.set(config);
  return must(Engine::create(config));
}
InstanceOptions given(uint64_t fuel) {
  InstanceOptions options;
  options.fuel = fuel;
  return options;
}

Engine metered_engine() { return engine_of(kWays[1]); }

Module compile_by(const Way& way, const Engine& engine, std::span<const uint8_t> bytes) {
  Module module = compile(engine, bytes);
  return way.from_file ? must(Module::deserialize(engine, must(module.serialize()))) : module;
}

Instance with_fuel(const Engine& engine, const char* text, uint64_t fuel = kPlenty, const Linker* linker = nullptr) {
  return instantiate(linker ? *linker : Linker(engine), compile(engine, wasm::test::assemble(text)), given(fuel));
}

/// Returns what a call of an export without parameters takes.
uint64_t price_of(const Instance& instance, std::string_view name) {
  must(instance.set_fuel(kPlenty));
  (void)must(instance.get_func(name)).call();
  return kPlenty - must(instance.fuel());
}

struct Priced {
  const char* name;
  const char* body;
  uint64_t units;  ///< of a call
};
/// A unit for the entry, and one for each instruction but those that only say where code is.
constexpr Priced kPriced[] = {
    {"nothing", "", 1},
    {"free", "nop (block (block)) (loop) (drop (i32.const 0)) return", 2},
    {"numbers", "(drop (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3))))", 6},
    {"then", "(if (i32.const 1) (then nop (drop (i32.const 0))) (else (drop (i64.const 1)) (drop (i64.const 2))))", 4},
    {"else", "(if (i32.const 0) (then (drop (i32.const 0))) (else (drop (i64.const 1)) (drop (i64.const 2))))", 5},
    {"no else", "(if (i32.const 0) (then (drop (i32.const 0)) (drop (i32.const 0))))", 3},
    {"past", "(block (br 0) (drop (i32.const 1)) (drop (i32.const 2)))", 2},
    {"taken", "(block (br_if 0 (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 2)))", 3},
    {"not taken", "(block (br_if 0 (i32.const 0)) (drop (i32.const 1)) (drop (i32.const 2)))", 5},
    {"table", "(block (block (br_table 0 1 (i32.const 1))) (drop (i32.const 1)))", 3},
    {"turns",
     "(local $n i32) (loop $l (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const "
     "10))))",
     71},
    {"calls", "(call $callee) (call $callee) (drop (i32.const 0))", 10},
    {"calls by the table", "(call_indirect (type $none) (i32.const 0))", 6},
    {"tail call", "(return_call $callee)", 5},
    {"a trap", "(drop (i32.const 1)) unreachable", 2},
    {"the rest is paid before a trap", "(drop (i32.div_u (i32.const 1) (i32.const 0))) (drop (i32.const 1))", 5},
    {"an access that faults", "(drop (i32.const 1)) (i32.store (i32.const -4) (i32.const 0)) (drop (i32.const 1))", 6},
    {"throw", "(block $b (try_table (catch $e $b) (throw $e)) (drop (i32.const 1))) (drop (i32.const 1))", 3},
    {"thrown by a callee", "(block $b (try_table (catch_all $b) (call $thrower) (drop (i32.const 1))))", 5},
    {"legacy", "(try (do (call $thrower)) (catch $e (drop (i32.const 1)) (drop (i32.const 2))))", 6},
    {"few locals", "(local i64 i64 i64 i64 i64 i64 i64 i64)", 1},
    {"fill", "(memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))", 5 + 65536},
    {"short fill", "(memory.fill (i32.const 0) (i32.const 1) (i32.const 63))", 5 + 63},
    {"copy", "(memory.copy (i32.const 0) (i32.const 1) (i32.const 128))", 5 + 128},
    {"init", "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 64))", 5 + 64},
    {"table fill", "(table.fill $t (i32.const 8) (ref.null func) (i32.const 16))", 5 + 16},
    {"table copy", "(table.copy $t $t (i32.const 8) (i32.const 9) (i32.const 8))", 5 + 8},
    {"table init", "(table.init $t $f (i32.const 8) (i32.const 0) (i32.const 8))", 5 + 8},
    {"table grow", "(drop (table.grow $t (ref.null func) (i32.const 80)))", 4 + 80},
    {"refused growth", "(drop (table.grow $t (ref.null func) (i32.const 0x7fffffff)))", 4},
    {"refused pages", "(drop (memory.grow (i32.const 1000)))", 3},
    {"memory grow", "(drop (memory.grow (i32.const 1)))", 3 + 1},
    {"array", "(drop (array.new $a (i32.const 7) (i32.const 64)))", 4 + 64},
    {"array default", "(drop (array.new_default $a (i32.const 64)))", 3 + 64},
    {"array fixed", "(drop (array.new_fixed $a 2 (i32.const 7) (i32.const 64)))", 4},
    {"array data", "(drop (array.new_data $a $d (i32.const 0) (i32.const 16)))", 4 + 16},
    {"structure", "(drop (struct.new_default $s))", 2 + 1},
};

std::string priced_module() {
  std::string text = R"(
    (type $none (func)) (type $a (array (mut i32)))
    (type $s (struct (field i32) (field i32) (field i32) (field i32) (field i32) (field i32) (field i32) (field i32)
                     (field i32)))
    (memory 1 4) (table $t 32 200 funcref) (elem (table $t) (i32.const 0) func $callee)
    (elem $f func $callee $callee $callee $callee $callee $callee $callee $callee) (data $d ")" +
                     std::string(64, 'x') + R"(") (tag $e)
    (func $callee (drop (i32.const 1)) (drop (i32.const 2)))
    (func $thrower (throw $e)))";
  for (const Priced& priced : kPriced)
    text += std::string("(func (export \"") + priced.name + "\") " + priced.body + ")\n";
  return "(module " + text + ")";
}

TEST(Fuel, CostsWhatThePageSaysInEachWay) {
  const std::vector<uint8_t> bytes = wasm::test::assemble(priced_module());
  for (const Way& way : kWays) {
    const Engine engine = engine_of(way);
    const Instance instance = instantiate(Linker(engine), compile_by(way, engine, bytes));
    for (const Priced& priced : kPriced)
      EXPECT_EQ(price_of(instance, priced.name), priced.units) << way.name << ": " << priced.name;
  }
}

TEST(Fuel, LocalsArePaidForWhereTheyAreMany) {
  std::string locals;
  for (int i = 0; i < 64; ++i) locals += " i64";
  const Engine engine = metered_engine();
  const Instance instance =
      with_fuel(engine, ("(module (func (export \"f\") (param i32) (local" + locals + ")))").c_str());
  must(instance.set_fuel(kPlenty));
  must(typed<void(int32_t)>(instance, "f")(1));
  EXPECT_EQ(must(instance.fuel()), kPlenty - 1 - 8);
}

TEST(Fuel, IsTheSameForEachCallInEachWay) {
  std::vector<uint64_t> first;
  for (const Way& way : kWays) {
    const Engine engine = engine_of(way);
    const Module module = compile_by(way, engine, kTiers);
    const Instance instance = instantiate(host_linker(engine), module, given(kPlenty));
    std::vector<uint64_t> units;
    for (int round = 0; round < 3; ++round) {
      for (const Call& call : calls()) {
        if (std::string_view(call.name) == "forever")
          continue;  // how deep the stack goes is not the same at all levels
        must(instance.set_fuel(kPlenty));
        (void)must(instance.get_func(call.name)).call(call.args);
        units.push_back(kPlenty - must(instance.fuel()));
      }
      settle(module);  // the next round is another tier's
    }
    if (first.empty()) first = units;
    EXPECT_EQ(units, first) << way.name;
  }
}

constexpr const char* kCounter = R"((module
  (memory (export "m") 1)
  (func $turns (export "turns")
    (loop $l (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (br $l)))
  (func (export "outer") (call $turns))
  (func (export "answer") (result i32) (i32.const 42))))";

TEST(Fuel, EndsACallWhereItIsUsedUp) {
  for (const Way& way : kWays) {
    const Engine engine = engine_of(way);
    const Instance instance =
        instantiate(Linker(engine), compile_by(way, engine, wasm::test::assemble(kCounter)), given(100));
    const auto result = typed<void()>(instance, "outer")();
    expect_trap(result, TrapKind::out_of_fuel);
    const std::vector<Frame>& frames = result.error().frames();
    ASSERT_EQ(frames.size(), 2u) << way.name;
    EXPECT_EQ(frames[0].func_index, 0u);
    EXPECT_EQ(frames[1].func_index, 1u);
    EXPECT_NE(frames[0].module_offset, 0u);
    // Two units for `outer`, one for the entry of `turns`, and 7 a turn: 13 are paid, and of the next none was run.
    uint32_t stored = 0;
    must(must(instance.get_memory("m")).read(0, {reinterpret_cast<uint8_t*>(&stored), 4}));
    EXPECT_EQ(stored, 13u) << way.name;
    EXPECT_EQ(must(instance.fuel()), 0u);
    // It can be called again, if there is fuel again.
    expect_trap(typed<int32_t()>(instance, "answer")(), TrapKind::out_of_fuel);
    must(instance.set_fuel(2));
    EXPECT_EQ(must(typed<int32_t()>(instance, "answer")()), 42);
    EXPECT_EQ(must(instance.fuel()), 0u);
  }
}

TEST(Fuel, NothingRunsForEverWithoutIt) {
  const char* text = R"((module
    (type $none (func)) (tag $e) (memory 1) (table 1 funcref) (elem (i32.const 0) $round)
    (func $tail (export "tail") (return_call $tail))
    (func $round (export "round") (return_call_indirect (type $none) (i32.const 0)))
    (func (export "catches") (loop $l (try_table (catch $e $l) (throw $e))))
    (func $thrower (throw $e))
    (func (export "catches calls") (loop $l (try_table (catch_all $l) (call $thrower))))
    (func (export "legacy") (loop $l (try (do (throw $e)) (catch $e (br $l)))))
    (func (export "nested") (loop $a (loop $b (br_if $b (i32.const 0)) (br $a))))
    (func (export "table") (loop $l (br_table $l $l (i32.const 7))))
    (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const -1)))
    (func (export "fills") (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $l)))))";
  const std::vector<uint8_t> bytes = wasm::test::assemble(text);
  for (const Way& way : kWays) {
    const Engine engine = engine_of(way);
    const Instance instance = instantiate(Linker(engine), compile_by(way, engine, bytes));
    for (const char* name :
         {"tail", "round", "catches", "catches calls", "legacy", "nested", "table", "fill", "fills"}) {
      must(instance.set_fuel(100'000));
      SCOPED_TRACE(std::string(way.name) + ": " + name);
      expect_trap(typed<void()>(instance, name)(), TrapKind::out_of_fuel);
    }
  }
}

TEST(Fuel, RunsOverByNoMoreThanWhatFramesHaveInFrontOfThem) {
  // Each frame has three instructions after its call, which nobody looks at any more.
  const Engine engine = metered_engine();
  const Instance instance = with_fuel(engine, R"((module (global $g (mut i32) (i32.const 0))
    (func $f (export "f") (param i32)
      (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))))
      (global.set $g (i32.add (global.get $g) (i32.const 1))))
    (func (export "g") (result i32) (global.get $g))))");
  const auto f = typed<void(int32_t)>(instance, "f");
  must(f(1000));
  const uint64_t all = kPlenty - must(instance.fuel());
  // The last entry was paid, and what follows it: the thousand others' ends were not.
  must(instance.set_fuel(all - 4 * 1000));
  must(f(1000));
  EXPECT_EQ(must(instance.fuel()), 0u);
  expect_trap(f(1000), TrapKind::out_of_fuel);
  // What was run beyond the end is forgiven, and does not pile up.
  must(instance.add_fuel(2));
  EXPECT_EQ(must(instance.fuel()), 2u);
}

TEST(Fuel, AnAccountHoldsNoMoreThanItCan) {
  const Engine engine = metered_engine();
  const Instance instance = with_fuel(engine, kCounter, 0);
  constexpr uint64_t kMost = INT64_MAX;
  must(instance.set_fuel(UINT64_MAX));
  EXPECT_EQ(must(instance.fuel()), kMost);
  must(instance.add_fuel(UINT64_MAX));
  EXPECT_EQ(must(instance.fuel()), kMost);
  must(instance.set_fuel(kMost - 1));
  must(instance.add_fuel(1));
  EXPECT_EQ(must(instance.fuel()), kMost);
  EXPECT_EQ(must(typed<int32_t()>(instance, "answer")()), 42);
  EXPECT_EQ(must(instance.fuel()), kMost - 2);
}

TEST(Fuel, AnAccountDoesNotWrapHoweverOftenItIsOverdrawn) {
  const Engine engine = metered_engine();
  const Instance instance = with_fuel(engine, R"((module (memory i64 1)
    (func (export "f") (memory.fill (i64.const 0) (i32.const 1) (i64.const -1)))))");
  for (int i = 0; i < 100; ++i) {
    ASSERT_NO_FATAL_FAILURE(expect_trap(typed<void()>(instance, "f")(), TrapKind::out_of_fuel)) << i;
    EXPECT_EQ(must(instance.fuel()), 0u);
  }
}

TEST(Fuel, HostFunctionsAndWhatTheyCallDrawFromTheSameAccount) {
  const Engine engine = metered_engine();
  Linker linker(engine);
  std::vector<uint64_t> seen;
  linker.define("env", "host", [&](Caller& caller, int32_t takes) -> Result<void> {
    ROTOR_TRY(const uint64_t before, caller.fuel());
    seen.push_back(before);
    ROTOR_CHECK(caller.call("two"));
    ROTOR_TRY(const uint64_t after, caller.fuel());
    seen.push_back(after);
    return takes < 0 ? Result<void>() : caller.set_fuel(static_cast<uint64_t>(takes));
  });
  const Instance instance = with_fuel(engine, R"((module
    (import "env" "host" (func $host (param i32)))
    (func (export "two") (drop (i32.const 0)))
    (func (export "f") (param i32) (call $host (local.get 0)) (loop (drop (i32.const 0))))))",
                                      100, &linker);
  const auto f = typed<void(int32_t)>(instance, "f");
  must(f(-1));
  EXPECT_EQ(seen, (std::vector<uint64_t>{97, 95}));
  EXPECT_EQ(must(instance.fuel()), 94u);
  // A host function may fill the account, or take the rest away.
  must(f(7));
  EXPECT_EQ(must(instance.fuel()), 6u);
  expect_trap(f(0), TrapKind::out_of_fuel);
}

TEST(Fuel, InstancesThatAreLinkedHaveOneAccount) {
  const Engine engine = metered_engine();
  const Instance a = with_fuel(engine, R"((module (func (export "f") (drop (i32.const 1)))))", 10);
  Linker linker(engine);
  linker.define_instance("a", a);
  const Instance b =
      with_fuel(engine, R"((module (import "a" "f" (func $f)) (func (export "g") (call $f))))", 20, &linker);
  EXPECT_EQ(must(a.fuel()), 30u);
  must(typed<void()>(b, "g")());
  EXPECT_EQ(must(a.fuel()), 26u);
  EXPECT_EQ(must(b.fuel()), 26u);
  const Instance alone = with_fuel(engine, R"((module (func (export "f"))))", 5);
  must(typed<void()>(alone, "f")());
  EXPECT_EQ(must(alone.fuel()), 4u);
  EXPECT_EQ(must(a.fuel()), 26u);
  // Groups that are joined later: a function of one goes into a table of the other.
  const Instance table = with_fuel(engine, R"((module (table (export "t") 1 funcref)))", 100);
  must(must(table.get_table("t")).set(0, Value(must(a.get_func("f")))));
  EXPECT_EQ(must(a.fuel()), 126u);
  EXPECT_EQ(must(table.fuel()), 126u);
}

TEST(Fuel, TheStartFunctionDrawsFromWhatTheInstanceIsMadeWith) {
  const Engine engine = metered_engine();
  const Module module = compile(engine, wasm::test::assemble(R"((module
    (func $s (loop $l (drop (i32.const 1)))) (start $s) (func (export "f"))))"));
  const Linker linker(engine);
  auto without = linker.instantiate(module);
  ASSERT_FALSE(without);
  ASSERT_TRUE(without.error().trap);
  EXPECT_EQ(without.error().trap->kind, TrapKind::out_of_fuel);
  EXPECT_EQ(without.error().message, "out of fuel: none was given (Instance::set_fuel, InstanceOptions::fuel)");
  auto too_little = linker.instantiate(module, given(1));
  ASSERT_FALSE(too_little);
  EXPECT_EQ(too_little.error().message, "out of fuel");
  const Instance instance = must(linker.instantiate(module, given(10)));
  EXPECT_EQ(must(instance.fuel()), 8u);
  // An instance in the place of one before begins with nothing.
  for (int i = 0; i < 3; ++i) {
    const Module plain = compile(engine, wasm::test::assemble(R"((module (func (export "f"))))"));
    InstancePre pre = must(linker.instantiate_pre(plain));
    {
      must(typed<void()>(must(pre.instantiate(given(100))), "f")());
    }
    EXPECT_EQ(must(must(pre.instantiate()).fuel()), 0u);
  }
}

TEST(Fuel, IsNoPartOfASnapshot) {
  const Engine engine = metered_engine();
  Linker linker(engine);
  const Module module = compile(engine, wasm::test::assemble(kCounter));
  const Instance first = must(linker.instantiate(module, given(50)));
  const Snapshot snapshot = must(first.snapshot());
  InstancePre pre = must(linker.instantiate_pre(module));
  EXPECT_EQ(must(must(pre.instantiate(snapshot)).fuel()), 0u);
  const Instance second = must(pre.instantiate(snapshot, given(7)));
  EXPECT_EQ(must(second.fuel()), 7u);
  EXPECT_EQ(must(first.fuel()), 50u);
}

TEST(Fuel, IsRefusedWhereCodeDoesNotPay) {
  const Engine plain = engine();
  const Module module = compile(plain, wasm::test::assemble(kCounter));
  EXPECT_FALSE(module.uses_fuel());
  const Instance instance = instantiate(Linker(plain), module);
  EXPECT_EQ(kind_of(instance.fuel()), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(instance.set_fuel(1)), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(instance.add_fuel(1)), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(Linker(plain).instantiate(module, given(1))), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(Instance().fuel()), ErrorKind::stale_handle);

  // Code files of the other setting, both ways.
  const Engine metered = metered_engine();
  const Module paying = compile(metered, wasm::test::assemble(kCounter));
  EXPECT_TRUE(paying.uses_fuel());
  const auto without = Module::deserialize(metered, must(module.serialize()));
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().kind, ErrorKind::unsupported);
  EXPECT_EQ(without.error().message, "serialized module: compiled without Config::fuel, and the engine is one with");
  const auto with = Module::deserialize(plain, must(paying.serialize()));
  ASSERT_FALSE(with);
  EXPECT_EQ(with.error().message, "serialized module: compiled with Config::fuel, and the engine is one without");
}

TEST(Fuel, IsForTheThreadThatIsInside) {
  const Engine engine = metered_engine();
  const Instance instance = with_fuel(engine, kCounter, 10);
  {
    const Stay stay = must(instance.stay());
    EXPECT_EQ(must(instance.fuel()), 10u);
    std::thread([&] { EXPECT_EQ(kind_of(instance.set_fuel(1)), ErrorKind::invalid_argument); }).join();
  }
  std::thread([&] { must(instance.set_fuel(3)); }).join();
  EXPECT_EQ(must(instance.fuel()), 3u);
}

}  // namespace
}  // namespace rotor::runtime::test
