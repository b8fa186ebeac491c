// Several memories of every type in one instance: the host's view, growth, snapshots.
#include "runtime/testing/memory_modules.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

constexpr uint64_t kPage = Memory::kPageBytes;
constexpr uint64_t kGiB = UINT64_C(1) << 30;

Engine engine_with_byte_pages() {
  Config config;
  config.mode = CompileMode::aot;
  config.features.custom_page_sizes = true;
  return must(Engine::create(config));
}

class MemoriesTest : public testing::Test {
 protected:
  Instance make(const InstanceOptions& options = {}) { return must(pre_.instantiate(options)); }
  Memory memory(const Instance& instance, const char* name) { return must(instance.get_memory(name)); }
  MemoryType byte_pages(uint64_t min, uint64_t max) {
    return {.limits = {min, max}, .shared = false, .is64 = true, .page_size_log2 = 0};
  }

  Engine engine_ = engine_with_byte_pages();
  Module module_ = compile(engine_, kSeveralMemories);
  InstancePre pre_ = must(Linker(engine_).instantiate_pre(module_));
};

TEST_F(MemoriesTest, AreListedInTheOrderOfTheModule) {
  Instance instance = make();
  const std::vector<Memory> all = instance.memories();
  ASSERT_GE(all.size(), 4u);
  for (const char* name : {"a", "b", "c", "d"}) {
    const auto is_it = [&](const Memory& one) { return one.data() == memory(instance, name).data(); };
    EXPECT_TRUE(is_it(all[static_cast<size_t>(*name - 'a')])) << name;
  }
  EXPECT_TRUE(Instance().memories().empty());
}

