// Images of data that code files and entries of the cache carry: what maps them, and what is found of damage.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "code/cache.h"
#include "code/code_file.h"
#include "rotor/rotor.h"
#include "runtime/testing/support.h"
#include "wasm/testing/assemble.h"

namespace rotor::runtime {
namespace {

using namespace test;
using wasm::test::assemble;
using DataInit = Module::DataInit;
namespace fs = std::filesystem;

constexpr int32_t kBegin = 1000;
constexpr int32_t kBytes = 48 << 10;
constexpr int32_t kEnd = kBegin + kBytes;

/// A module with 48 KiB of 'a' in a memory of 2 pages, 'b' in its second memory, and whatever `more` says.
std::vector<uint8_t> with_data(const std::string& more = "") {
  const auto data = [](char byte) { return "\"" + std::string(kBytes, byte) + "\""; };
  return assemble(R"((module (memory 2) (memory 2)
    (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "get1") (param i32) (result i32) (i32.load8_u 1 (local.get 0)))
    (func (export "set") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
    (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
    (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 7) (local.get 1)))
    (data (i32.const 1000) )" +
                  data('a') + ") (data (memory 1) (i32.const 1000) " + data('b') + ")" + more + ")");
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  ASSERT_TRUE(file) << path;
}

class StoredImages : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/rotor-stored-images-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/module.rotor";
  }
  void TearDown() override { fs::remove_all(folder_); }

  static int32_t get(const Instance& instance, int32_t at) {
    return must(typed<int32_t(int32_t)>(instance, "get")(at));
  }
  static void expect_data(const Instance& instance) {
    auto second = typed<int32_t(int32_t)>(instance, "get1");
    EXPECT_EQ(get(instance, kBegin - 1), 0);
    EXPECT_EQ(get(instance, kBegin), 'a');
    EXPECT_EQ(get(instance, kEnd - 1), 'a');
    EXPECT_EQ(get(instance, kEnd), 0);
    EXPECT_EQ(get(instance, 2 * 65536 - 1), 0);
    EXPECT_EQ(must(second(kBegin)), 'b');
    EXPECT_EQ(must(second(kEnd)), 0);
  }
  Module saved(const std::vector<uint8_t>& bytes) {
    EXPECT_TRUE(compile(engine_, bytes).serialize_to_file(path_));
    return loaded();
  }
  Module loaded() { return must(Module::deserialize_file(engine_, path_)); }
  Config cached() const {
    Config config;
    config.mode = CompileMode::aot;
    config.cache.enabled = true;
    config.cache.folder = folder_ + "/cache";
    return config;
  }
  std::string entry() const {
    for (const auto& item : fs::directory_iterator(folder_ + "/cache")) return item.path();
    return {};
  }
  /// Returns where the image of a memory begins in the file.
  static uint64_t place_of(const std::string& path, size_t image) {
    std::string text = read_file(path);
    return must(code::parse_code_file({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, path,
                                      code::Check::all))
        .images.at(image)
        .file_offset;
  }

  Engine engine_ = engine();
  std::string folder_, path_;
};

TEST_F(StoredImages, AreMappedFromTheFile) {
  Module module = saved(with_data());
  InstancePre pre = must(Linker(engine_).instantiate_pre(module));
  Instance a = must(pre.instantiate());
  EXPECT_EQ(module.data_init(), DataInit::mapped_file);
  expect_data(a);
  must(typed<void(int32_t, int32_t)>(a, "set")(kBegin, 'x'));
  must(typed<void(int32_t, int32_t)>(a, "set")(kEnd + 100, 'y'));
  expect_data(must(pre.instantiate()));
  EXPECT_EQ(get(a, kBegin), 'x');
  // What was written is in no file, and an instance in a slot that was used sees none of it.
  a = Instance(must(pre.instantiate()));
  expect_data(a);
  expect_data(must(Linker(engine_).instantiate(loaded())));
}

TEST_F(StoredImages, AreTheSameWhenTheModuleIsSavedAgain) {
  Module module = saved(with_data());
  const std::string first = read_file(path_);
  ASSERT_TRUE(module.serialize_to_file(path_));  // replaces the file that is mapped
  EXPECT_EQ(read_file(path_), first);
  expect_data(must(Linker(engine_).instantiate(module)));
  EXPECT_EQ(module.data_init(), DataInit::mapped_file);
}

TEST_F(StoredImages, AreNotForDataThatLieFarApart) {
  Module module = saved(assemble(R"((module (memory 200) (func (export "get") (param i32) (result i32)
    (i32.load8_u (local.get 0))) (data (i32.const 10) "a") (data (i32.const 12000000) "b")))"));
  EXPECT_LT(fs::file_size(path_), 100'000u);
  Instance instance = must(Linker(engine_).instantiate(module));
  EXPECT_EQ(module.data_init(), DataInit::mapped);
  EXPECT_EQ(get(instance, 12'000'000), 'b');
}

