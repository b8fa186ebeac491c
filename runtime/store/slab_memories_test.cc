// Small memories on slabs (Config::slab_memories): that none reaches another's bytes, whatever code accesses it, and
// that no code of another kind gets one.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <random>
#include <string>

#include "memory/os.h"
#include "memory/slab.h"
#include "memory/slot_pool.h"
#include "rotor/rotor.h"
#include "runtime/access.h"
#include "runtime/module.h"
#include "runtime/testing/support.h"
#include "wasm/testing/assemble.h"

namespace rotor::runtime {
namespace {

using namespace test;
using memory::Cleaning;
using wasm::test::assemble;

Engine slab_engine(bool slabs = true, CompileMode mode = CompileMode::aot, OptLevel opt = OptLevel::o1) {
  Config config;
  config.mode = mode;
  config.opt = opt;
  config.slab_memories = slabs;
  config.features.custom_page_sizes = true;
  return must(Engine::create(config));
}

uint64_t process_mappings() {
  std::ifstream maps("/proc/self/maps");
  return static_cast<uint64_t>(std::count(std::istreambuf_iterator<char>(maps), {}, '\n'));
}

constexpr std::string_view kCell = R"((module (memory 1 2) (data (i32.const 8) "\07")
  (func (export "set") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "get") (param i32) (result i32) (i32.load (local.get 0)))))";

TEST(SlabMemories, FiftyThousandAtOnceTakeFewMappings) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr size_t kInstances = 5'000;  // sanitizers take memory for each
#else
  constexpr size_t kInstances = 50'000;
#endif
  Engine engine = slab_engine();
  Module module = compile(engine, assemble(kCell));
  InstancePre pre = must(Linker(engine).instantiate_pre(module));
  const uint64_t before = process_mappings(), counted = memory::os::address_space_use().mappings;
  std::vector<Instance> instances;
  for (size_t i = 0; i < kInstances; ++i) {
    instances.push_back(must(pre.instantiate()));
    must(typed<void(int32_t, int32_t)>(instances[i], "set")(100, static_cast<int32_t>(i)));
  }
  constexpr uint64_t kOthers = 10;  // of the thread that calls
  EXPECT_LE(memory::os::address_space_use().mappings - counted, kInstances / memory::Slab::kParts + kOthers);
  // The heap has some of its own.
  EXPECT_LE(process_mappings() - before, kInstances / memory::Slab::kParts + 500);
  EXPECT_EQ(module.memory_slots().made_on_slabs, kInstances);
  for (size_t i = 0; i < kInstances; ++i) {
    auto get = typed<int32_t(int32_t)>(instances[i], "get");
    ASSERT_EQ(must(get(100)), static_cast<int32_t>(i));
    ASSERT_EQ(must(get(8)), 7);
  }
  instances.clear();
  EXPECT_LE(memory::os::address_space_use().mappings - counted, memory::SlotPool::kMostKept + kOthers);
}

/// Accesses of each width and kind at an index, with an offset. `result`: what a load returns.
struct Operator {
  std::string text;  ///< `$at` stands for the index's local, OFFSET for the offset
  uint32_t bytes;
};
std::vector<Operator> operators() {
  std::vector<Operator> all;
  auto load = [&](const std::string& name, uint32_t bytes) {
    all.push_back({"(drop (" + name + " OFFSET (local.get $at)))", bytes});
  };
  auto store = [&](const std::string& name, const std::string& value, uint32_t bytes) {
    all.push_back({"(" + name + " OFFSET (local.get $at) (" + value + "))", bytes});
  };
  for (const char* name : {"i32.load8_u", "i64.load8_s"}) load(name, 1);
  for (const char* name : {"i32.load16_s", "i64.load16_u"}) load(name, 2);
  for (const char* name : {"i32.load", "f32.load", "i64.load32_u", "v128.load32_zero"}) load(name, 4);
  for (const char* name : {"i64.load", "f64.load", "v128.load8x8_s", "v128.load64_splat"}) load(name, 8);
  load("v128.load", 16);
  store("i32.store8", "i32.const -1", 1);
  store("i64.store16", "i64.const -1", 2);
  store("i32.store", "i32.const -1", 4);
  store("f32.store", "f32.const 1", 4);
  store("i64.store", "i64.const -1", 8);
  store("f64.store", "f64.const 1", 8);
  store("v128.store", "v128.const i64x2 -1 -1", 16);
  all.push_back({"(v128.store64_lane OFFSET 0 (local.get $at) (v128.const i64x2 -1 -1))", 8});
  all.push_back({"(drop (i32.atomic.load8_u OFFSET (local.get $at)))", 1});
  all.push_back({"(i32.atomic.store8 OFFSET (local.get $at) (i32.const -1))", 1});
  all.push_back({"(drop (i32.atomic.rmw8.add_u OFFSET (local.get $at) (i32.const 1)))", 1});
  all.push_back({"(drop (i32.atomic.rmw8.cmpxchg_u OFFSET (local.get $at) (i32.const 0) (i32.const 1)))", 1});
  return all;
}

