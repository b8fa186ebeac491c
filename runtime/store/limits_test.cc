// What Limits bound they bound in sum, however many memories and tables a module has; and no number of them leaves the
// process without mappings.
#include <sys/mman.h>

#include <fstream>
#include <string>
#include <thread>

#include "code/abi.h"
#include "code/region.h"
#include "memory/image.h"
#include "memory/os.h"
#include "rotor/wat.h"
#include "runtime/access.h"
#include "runtime/module.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

using memory::os::address_space_use;

std::string times(uint32_t count, const std::string& text) {
  std::string all;
  for (uint32_t i = 0; i < count; ++i) all += text;
  return all;
}

/// The kernel's mappings of [begin, begin + bytes).
size_t mappings_in(const void* begin, uint64_t bytes) {
  const auto low = reinterpret_cast<uintptr_t>(begin);
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    char* rest = nullptr;
    const uintptr_t from = std::strtoul(line.c_str(), &rest, 16), to = std::strtoul(rest + 1, nullptr, 16);
    count += from < low + bytes && to > low;
  }
  return count;
}
size_t mappings_of_process() { return mappings_in(nullptr, UINTPTR_MAX); }

class LimitsTest : public testing::Test {
 protected:
  Module compile_text(const std::string& text) { return must(Module::compile(engine_, must(wat_to_wasm(text)))); }
  Result<Instance> instantiate_text(const std::string& text, const Limits& limits = {}) {
    return Linker(engine_).instantiate(compile_text(text), {.limits = limits});
  }
  static void expect_limit(const Result<Instance>& instance, std::string_view words) {
    ASSERT_FALSE(instance);
    EXPECT_EQ(instance.error().kind, ErrorKind::limit);
    EXPECT_NE(instance.error().message.find(words), std::string::npos) << instance.error().message;
  }

  Engine engine_ = engine();
};

TEST_F(LimitsTest, MemoriesHaveOneLimitTogether) {
  constexpr uint32_t kMemories = 100;
  std::string text = "(module " + times(kMemories, "(memory 1)") + "(func (export \"run\") (result i32) (local i32)";
  for (uint32_t i = 0; i < kMemories; ++i)
    text += "local.get 0 i32.const 15 memory.grow " + std::to_string(i) + " i32.const -1 i32.ne i32.add local.set 0 ";
  Limits limits;
  limits.memory.limit_bytes = 16 << 20;
  Instance instance = must(instantiate_text(text + "local.get 0))", limits));
  EXPECT_EQ(instance.usage().memories, kMemories);
  EXPECT_EQ(instance.usage().memory_bytes, kMemories * Memory::kPageBytes);
  EXPECT_EQ(instance.usage().memory_limit_bytes, 16u << 20);
  // Of the 256 pages 156 are left: for ten growths by 15.
  EXPECT_EQ(must(typed<int32_t()>(instance, "run")()), 10);
  EXPECT_EQ(instance.usage().memory_bytes, 250 * Memory::kPageBytes);
  EXPECT_EQ(instance.usage().denied_memory_growths, 90u);
  // The host's growths are of the same sum.
  Memory memory = must(instance.memory0());
  EXPECT_EQ(must(memory.grow(6)), 16u);
  EXPECT_EQ(kind_of(memory.grow(1)), ErrorKind::limit);
  EXPECT_EQ(memory.denied_growths(), 1u);
  EXPECT_EQ(instance.usage().denied_memory_growths, 91u);
  EXPECT_EQ(instance.usage().memory_bytes, 16u << 20);
}

TEST_F(LimitsTest, MemoriesAboveTheLimitFromTheStartAreRefused) {
  Limits limits;
  limits.memory.limit_bytes = 16 * Memory::kPageBytes;
  EXPECT_TRUE(instantiate_text("(module (memory 8) (memory 8))", limits));
  expect_limit(instantiate_text("(module (memory 8) (memory 9))", limits), "limit_bytes");
  expect_limit(instantiate_text("(module (memory 17))", limits), "limit");
}

TEST_F(LimitsTest, OneMemoryMayHaveAllThereIs) {
  Instance instance = must(instantiate_text("(module (memory 0))"));
  EXPECT_EQ(must(instance.memory0()).limit_bytes(), UINT64_C(4) << 30);
  EXPECT_EQ(instance.usage().memory_limit_bytes, UINT64_C(4) << 30);
  // What is declared counts, as it does for a memory.
  EXPECT_EQ(must(instantiate_text("(module (memory 0 2) (memory 0 3))")).usage().memory_limit_bytes,
            5 * Memory::kPageBytes);
}

