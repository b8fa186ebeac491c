// An engine that loads modules, runs them and drops them is after any number of them what it was after the first few.
// ROTOR_LOAD_DROP_ROUNDS=100000 for a day's worth, which then holds the process's memory flat, too
// (scripts/nightly_load_drop.sh).
#include <cstdlib>
#include <filesystem>
#include <string>

#include "code/region_table.h"
#include "memory/os.h"
#include "rotor/wat.h"
#include "runtime/engine.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

/// What a process has of things that could be left behind.
struct Counts {
  size_t types, regions, places;
  uint64_t mappings, reserved_bytes;
  size_t files, threads;
  bool operator==(const Counts&) const = default;

  static size_t entries(const char* folder) {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
  }
  static Counts of(const Engine& engine) {
    const EngineUsage use = engine.usage();
    const code::CodeRegionCount code = code::count_code_regions();
    return {use.types,
            code.regions,
            code.places,
            use.mappings,
            use.reserved_bytes,
            entries("/proc/self/fd"),
            entries("/proc/self/task")};
  }
};
void PrintTo(const Counts& counts, std::ostream* out) {
  *out << counts.types << " types, " << counts.regions << " regions in " << counts.places << " places, "
       << counts.mappings << " mappings, " << counts.reserved_bytes << " bytes reserved, " << counts.files << " files, "
       << counts.threads << " threads";
}

/// A module of types that no other number has; one of them names itself.
std::string module_text(uint64_t serial) {
  std::string params;
  for (uint64_t left = serial; left; left /= 4) params += std::array{" i32", " i64", " f32", " f64"}[left % 4];
  return "(module $m" + std::to_string(serial) + R"(
    (type $fresh (func (param v128 )" +
         params + R"()))
    (type $names (func (param i32 (ref null $fresh)) (result i32)))
    (type $itself (func (param (ref null $fresh) (ref null $itself))))
    (import "env" "host" (func $host (type $names)))
    (memory (export "memory") 1)
    (data (i32.const 0) "abc")
    (table $t (export "table") 2 (ref null $names))
    (table 1 (ref null $itself))
    (elem (table $t) (i32.const 0) (ref null $names) (ref.func $callee))
    (func $fresh (type $fresh))
    (func $callee (type $names) (call $host (local.get 0) (ref.func $fresh)))
    (func (export "run") (param i32) (result i32)
      (drop (memory.grow (i32.const 1)))
      (drop (table.grow $t (ref.null $names) (i32.const 100)))
      (i32.add (call_ref $names (local.get 0) (ref.null $fresh) (table.get $t (i32.const 0)))
               (i32.load8_u (i32.const 0))))
    (func (export "trap") unreachable)
    (elem declare func $fresh)))";
}

class LoadDropTest : public testing::TestWithParam<CompileMode> {
 protected:
  static Engine make_engine(CacheConfig cache = {}) {
    Config config;
    config.mode = GetParam();
    config.interruptible = true;
    config.compile_workers = 2;
    config.hot_count = 1;
    config.cache = std::move(cache);
    return must(Engine::create(config));
  }

  /// One module's life.
  static void live(const Engine& engine, uint64_t serial) {
    Module module = must(Module::compile(engine, must(wat_to_wasm(module_text(serial)))));
    const auto& wanted = std::get<FuncType>(module.imports()[0].type);
    Linker linker(engine);
    linker.define_func("env", "host", wanted, [](Caller&, Slot* slots) -> Result<void> {
      slots[0] += 1;
      return {};
    });
    InstancePre pre = must(linker.instantiate_pre(module));
    Instance instance = must(pre.instantiate());
    must(instance.set_deadline(InterruptHandle::Clock::now() + std::chrono::hours(1)));
    for (int i = 0; i < 3; ++i) ASSERT_EQ(must(typed<int32_t(int32_t)>(instance, "run")(i)), i + 1 + 'a');
    expect_trap(must(instance.get_func("trap")).call(), TrapKind::unreachable);
    // The host's own of a module's type.
    Table table = must(Table::create(engine, {wanted.params[1], {1, 2}}, Value::null(ValType::funcref)));
    Global global = must(Global::create(engine, {wanted.params[1], true}, Value::null(ValType::funcref)));
    Snapshot snapshot = must(must(pre.instantiate()).snapshot());
    must(snapshot.keep_ready(1));
    Instance stamped = must(pre.instantiate(snapshot));
    ASSERT_EQ(must(typed<int32_t(int32_t)>(stamped, "run")(5)), 6 + 'a');
    if (serial % 16 == 0) must(Module::deserialize(engine, must(module.serialize())));
  }

  static uint64_t rounds() {
    const char* wanted = std::getenv("ROTOR_LOAD_DROP_ROUNDS");
#ifdef __SANITIZE_THREAD__
    constexpr uint64_t kRounds = 25;  // it makes each take a second
#else
    constexpr uint64_t kRounds = 50;
#endif
    return wanted ? std::strtoull(wanted, nullptr, 10) : kRounds;
  }
  /// Lives `rounds()` times, and holds what there is to what there was after the first tenth.
  static void expect_flat(const Engine& engine) {
    const uint64_t count = rounds(), begin = std::max<uint64_t>(count / 10, 20);
    for (uint64_t i = 0; i < begin; ++i) live(engine, i);
    const Counts before = Counts::of(engine);
    const uint64_t resident = memory::os::resident_bytes();
    for (uint64_t i = begin; i < begin + count; ++i) live(engine, i);
    EXPECT_EQ(Counts::of(engine), before);
    EXPECT_EQ(before.types, 0u);
    const uint64_t now = memory::os::resident_bytes();
    std::printf("%llu modules: %llu -> %llu KiB resident\n", static_cast<unsigned long long>(count),
                static_cast<unsigned long long>(resident >> 10), static_cast<unsigned long long>(now >> 10));
    // The heap's own: 64 bytes a module would be 6 MiB.
    if (count < 10'000) return;
    EXPECT_LT(now, resident + (6 << 20));
  }
};
INSTANTIATE_TEST_SUITE_P(Modes, LoadDropTest, testing::Values(CompileMode::aot, CompileMode::eager, CompileMode::lazy));

TEST_P(LoadDropTest, LeavesNothingBehind) { expect_flat(make_engine()); }

TEST_P(LoadDropTest, LeavesNothingBehindWithACache) {
  const std::string folder = testing::TempDir() + "rotor_load_drop_" + std::to_string(getpid());
  expect_flat(make_engine({.enabled = true, .folder = folder, .limit_bytes = 4 << 20}));
  std::filesystem::remove_all(folder);
}

TEST_P(LoadDropTest, EnginesLeaveNothingBehind) {
  const Engine counted = engine();
  auto live_and_die = [](uint64_t serial) { live(make_engine(), serial); };
  for (uint64_t i = 0; i < 5; ++i) live_and_die(i);
  const Counts before = Counts::of(counted);
  for (uint64_t i = 0; i < 20; ++i) live_and_die(i);
  EXPECT_EQ(Counts::of(counted), before);
}

}  // namespace
}  // namespace rotor::runtime::test