std::string with(std::string text, const std::string& what, const std::string& by) {
  for (size_t at; (at = text.find(what)) != std::string::npos;) text.replace(at, what.size(), by);
  return text;
}

/// Each access stops at the memory's end, and what lies around it stays as it was.
void expect_accesses_end_at(const Engine& engine, const std::string& memory, const std::string& index, uint64_t size,
                            uint32_t grow_pages) {
  std::string text = "(module (memory " + memory + ")\n(func (export \"grow\") (drop (memory.grow (" + index +
                     ".const " + std::to_string(grow_pages) + "))))\n";
  const uint64_t offsets[] = {0, 1, 100, size - 16, size - 1, size, size + 1, 0x7fffffff, 0xffffffff};
  const std::vector<Operator> all = operators();
  for (size_t i = 0; i < all.size(); ++i)
    for (uint64_t offset : offsets)
      text += "(func (export \"" + std::to_string(i) + " " + std::to_string(offset) + "\") (param $at " + index + ") " +
              with(all[i].text, "OFFSET", "offset=" + std::to_string(offset)) + ")\n";
  text += "(func (export \"fill\") (param $at " + index + ") (param $n " + index + ") (memory.fill (local.get $at) " +
          "(i32.const 255) (local.get $n)))\n";
  text += "(func (export \"copy\") (param $at " + index + ") (param $n " + index + ") (memory.copy (local.get $at) (" +
          index + ".const 0) (local.get $n)))\n)";
  Module module = compile(engine, assemble(text));
  // Neighbours on both sides.
  InstancePre pre = must(Linker(engine).instantiate_pre(module));
  std::vector<Instance> instances;
  for (int i = 0; i < 3; ++i) instances.push_back(must(pre.instantiate()));
  std::ranges::sort(instances, {}, [](const Instance& i) { return must(i.memory0()).data(); });
  ASSERT_EQ(module.memory_slots().made_on_slabs, 3u);
  ASSERT_LE(must(instances[2].memory0()).data() - must(instances[0].memory0()).data(), 4 << 20);
  for (const Instance& instance : instances) must(typed<void()>(instance, "grow")());
  ASSERT_EQ(must(instances[1].memory0()).size_bytes(), size);
  auto run = [&](const std::string& name, std::vector<uint64_t> args) {
    std::vector<Value> values;
    for (uint64_t arg : args)
      values.push_back(index == "i64" ? Value(static_cast<int64_t>(arg)) : Value(static_cast<int32_t>(arg)));
    return must(instances[1].get_func(name)).call(values);
  };
  for (size_t i = 0; i < all.size(); ++i)
    for (uint64_t offset : offsets) {
      const std::string name = std::to_string(i) + " " + std::to_string(offset);
      const uint64_t end = offset + all[i].bytes;
      if (end <= size) {
        for (uint64_t at : {uint64_t{0}, size - end}) must(run(name, {at}));
        expect_trap(run(name, {size - end + 1}), TrapKind::out_of_bounds_memory);
      }
      for (uint64_t at : {size, size + 1, uint64_t{0x7fffffff}, uint64_t{0x80000000}, uint64_t{0xffffffff}})
        expect_trap(run(name, {at}), TrapKind::out_of_bounds_memory);
      if (index == "i64")
        for (uint64_t at : {UINT64_MAX, UINT64_MAX - end, UINT64_MAX - end + 1, uint64_t{1} << 63})
          expect_trap(run(name, {at}), TrapKind::out_of_bounds_memory);
    }
  for (const char* name : {"fill", "copy"}) {
    must(run(name, {size - 8, 8}));
    expect_trap(run(name, {size - 8, 9}), TrapKind::out_of_bounds_memory);
    expect_trap(run(name, {0, size + 1}), TrapKind::out_of_bounds_memory);
  }
  for (size_t neighbour : {0, 2}) {
    const Memory m = must(instances[neighbour].memory0());
    EXPECT_TRUE(std::all_of(m.data(), m.data() + size, [](uint8_t byte) { return byte == 0; }));
  }
}