TEST_F(LimitsTest, TheWatermarkIsOfTheSum) {
  std::vector<MemoryGrowth> asked;
  Limits limits;
  limits.memory.limit_bytes = 10 * Memory::kPageBytes;
  limits.memory.watermark = 0.5;
  limits.memory.on_watermark = [&](const MemoryGrowth& growth) {
    asked.push_back(growth);
    return asked.size() < 2;
  };
  Instance instance = must(instantiate_text("(module (memory (export \"a\") 1) (memory (export \"b\") 1))", limits));
  Memory a = must(instance.get_memory("a")), b = must(instance.get_memory("b"));
  EXPECT_TRUE(a.grow(2));
  EXPECT_TRUE(asked.empty());
  EXPECT_TRUE(b.grow(1));
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].old_bytes, 4 * Memory::kPageBytes);
  EXPECT_EQ(asked[0].new_bytes, 5 * Memory::kPageBytes);
  EXPECT_EQ(asked[0].limit_bytes, 10 * Memory::kPageBytes);
  // Who refuses takes nothing.
  EXPECT_EQ(kind_of(b.grow(5)), ErrorKind::limit);
  EXPECT_EQ(instance.usage().memory_bytes, 5 * Memory::kPageBytes);
}

TEST_F(LimitsTest, AMemoryKeepsItsBytesWhileItLives) {
  Module module = compile_text("(module (memory (export \"a\") 1 4) (memory (export \"b\") 1) (func (export \"f\")))");
  Limits limits;
  limits.memory.limit_bytes = 4 * Memory::kPageBytes;
  Memory pinned;
  {
    Instance instance = must(Linker(engine_).instantiate(module, {.limits = limits}));
    pinned = must(instance.get_memory("a")).pinned();
    EXPECT_EQ(kind_of(pinned.grow(3)), ErrorKind::limit);
  }
  // The other one is gone, and its bytes are there to be had.
  EXPECT_TRUE(pinned.grow(3));
  EXPECT_EQ(kind_of(pinned.grow(1)), ErrorKind::limit);
}

TEST_F(LimitsTest, SnapshotsAreHeldToTheSum) {
  Module module = compile_text(
      "(module (memory (export \"a\") 1) (memory (export \"b\") 1) (table (export \"t\") 1 externref)"
      " (table 1 externref))");
  Instance first = must(Linker(engine_).instantiate(module));
  must(must(first.get_memory("a")).grow(3));
  must(must(first.get_memory("b")).grow(3));
  must(must(first.get_table("t")).grow(6, Value(ExternRef{7})));
  Snapshot snapshot = must(first.snapshot());
  EXPECT_EQ(first.usage().memory_bytes, 8 * Memory::kPageBytes);
  InstancePre pre = must(Linker(engine_).instantiate_pre(module));
  InstanceOptions options;
  options.limits.memory.limit_bytes = 9 * Memory::kPageBytes;
  options.limits.table_elements = 8;
  Instance second = must(pre.instantiate(snapshot, options));
  EXPECT_EQ(second.usage().memory_bytes, 8 * Memory::kPageBytes);
  EXPECT_EQ(second.usage().table_elements, 8u);
  EXPECT_TRUE(must(second.get_memory("a")).grow(1));
  EXPECT_EQ(kind_of(must(second.get_memory("b")).grow(1)), ErrorKind::limit);
  options.limits.table_elements = 7;
  expect_limit(pre.instantiate(snapshot, options), "table_elements");
  options.limits.table_elements = 8;
  options.limits.memory.limit_bytes = 7 * Memory::kPageBytes;
  expect_limit(pre.instantiate(snapshot, options), "limit_bytes");
}

TEST_F(LimitsTest, ARestoredMemoryTakesWhatItsImageHas) {
  // Of a host's memory, whose budget is its own.
  Module module = compile_text("(module (import \"env\" \"m\" (memory 1)))");
  MemoryLimits limits;
  limits.limit_bytes = 4 * Memory::kPageBytes;
  Memory memory = must(Memory::create(engine_, {.limits = {.min = 1}}, limits));
  auto instantiate_with = [&](const Snapshot* snapshot) {
    Linker linker(engine_);
    linker.define("env", "m", memory);
    InstancePre pre = must(linker.instantiate_pre(module));
    return must(snapshot ? pre.instantiate(*snapshot) : pre.instantiate());
  };
  auto snapshot = [&] { return must(instantiate_with(nullptr).snapshot()); };
  Snapshot small = snapshot();
  must(memory.grow(2));
  Snapshot large = snapshot();
  // There and back: it has what it had, and may grow by what is left.
  for (int round = 0; round < 3; ++round) {
    instantiate_with(&small);
    EXPECT_EQ(memory.size_pages(), 1u);
    instantiate_with(&large);
    EXPECT_EQ(memory.size_pages(), 3u);
  }
  EXPECT_EQ(kind_of(memory.grow(2)), ErrorKind::limit);
  EXPECT_TRUE(memory.grow(1));
  instantiate_with(&small);
  EXPECT_TRUE(memory.grow(3));
}

