// Code files and serialized bytes, from every mode into every mode.
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "code/code_file.h"
#include "code/code_image.h"
#include "runtime/testing/tiers.h"

namespace rotor::runtime::test {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;
using Verify = Module::Verify;
using wasm::test::operator+;

/// Of the module's functions.
constexpr uint32_t kFunctions = 19;

struct Made {
  CompileMode mode;
  OptLevel opt;
  const char* name;
};

class Serialized : public testing::TestWithParam<Made> {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/rotor-serialize-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    path_ = root_ + "/file";
  }
  void TearDown() override { fs::remove_all(root_); }

  Engine engine(uint32_t hot_count = 1'000'000) const { return engine_of(GetParam().mode, hot_count, GetParam().opt); }
  bool has_tiers() const { return GetParam().mode != CompileMode::aot; }
  Bytes serialized(std::span<const uint8_t> module = kTiers) const {
    return must(compile(engine(), module).serialize());
  }
  void write(const Bytes& bytes) const {
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file);
  }
  Bytes written() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  Result<Module> load(const Bytes& bytes, Verify verify) const {
    write(bytes);
    return Module::deserialize_file(loader_, path_, verify);
  }

  std::string root_, path_;
  Engine loader_ = engine_of(CompileMode::aot);
};
INSTANTIATE_TEST_SUITE_P(MadeBy, Serialized,
                         testing::Values(Made{CompileMode::aot, OptLevel::o0, "aot_o0"},
                                         Made{CompileMode::aot, OptLevel::o1, "aot_o1"},
                                         Made{CompileMode::eager, OptLevel::o0, "eager_o0"},
                                         Made{CompileMode::eager, OptLevel::o1, "eager_o1"},
                                         Made{CompileMode::lazy, OptLevel::o0, "lazy_o0"},
                                         Made{CompileMode::lazy, OptLevel::o1, "lazy_o1"}),
                         [](const auto& made) { return made.param.name; });

TEST_P(Serialized, RunsTheSameOnEveryEngine) {
  Bytes bytes = serialized();
  for (CompileMode mode : {CompileMode::aot, CompileMode::eager, CompileMode::lazy}) {
    for (OptLevel opt : {OptLevel::o0, OptLevel::o1}) {
      Engine e = engine_of(mode, 1, opt);
      Module module = must(Module::deserialize(e, bytes));
      Instance instance = instantiate(host_linker(e), module);
      for (int round = 0; round < 3; ++round) expect_outcomes(instance, "loaded");
      // What it has is all that it ever has.
      TierStats stats = module.tier_stats();
      EXPECT_EQ(stats.tier0_compiled + stats.tier1_compiled, 0u);
      EXPECT_EQ(stats.functions, kFunctions);
      bool straight_o1 = GetParam().mode == CompileMode::aot && GetParam().opt == OptLevel::o1;
      EXPECT_EQ(stats.tier0_functions, straight_o1 ? 0 : kFunctions);
      EXPECT_EQ(stats.tier1_functions, straight_o1 ? kFunctions : 0);
    }
  }
}

TEST_P(Serialized, TellsTheSame) {
  Module original = compile(engine(), kTiers), loaded = must(Module::deserialize(loader_, must(original.serialize())));
  ASSERT_EQ(loaded.exports().size(), original.exports().size());
  for (size_t i = 0; i < loaded.exports().size(); ++i) {
    EXPECT_EQ(loaded.exports()[i].name, original.exports()[i].name);
    EXPECT_EQ(to_string(loaded.exports()[i].type), to_string(original.exports()[i].type));
  }
  EXPECT_EQ(loaded.imports().size(), original.imports().size());
  EXPECT_TRUE(std::ranges::equal(loaded.custom_section("name"), original.custom_section("name")));
  EXPECT_EQ(loaded.compile_stats().functions, original.compile_stats().functions);
}

TEST_P(Serialized, SerializedAgainItIsTheSame) {
  Bytes bytes = serialized();
  EXPECT_EQ(must(must(Module::deserialize(loader_, bytes)).serialize()), bytes);
  Module from_file = must(load(bytes, Verify::tables));
  must(from_file.serialize_to_file(path_ + ".2"));
  EXPECT_EQ(must(from_file.serialize()), bytes);
  EXPECT_EQ(fs::file_size(path_ + ".2"), bytes.size());
}

