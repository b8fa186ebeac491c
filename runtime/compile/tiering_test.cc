// Functions that are compiled when they are called, and again when they are hot.
#include <algorithm>
#include <barrier>
#include <chrono>
#include <optional>
#include <thread>

#include "code/abi.h"
#include "code/code_image.h"
#include "code/run_page.h"
#include "code/stubs.h"
#include "runtime/access.h"
#include "runtime/enter/func.h"
#include "runtime/module.h"
#include "runtime/testing/support.h"
#include "runtime/testing/tier_modules.h"
#include "runtime/testing/tiers.h"

namespace rotor::runtime::test {
namespace {

using namespace std::chrono_literals;

const code::FuncRef& func_ref(const Func& func) { return *runtime::func_ref_of(func); }

// What follows in every mode.

struct Setting {
  CompileMode mode;
  OptLevel opt;
  uint32_t hot_count;
  unsigned workers;
  const char* name;
};

class EveryMode : public testing::TestWithParam<Setting> {
 protected:
  Engine engine() { return engine_of(GetParam().mode, GetParam().hot_count, GetParam().opt, GetParam().workers); }
};
INSTANTIATE_TEST_SUITE_P(Modes, EveryMode,
                         testing::Values(Setting{CompileMode::aot, OptLevel::o0, 1, 0, "aot_o0"},
                                         Setting{CompileMode::aot, OptLevel::o1, 1, 0, "aot_o1"},
                                         Setting{CompileMode::eager, OptLevel::o0, 1, 0, "eager_o0"},
                                         Setting{CompileMode::eager, OptLevel::o1, 1, 0, "eager_hot"},
                                         Setting{CompileMode::eager, OptLevel::o1, 4000, 0, "eager"},
                                         Setting{CompileMode::lazy, OptLevel::o0, 1, 0, "lazy_o0"},
                                         Setting{CompileMode::lazy, OptLevel::o1, 1, 0, "lazy_hot"},
                                         Setting{CompileMode::lazy, OptLevel::o1, 1, 1, "lazy_hot_one_worker"},
                                         Setting{CompileMode::lazy, OptLevel::o1, 4000, 0, "lazy"}),
                         [](const auto& setting) { return setting.param.name; });

TEST_P(EveryMode, GivesTheSameResultsAndTraps) {
  Engine e = engine();
  Module module = compile(e, kTiers);
  Instance instance = instantiate(host_linker(e), module);
  expect_outcomes(instance, "first");
  for (int round = 0; round < 3; ++round) expect_outcomes(instance, "while hot functions are compiled");
  settle(module);
  expect_outcomes(instance, "after that");
  bool tiers = GetParam().mode != CompileMode::aot;
  if (tiers && GetParam().opt == OptLevel::o1 && GetParam().hot_count == 1) {
    // Everything was called often enough but for `count`.
    EXPECT_EQ(module.tier_stats().tier1_functions, module.tier_stats().functions - 1);
  }
  if (tiers && GetParam().opt == OptLevel::o0) {
    EXPECT_EQ(module.tier_stats().tier1_compiled, 0u);
  }
}

TEST_P(EveryMode, TrapsTellTheInstruction) {
  Engine e = engine();
  Module module = compile(e, kTiers);
  Instance instance = instantiate(host_linker(e), module);
  for (int round = 0; round < 3; ++round) {
    auto opcode_at = [&](const Frame& frame) { return kTiers[frame.module_offset]; };
    auto trapped = must(instance.get_func("outer")).call({Value(1), Value(-1)});
    expect_trap(trapped, TrapKind::out_of_bounds_memory);
    const std::vector<Frame>& frames = trapped.error().trap->frames();
    ASSERT_EQ(frames.size(), 3u);
    EXPECT_EQ(frames[0].func_name, "peek");
    EXPECT_EQ(opcode_at(frames[0]), 0x28);  // i32.load
    EXPECT_EQ(frames[1].func_name, "inner");
    EXPECT_EQ(opcode_at(frames[1]), 0x11);  // call_indirect
    EXPECT_EQ(frames[2].func_name, "outer");
    EXPECT_EQ(opcode_at(frames[2]), 0x10);  // call
    EXPECT_EQ(frames[2].module_name, "tiers");
    settle(module);
  }
}

TEST_P(EveryMode, StateStaysWhileTiersChange) {
  Engine e = engine();
  Module module = compile(e, kTiers);
  Instance a = instantiate(host_linker(e), module), b = instantiate(host_linker(e), module);
  auto count_a = typed<int32_t()>(a, "count"), count_b = typed<int32_t()>(b, "count");
  for (int i = 1; i <= 100; ++i) {
    ASSERT_EQ(must(count_a()), i);
    if (i == 50) settle(module);
  }
  EXPECT_EQ(must(count_b()), 1);
}

TEST_P(EveryMode, StartFunctionsRun) {
  Engine e = engine();
  Module module = compile(e, kStartLoop);
  for (int i = 0; i < 3; ++i) {
    Instance instance = instantiate(Linker(e), module);
    EXPECT_EQ(must(typed<int32_t()>(instance, "get")()), 5050);
    settle(module);
  }
}

TEST_P(EveryMode, StartFunctionsTrap) {
  Engine e = engine();
  Instance provider = instantiate(Linker(e), compile(e, kProvider));
  Linker linker(e);
  linker.define_instance("p", provider);
  Module module = compile(e, kStartTrap);
  for (int i = 0; i < 3; ++i) {
    auto result = linker.instantiate(module);
    ASSERT_FALSE(result);
    expect_trap(result, TrapKind::unreachable);
    ASSERT_EQ(result.error().trap->frames().size(), 1u);
    EXPECT_EQ(result.error().trap->frames()[0].func_name, "start");
    settle(module);
  }
}

/// A function that only a table, a reference or another module's instance leads to.
TEST_P(EveryMode, FunctionsAreReachedFromElsewhere) {
  Engine e = engine();
  Module module = compile(e, kTiers);
  Instance owner = instantiate(host_linker(e), module);
  Linker linker(e);
  linker.define_instance("t", owner);
  Module other = compile(e, kTierImporter);
  Instance importer = instantiate(linker, other);
  auto twice = typed<int32_t(int32_t)>(importer, "twice");
  auto through = typed<int32_t(int32_t, int32_t)>(importer, "through");
  auto indirect = typed<int32_t(int32_t, int32_t)>(owner, "indirect");
  Table table = must(owner.get_table("table"));
  // What stands for a function, to guests and to the host, never changes.
  Func square = must(owner.get_func("square")), in_table = must(table.get(2)).func();
  const void* square_code = func_ref(square).code;
  const void* fib_code = func_ref(in_table).code;
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(must(twice(9)), 162);
    ASSERT_EQ(must(through(2, 10)), 55);  // fib, of the owner
    ASSERT_EQ(must(through(6, 3)), 27);   // cube, of the importer, which calls square of the owner
    ASSERT_EQ(must(indirect(6, 4)), 64);  // from the owner into the importer
    ASSERT_EQ(must(must(table.get(2)).func().call({Value(11)}))[0].i32(), 89);
    if (round % 5 == 0) {
      settle(module);
      settle(other);
    }
  }
  if (GetParam().mode != CompileMode::aot) {
    const uint8_t* stubs = impl_of(module).region().text();
    EXPECT_EQ(square_code, stubs + code::Stubs::stub(0));
    EXPECT_EQ(fib_code, stubs + code::Stubs::stub(2));
  }
  EXPECT_EQ(func_ref(square).code, square_code);
  EXPECT_EQ(func_ref(in_table).code, fib_code);
  EXPECT_EQ(func_ref(must(owner.get_func("square"))).code, square_code);
  EXPECT_EQ(func_ref(must(table.get(2)).func()).code, fib_code);
  if (GetParam().mode != CompileMode::aot && GetParam().opt == OptLevel::o1 && GetParam().hot_count == 1) {
    EXPECT_GT(module.tier_stats().tier1_functions, 0u);
    EXPECT_EQ(other.tier_stats().tier1_functions, other.tier_stats().functions);
  }
}

TEST_P(EveryMode, ModulesWithoutFunctions) {
  Engine e = engine();
  const std::vector<uint8_t> empty = wasm::test::module({});
  Module module = compile(e, empty);
  EXPECT_EQ(module.tier_stats().functions, 0u);
  EXPECT_TRUE(instantiate(Linker(e), module));

  Module imports = compile(e, kOnlyImports);
  EXPECT_EQ(imports.tier_stats().functions, 0u);
  Linker linker = host_linker(e);
  linker.define("env", "memory", must(Memory::create(e, {.limits = {.min = 1}})));
  Instance instance = instantiate(linker, imports);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "host")(8)), 15);
  EXPECT_EQ(must(instance.get_memory("memory")).size_pages(), 1u);
}