TEST_F(LimitsTest, TablesHaveOneLimitTogether) {
  constexpr uint32_t kTables = 200;
  std::string text = "(module " + times(kTables, "(table 0 externref)") +
                     "(func (export \"run\") (param externref) (result i32) (local i32)";
  for (uint32_t i = 0; i < kTables; ++i)
    text += "local.get 1 local.get 0 i32.const 100000 table.grow " + std::to_string(i) +
            " i32.const -1 i32.ne i32.add local.set 1 ";
  Limits limits;
  limits.table_elements = 1'000'000;
  Instance instance = must(instantiate_text(text + "local.get 1))", limits));
  EXPECT_EQ(must(must(instance.get_func("run")).call({Value(ExternRef{77})}))[0].i32(), 10);
  EXPECT_EQ(instance.usage().table_elements, 1'000'000u);
  EXPECT_EQ(instance.usage().table_elements_limit, 1'000'000u);
  EXPECT_EQ(instance.usage().denied_table_growths, 190u);

  limits.table_elements = 10;
  expect_limit(instantiate_text("(module (table 5 funcref) (table 6 funcref))", limits), "table_elements");
  expect_limit(instantiate_text("(module (table 11 funcref))", limits), "table_elements");
  EXPECT_TRUE(instantiate_text("(module (table 5 funcref) (table 5 funcref))", limits));
}

TEST_F(LimitsTest, MemoriesAndTablesAreCounted) {
  Limits limits;
  limits.memories = 3;
  limits.tables = 2;
  EXPECT_TRUE(instantiate_text("(module " + times(3, "(memory 0)") + times(2, "(table 0 funcref)") + ")", limits));
  expect_limit(instantiate_text("(module " + times(4, "(memory 0)") + ")", limits), "memories = 3");
  expect_limit(instantiate_text("(module " + times(3, "(table 0 funcref)") + ")", limits), "tables = 2");
}

