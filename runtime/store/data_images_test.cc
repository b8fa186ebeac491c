// How instances get their data: copied, or mapped from images.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "memory/fault_injection.h"
#include "rotor/rotor.h"
#include "runtime/testing/support.h"
#include "wasm/testing/assemble.h"

namespace rotor::runtime {
namespace {

using namespace test;
using wasm::test::assemble;
using DataInit = Module::DataInit;

std::string data_of(size_t bytes, char byte) { return "\"" + std::string(bytes, byte) + "\""; }

constexpr std::string_view kAccess = R"(
  (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "set") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "init") (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))))";

/// A module with one memory of 2 pages, accessors, and what `more` says.
std::vector<uint8_t> with_memory(const std::string& more) {
  return assemble("(module (memory (export \"m\") 2 10)" + std::string(kAccess) + more + ")");
}

/// A megabyte's worth would take long to assemble: 40 KiB of 'a' from 1000 on.
std::string large_data() { return "(data (i32.const 1000) " + data_of(40 << 10, 'a') + ")"; }
constexpr int32_t kEnd = 1000 + (40 << 10);

class DataImagesTest : public testing::Test {
 protected:
  Module module_of(std::span<const uint8_t> bytes) { return compile(engine_, bytes); }
  Instance instance_of(const Module& module, const InstanceOptions& options = {}) {
    return instantiate(linker_, module, options);
  }
  static int32_t get(const Instance& instance, int32_t at) {
    return must(typed<int32_t(int32_t)>(instance, "get")(at));
  }
  static void set(const Instance& instance, int32_t at, int32_t byte) {
    must(typed<void(int32_t, int32_t)>(instance, "set")(at, byte));
  }
  static int32_t size(const Instance& instance) { return must(typed<int32_t()>(instance, "size")()); }
  /// Expects what large_data() leaves in a memory of 2 pages.
  static void expect_large_data(const Instance& instance) {
    EXPECT_EQ(size(instance), 2);
    EXPECT_EQ(get(instance, 999), 0);
    EXPECT_EQ(get(instance, 1000), 'a');
    EXPECT_EQ(get(instance, kEnd - 1), 'a');
    EXPECT_EQ(get(instance, kEnd), 0);
    EXPECT_EQ(get(instance, 2 * 65536 - 1), 0);
    expect_trap(typed<int32_t(int32_t)>(instance, "get")(2 * 65536), TrapKind::out_of_bounds_memory);
    expect_trap(typed<void()>(instance, "init")(), TrapKind::out_of_bounds_memory);  // the segment is dropped
  }

  Engine engine_ = engine();
  Linker linker_{engine_};
};

TEST_F(DataImagesTest, FewDataAreCopied) {
  Module module = module_of(with_memory("(data (i32.const 1000) \"abc\")"));
  EXPECT_FALSE(module.data_init());
  Instance instance = instance_of(module);
  EXPECT_EQ(module.data_init(), DataInit::copied);
  EXPECT_EQ(get(instance, 1002), 'c');
}

TEST_F(DataImagesTest, ManyDataAreMappedAndInstancesDoNotSeeEachOther) {
  Module module = module_of(with_memory(large_data()));
  Instance a = instance_of(module), b = instance_of(module);
  EXPECT_EQ(module.data_init(), DataInit::mapped);
  expect_large_data(a);
  set(a, 1000, 'x');
  set(a, 70'000, 'y');
  expect_large_data(b);
  Instance c = instance_of(module);
  expect_large_data(c);
  EXPECT_EQ(get(c, 70'000), 0);
  EXPECT_EQ(get(a, 1000), 'x');
}

TEST_F(DataImagesTest, AMemoryWithAnImageGrowsByZeroes) {
  Module module = module_of(with_memory(large_data()));
  Instance instance = instance_of(module);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "grow")(8)), 2);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "grow")(1)), -1);
  EXPECT_EQ(get(instance, 10 * 65536 - 1), 0);
  set(instance, 10 * 65536 - 1, 1);
  EXPECT_EQ(get(instance, kEnd - 1), 'a');
}