TEST_P(Serialized, FilesAndBytesAreTheSame) {
  Module module = compile(engine(), kTiers);
  must(module.serialize_to_file(path_));
  EXPECT_EQ(must(module.serialize()), written());
  for (Verify verify : {Verify::tables, Verify::all}) {
    Module loaded = must(Module::deserialize_file(loader_, path_, verify));
    // The file is mapped; its name is no longer needed.
    std::optional<Instance> instance;
    if (verify == Verify::all) fs::remove(path_);
    instance = instantiate(host_linker(loader_), loaded);
    expect_outcomes(*instance, "from a file");
  }
}

TEST_P(Serialized, CallsGoOnMeanwhile) {
  Engine e = engine(1);
  Module module = compile(e, many_functions(50, 20));
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      Instance own = instantiate(Linker(e), module);
      for (uint32_t i = 0; i < 200; ++i) {
        uint32_t f = (i + t * 12) % 50;
        auto result = typed<int32_t(int32_t)>(own, "f" + std::to_string(f))(3);
        ASSERT_TRUE(result) << result.error().to_string();
        ASSERT_EQ(static_cast<uint32_t>(*result), many_functions_result(f, 3));
      }
    });
  for (int i = 0; i < 10; ++i) {
    Module loaded = must(Module::deserialize(loader_, must(module.serialize())));
    Instance instance = instantiate(Linker(loader_), loaded);
    for (uint32_t f = 0; f < 50; ++f) {
      auto result = typed<int32_t(int32_t)>(instance, "f" + std::to_string(f))(4);
      ASSERT_TRUE(result) << result.error().to_string();
      ASSERT_EQ(static_cast<uint32_t>(*result), many_functions_result(f, 4));
    }
  }
  for (std::thread& thread : threads) thread.join();
  if (GetParam().mode == CompileMode::lazy) {
    EXPECT_EQ(module.tier_stats().tier0_compiled, 51u) << "each once, for calls and for the file";
  }
}

TEST_P(Serialized, HotCodeIsInIt) {
  Engine e = engine(1);
  Module module = compile(e, kTiers);
  Instance instance = instantiate(host_linker(e), module);
  auto fib = typed<int32_t(int32_t)>(instance, "fib");
  EXPECT_EQ(must(fib(10)), 55);
  settle(module);
  uint32_t tier1 = module.tier_stats().tier1_functions;
  if (has_tiers()) {
    EXPECT_EQ(tier1, GetParam().opt == OptLevel::o1 ? 1u : 0u);
  }
  if (GetParam().mode == CompileMode::lazy) {
    EXPECT_EQ(module.tier_stats().tier0_functions, 1u);
  }
  Module loaded = must(Module::deserialize(loader_, must(module.serialize())));
  EXPECT_EQ(loaded.tier_stats().tier1_functions, tier1);
  expect_outcomes(instantiate(host_linker(loader_), loaded), "with hot code");
  if (GetParam().mode == CompileMode::lazy) {
    EXPECT_EQ(module.tier_stats().tier0_compiled, kFunctions) << "the others were compiled for it";
  }
  // The module that was serialized goes on.
  EXPECT_EQ(must(fib(10)), 55);
}

TEST_P(Serialized, ModulesWithoutFunctions) {
  for (const Bytes& module : {wasm::test::module({}), Bytes(std::begin(kOnlyImports), std::end(kOnlyImports))}) {
    Bytes bytes = serialized(module);
    Module loaded = must(load(bytes, Verify::all));
    EXPECT_EQ(loaded.tier_stats().functions, 0u);
    Linker linker = host_linker(loader_);
    linker.define("env", "memory", must(Memory::create(loader_, {.limits = {.min = 1}})));
    EXPECT_TRUE(instantiate(linker, loaded));
    EXPECT_EQ(must(must(Module::deserialize(loader_, bytes)).serialize()), bytes);
  }
}