TEST(SlabMemories, AccessesEndAtTheEnd) {
  for (OptLevel opt : {OptLevel::o0, OptLevel::o1}) {
    for (bool frames : {false, true}) {
      Config config;
      config.mode = CompileMode::aot;
      config.opt = opt;
      config.slab_memories = true;
      config.features.custom_page_sizes = true;
      if (frames) config.compile_steps_per_byte = 0;
      Engine engine = must(Engine::create(config));
      expect_accesses_end_at(engine, "1 1", "i32", 65536, 0);
      expect_accesses_end_at(engine, "1 2", "i32", 65536, 0);
      expect_accesses_end_at(engine, "1 4", "i32", 4 * 65536, 3);
      expect_accesses_end_at(engine, "16 16", "i32", 16 * 65536, 0);
      expect_accesses_end_at(engine, "i64 1 1", "i64", 65536, 0);
      expect_accesses_end_at(engine, "i64 1 3", "i64", 2 * 65536, 1);
      expect_accesses_end_at(engine, "1000 1000 (pagesize 1)", "i32", 1000, 0);
      expect_accesses_end_at(engine, "1000 9000 (pagesize 1)", "i32", 5000, 4000);
    }
  }
}

TEST(SlabMemories, AreThoseThatNobodyElseCanUse) {
  Engine engine = slab_engine();
  auto on_slab = [&](const std::string& memory, const std::string& more = {}) {
    Module module = compile(engine, assemble("(module (memory $m " + memory + ") " + more + ")"));
    (void)instantiate(Linker(engine), module);
    return module.memory_slots().made_on_slabs;
  };
  EXPECT_EQ(on_slab("1 16"), 1u);
  EXPECT_EQ(on_slab("0 0"), 1u);
  EXPECT_EQ(on_slab("i64 1 16"), 1u);
  EXPECT_EQ(on_slab("1 1048576 (pagesize 1)"), 1u);
  EXPECT_EQ(on_slab("1 17"), 0u);
  EXPECT_EQ(on_slab("1 1048577 (pagesize 1)"), 0u);
  EXPECT_EQ(on_slab("1"), 0u);
  EXPECT_EQ(on_slab("1 2 shared"), 0u);
  EXPECT_EQ(on_slab("1 2", "(export \"m\" (memory $m))"), 0u);
  EXPECT_EQ(on_slab("1 2", "(export \"m\" (memory $m)) (memory 1 1)"), 1u);
  engine = slab_engine(false);
  EXPECT_EQ(on_slab("1 16"), 0u);
}