TEST_F(LimitsTest, TablesTakeNoMappings) {
  Module module = compile_text("(module " + times(100'000, "(table 1 funcref)") + "(func (export \"f\")))");
  const size_t before = mappings_of_process();
  const uint64_t counted = address_space_use().mappings;
  Instance instance = must(Linker(engine_).instantiate(module));
  EXPECT_EQ(instance.usage().tables, 100'000u);
  EXPECT_EQ(instance.usage().table_elements, 100'000u);
  EXPECT_EQ(address_space_use().mappings, counted);
  // The heap's.
  EXPECT_LT(mappings_of_process(), before + 100);
}

TEST_F(LimitsTest, TablesMoveWhenTheyGrow) {
  // Whether the guest, a libcall or a host function makes it grow, between accesses that could share an address.
  const std::string text = R"((module
    (import "env" "grow" (func $grow))
    (table $t (export "t") 1 externref)
    (func (export "guest") (param externref i32) (result i32) (local i32)
      (table.set $t (i32.const 0) (local.get 0))
      (loop $again
        (drop (table.grow $t (local.get 0) (i32.const 1)))
        (if (ref.is_null (table.get $t (i32.const 0))) (then unreachable))
        (if (ref.is_null (table.get $t (i32.sub (table.size $t) (i32.const 1)))) (then unreachable))
        (table.set $t (i32.const 0) (local.get 0))
        (br_if $again (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (local.get 1))))
      (table.size $t))
    (func (export "host") (param externref) (result i32)
      (table.set $t (i32.const 0) (local.get 0))
      (call $grow)
      (table.set $t (i32.const 0) (ref.null extern))
      (ref.is_null (table.get $t (i32.const 0))))))";
  for (OptLevel opt : {OptLevel::o0, OptLevel::o1}) {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = opt;
    Engine engine = must(Engine::create(config));
    Linker linker(engine);
    linker.define("env", "grow", [](Caller& caller) -> Result<void> {
      ROTOR_TRY(uint64_t size, caller.table_grow("t", 100'000, Value(ExternRef{5})));
      (void)size;
      return {};
    });
    Instance instance = must(linker.instantiate(must(Module::compile(engine, must(wat_to_wasm(text))))));
    const Value seven(ExternRef{7});
    EXPECT_EQ(must(must(instance.get_func("guest")).call({seven, 5000}))[0].i32(), 5001);
    EXPECT_EQ(must(must(instance.get_func("host")).call({seven}))[0].i32(), 1);
    Table table = must(instance.get_table("t"));
    EXPECT_EQ(table.size(), 105'001u);
    EXPECT_TRUE(must(table.get(0)).is_null());
    EXPECT_EQ(must(table.get(1)).externref().bits, 7u);
    EXPECT_EQ(must(table.get(105'000)).externref().bits, 5u);
  }
}

TEST_F(LimitsTest, TheProcessKeepsMappings) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer takes mappings of its own for each, and finds none";
#endif
  // 64-bit memories reserve no more than they may have.
  Module module = compile_text("(module " + times(100, "(memory i64 1 1)") + ")");
  const auto before = address_space_use();
  ASSERT_GT(before.mappings_limit, before.mappings);
  Linker linker(engine_);
  std::vector<Instance> instances;
  std::optional<Error> refused;
  while (!refused) {
    auto instance = linker.instantiate(module);
    if (instance)
      instances.push_back(std::move(*instance));
    else
      refused = std::move(instance).error();
    ASSERT_LT(instances.size(), 1000u);
  }
  EXPECT_EQ(refused->kind, ErrorKind::limit);
  EXPECT_NE(refused->message.find("vm.max_map_count"), std::string::npos) << refused->message;
  // The rest of the process goes on.
  EXPECT_LE(mappings_of_process(), before.mappings_limit + 2000);
  std::vector<void*> held;
  for (int i = 0; i < 1000; ++i) {
    void* two = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(two, MAP_FAILED);
    held.push_back(two);
    ASSERT_EQ(mprotect(two, 4096, PROT_NONE), 0);
  }
  std::thread([] {}).join();
  for (void* two : held) munmap(two, 8192);
  // All else that takes mappings is refused, too, once there is none for it: the host's tables and memories, modules.
  std::vector<Table> tables;
  for (;;) {
    auto table = Table::create(engine_, {.limits = {.min = 1, .max = 100'000}}, Value::null(ValType::funcref));
    if (!table) {
      EXPECT_EQ(table.error().kind, ErrorKind::limit);
      break;
    }
    tables.push_back(std::move(*table));
  }
  MemoryLimits one_page;
  one_page.limit_bytes = Memory::kPageBytes;
  EXPECT_EQ(kind_of(Memory::create(engine_, {.limits = {.min = 1}, .is64 = true}, one_page)), ErrorKind::limit);
  EXPECT_EQ(kind_of(Module::compile(engine_, must(wat_to_wasm("(module (func))")))), ErrorKind::limit);
  tables.clear();
  instances.pop_back();
  EXPECT_TRUE(linker.instantiate(module));
  instances.clear();
  // Some address space is kept for the next instances, and given up for others'.
  EXPECT_EQ(address_space_use().mappings, before.mappings + 3 * module.memory_slots().kept);
  EXPECT_LE(address_space_use().mappings, before.mappings + before.mappings_limit / 4);
  EXPECT_FALSE(memory::os::reserve(before.reserved_limit_bytes));
  EXPECT_EQ(address_space_use().mappings, before.mappings);
  EXPECT_EQ(address_space_use().reserved_bytes, before.reserved_bytes);
}

TEST_F(LimitsTest, MemoriesTakeNoMoreMappingsThanCounted) {
  Limits limits;
  for (bool imageable : {false, true}) {
    limits.memory.imageable = imageable;
    Instance instance = must(instantiate_text("(module (memory (export \"m\") 1))", limits));
    Memory memory = must(instance.get_memory("m"));
    auto expect_few = [&] { EXPECT_LE(mappings_in(memory.data(), code::kReservedBytes), memory::Image::kMappings); };
    auto grow_and_write = [&] {
      for (int i = 0; i < 20; ++i) {
        must(memory.grow(1));
        must(memory.write(memory.size_bytes() - 1, std::array<uint8_t, 1>{1}));
      }
      expect_few();
    };
    grow_and_write();
    must(instance.snapshot());
    grow_and_write();
    must(instance.snapshot());
    grow_and_write();
  }
}

TEST_F(LimitsTest, CodeTakesNoMoreMappingsThanCounted) {
  // Functions whose code comes in any order, from several threads.
  constexpr uint32_t kFunctions = 2000;
  std::string text = "(module ";
  for (uint32_t i = 0; i < kFunctions; ++i) {
    std::string n = std::to_string(i);
    text +=
        "(func (export \"" + n + "\") (result f64) (f64.add (f64.const " + n + ".5) (f64.sqrt (f64.const " + n + "))))";
  }
  Config config;
  config.mode = CompileMode::lazy;
  config.compile_workers = 4;
  Engine engine = must(Engine::create(config));
  Module module = must(Module::compile(engine, must(wat_to_wasm(text + ")"))));
  must(module.serialize());  // has all of it compiled
  const code::CodeRegion& region = impl_of(module).region();
  EXPECT_LE(mappings_in(region.text(), region.layout().total_bytes()), 5u);
}

}  // namespace
}  // namespace rotor::runtime::test