TEST_P(Serialized, LinksWithModulesOfOtherModes) {
  for (CompileMode mode : {CompileMode::aot, CompileMode::eager, CompileMode::lazy}) {
    Engine e = engine_of(mode);
    Instance owner = instantiate(host_linker(e), must(Module::deserialize(e, serialized())));
    Linker linker(e);
    linker.define_instance("t", owner);
    Instance importer = instantiate(linker, compile(e, kTierImporter));
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(must(typed<int32_t(int32_t)>(importer, "twice")(9)), 162);
      EXPECT_EQ(must(typed<int32_t(int32_t, int32_t)>(importer, "through")(2, 10)), 55);
      EXPECT_EQ(must(typed<int32_t(int32_t, int32_t)>(owner, "indirect")(6, 4)), 64);
    }
  }
}

TEST_P(Serialized, AnyAlignmentWillDo) {
  Bytes bytes = serialized();
  for (size_t by = 0; by < 8; ++by) {
    Bytes moved(by + bytes.size());
    std::ranges::copy(bytes, moved.begin() + static_cast<ptrdiff_t>(by));
    Module module = must(Module::deserialize(loader_, std::span(moved).subspan(by)));
    moved = {};
    expect_outcomes(instantiate(host_linker(loader_), module), "moved");
  }
}

TEST_P(Serialized, EnginesWithoutAFeatureRefuse) {
  Bytes bytes = serialized(kShared);
  Config config;
  config.mode = CompileMode::aot;
  config.features.threads = false;
  auto refused = Module::deserialize(must(Engine::create(config)), bytes);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("threads"), std::string::npos) << refused.error().message;
}

/// Expects `corrupt` of the bytes, from memory and from a file that is read through; `tables`: and from one that is
/// not.
class Expectation {
 public:
  Expectation(const Engine& e, std::string path) : engine_(e), path_(std::move(path)) {}
  void corrupt(const Bytes& bytes, bool tables, const std::string& what) {
    expect(Module::deserialize(engine_, bytes), what);
    {
      std::ofstream file(path_, std::ios::binary | std::ios::trunc);
      file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    auto read_through = Module::deserialize_file(engine_, path_, Verify::all);
    expect(read_through, what + ", file");
    if (!read_through) {
      EXPECT_NE(read_through.error().message.find(path_), std::string::npos) << read_through.error().message;
    }
    if (tables) expect(Module::deserialize_file(engine_, path_, Verify::tables), what + ", tables");
  }

 private:
  void expect(const Result<Module>& result, const std::string& what) {
    ASSERT_FALSE(result) << what;
    EXPECT_EQ(result.error().kind, ErrorKind::corrupt) << what << ": " << result.error().message;
  }
  const Engine& engine_;
  std::string path_;
};

/// Where a part of a code file lies in it.
struct Part {
  size_t begin, end;
};
template <class T>
Part part_of(const Bytes& file, std::span<const T> part) {
  auto begin = static_cast<size_t>(reinterpret_cast<const uint8_t*>(part.data()) - file.data());
  return {begin, begin + part.size_bytes()};
}

TEST_P(Serialized, DamageIsFound) {
  Bytes bytes = serialized();
  code::CodeFile file = must(code::parse_code_file(bytes, "", code::Check::all));
  size_t tables_end = part_of(bytes, file.functions).end;
  ASSERT_GT(tables_end, 112 + kFunctions * sizeof(code::FunctionCode) - 1);
  Expectation expect(loader_, path_);
  for (size_t at = 0; at < bytes.size(); at += at < tables_end ? 3 : 101) {
    Bytes damaged = bytes;
    damaged[at] ^= static_cast<uint8_t>(1 << at % 8);
    expect.corrupt(damaged, at < tables_end, "a bit at " + std::to_string(at));
  }
  for (Part part : {part_of(bytes, file.lines), part_of(bytes, file.module_bytes), part_of(bytes, file.text)}) {
    for (size_t at : {part.begin, part.end - 1}) {
      Bytes damaged = bytes;
      damaged[at] ^= 0x80;
      expect.corrupt(damaged, false, "an end of a part, at " + std::to_string(at));
    }
  }
}

TEST_P(Serialized, TruncationIsFound) {
  Bytes bytes = serialized();
  Expectation expect(loader_, path_);
  for (size_t size = 0; size < bytes.size(); size += size < 600 ? 7 : 307)
    expect.corrupt(Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)), true,
                   "cut to " + std::to_string(size));
  Bytes longer = bytes;
  longer.push_back(0);
  expect.corrupt(longer, true, "a byte more");
  expect.corrupt(bytes + bytes, true, "twice");
  expect.corrupt(Bytes(bytes.size()), true, "zeroes");
  expect.corrupt(Bytes(std::begin(kTiers), std::end(kTiers)), true, "a module");
}