/// Every memory that there can be against every import: those that have been made for other code are refused, and what
/// is accepted is bounded.
TEST(SlabMemories, NoOtherCodeGetsOne) {
  constexpr std::string_view kTypes[] = {"1 2", "i64 1 2", "70000 131072 (pagesize 1)", "1 2 shared", "1"};
  Engine engine = slab_engine(), plain = slab_engine(false);
  auto module_of = [&](const std::string& text, bool slabs) {
    // An engine takes code files of either setting.
    const std::vector<uint8_t> bytes = assemble(text);
    if (slabs) return compile(engine, bytes);
    return must(Module::deserialize(engine, must(compile(plain, bytes).serialize())));
  };
  const std::string accessors = R"(
    (func (export "get") (param i64) (result i32) (i32.load8_u (INDEX)))
    (func (export "far") (param i64) (result i32) (i32.load8_u offset=100000 (INDEX)))
    (func (export "set") (param i64) (i32.store8 (INDEX) (i32.const 165))))";
  auto code_for = [&](std::string_view type) {
    return with(accessors, "(INDEX)", type.starts_with("i64") ? "(local.get 0)" : "(i32.wrap_i64 (local.get 0))");
  };
  int accepted = 0, refused = 0;
  for (std::string_view type : kTypes) {
    for (int exporter = 0; exporter < 5; ++exporter) {
      const bool slabs = exporter % 2 == 0;
      const bool exported = exporter < 2;
      std::optional<Instance> owner;
      Memory memory;
      if (exporter < 4) {
        const std::string memory_text = "(module (memory " + std::string(exported ? "(export \"m\") " : "") +
                                        std::string(type) + ") " + code_for(type) + ")";
        owner = instantiate(Linker(engine), module_of(memory_text, slabs));
        memory = must(owner->memory0());  // the host has a handle to what is not exported, too
      } else {
        if (type.starts_with("i64") || type.ends_with("(pagesize 1)") || type.ends_with("shared")) continue;
        MemoryType of_host;
        of_host.limits.min = 1;
        if (type == "1 2") of_host.limits.max = 2;
        memory = must(Memory::create(engine, of_host));
      }
      const bool on_slab = exporter == 2 && type != "1" && type != "1 2 shared";
      for (std::string_view wanted : kTypes) {
        for (bool importer_slabs : {false, true}) {
          const std::string where = std::string(type) + ", " + std::to_string(exporter) + ", " + std::string(wanted);
          Module importer =
              module_of("(module (import \"e\" \"m\" (memory " + std::string(wanted) + ")) " + code_for(wanted) + ")",
                        importer_slabs);
          Linker linker(engine);
          linker.define("e", "m", memory);
          auto instance = linker.instantiate(importer);
          const bool fits = type == wanted || (type == "1 2" && wanted == "1");
          ASSERT_EQ(instance.has_value(), fits && !on_slab) << where;
          if (!instance) {
            EXPECT_EQ(instance.error().kind, ErrorKind::link) << where;
            refused += fits;
            continue;
          }
          ++accepted;
          const auto size = static_cast<int64_t>(memory.size_bytes());
          must(typed<void(int64_t)>(*instance, "set")(size - 1));
          EXPECT_EQ(must(typed<int32_t(int64_t)>(*instance, "get")(size - 1)), 165) << where;
          for (const char* name : {"get", "far"})
            for (int64_t at : {size, size + 4095, size + 65536, int64_t{0xffffffff}})
              expect_trap(typed<int32_t(int64_t)>(*instance, name)(at), TrapKind::out_of_bounds_memory);
          expect_trap(typed<void(int64_t)>(*instance, "set")(size), TrapKind::out_of_bounds_memory);
        }
      }
    }
  }
  EXPECT_EQ(refused, 2 * 4) << "three types of their own, and what takes `1 2` as `1`";
  EXPECT_GT(accepted, 40);
}

TEST(SlabMemories, AHostThatMakesTheImportPerInstanceIsRefusedToo) {
  Engine engine = slab_engine();
  Instance owner = instantiate(Linker(engine), compile(engine, assemble("(module (memory 1 2))")));
  Module importer = compile(engine, assemble("(module (import \"e\" \"m\" (memory 1)))"));
  Linker linker(engine);
  MemoryType type;
  type.limits = {1, 2};
  linker.define_per_instance("e", "m", type, [&](const InstanceOptions&) -> Result<Extern> { return owner.memory0(); });
  auto instance = linker.instantiate(importer);
  EXPECT_EQ(kind_of(instance), ErrorKind::link);
  EXPECT_NE(instance.error().message.find("slab"), std::string::npos) << instance.error().message;
}

TEST(SlabMemories, GrowToTheirMaximumInPlace) {
  Engine engine = slab_engine();
  Module module = compile(engine, assemble(R"((module (memory 1 3)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "fill") (memory.fill (i32.const 0) (i32.const 165) (i32.mul (memory.size) (i32.const 65536))))
    (func (export "any") (result i32) (local $at i32) (local $any i32)
      (loop $next
        (local.set $any (i32.or (local.get $any) (i32.load (local.get $at))))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4)))
                               (i32.mul (memory.size) (i32.const 65536)))))
      (local.get $any))))"));
  InstancePre pre = must(Linker(engine).instantiate_pre(module));
  for (int cleaning = -1; cleaning <= static_cast<int>(Cleaning::discard); ++cleaning) {
    (void)must(pre.instantiate());
    if (cleaning >= 0) impl_of(module).data_images().contents[0]->slots().force(static_cast<Cleaning>(cleaning));
    for (int owner = 0; owner < 10; ++owner) {
      Instance instance = must(pre.instantiate());
      const uint8_t* base = must(instance.memory0()).data();
      auto grow = typed<int32_t(int32_t)>(instance, "grow");
      for (int32_t page = 1; page < 3; ++page) {
        EXPECT_EQ(must(typed<int32_t()>(instance, "any")()), 0) << cleaning << ", owner " << owner;
        EXPECT_EQ(must(grow(1)), page);
      }
      EXPECT_EQ(must(typed<int32_t()>(instance, "any")()), 0) << cleaning << ", owner " << owner;
      EXPECT_EQ(must(grow(1)), -1);
      EXPECT_EQ(must(instance.memory0()).data(), base);
      if (owner % 3) must(typed<void()>(instance, "fill")());
    }
  }
  // A limit below the maximum.
  InstanceOptions options;
  options.limits.memory.limit_bytes = 2 * 65536;
  Instance limited = must(pre.instantiate(options));
  EXPECT_EQ(must(typed<int32_t(int32_t)>(limited, "grow")(1)), 1);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(limited, "grow")(1)), -1);
}