TEST_F(DataImagesTest, TheLaterOfOverlappingSegmentsWins) {
  Module module = module_of(with_memory(large_data() + "(data (i32.const 2000) \"bcd\")(data (i32.const 2001) \"X\")"));
  Instance instance = instance_of(module);
  EXPECT_EQ(module.data_init(), DataInit::mapped);
  EXPECT_EQ(get(instance, 2000), 'b');
  EXPECT_EQ(get(instance, 2001), 'X');
  EXPECT_EQ(get(instance, 2002), 'd');
  EXPECT_EQ(get(instance, 2003), 'a');
}

TEST_F(DataImagesTest, ASegmentThatEndsWhereTheMemoryEndsIsMapped) {
  Module module = module_of(with_memory("(data (i32.const 90112) " + data_of(40 << 10, 'a') + ")"));
  Instance instance = instance_of(module);
  EXPECT_EQ(module.data_init(), DataInit::mapped);
  EXPECT_EQ(get(instance, 2 * 65536 - 1), 'a');
}

TEST_F(DataImagesTest, ASegmentOutOfBoundsTrapsAsEver) {
  Module module = module_of(with_memory(large_data() + "(data (i32.const 131071) \"ab\")"));
  auto instance = linker_.instantiate(module);
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().kind, ErrorKind::trap);
  EXPECT_EQ(module.data_init(), DataInit::out_of_bounds);
}

TEST_F(DataImagesTest, WhatAGlobalDecidesIsWrittenByEachInstance) {
  std::vector<uint8_t> bytes = assemble("(module (import \"e\" \"g\" (global i32)) (memory (export \"m\") 2 10)" +
                                        std::string(kAccess) + "(data (global.get 0) " + data_of(40 << 10, 'a') + "))");
  Module module = module_of(bytes);
  for (int32_t at : {1000, 2000}) {
    Linker linker(engine_);
    linker.define("e", "g", must(Global::create(engine_, {ValType::i32, false}, Value(at))));
    Instance instance = instantiate(linker, module);
    EXPECT_EQ(get(instance, at - 1), 0);
    EXPECT_EQ(get(instance, at), 'a');
  }
  EXPECT_EQ(module.data_init(), DataInit::offset_by_global);
}

TEST_F(DataImagesTest, AnImportedMemoryIsWrittenTo) {
  std::vector<uint8_t> bytes =
      assemble("(module (import \"e\" \"m\" (memory 2))" + std::string(kAccess) + large_data() + ")");
  Module module = module_of(bytes);
  Memory memory = must(Memory::create(engine_, {.limits = {2, 10}}));
  linker_.define("e", "m", memory);
  Instance instance = instance_of(module);
  EXPECT_EQ(module.data_init(), DataInit::imported_memory);
  EXPECT_EQ(get(instance, 1000), 'a');
  EXPECT_EQ(memory.data()[1000], 'a');
}

TEST_F(DataImagesTest, EachMemoryGetsItsOwn) {
  std::vector<uint8_t> bytes = assemble(
      "(module (memory 2) (memory 2) (memory i64 2)"
      "(data (memory 0) (i32.const 7) \"z\")"
      "(data (memory 1) (i32.const 5000) " +
      data_of(40 << 10, 'b') +
      ")"
      "(data (memory 2) (i64.const 5001) " +
      data_of(40 << 10, 'c') +
      ")"
      "(func (export \"get\") (param i32) (result i32)"
      " (i32.add (i32.load8_u 0 (local.get 0)) (i32.add"
      "  (i32.mul (i32.const 256) (i32.load8_u 1 (local.get 0)))"
      "  (i32.mul (i32.const 65536) (i32.load8_u 2 (i64.extend_i32_u (local.get 0))))))))");
  Module module = module_of(bytes);
  Instance instance = instance_of(module);
  EXPECT_EQ(module.data_init(), DataInit::mapped);
  EXPECT_EQ(get(instance, 7), 'z');
  EXPECT_EQ(get(instance, 5000), 'b' * 256);
  EXPECT_EQ(get(instance, 5001), 'b' * 256 + 'c' * 65536);
  EXPECT_EQ(get(instance, 5000 + (40 << 10)), 'c' * 65536);
}