TEST_P(EveryMode, TheFirstBadFunctionIsReported) {
  // Enough of them that several threads validate or compile, and meet bad ones in any order.
  const std::vector<uint8_t> bytes = bad_functions(3000, {2900, 1500, 700, 431, 430});
  Result<void> expected = Module::validate({}, bytes);
  ASSERT_EQ(kind_of(expected), ErrorKind::invalid);
  // What validates from first to last meets number 430 first: its body is the only one whose end is there.
  auto alone = Module::validate({}, bad_functions(3000, {430}));
  EXPECT_EQ(expected.error().offset, alone.error().offset);
  for (int i = 0; i < 20; ++i) {
    Engine e = engine();
    auto compiled = Module::compile(e, bytes);
    ASSERT_EQ(kind_of(compiled), ErrorKind::invalid);
    ASSERT_EQ(compiled.error().message, expected.error().message);
    ASSERT_EQ(compiled.error().offset, expected.error().offset);
  }
}

TEST_P(EveryMode, HugeFunctionsRun) {
  Engine e = engine();
  Module module = compile(e, many_locals(1500));
  Instance instance = instantiate(Linker(e), module);
  auto big = typed<int32_t(int32_t)>(instance, "big"), small = typed<int32_t(int32_t)>(instance, "small");
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(must(big(i)), i + 1);
    ASSERT_EQ(must(small(i)), i + 1);
    if (i == 20) settle(module);
  }
  settle(module);
  TierStats stats = module.tier_stats();
  if (GetParam().mode != CompileMode::aot && GetParam().opt == OptLevel::o1 && GetParam().hot_count == 1) {
    EXPECT_EQ(stats.tier1_functions, 1u) << "the small one alone";
    EXPECT_EQ(stats.tier1_compiled, 1u);
  }
  EXPECT_EQ(must(big(1)), 2);
}