// `write` leaves secrets, `check` says where one is: 0 if nowhere.
constexpr std::string_view kSecrets = R"((module
  (import "env" "call" (func $call (param i32) (result i32)))
  (memory $small 1 4) (memory $large 4 8)
  (data (memory $small) (i32.const 16) "first") (data (memory $large) (i32.const 200000) "far")
  (func (export "write") (param $end i32)
    (drop (memory.grow $small (i32.const 2)))
    (drop (memory.grow $large (i32.const 3)))
    (memory.fill $small (i32.const 0) (i32.const 0xa5) (i32.mul (memory.size $small) (i32.const 65536)))
    (memory.fill $large (i32.const 3000) (i32.const 0xa5) (i32.const 100))
    (memory.fill $large (i32.const 190000) (i32.const 0xa5) (i32.const 200000))
    (if (local.get $end) (then (if (call $call (local.get $end)) (then unreachable)))))
  (func (export "check") (result i32) (local $at i32) (local $sum i64)
    (if (i32.or (i32.ne (memory.size $small) (i32.const 1)) (i32.ne (memory.size $large) (i32.const 4)))
      (then (return (i32.const 1))))
    (drop (memory.grow $small (i32.const 3)))
    (drop (memory.grow $large (i32.const 4)))
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.load $large (local.get $at))))
      (if (i32.lt_u (local.get $at) (i32.const 262144))
        (then (local.set $sum (i64.add (local.get $sum) (i64.load $small (local.get $at))))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 524288))))
    (i64.ne (local.get $sum) (i64.const 0x7473e4cacc)))))";

TEST(SlabMemories, NothingLeaksBetweenOwners) {
  Engine engine = slab_engine();
  std::function<int32_t()> on_call;
  Linker linker(engine);
  linker.define("env", "call", [&](int32_t) -> int32_t { return on_call(); });
  Module module = compile(engine, assemble(kSecrets));
  InstancePre pre = must(linker.instantiate_pre(module));
  auto check = [](const Instance& instance) { return must(typed<int32_t()>(instance, "check")()); };
  std::vector<Instance> neighbours;  // that were written to
  std::mt19937 random(5);
  for (int cleaning = -1; cleaning <= static_cast<int>(Cleaning::discard); ++cleaning) {
    (void)must(pre.instantiate());
    if (cleaning >= 0)
      for (const auto& contents : impl_of(module).data_images().contents)
        contents->slots().force(static_cast<Cleaning>(cleaning));
    for (int owner = 0; owner < 24; ++owner) {
      ASSERT_EQ(check(must(pre.instantiate())), 0) << cleaning << ", owner " << owner;
      Instance instance = must(pre.instantiate());
      auto write = typed<void(int32_t)>(instance, "write");
      switch (owner % 6) {
        case 0: must(write(0)); break;
        case 1:
          on_call = [] { return 1; };
          expect_trap(write(1), TrapKind::unreachable);
          break;
        case 2:  // dropped in the middle
          on_call = [&] {
            instance = Instance();
            return 0;
          };
          must(write(1));
          break;
        case 3:
          must(write(0));
          neighbours.push_back(std::move(instance));
          if (neighbours.size() > 40) neighbours.erase(neighbours.begin(), neighbours.begin() + 30);
          break;
        case 4:  // so that parts go back to their slabs
          must(write(0));
          instance = Instance();
          memory::SlotPool::release_all();
          break;
        default:  // in the child of a fork, and in its parent
          must(write(0));
          const pid_t child = fork();
          if (child == 0) {
            instance = Instance();
            if (random() % 2) memory::SlotPool::release_all();
            _exit(check(must(pre.instantiate())) == 0 && check(must(pre.instantiate())) == 0 ? 0 : 1);
          }
          int status = 0;
          ASSERT_EQ(waitpid(child, &status, 0), child);
          EXPECT_EQ(status, 0) << cleaning;
      }
    }
  }
  // More than slots are kept for are given back to slabs as they were.
  while (neighbours.size() < 60) {
    neighbours.push_back(must(pre.instantiate()));
    must(typed<void(int32_t)>(neighbours.back(), "write")(0));
  }
  neighbours.resize(1);
  while (neighbours.size() < 60) {
    neighbours.push_back(must(pre.instantiate()));
    ASSERT_EQ(check(neighbours.back()), 0) << neighbours.size();
  }
  EXPECT_GT(module.memory_slots().made_on_slabs, 40u);
  EXPECT_EQ(module.memory_slots().made_on_slabs, module.memory_slots().made);
}