TEST_F(MemoriesTest, TheHostSeesSizesInTheirPages) {
  Instance instance = make();
  Memory a = memory(instance, "a"), b = memory(instance, "b"), c = memory(instance, "c"), d = memory(instance, "d");
  EXPECT_EQ(a.size_bytes(), kPage);
  EXPECT_EQ(b.size_pages(), 1u);
  EXPECT_EQ(b.limit_bytes(), 4 * kGiB) << "the default limit";
  EXPECT_EQ(c.size_bytes(), 5u);
  EXPECT_EQ(c.size_pages(), 5u);
  EXPECT_EQ(c.page_bytes(), 1u);
  EXPECT_EQ(c.limit_bytes(), 100'000u);
  EXPECT_EQ(must(c.grow(3)), 5u);
  EXPECT_EQ(c.type(), (MemoryType{{8, 100'000}, false, false, 0}));
  EXPECT_EQ(must(b.grow(1)), 1u);
  EXPECT_EQ(b.type(), (MemoryType{{2}, false, true}));
  EXPECT_EQ(kind_of(c.grow(100'000 - 7)), ErrorKind::limit);
  EXPECT_EQ(kind_of(d.grow(UINT64_C(1) << 48)), ErrorKind::limit);
  EXPECT_EQ(kind_of(d.grow(UINT64_MAX)), ErrorKind::limit);
  uint8_t bytes[4] = {1, 2, 3, 4}, back[4] = {};
  must(c.write(4, bytes));
  must(c.read(4, back));
  EXPECT_EQ(back[3], 4);
  EXPECT_EQ(kind_of(c.write(5, bytes)), ErrorKind::invalid_argument)
      << "the system's page goes on, the memory does not";
  EXPECT_EQ(kind_of(b.read(UINT64_MAX, back)), ErrorKind::invalid_argument);
  EXPECT_EQ(to_string(*module_.export_type("c")), "memory 5 100000 (pagesize 1)");
  EXPECT_EQ(to_string(*module_.export_type("d")), "memory i64 0 281474976710656");
}

TEST_F(MemoriesTest, AnAddressAbove32BitsIsWhereItSays) {
  InstanceOptions options;
  options.limits.memory.limit_bytes = 5 * kGiB;
  Instance instance = make(options);
  auto load = typed<int64_t(int64_t)>(instance, "load_b");
  auto load_far = typed<int64_t(int64_t)>(instance, "load_far");
  auto store = typed<void(int64_t, int64_t)>(instance, "store_b");
  const int64_t k4GiB = int64_t{1} << 32;
  EXPECT_EQ(must(typed<int64_t(int64_t)>(instance, "grow_b")(65536)), 1);
  ASSERT_EQ(memory(instance, "b").size_bytes(), 4 * kGiB + kPage);
  must(store(k4GiB + 8, 42));
  EXPECT_EQ(must(load(k4GiB + 8)), 42);
  EXPECT_EQ(must(load_far(0)), 42);
  EXPECT_EQ(must(load(8)), 0) << "not truncated";
  const int64_t end = k4GiB + static_cast<int64_t>(kPage);
  must(load(end - 8));
  expect_trap(load(end - 7), TrapKind::out_of_bounds_memory);
  expect_trap(store(end - 7, -1), TrapKind::out_of_bounds_memory);
  EXPECT_EQ(must(load(end - 8)), 0) << "no part of it was written";
  must(load_far(static_cast<int64_t>(kPage) - 16));
  expect_trap(load_far(static_cast<int64_t>(kPage) - 15), TrapKind::out_of_bounds_memory);
  expect_trap(load_far(-8), TrapKind::out_of_bounds_memory);
  expect_trap(load_far(-k4GiB - 8), TrapKind::out_of_bounds_memory);
}

TEST_F(MemoriesTest, NoLimitIsSixteenTebibytes) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer's shadow leaves no 16 TiB of address space";
#endif
  MemoryLimits limits;
  limits.limit_bytes = UINT64_MAX;
  Memory memory =
      must(Memory::create(engine_, {.limits = {0, UINT64_C(1) << 48}, .shared = false, .is64 = true}, limits));
  EXPECT_EQ(memory.limit_bytes(), 16 * 1024 * kGiB);
  EXPECT_EQ(must(memory.grow(1)), 0u);
  EXPECT_EQ(kind_of(memory.grow((UINT64_C(1) << 28))), ErrorKind::limit);
  EXPECT_EQ(kind_of(Memory::create(engine_, {.limits = {UINT64_C(1) << 48}, .shared = false, .is64 = true}, limits)),
            ErrorKind::limit);
}

TEST_F(MemoriesTest, TypesThatDoNotExist) {
  EXPECT_EQ(kind_of(Memory::create(engine_, {.limits = {2, 1}, .shared = false, .is64 = true})),
            ErrorKind::invalid_argument);
  MemoryType type = byte_pages(1, 2);
  type.page_size_log2 = 12;
  EXPECT_EQ(kind_of(Memory::create(engine_, type)), ErrorKind::invalid_argument);
  type = byte_pages(UINT64_C(1) << 32, UINT64_C(1) << 32);
  type.is64 = false;
  EXPECT_EQ(kind_of(Memory::create(engine_, type)), ErrorKind::invalid_argument);
}

TEST_F(MemoriesTest, ImportsMatchInAddressesAndPages) {
  Module user = compile(engine_, kByteMemoryUser);  // wants (memory i64 1 4 (pagesize 1))
  auto with = [&](const MemoryType& type) {
    Linker linker(engine_);
    linker.define("m", "memory", must(Memory::create(engine_, type)));
    return linker.instantiate_pre(user);
  };
  EXPECT_TRUE(with(byte_pages(1, 4)));
  EXPECT_EQ(kind_of(with(byte_pages(0, 4))), ErrorKind::link);
  EXPECT_EQ(kind_of(with(byte_pages(1, 5))), ErrorKind::link);
  MemoryType large_pages = byte_pages(1, 4), short_addresses = byte_pages(1, 4);
  large_pages.page_size_log2 = 16;
  short_addresses.is64 = false;
  EXPECT_EQ(kind_of(with(large_pages)), ErrorKind::link);
  EXPECT_EQ(kind_of(with(short_addresses)), ErrorKind::link);
}

TEST_F(MemoriesTest, TablesOf64BitIndices) {
  Instance instance = make();
  Table table = must(instance.get_table("t"));
  const Value null = Value::null(ValType::funcref);
  EXPECT_EQ(must(table.grow(3, null)), 2u);
  EXPECT_TRUE(must(table.get(4)).is_null());
  EXPECT_EQ(kind_of(table.get(UINT64_C(1) << 32)), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(table.grow(UINT64_C(1) << 32, null)), ErrorKind::limit);
  EXPECT_EQ(kind_of(table.grow(UINT64_MAX, null)), ErrorKind::limit);
  EXPECT_TRUE(table.type().is64);
}

/// The parameter: MemoryLimits::imageable.
class MemoriesSnapshotTest : public MemoriesTest, public testing::WithParamInterface<bool> {
 protected:
  InstanceOptions options() const {
    InstanceOptions options;
    options.limits.memory.imageable = GetParam();
    return options;
  }
  /// Writes into every memory, and grows two.
  void fill(const Instance& instance) {
    must(typed<void(int32_t, int64_t)>(instance, "store_a")(65528, 1));
    EXPECT_EQ(must(typed<int64_t(int64_t)>(instance, "grow_b")(1)), 1);
    must(typed<void(int64_t, int64_t)>(instance, "store_b")(131064, 2));
    EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "grow_c")(4994)), 5);
    must(typed<void(int32_t, int32_t)>(instance, "store_c")(4998, 3));
  }
  void expect_filled(const Instance& instance) {
    EXPECT_EQ(must(typed<int64_t(int32_t)>(instance, "load_a")(65528)), 1);
    EXPECT_EQ(must(typed<int64_t(int64_t)>(instance, "load_b")(131064)), 2);
    EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "load_c")(4998)), 3);
    EXPECT_EQ(memory(instance, "c").size_bytes(), 4999u);
    EXPECT_EQ(memory(instance, "d").size_bytes(), 0u);
    expect_trap(typed<int32_t(int32_t)>(instance, "load_c")(4999), TrapKind::out_of_bounds_memory);
    expect_trap(typed<int64_t(int64_t)>(instance, "load_b")(131065), TrapKind::out_of_bounds_memory);
  }
};
INSTANTIATE_TEST_SUITE_P(Kinds, MemoriesSnapshotTest, testing::Bool(),
                         [](const auto& param) { return param.param ? "imageable" : "plain"; });

TEST_P(MemoriesSnapshotTest, HoldsEveryMemory) {
  Instance instance = make(options());
  fill(instance);
  Snapshot snapshot = must(instance.snapshot());
  EXPECT_EQ(snapshot.memory_bytes(), kPage + 2 * kPage + 4999);
  expect_filled(instance);
  Instance stamped = must(pre_.instantiate(snapshot, options()));
  expect_filled(stamped);
  // What one writes the other does not see, in any of them.
  must(typed<void(int32_t, int64_t)>(stamped, "store_a")(65528, 9));
  must(typed<void(int64_t, int64_t)>(stamped, "store_b")(131064, 9));
  must(typed<void(int32_t, int32_t)>(stamped, "store_c")(4998, 9));
  expect_filled(instance);
  expect_filled(must(pre_.instantiate(snapshot, options())));
  // And again, from what was stamped.
  Snapshot second = must(stamped.snapshot());
  EXPECT_FALSE(must(second.digest()) == must(snapshot.digest()));
  EXPECT_TRUE(must(must(must(pre_.instantiate(snapshot)).snapshot()).digest()) == must(snapshot.digest()));
  EXPECT_EQ(must(typed<int32_t(int32_t)>(must(pre_.instantiate(second)), "load_c")(4998)), 9);
}

TEST_P(MemoriesSnapshotTest, WhatAStampedMemoryGrowsOverIsZero) {
  Instance instance = make(options());
  fill(instance);
  Snapshot snapshot = must(instance.snapshot());
  auto check = [&](const Instance& here) {
    EXPECT_EQ(must(typed<int32_t(int32_t)>(here, "grow_c")(20'000)), 4999);
    Memory c = memory(here, "c");
    std::vector<uint8_t> bytes(20'000, 1);
    must(c.read(4999, bytes));
    EXPECT_EQ(bytes, std::vector<uint8_t>(20'000, 0));
    must(c.write(4999, std::vector<uint8_t>(20'000, 7)));
    expect_trap(typed<int32_t(int32_t)>(here, "load_c")(24'999), TrapKind::out_of_bounds_memory);
  };
  check(instance);
  check(must(pre_.instantiate(snapshot, options())));
  expect_filled(must(pre_.instantiate(snapshot)));
}

TEST_P(MemoriesSnapshotTest, AddressSpaceKeptReadyIsOfEachMemory) {
  Instance instance = make(options());
  fill(instance);
  Snapshot snapshot = must(instance.snapshot());
  must(snapshot.keep_ready(1));
  for (int i = 0; i < 3; ++i) {
    Instance stamped = must(pre_.instantiate(snapshot));
    expect_filled(stamped);
    EXPECT_EQ(must(typed<int32_t(int32_t)>(stamped, "grow_c")(10'000)), 4999);
    must(typed<void(int32_t, int32_t)>(stamped, "store_c")(14'998, 9));
    must(typed<void(int32_t, int32_t)>(stamped, "store_c")(5000, 9));
    must(typed<void(int64_t, int64_t)>(stamped, "store_b")(131064, 9));
  }
  // Limits of another size: another reservation.
  InstanceOptions small;
  small.limits.memory.limit_bytes = 6 * kPage;  // of 1, 2 and 4,999 bytes
  Instance limited = must(pre_.instantiate(snapshot, small));
  expect_filled(limited);
  EXPECT_EQ(must(typed<int64_t(int64_t)>(limited, "grow_b")(3)), -1);
  EXPECT_EQ(must(typed<int64_t(int64_t)>(limited, "grow_b")(2)), 2);
}

}  // namespace
}  // namespace rotor::runtime::test