TEST_P(EveryMode, CodeMayBeMuchLargerThanItsWasm) {
  Engine e = engine();
  Module module = must(Module::compile(e, much_code(4, 10)));
  Instance instance = instantiate(Linker(e), module);
  for (int i = 0; i < 4; ++i) {
    auto result = typed<int32_t()>(instance, "g" + std::to_string(i))();
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ(*result, i);
  }
}

/// Runs `body(thread)` on that many threads, which start together.
template <class Body>
void on_threads(unsigned count, Body body) {
  std::barrier<> start(count);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < count; ++t)
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      body(t);
    });
  for (std::thread& thread : threads) thread.join();
}

constexpr unsigned kThreads = 16;

TEST_P(EveryMode, ThreadsShareAModuleThatGetsHot) {
  constexpr uint32_t kFunctions = 60;
  Engine e = engine();
  Module module = compile(e, many_functions(kFunctions, 20));
  auto end = std::chrono::steady_clock::now() + 500ms;
  on_threads(kThreads, [&](unsigned thread) {
    Instance own = instantiate(Linker(e), module);
    auto call = typed<int32_t(int32_t, int32_t)>(own, "call");
    // 13 has no divisor in common with 60: each function has its turns.
    uint32_t f = thread * 7 % kFunctions;
    for (uint32_t x = 0; x < 5 * kFunctions || std::chrono::steady_clock::now() < end; ++x) {
      f = (f + 13) % kFunctions;
      auto result = call(static_cast<int32_t>(f), static_cast<int32_t>(x));
      ASSERT_TRUE(result) << result.error().to_string();
      ASSERT_EQ(static_cast<uint32_t>(*result), many_functions_result(f, x));
    }
  });
  settle(module);
  TierStats stats = module.tier_stats();
  if (GetParam().mode == CompileMode::aot) return;
  EXPECT_EQ(stats.tier0_functions, kFunctions + 1);
  EXPECT_EQ(stats.tier0_compiled, GetParam().mode == CompileMode::lazy ? kFunctions + 1 : 0);
  EXPECT_EQ(stats.tier1_compiled, stats.tier1_functions);
  // At other counts it depends on the machine how many got hot in that time.
  if (GetParam().opt == OptLevel::o0) {
    EXPECT_EQ(stats.tier1_functions, 0u);
  } else if (GetParam().hot_count == 1) {
    EXPECT_EQ(stats.tier1_functions, kFunctions + 1);
  }
}