TEST(SlabMemories, ASnapshotsInstancesAreBoundedAlike) {
  Engine engine = slab_engine();
  Module module = compile(engine, assemble(kCell));
  InstancePre pre = must(Linker(engine).instantiate_pre(module));
  Instance source = must(pre.instantiate());
  must(typed<void(int32_t, int32_t)>(source, "set")(65532, 42));
  Snapshot snapshot = must(source.snapshot());
  ASSERT_TRUE(snapshot.keep_ready(1));
  for (int owner = 0; owner < 3; ++owner) {
    Instance instance = must(pre.instantiate(snapshot));
    EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "get")(65532)), 42);
    EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "get")(8)), 7);
    must(typed<void(int32_t, int32_t)>(instance, "set")(65532, 43));
    for (int32_t at : {65533, 65536, 70000, -1})
      expect_trap(typed<int32_t(int32_t)>(instance, "get")(at), TrapKind::out_of_bounds_memory);
  }
  EXPECT_EQ(snapshot.memory_slots().made_on_slabs, 0u);
  // An imageable one has a reservation, too.
  InstanceOptions options;
  options.limits.memory.imageable = true;
  Instance imageable = must(pre.instantiate(options));
  must(typed<void(int32_t, int32_t)>(imageable, "set")(65532, 44));
  Snapshot of_imageable = must(imageable.snapshot());
  EXPECT_EQ(must(typed<int32_t(int32_t)>(must(pre.instantiate(of_imageable)), "get")(65532)), 44);
  EXPECT_EQ(module.memory_slots().made_on_slabs, 1u);
}

TEST(SlabMemories, AreAPropertyOfTheCode) {
  Engine slabs = slab_engine(true), plain = slab_engine(false);
  const std::vector<uint8_t> bytes = assemble(kCell);
  for (bool with_slabs : {false, true}) {
    const std::vector<uint8_t> file = must(compile(with_slabs ? slabs : plain, bytes).serialize());
    Engine other = slab_engine(!with_slabs);
    Module module = must(Module::deserialize(other, file));
    Instance instance = instantiate(Linker(other), module);
    expect_trap(typed<int32_t(int32_t)>(instance, "get")(65533), TrapKind::out_of_bounds_memory);
    EXPECT_EQ(module.memory_slots().made_on_slabs, with_slabs ? 1u : 0u);
    // And so it is written again.
    EXPECT_EQ(must(module.serialize()).size(), file.size());
    Module again = must(Module::deserialize(other, must(module.serialize())));
    (void)instantiate(Linker(other), again);
    EXPECT_EQ(again.memory_slots().made_on_slabs, with_slabs ? 1u : 0u);
  }
}

TEST(SlabMemories, AreCheckedByCodeOfEachTier) {
  for (CompileMode mode : {CompileMode::eager, CompileMode::lazy}) {
    Config config;
    config.mode = mode;
    config.hot_count = 10;
    config.slab_memories = true;
    Engine engine = must(Engine::create(config));
    Module module = compile(engine, assemble(kCell));
    Instance instance = instantiate(Linker(engine), module);
    auto get = typed<int32_t(int32_t)>(instance, "get");
    for (int i = 0; i < 20000 && module.tier_stats().tier1_functions == 0; ++i) {
      ASSERT_EQ(must(get(8)), 7);
      expect_trap(get(65533), TrapKind::out_of_bounds_memory);
    }
    for (int i = 0; i < 10; ++i) expect_trap(get(65533 + i * 65536), TrapKind::out_of_bounds_memory);
    EXPECT_EQ(module.memory_slots().made_on_slabs, 1u);
  }
}

}  // namespace
}  // namespace rotor::runtime