TEST_F(StoredImages, SnapshotsAreTakenOfInstancesOfThem) {
  Module module = saved(with_data());
  InstancePre pre = must(Linker(engine_).instantiate_pre(module));
  Instance instance = must(pre.instantiate());
  must(typed<void(int32_t, int32_t)>(instance, "set")(5000, 'x'));
  Snapshot snapshot = must(instance.snapshot());
  must(typed<void(int32_t, int32_t)>(instance, "set")(5000, 'z'));
  Instance stamped = must(pre.instantiate(snapshot));
  EXPECT_EQ(get(stamped, 5000), 'x');
  EXPECT_EQ(get(stamped, kEnd - 1), 'a');
  EXPECT_EQ(get(stamped, kEnd), 0);
}

TEST_F(StoredImages, DamageIsFoundWhereItIsAskedFor) {
  (void)saved(with_data());
  std::string text = read_file(path_);
  text[place_of(path_, 1) + 2000] ^= 1;
  fs::remove(path_);
  write_file(path_, text);
  auto checked = Module::deserialize_file(engine_, path_, Module::Verify::all);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::corrupt);
  EXPECT_NE(checked.error().message.find("the data of memory 1"), std::string::npos) << checked.error().message;
  EXPECT_TRUE(Module::deserialize_file(engine_, path_));  // tables only
  EXPECT_TRUE(Module::deserialize_file(engine_, path_, Module::Verify::code));
  auto bytes = std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  EXPECT_EQ(kind_of(Module::deserialize(engine_, bytes)), ErrorKind::corrupt);
}

TEST_F(StoredImages, AFileThatWasCutBeforeTheFirstInstanceIsNotMapped) {
  Module module = saved(with_data());
  ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(place_of(path_, 1))), 0);
  Instance instance = must(Linker(engine_).instantiate(module));
  expect_data(instance);  // the second memory's data come from the segments
}

TEST_F(StoredImages, AFileThatIsCutUnderAnInstanceIsATrap) {
  Module module = saved(with_data());
  const uint64_t first = place_of(path_, 0);
  InstancePre pre = must(Linker(engine_).instantiate_pre(module));
  Instance instance = must(pre.instantiate());
  auto set = typed<void(int32_t, int32_t)>(instance, "set");
  must(set(0, 1));  // a page of its own, which the system takes away with what it was copied from
  must(set(100'000, 2));
  ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(first)), 0);
  expect_trap(typed<int32_t(int32_t)>(instance, "get")(kEnd - 1), TrapKind::out_of_bounds_memory);
  expect_trap(set(kEnd - 1, 1), TrapKind::out_of_bounds_memory);
  auto copy = typed<void(int32_t, int32_t, int32_t)>(instance, "copy");
  auto copied = copy(100'000, 20'000, 100);
  ASSERT_FALSE(copied);
  ASSERT_TRUE(copied.error().trap) << copied.error().to_string();
  EXPECT_EQ(copied.error().trap->kind, TrapKind::out_of_bounds_memory);
  EXPECT_EQ(copied.error().trap->frames().size(), 1u);
  expect_trap(typed<void(int32_t, int32_t)>(instance, "fill")(20'000, 10), TrapKind::out_of_bounds_memory);
  expect_trap(typed<int32_t(int32_t)>(instance, "get")(0), TrapKind::out_of_bounds_memory);
  // What lies behind the data is not of the file.
  EXPECT_EQ(get(instance, 100'000), 2);
  must(copy(110'000, 100'000, 100));
  EXPECT_EQ(get(instance, 110'000), 2);
}

TEST_F(StoredImages, AreMappedFromTheCache) {
  const std::vector<uint8_t> bytes = with_data();
  for (bool hit : {false, true}) {
    Engine engine = must(Engine::create(cached()));
    Module module = compile(engine, bytes);
    EXPECT_EQ(module.cache_outcome().hit, hit);
    expect_data(must(Linker(engine).instantiate(module)));
    EXPECT_EQ(module.data_init(), hit ? DataInit::mapped_file : DataInit::mapped);
  }
}

TEST_F(StoredImages, OfAnEntryFromBeforeTheMachineStartedAreChecked) {
  const std::vector<uint8_t> bytes = with_data();
  {
    compile(must(Engine::create(cached())), bytes);
  }
  const std::string path = entry();
  for (bool damaged : {false, true}) {
    std::string text = read_file(path);
    code::CodeFile file = must(
        code::parse_code_file({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, path, code::Check::all));
    if (!damaged) {
      ASSERT_EQ(file.boot, code::boot_number());
      ASSERT_NE(file.boot, 0u);
    }
    file.boot = 12345;
    std::string other;
    ASSERT_TRUE(code::write_code(file, [&](const void* data, size_t size) -> Result<void> {
      other.append(static_cast<const char*>(data), size);
      return {};
    }));
    if (damaged) other.replace(other.size() - 4096, 4096, 4096, '\0');  // a hole
    fs::remove(path);
    write_file(path, other);
    Engine engine = must(Engine::create(cached()));
    Module module = compile(engine, bytes);
    EXPECT_EQ(module.cache_outcome().hit, !damaged);
    expect_data(must(Linker(engine).instantiate(module)));
  }
  // It was made again.
  Engine engine = must(Engine::create(cached()));
  EXPECT_TRUE(compile(engine, bytes).cache_outcome().hit);
}

}  // namespace
}  // namespace rotor::runtime