TEST_F(DataImagesTest, AMemoryOfBytesKeepsItsOddSize) {
  Config config;
  config.mode = CompileMode::aot;
  config.features.custom_page_sizes = true;
  Engine engine = must(Engine::create(config));
  Module module = compile(engine, assemble("(module (memory (export \"m\") 50001 60000 (pagesize 1))" +
                                           std::string(kAccess) + large_data() + ")"));
  Instance instance = instantiate(Linker(engine), module);
  EXPECT_EQ(module.data_init(), DataInit::mapped);
  EXPECT_EQ(size(instance), 50'001);
  EXPECT_EQ(get(instance, kEnd - 1), 'a');
  EXPECT_EQ(get(instance, 50'000), 0);
  expect_trap(typed<int32_t(int32_t)>(instance, "get")(50'001), TrapKind::out_of_bounds_memory);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "grow")(1)), 50'001);
  EXPECT_EQ(get(instance, 50'001), 0);
}

TEST_F(DataImagesTest, TheLimitHoldsAsEver) {
  Module module = module_of(with_memory(large_data()));
  InstanceOptions options;
  options.limits.memory.limit_bytes = 65536;
  EXPECT_EQ(kind_of(linker_.instantiate(module, options)), ErrorKind::limit);
  options.limits.memory.limit_bytes = 3 * 65536;
  Instance instance = instance_of(module, options);
  expect_large_data(instance);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "grow")(2)), -1);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "grow")(1)), 2);
}

TEST_F(DataImagesTest, SnapshotsAreTakenOfWhatWasMapped) {
  Module module = module_of(with_memory(large_data()));
  InstancePre pre = must(linker_.instantiate_pre(module));
  for (bool imageable : {false, true}) {
    InstanceOptions options;
    options.limits.memory.imageable = imageable;
    Instance instance = must(pre.instantiate(options));
    set(instance, 5000, 'x');
    set(instance, 100'000, 'y');
    Snapshot snapshot = must(instance.snapshot());
    set(instance, 5000, 'z');
    Instance stamped = must(pre.instantiate(snapshot));
    EXPECT_EQ(get(stamped, 5000), 'x');
    EXPECT_EQ(get(stamped, 100'000), 'y');
    EXPECT_EQ(get(stamped, kEnd - 1), 'a');
    EXPECT_EQ(get(stamped, kEnd), 0);
    expect_large_data(must(pre.instantiate()));
  }
}

TEST_F(DataImagesTest, ALoadedModuleHasImagesToo) {
  std::vector<uint8_t> code = must(module_of(with_memory(large_data())).serialize());
  Module module = must(Module::deserialize(engine_, code));
  expect_large_data(instance_of(module));
  EXPECT_EQ(module.data_init(), DataInit::mapped);
}

TEST_F(DataImagesTest, WithoutMemoryForTheImageDataAreCopied) {
  namespace fault_injection = memory::fault_injection;
  const std::vector<uint8_t> bytes = with_memory(large_data());
  bool was_copied = false;
  for (uint64_t n = 1;; ++n) {
    Module module = module_of(bytes);
    fault_injection::fail_after(n);
    auto instance = linker_.instantiate(module);
    const bool all_worked = fault_injection::calls() < n;
    fault_injection::off();
    was_copied |= module.data_init() == DataInit::no_memory_for_image;
    if (!instance) {
      EXPECT_EQ(kind_of(instance), ErrorKind::io) << n;
      expect_large_data(instance_of(module));
      continue;
    }
    expect_large_data(*instance);
    if (!all_worked) continue;
    EXPECT_EQ(module.data_init(), DataInit::mapped);
    break;
  }
  EXPECT_TRUE(was_copied);
}

TEST_F(DataImagesTest, AForkedChildHasItsOwnCopy) {
  Module module = module_of(with_memory(large_data()));
  Instance instance = instance_of(module);
  set(instance, 2000, 'p');
  pid_t child = fork();
  if (child == 0) {
    bool saw = get(instance, 1000) == 'a' && get(instance, 2000) == 'p';
    set(instance, 1000, 'c');
    Instance fresh = instance_of(module);
    _exit(saw && get(fresh, 1000) == 'a' && get(fresh, 2000) == 'a' ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(get(instance, 1000), 'a');
}

}  // namespace
}  // namespace rotor::runtime