// What is of the mode lazy.

TEST(Lazy, OnlyWhatIsCalledIsCompiled) {
  Engine e = engine_of(CompileMode::lazy, 1'000'000);
  Module module = compile(e, kReach);
  Instance instance = instantiate(Linker(e), module);
  auto tier0 = [&] { return module.tier_stats().tier0_functions; };
  EXPECT_EQ(module.tier_stats().functions, 10u);
  EXPECT_EQ(tier0(), 0u);
  EXPECT_EQ(module.tier_stats().tier0_compiled, 0u);

  EXPECT_EQ(must(typed<int32_t()>(instance, "d")()), 70);
  EXPECT_EQ(tier0(), 1u);
  // A reference to a function and its place in a table are no calls.
  EXPECT_FALSE(must(must(instance.get_func("reference")).call())[0].is_null());
  EXPECT_EQ(tier0(), 2u);
  EXPECT_EQ(must(typed<int32_t()>(instance, "e")()), 50);
  EXPECT_EQ(tier0(), 4u) << "what the table held was called";

  // a, b and c run; `rarely` is guessed, and nothing behind it.
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "a")(0)), 3);
  EXPECT_GE(tier0(), 7u);
  std::this_thread::sleep_for(200ms);
  EXPECT_LE(tier0(), 8u);
  EXPECT_EQ(module.tier_stats().tier0_compiled, tier0());
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "a")(1)), 31);
  EXPECT_EQ(tier0(), 9u) << "all but by_reference";
  EXPECT_EQ(module.tier_stats().tier0_compiled, 9u);
  EXPECT_EQ(module.tier_stats().tier1_compiled, 0u);
}

TEST(Lazy, WhatIsCalledByNameIsCompiledMeanwhile) {
  Engine e = engine_of(CompileMode::lazy, 1'000'000, OptLevel::o1, 2);
  Module module = compile(e, kReach);
  Instance instance = instantiate(Linker(e), module);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "a")(0)), 3);
  for (int ms = 0; ms < 20'000 && module.tier_stats().tier0_functions < 4; ++ms) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(module.tier_stats().tier0_functions, 4u) << "a, b, c, and `rarely`, which was not called";
  // A thread that is alone has none to spare.
  Engine single = engine_of(CompileMode::lazy, 1'000'000, OptLevel::o1, 1);
  Module other = compile(single, kReach);
  Instance again = instantiate(Linker(single), other);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(again, "a")(0)), 3);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(again, "a")(1)), 31);
  EXPECT_EQ(other.tier_stats().tier0_compiled, 5u);
}