TEST_P(Serialized, DamageThatTheTablesDoNotTellIsNoCrash) {
  Bytes bytes = serialized();
  code::CodeFile file = must(code::parse_code_file(bytes, "", code::Check::all));
  // Lines are for backtraces: functions run, and traps are told.
  Part lines = part_of(bytes, file.lines);
  for (size_t at = lines.begin; at < lines.end; at += 5) {
    Bytes damaged = bytes;
    damaged[at] = static_cast<uint8_t>(damaged[at] ^ 0xff);
    Module module = must(load(damaged, Verify::tables));
    Instance instance = instantiate(host_linker(loader_), module);
    EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "fib")(10)), 55);
    for (const Call& call : calls())
      if (auto result = must(instance.get_func(call.name)).call(call.args); !result) (void)result.error().to_string();
  }
  // A module that is no longer the one may be refused; it is not run.
  Part module_bytes = part_of(bytes, file.module_bytes);
  for (size_t at = module_bytes.begin; at < module_bytes.end; ++at) {
    Bytes damaged = bytes;
    damaged[at] = static_cast<uint8_t>(damaged[at] + 1);
    if (auto module = load(damaged, Verify::tables)) {
      (void)module->sections();
      (void)module->required_features();
      (void)module->serialize();
    }
  }
}

TEST_P(Serialized, LinksLeadToTheFileThatIsReplaced) {
  Module module = compile(engine(), kTiers);
  fs::create_symlink("file", root_ + "/link");
  must(module.serialize_to_file(root_ + "/link"));
  EXPECT_EQ(fs::status(path_).permissions() & fs::perms::others_write, fs::perms::none);
  fs::permissions(path_, fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  must(module.serialize_to_file(root_ + "/link"));
  EXPECT_TRUE(fs::is_symlink(root_ + "/link"));
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  must(Module::deserialize_file(loader_, path_, Verify::all));
  EXPECT_EQ(std::distance(fs::directory_iterator(root_), {}), 2);
}

TEST_P(Serialized, FilesThatAreNone) {
  EXPECT_EQ(kind_of(Module::deserialize_file(loader_, root_ + "/missing")), ErrorKind::io);
  EXPECT_EQ(kind_of(Module::deserialize_file(loader_, root_)), ErrorKind::io);
  EXPECT_EQ(kind_of(Module::deserialize_file(loader_, "/dev/null")), ErrorKind::io);
  Module module = compile(engine(), kTiers);
  EXPECT_EQ(kind_of(module.serialize_to_file(root_ + "/no/folder")), ErrorKind::io);
  fs::create_directories(root_ + "/folder/full");
  EXPECT_EQ(kind_of(module.serialize_to_file(root_ + "/folder")), ErrorKind::io);
  EXPECT_EQ(std::distance(fs::directory_iterator(root_), {}), 1) << "no temporary stays";
}

/// Entries of the cache are code files too, but hold the module with its bodies, and maybe not all of its code.
TEST_P(Serialized, ACacheEntryRunsIfItIsComplete) {
  Config config = engine().config();
  config.cache.enabled = true;
  config.cache.folder = root_ + "/cache";
  {
    Engine e = must(Engine::create(config));
    Module module = compile(e, kTiers);
    Instance instance = instantiate(host_linker(e), module);
    EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "square")(3)), 9);
  }
  for (const auto& entry : fs::directory_iterator(config.cache.folder)) {
    for (Verify verify : {Verify::tables, Verify::all}) {
      auto loaded = Module::deserialize_file(loader_, entry.path(), verify);
      if (GetParam().mode == CompileMode::lazy) {
        ASSERT_EQ(kind_of(loaded), ErrorKind::corrupt);
        EXPECT_NE(loaded.error().message.find("lacks the code"), std::string::npos) << loaded.error().message;
        continue;
      }
      ASSERT_TRUE(loaded) << loaded.error().message;
      expect_outcomes(instantiate(host_linker(loader_), *loaded), "from a cache entry");
      EXPECT_TRUE(Module::deserialize(loader_, must(loaded->serialize())));
    }
  }
}

}  // namespace
}  // namespace rotor::runtime::test