TEST(Lazy, ColdFunctionsStayTier0) {
  Engine e = engine_of(CompileMode::lazy, 1000);
  Module module = compile(e, kTiers);
  Instance instance = instantiate(host_linker(e), module);
  auto square = typed<int32_t(int32_t)>(instance, "square");
  for (int i = 0; i < 900; ++i) ASSERT_EQ(must(square(i)), i * i);
  settle(module);
  EXPECT_EQ(module.tier_stats().tier1_functions, 0u);
  for (int i = 0; i < 200; ++i) ASSERT_EQ(must(square(i)), i * i);
  settle(module);
  EXPECT_EQ(module.tier_stats().tier1_functions, 1u);
  EXPECT_EQ(module.tier_stats().tier1_compiled, 1u);
}

TEST(Lazy, ALoopGetsItsFunctionHotInOneCall) {
  Engine e = engine_of(CompileMode::lazy, 5000);
  Module module = compile(e, kTiers);
  Instance instance = instantiate(host_linker(e), module);
  auto sum = typed<int64_t(int32_t)>(instance, "sum");
  auto expected = [](uint32_t n) {
    uint64_t s = 0;
    do s = s * 3 + n;
    while (--n);
    return s;
  };
  EXPECT_EQ(static_cast<uint64_t>(must(sum(4000))), expected(4000));
  settle(module);
  EXPECT_EQ(module.tier_stats().tier1_functions, 0u);
  EXPECT_EQ(static_cast<uint64_t>(must(sum(3'000'000))), expected(3'000'000));
  settle(module);
  EXPECT_EQ(module.tier_stats().tier1_functions, 1u);
  EXPECT_EQ(static_cast<uint64_t>(must(sum(100'000))), expected(100'000));
}

TEST(Lazy, HotCodeRuns) {
  Engine e = engine_of(CompileMode::lazy);
  Module module = compile(e, kTiers);
  Instance instance = instantiate(host_linker(e), module);
  auto frames = [&] {
    auto result = must(instance.get_func("down")).call({Value(50)});
    return result.error().trap->frames().size();
  };
  EXPECT_EQ(frames(), 52u);
  auto slot_of = [&](const char* name) {
    uint32_t func = 0;
    for (const wasm::Export& item : impl_of(module).wasm().exports)
      if (item.name == name) func = item.index - impl_of(module).wasm().imported_funcs;
    uint64_t code;
    code::RunPageLayout layout(impl_of(module).wasm());
    std::memcpy(&code, impl_of(module).region().run_page() + layout.slot(func), sizeof code);
    return code;
  };
  settle(module);
  uint64_t down = slot_of("down");
  std::vector<std::pair<uint64_t, uint32_t>> codes;  // begin, tier
  impl_of(module).region().for_each_function([&](const code::FunctionCode& code) {
    codes.emplace_back(reinterpret_cast<uint64_t>(impl_of(module).region().text()) + code.begin, code.tier);
  });
  EXPECT_EQ(std::ranges::count(codes, std::pair(down, 1u)), 1) << "its slot holds its tier-1 code";
  EXPECT_EQ(frames(), 52u);
}

TEST(Lazy, NoFunctionIsCompiledTwice) {
  constexpr uint32_t kFunctions = 100;
  const std::vector<uint8_t> bytes = many_functions(kFunctions);
  for (int round = 0; round < 5; ++round) {
    Engine e = engine_of(CompileMode::lazy, 1'000'000);
    Module module = compile(e, bytes);
    on_threads(kThreads, [&](unsigned thread) {
      Instance own = instantiate(Linker(e), module);
      for (uint32_t i = 0; i < kFunctions; ++i) {
        // Half of the threads in step with each other, half on their own ways; 37 has no divisor in common with 100.
        uint32_t f = thread % 2 ? (i * 37 + thread) % kFunctions : i;
        auto result = typed<int32_t(int32_t)>(own, "f" + std::to_string(f))(5);
        ASSERT_TRUE(result) << result.error().to_string();
        ASSERT_EQ(static_cast<uint32_t>(*result), many_functions_result(f, 5));
      }
    });
    TierStats stats = module.tier_stats();
    EXPECT_EQ(stats.tier0_functions, kFunctions);
    EXPECT_EQ(stats.tier0_compiled, kFunctions);
    EXPECT_EQ(stats.tier1_compiled, 0u);
  }
}

/// A function that is called by others than the thread that had it compiled is in a slot an instant before all the
/// bookkeeping is done.
TEST(Lazy, EveryHotFunctionGetsTier1) {
  constexpr uint32_t kFunctions = 100;
  const std::vector<uint8_t> bytes = many_functions(kFunctions);
  for (int round = 0; round < 20; ++round) {
    Engine e = engine_of(CompileMode::lazy);
    Module module = compile(e, bytes);
    on_threads(4, [&](unsigned) {
      Instance own = instantiate(Linker(e), module);
      for (uint32_t i = 0; i < kFunctions; ++i)
        for (int k = 0; k < 10; ++k) must(typed<int32_t(int32_t)>(own, "f" + std::to_string(i))(k));
    });
    settle(module);
    EXPECT_EQ(module.tier_stats().tier1_functions, kFunctions) << "round " << round;
    EXPECT_EQ(module.tier_stats().tier1_compiled, kFunctions);
  }
}

TEST(Lazy, CompilesWithNoStackLeft) {
  constexpr uint32_t kFunctions = 400;
  for (OptLevel opt : {OptLevel::o0, OptLevel::o1}) {
    Engine e = engine_of(CompileMode::lazy, 1, opt);
    Module module = compile(e, cold_at_depth(kFunctions));
    Instance instance = instantiate(Linker(e), module);
    auto down = typed<int32_t(int32_t, int32_t)>(instance, "down");
    on_small_stack(256 << 10, [&] {
      // How deep it goes, once everything is compiled.
      for (int i = 0; i < 10; ++i) ASSERT_EQ(must(down(10, 0)), 10);
      settle(module);
      int32_t fits = 0, overflows = 1 << 20;
      while (overflows - fits > 1) {
        int32_t depth = (fits + overflows) / 2;
        (down(depth, 0) ? fits : overflows) = depth;
      }
      ASSERT_GT(fits, 300);
      uint32_t before = module.tier_stats().tier0_compiled, index = 1;
      int results = 0, traps = 0;
      for (int32_t depth = fits - 190; depth <= fits + 190; ++depth, ++index) {
        auto result = down(depth, static_cast<int32_t>(index));
        if (result) {
          ++results;
          EXPECT_EQ(*result, depth + static_cast<int32_t>(index));
          EXPECT_LE(depth, fits);
        } else {
          ++traps;
          expect_trap(result, TrapKind::stack_overflow);
          EXPECT_GT(depth, fits - 20) << "a few frames more than a leaf needs";
        }
      }
      EXPECT_GT(results, 150);
      EXPECT_GE(traps, 190);
      EXPECT_GE(module.tier_stats().tier0_compiled, before + 190);
    });
  }
}

TEST(Lazy, ModulesGoWhileTheyAreCompiled) {
  const std::vector<uint8_t> bytes = many_functions(40, 200);
  Engine kept = engine_of(CompileMode::lazy);
  for (int i = 0; i < 150; ++i) {
    // Every other time the engine goes with it.
    Engine e = i % 2 ? kept : engine_of(CompileMode::lazy);
    Module module = compile(e, bytes);
    if (i % 5 == 0) continue;  // nothing was called: what is made ready is all that runs
    Instance instance = instantiate(Linker(e), module);
    // What they call is guessed, what they are is hot at the second call.
    for (int f = 0; f < i % 5 * 2; ++f)
      for (int k = 0; k < 4; ++k) ASSERT_TRUE(typed<int32_t(int32_t)>(instance, "f" + std::to_string(3 * f + 1))(k));
    std::this_thread::sleep_for(std::chrono::microseconds(i * 61 % 3000));
  }
}

TEST(Lazy, ManyModulesAtOnce) {
  Engine e = engine_of(CompileMode::lazy, 1, OptLevel::o1, 2);
  std::vector<Module> modules;
  for (uint32_t salt = 1; salt <= 40; ++salt) modules.push_back(compile(e, many_functions(10, 5, salt)));
  on_threads(8, [&](unsigned thread) {
    std::vector<Instance> instances;
    for (const Module& module : modules) instances.push_back(instantiate(Linker(e), module));
    for (int round = 0; round < 4; ++round)
      for (size_t m = 0; m < modules.size(); ++m) {
        size_t at = (m * 7 + thread) % modules.size();
        uint32_t f = (static_cast<uint32_t>(m) + thread) % 10;
        auto result = typed<int32_t(int32_t)>(instances[at], "f" + std::to_string(f))(3);
        ASSERT_TRUE(result) << result.error().to_string();
        ASSERT_EQ(static_cast<uint32_t>(*result), many_functions_result(f, 3, static_cast<uint32_t>(at) + 1));
      }
  });
  for (const Module& module : modules) {
    settle(module);
    TierStats stats = module.tier_stats();
    EXPECT_EQ(stats.tier0_compiled, stats.tier0_functions);
    EXPECT_EQ(stats.tier1_compiled, stats.tier1_functions);
    EXPECT_GT(stats.tier1_functions, 0u);
  }
}

TEST(Lazy, TheBytesMayGoAfterCompile) {
  Engine e = engine_of(CompileMode::lazy);
  std::vector<uint8_t> bytes(std::begin(kTiers), std::end(kTiers));
  Module module = compile(e, bytes);
  std::ranges::fill(bytes, 0xff);
  bytes = {};
  Instance instance = instantiate(host_linker(e), module);
  expect_outcomes(instance, "without the bytes");
}

TEST(Lazy, StatsTellWhatWasDone) {
  Engine e = engine_of(CompileMode::lazy);
  Module module = compile(e, kTiers);
  EXPECT_EQ(module.compile_stats().functions, module.tier_stats().functions);
  uint64_t before = module.tier_stats().code_bytes;
  Instance instance = instantiate(host_linker(e), module);
  auto fib = typed<int32_t(int32_t)>(instance, "fib");
  EXPECT_EQ(must(fib(15)), 610);
  settle(module);
  TierStats stats = module.tier_stats();
  EXPECT_EQ(stats.tier0_functions, 1u);
  EXPECT_EQ(stats.tier1_functions, 1u);
  EXPECT_GT(stats.tier0_cpu_ms, 0);
  EXPECT_GT(stats.tier1_cpu_ms, 0);
  EXPECT_GT(stats.code_bytes, before);
}

TEST(Eager, AllIsCompiledAtFirst) {
  Engine e = engine_of(CompileMode::eager, 1'000'000);
  Module module = compile(e, kTiers);
  TierStats stats = module.tier_stats();
  EXPECT_EQ(stats.tier0_functions, stats.functions);
  EXPECT_EQ(stats.tier1_functions, 0u);
  EXPECT_EQ(stats.tier0_compiled, 0u) << "on demand";
  EXPECT_GT(module.compile_stats().code_bytes, 0u);
}

TEST(Aot, AllIsAtOneTier) {
  for (OptLevel opt : {OptLevel::o0, OptLevel::o1}) {
    Module module = compile(engine_of(CompileMode::aot, 1, opt), kTiers);
    TierStats stats = module.tier_stats();
    EXPECT_EQ(stats.tier0_functions, opt == OptLevel::o0 ? stats.functions : 0);
    EXPECT_EQ(stats.tier1_functions, opt == OptLevel::o0 ? 0 : stats.functions);
    EXPECT_EQ(impl_of(module).tiering(), nullptr);
  }
}

}  // namespace
}  // namespace rotor::runtime::test
