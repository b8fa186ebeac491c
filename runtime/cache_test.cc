// The automatic cache, through the public API.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <set>
#include <thread>

#include "runtime/access.h"
#include "runtime/testing/tiers.h"

namespace rotor::runtime::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr uid_t kNobody = 65534;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Another file of that name: what has the old one mapped keeps it.
void replace_file(const std::string& path, const std::string& text) {
  {
    std::ofstream file(path + ".new", std::ios::binary | std::ios::trunc);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    ASSERT_TRUE(file) << path;
  }
  fs::rename(path + ".new", path);
}

/// A process that runs `body`, whose failed expectations are failures too. Pre: no engine is there.
pid_t start_child(const std::function<int()>& body) {
  pid_t child = fork();
  if (child != 0) return child;
  int code = body();
  _exit(testing::Test::HasFailure() ? 100 : code);
}

/// The child's exit code; 128 and the signal if one killed it.
int end_of(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// A module of the kind many_functions.
struct Sample {
  uint32_t functions;
  uint32_t salt;
  std::vector<uint8_t> bytes;
  explicit Sample(uint32_t count = 4, uint32_t s = 1, uint32_t bulk = 0)
      : functions(count), salt(s), bytes(many_functions(count, bulk, s)) {}

  /// Calls functions [0, count).
  void expect_right(const Engine& e, const Module& module, uint32_t count, int times = 1) const {
    Instance instance = instantiate(Linker(e), module);
    for (uint32_t f = 0; f < count; ++f) {
      auto function = typed<int32_t(int32_t)>(instance, "f" + std::to_string(f));
      for (int i = 0; i < times; ++i) {
        auto result = function(41);
        ASSERT_TRUE(result) << result.error().to_string();
        ASSERT_EQ(static_cast<uint32_t>(*result), many_functions_result(f, 41, salt)) << "function " << f;
      }
    }
  }
  void expect_right(const Engine& e, const Module& module) const { expect_right(e, module, functions); }
};

class ModuleCache : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/rotor-module-cache-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    ASSERT_EQ(chmod(root_.c_str(), 0755), 0);  // a child that gave up its rights gets in
    folder_ = root_ + "/cache";
  }
  void TearDown() override {
    std::error_code failed;
    fs::permissions(folder_, fs::perms::owner_all, failed);
    fs::remove_all(root_, failed);
  }

  Config config(CompileMode mode, uint32_t hot_count = 1'000'000) const {
    Config config;
    config.mode = mode;
    config.hot_count = hot_count;
    config.cache.enabled = true;
    config.cache.folder = folder_;
    return config;
  }
  Engine engine(CompileMode mode, uint32_t hot_count = 1'000'000) const {
    return must(Engine::create(config(mode, hot_count)));
  }
  std::vector<std::string> entries(const std::string& ending = ".rotor") const {
    std::vector<std::string> paths;
    for (const auto& item : fs::directory_iterator(folder_))
      if (item.path().string().ends_with(ending)) paths.push_back(item.path());
    std::ranges::sort(paths);
    return paths;
  }
  std::string only_entry() const {
    auto paths = entries();
    EXPECT_EQ(paths.size(), 1u);
    return paths.empty() ? folder_ + "/missing" : paths[0];
  }
  /// A life of an engine and a module: compiles, calls all and lets go. What the cache had to do with it.
  Module::CacheOutcome live(const Config& config, const Sample& sample) const {
    Engine e = must(Engine::create(config));
    Module module = compile(e, sample.bytes);
    sample.expect_right(e, module);
    return module.cache_outcome();
  }

  std::string root_, folder_;
};

class ModuleCacheInMode : public ModuleCache, public testing::WithParamInterface<CompileMode> {
 protected:
  Config config() const { return ModuleCache::config(GetParam()); }
  Module::CacheOutcome live(const Sample& sample) const { return ModuleCache::live(config(), sample); }
};
INSTANTIATE_TEST_SUITE_P(Modes, ModuleCacheInMode,
                         testing::Values(CompileMode::aot, CompileMode::eager, CompileMode::lazy),
                         [](const auto& mode) {
                           return mode.param == CompileMode::aot     ? "aot"
                                  : mode.param == CompileMode::eager ? "eager"
                                                                     : "lazy";
                         });

TEST_P(ModuleCacheInMode, MissThenHit) {
  Sample sample;
  {
    Engine e = must(Engine::create(config()));
    Module module = compile(e, sample.bytes);
    EXPECT_FALSE(module.cache_outcome().hit);
    EXPECT_FALSE(module.cache_outcome().failure);
    // Lazily there is nothing yet to keep.
    EXPECT_EQ(entries().size(), GetParam() == CompileMode::lazy ? 0u : 1u);
    sample.expect_right(e, module);
  }
  EXPECT_EQ(entries().size(), 1u);
  for (int i = 0; i < 2; ++i) {
    Engine e = must(Engine::create(config()));
    Module module = compile(e, sample.bytes);
    EXPECT_TRUE(module.cache_outcome().hit);
    EXPECT_FALSE(module.cache_outcome().failure);
    sample.expect_right(e, module);
    TierStats stats = module.tier_stats();
    EXPECT_EQ(stats.functions, 5u);
    EXPECT_EQ(stats.tier0_compiled + stats.tier1_compiled, 0u);
    EXPECT_EQ(stats.tier0_functions + stats.tier1_functions, GetParam() == CompileMode::lazy ? 4u : 5u);
  }
}

TEST_P(ModuleCacheInMode, AHitIsTheSameModule) {
  for (bool hit : {false, true, true}) {
    Engine e = must(Engine::create(config()));
    Module module = compile(e, kTiers);
    EXPECT_EQ(module.cache_outcome().hit, hit);
    EXPECT_TRUE(std::ranges::equal(impl_of(module).bytes(), kTiers));
    EXPECT_EQ(module.imports().size(), 1u);
    EXPECT_EQ(to_string(*module.export_type("weigh")), "func [i32] -> [f64 i64]");
    EXPECT_FALSE(module.custom_section("name").empty());
    EXPECT_EQ(module.sections().size(), Module(compile(engine_of(CompileMode::aot), kTiers)).sections().size());
    EXPECT_EQ(module.required_features(), compile(engine_of(CompileMode::aot), kTiers).required_features());
    EXPECT_EQ(module.compile_stats().functions, module.tier_stats().functions);
    expect_outcomes(instantiate(host_linker(e), module), hit ? "from the cache" : "made anew");
    // What was taken from the cache can be put into a code file.
    Module again = must(Module::deserialize(e, must(module.serialize())));
    expect_outcomes(instantiate(host_linker(e), again), "from a code file");
  }
}

TEST_P(ModuleCacheInMode, AHitGoesOnWithoutItsEntry) {
  Sample sample(40, 1, 20);
  live(sample);
  Engine e = must(Engine::create(config()));
  Module module = compile(e, sample.bytes);
  ASSERT_TRUE(module.cache_outcome().hit);
  replace_file(only_entry(), "something else");
  fs::remove_all(folder_);
  sample.expect_right(e, module, 40, 3);
}

TEST_P(ModuleCacheInMode, WithoutFunctions) {
  for (bool hit : {false, GetParam() != CompileMode::lazy}) {
    Engine e = must(Engine::create(config()));
    Module module = compile(e, kOnlyImports);
    EXPECT_EQ(module.cache_outcome().hit, hit);
    EXPECT_FALSE(module.cache_outcome().failure);
    Linker linker = host_linker(e);
    linker.define("env", "memory", must(Memory::create(e, {.limits = {.min = 1}})));
    EXPECT_EQ(must(typed<int32_t(int32_t)>(instantiate(linker, module), "host")(8)), 15);
  }
}

TEST_F(ModuleCache, WhoCameFurtherStays) {
  Sample sample(8);
  {
    Engine e = engine(CompileMode::lazy);
    Module further = compile(e, sample.bytes);
    Module poorer = compile(e, sample.bytes);
    ASSERT_FALSE(poorer.cache_outcome().hit);
    sample.expect_right(e, poorer, 2);
    sample.expect_right(e, further, 8);
    must(further.update_cache());
    must(poorer.update_cache());
  }
  Engine e = engine(CompileMode::lazy);
  Module module = compile(e, sample.bytes);
  ASSERT_TRUE(module.cache_outcome().hit);
  EXPECT_EQ(module.tier_stats().tier0_functions, 8u);
  EXPECT_EQ(entries().size(), 1u);
}

TEST_P(ModuleCacheInMode, SettingsThatMatterMiss) {
  Sample sample;
  live(sample);
  std::vector<std::pair<const char*, std::function<void(Config&)>>> changes = {
      {"opt", [](Config& c) { c.opt = OptLevel::o0; }},
      {"cpu", [](Config& c) { c.cpu = "baseline"; }},
      {"interruptible", [](Config& c) { c.interruptible = true; }},
      {"threads", [](Config& c) { c.features.threads = false; }},
      {"extended_const", [](Config& c) { c.features.extended_const = false; }},
      {"mode", [](Config& c) { c.mode = c.mode == CompileMode::aot ? CompileMode::lazy : CompileMode::aot; }},
  };
  size_t expected = 1;
  for (auto& [what, change] : changes) {
    Config changed = config();
    change(changed);
    EXPECT_FALSE(ModuleCache::live(changed, sample).hit) << what;
    EXPECT_EQ(entries().size(), ++expected) << what;
    EXPECT_TRUE(ModuleCache::live(changed, sample).hit) << what;
  }
  EXPECT_TRUE(live(sample).hit);
  EXPECT_EQ(entries().size(), expected);
}

TEST_P(ModuleCacheInMode, SettingsThatDoNotMatterHit) {
  Sample sample;
  live(sample);
  Config changed = config();
  changed.hot_count = 7;
  changed.compile_workers = 1;
  changed.cache.limit_bytes = 1 << 20;
  EXPECT_TRUE(ModuleCache::live(changed, sample).hit);
  if (GetParam() == CompileMode::aot) return;
  changed.mode = GetParam() == CompileMode::lazy ? CompileMode::eager : CompileMode::lazy;
  EXPECT_TRUE(ModuleCache::live(changed, sample).hit) << "lazy and eager code is the same";
}

TEST_P(ModuleCacheInMode, AnotherModuleMisses) {
  Sample sample;
  live(sample);
  Sample other = sample;
  // A custom section changes nothing but the bytes.
  other.bytes.insert(other.bytes.end(), {0, 2, 1, 'x'});
  EXPECT_FALSE(live(other).hit);
  EXPECT_FALSE(live(Sample(4, 2)).hit);
  EXPECT_TRUE(live(sample).hit);
  EXPECT_TRUE(live(other).hit);
  EXPECT_EQ(entries().size(), 3u);
}

TEST_P(ModuleCacheInMode, BadModulesLeaveNothing) {
  Engine e = must(Engine::create(config()));
  EXPECT_EQ(kind_of(Module::compile(e, bad_functions(10, {3}))), ErrorKind::invalid);
  EXPECT_EQ(kind_of(Module::compile(e, std::span(kTiers).first(30))), ErrorKind::malformed);
  EXPECT_EQ(kind_of(Module::compile(e, {})), ErrorKind::malformed);
  EXPECT_TRUE(entries("").empty());
}

/// Expects that with this entry the module is compiled anew, and well, and that the entry is whole afterwards.
class Damage {
 public:
  Damage(std::function<Module::CacheOutcome()> live, std::string path)
      : live_(std::move(live)), path_(std::move(path)), whole_(read_file(path_)) {}
  const std::string& whole() const { return whole_; }
  void expect_made_anew(const std::string& text, const std::string& what) {
    replace_file(path_, text);
    Module::CacheOutcome outcome = live_();
    EXPECT_FALSE(outcome.hit) << what;
    ASSERT_TRUE(outcome.failure) << what;
    EXPECT_EQ(outcome.failure->kind, ErrorKind::corrupt) << what << ": " << outcome.failure->message;
    EXPECT_NE(outcome.failure->message.find(path_), std::string::npos) << what << ": " << outcome.failure->message;
    EXPECT_NE(read_file(path_), text) << what;
    outcome = live_();
    EXPECT_TRUE(outcome.hit) << what;
    EXPECT_FALSE(outcome.failure) << what;
  }

 private:
  std::function<Module::CacheOutcome()> live_;
  std::string path_, whole_;
};

TEST_P(ModuleCacheInMode, DamagedEntriesAreMadeAnew) {
  Sample sample;
  live(sample);
  Damage damage([&] { return live(sample); }, only_entry());
  const std::string& whole = damage.whole();
  ASSERT_GT(whole.size(), 4096u);
  // All of the header, then here and there.
  for (size_t at = 0; at < whole.size(); at += at < 112 ? 4 : 211) {
    std::string text = whole;
    text[at] = static_cast<char>(text[at] ^ (1 << at % 8));
    damage.expect_made_anew(text, "a bit at " + std::to_string(at));
  }
  for (size_t size :
       {size_t{0}, size_t{1}, size_t{111}, size_t{112}, size_t{500}, whole.size() - 4096, whole.size() - 1})
    damage.expect_made_anew(whole.substr(0, size), "cut to " + std::to_string(size));
  damage.expect_made_anew(whole + '\0', "a byte more");
  damage.expect_made_anew(whole + whole, "twice");
  damage.expect_made_anew("garbage", "garbage");
  damage.expect_made_anew(std::string(whole.size(), '\0'), "zeroes");
  // Holes, as a crash of the machine may leave them.
  damage.expect_made_anew(whole.substr(0, 4096) + std::string(whole.size() - 4096, '\0'), "a hole");
}

TEST_P(ModuleCacheInMode, CodeOfAnotherModuleIsNotUsed) {
  Sample a(4, 1), b(4, 3);
  live(a);
  std::string entry_a = only_entry();
  live(b);
  ASSERT_EQ(entries().size(), 2u);
  std::string entry_b = entries()[0] == entry_a ? entries()[1] : entries()[0];
  // As if they had the same key.
  replace_file(entry_b, read_file(entry_a));
  EXPECT_FALSE(live(b).hit);
  EXPECT_TRUE(live(b).hit) << "it was replaced";
  EXPECT_TRUE(live(a).hit);
}

TEST_P(ModuleCacheInMode, CodeOfOtherSettingsIsNotUsed) {
  Sample sample;
  Config other = config();
  other.mode = GetParam() == CompileMode::aot ? CompileMode::lazy : CompileMode::aot;
  live(sample);
  std::string entry = only_entry();
  ModuleCache::live(other, sample);
  std::string entry_other = entries()[0] == entry ? entries()[1] : entries()[0];
  replace_file(entry, read_file(entry_other));
  Module::CacheOutcome outcome = live(sample);
  EXPECT_FALSE(outcome.hit);
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->kind, ErrorKind::corrupt);
  EXPECT_TRUE(live(sample).hit);
}

TEST_P(ModuleCacheInMode, WhatIsNoFileIsAMiss) {
  Sample sample;
  live(sample);
  std::string entry = only_entry();
  fs::rename(entry, root_ + "/elsewhere");
  fs::create_symlink(root_ + "/elsewhere", entry);
  EXPECT_FALSE(live(sample).hit);
  EXPECT_TRUE(live(sample).hit) << "the symlink was replaced";

  fs::remove(entry);
  ASSERT_EQ(mkfifo(entry.c_str(), 0600), 0);
  EXPECT_FALSE(live(sample).hit);

  fs::remove(entry);
  fs::create_directories(entry + "/full");
  Module::CacheOutcome outcome = live(sample);
  EXPECT_FALSE(outcome.hit);
  if (GetParam() == CompileMode::lazy) return;  // there it is put when the module goes
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->kind, ErrorKind::io);
}

void expect_error(const Result<void>& result, ErrorKind kind, const std::string& words) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, kind) << result.error().message;
  EXPECT_NE(result.error().message.find(words), std::string::npos) << result.error().message;
}

/// Compiles, calls and puts with a folder that can't be written to; the error there is.
Result<void> use_unwritable_cache(const Engine& e, const Sample& sample) {
  Module module = compile(e, sample.bytes);
  EXPECT_FALSE(module.cache_outcome().hit);
  sample.expect_right(e, module);
  Result<void> updated = module.update_cache();
  if (e.config().mode == CompileMode::lazy) {
    EXPECT_FALSE(module.cache_outcome().failure);
    return updated;
  }
  EXPECT_TRUE(updated) << "nothing was compiled since";
  if (auto outcome = module.cache_outcome(); outcome.failure) return std::unexpected(*outcome.failure);
  return {};
}

TEST_P(ModuleCacheInMode, AReadOnlyFolderIsReadFrom) {
  Sample there(4, 1), missing(4, 2);
  live(there);
  std::string entry = only_entry();
  if (geteuid() == 0) {
    ASSERT_EQ(chown(folder_.c_str(), kNobody, kNobody), 0);
    ASSERT_EQ(chown(entry.c_str(), kNobody, kNobody), 0);
  }
  ASSERT_EQ(chmod(folder_.c_str(), 0500), 0);
  EXPECT_EQ(end_of(start_child([&] {
              if (geteuid() == 0 && setuid(kNobody) != 0) return 2;
              EXPECT_TRUE(live(there).hit);
              auto put = use_unwritable_cache(must(Engine::create(config())), missing);
              expect_error(put, ErrorKind::io, folder_);
              return 0;
            })),
            0);
  EXPECT_EQ(entries("").size(), 1u);
}

TEST_P(ModuleCacheInMode, ADamagedEntryOfAReadOnlyFolder) {
  Sample sample;
  live(sample);
  std::string entry = only_entry();
  replace_file(entry, "garbage");
  if (geteuid() == 0) {
    ASSERT_EQ(chown(folder_.c_str(), kNobody, kNobody), 0);
    ASSERT_EQ(chown(entry.c_str(), kNobody, kNobody), 0);
  }
  ASSERT_EQ(chmod(folder_.c_str(), 0500), 0);
  EXPECT_EQ(end_of(start_child([&] {
              if (geteuid() == 0 && setuid(kNobody) != 0) return 2;
              for (int i = 0; i < 2; ++i) {
                Module::CacheOutcome outcome = live(sample);
                EXPECT_FALSE(outcome.hit);
                EXPECT_TRUE(outcome.failure);
              }
              return 0;
            })),
            0);
}

TEST_P(ModuleCacheInMode, AFolderThatGoesAway) {
  Sample sample;
  Engine e = must(Engine::create(config()));
  fs::remove_all(folder_);
  auto put = use_unwritable_cache(e, sample);
  expect_error(put, ErrorKind::io, folder_);
}

TEST_P(ModuleCacheInMode, AFolderThatCanNotBeMade) {
  std::ofstream(root_ + "/file") << "x";
  for (const std::string& folder : {root_ + "/file", root_ + "/file/sub", std::string("/proc/rotor-cache")}) {
    Config bad = config();
    bad.cache.folder = folder;
    auto e = Engine::create(bad);
    ASSERT_EQ(kind_of(e), ErrorKind::io);
    EXPECT_NE(e.error().message.find(folder), std::string::npos) << e.error().message;
  }
  Config open_to_all = config();
  open_to_all.cache.folder = root_ + "/open";
  fs::create_directory(open_to_all.cache.folder);
  ASSERT_EQ(chmod(open_to_all.cache.folder.c_str(), 0777), 0);
  EXPECT_EQ(kind_of(Engine::create(open_to_all)), ErrorKind::invalid_argument);
}

/// A limit on the size of files refuses a write as a full disk does: after some of it is done.
TEST_P(ModuleCacheInMode, AFullDisk) {
  Sample sample;
  EXPECT_EQ(end_of(start_child([&] {
              signal(SIGXFSZ, SIG_IGN);
              rlimit limit{.rlim_cur = 5000, .rlim_max = RLIM_INFINITY};
              if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
              auto put = use_unwritable_cache(must(Engine::create(config())), sample);
              expect_error(put, ErrorKind::io, folder_);
              EXPECT_TRUE(entries("").empty()) << "nothing half-written stays";
              limit.rlim_cur = RLIM_INFINITY;
              if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
              EXPECT_FALSE(live(sample).hit);
              EXPECT_TRUE(live(sample).hit);
              return 0;
            })),
            0);
}

TEST_P(ModuleCacheInMode, AnEntryOverTheLimit) {
  Sample sample;
  Config small = config();
  small.cache.limit_bytes = 1000;
  {
    auto put = use_unwritable_cache(must(Engine::create(small)), sample);
    expect_error(put, ErrorKind::limit, folder_);
  }
  EXPECT_TRUE(entries("").empty());
}

/// Dies of the write that would take the file over a limit: in the middle of it, and with no chance to tidy up.
TEST_P(ModuleCacheInMode, AWriterThatDies) {
  Sample sample;
  EXPECT_EQ(end_of(start_child([&] {
              rlimit limit{.rlim_cur = 5000, .rlim_max = 5000};
              if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
              live(sample);
              return 3;
            })),
            128 + SIGXFSZ);
  EXPECT_TRUE(entries().empty());
  EXPECT_EQ(entries(".tmp").size(), 1u) << "it was at it";
  for (bool hit : {false, true}) {
    Module::CacheOutcome outcome = live(sample);
    EXPECT_EQ(outcome.hit, hit);
    EXPECT_FALSE(outcome.failure);
  }
}

TEST_P(ModuleCacheInMode, AProcessThatIsKilledAtAnyTime) {
  Sample sample(100, 1, 10);
  std::mt19937 random(7);
  int found = 0;
  for (int i = 0; i < 25; ++i) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    pid_t child = start_child([&] {
      for (;;) {
        live(sample);
        (void)!write(ready[1], "x", 1);
        for (const std::string& entry : entries()) fs::remove(entry);
      }
      return 0;
    });
    close(ready[1]);
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);  // it is past its start
    close(ready[0]);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    kill(child, SIGKILL);
    EXPECT_EQ(end_of(child), 128 + SIGKILL);
    Module::CacheOutcome outcome = live(sample);
    found += outcome.hit;
    ASSERT_FALSE(outcome.failure) << outcome.failure->message;
    ASSERT_TRUE(live(sample).hit);
  }
  EXPECT_LT(found, 25) << "it was never killed before its entry was there";
}

// What is of one mode.

TEST_F(ModuleCache, HotCodeIsThereInTheNextLife) {
  for (CompileMode mode : {CompileMode::lazy, CompileMode::eager}) {
    Sample sample(6, mode == CompileMode::lazy ? 1 : 2);
    {
      Engine e = engine(mode, 1);
      Module module = compile(e, sample.bytes);
      sample.expect_right(e, module, 3, 5);
      settle(module);
      EXPECT_EQ(module.tier_stats().tier1_compiled, 3u);
    }
    {
      Engine e = engine(mode);
      Module module = compile(e, sample.bytes);
      EXPECT_TRUE(module.cache_outcome().hit);
      TierStats stats = module.tier_stats();
      EXPECT_EQ(stats.tier1_functions, 3u);
      EXPECT_EQ(stats.tier1_compiled, 0u);
      EXPECT_EQ(stats.tier0_functions, mode == CompileMode::lazy ? 3u : 7u);
      EXPECT_EQ(stats.tier0_compiled, 0u);
      // It is what runs: tier-1 code does not count, so nothing gets hot again.
      sample.expect_right(e, module, 3, 100);
      EXPECT_EQ(module.tier_stats().tier1_compiled, 0u);
    }
    {
      // Lives add up.
      Engine e = engine(mode, 1);
      Module module = compile(e, sample.bytes);
      sample.expect_right(e, module, 6, 5);
      settle(module);
      EXPECT_EQ(module.tier_stats().tier1_compiled, 3u);
    }
    Engine e = engine(mode, 1);
    Module module = compile(e, sample.bytes);
    EXPECT_EQ(module.tier_stats().tier1_functions, 6u);
    sample.expect_right(e, module, 6, 5);
    settle(module);
    EXPECT_EQ(module.tier_stats().tier0_compiled + module.tier_stats().tier1_compiled, 0u);
  }
}

TEST_F(ModuleCache, EagerCompletesWhatLazyLeft) {
  Sample sample(6);
  {
    Engine e = engine(CompileMode::lazy);
    Module module = compile(e, sample.bytes);
    sample.expect_right(e, module, 1);
  }
  {
    Engine e = engine(CompileMode::eager);
    Module module = compile(e, sample.bytes);
    EXPECT_TRUE(module.cache_outcome().hit);
    EXPECT_EQ(module.tier_stats().tier0_functions, 7u);
    EXPECT_EQ(module.tier_stats().tier0_compiled, 6u);
    sample.expect_right(e, module);
  }
  Module module = compile(engine(CompileMode::lazy), sample.bytes);
  EXPECT_EQ(module.tier_stats().tier0_functions, 7u);
}

TEST_F(ModuleCache, UpdateIsWhenItIsAskedFor) {
  Sample sample(4);
  Engine e = engine(CompileMode::lazy, 1);
  Module module = compile(e, sample.bytes);
  must(module.update_cache());
  EXPECT_TRUE(entries().empty()) << "nothing was compiled";
  sample.expect_right(e, module, 2);
  EXPECT_TRUE(entries().empty());
  must(module.update_cache());
  ASSERT_EQ(entries().size(), 1u);
  std::string first = read_file(only_entry());
  // Nothing new: the file stays as it is.
  fs::file_time_type written = fs::last_write_time(only_entry());
  must(module.update_cache());
  EXPECT_EQ(fs::last_write_time(only_entry()), written);
  sample.expect_right(e, module, 4, 4);
  settle(module);
  EXPECT_EQ(read_file(only_entry()), first);
  must(module.update_cache());
  EXPECT_NE(read_file(only_entry()), first);
  {
    Module other = compile(engine(CompileMode::lazy), sample.bytes);
    EXPECT_TRUE(other.cache_outcome().hit);
    EXPECT_EQ(other.tier_stats().tier1_functions, 4u);
  }
  // Nor is it put again when the module goes.
  fs::remove(only_entry());
  {
    Module last = std::move(module);
  }
  EXPECT_TRUE(entries().empty());
}

TEST_F(ModuleCache, TheLastHandlePutsWhatIsNew) {
  Sample sample(4);
  Engine e = engine(CompileMode::lazy);
  std::optional<Module> module = compile(e, sample.bytes), copy = module;
  std::optional<Instance> instance = instantiate(Linker(e), *module);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(*instance, "f0")(5)), 5);
  module.reset();
  copy.reset();
  EXPECT_TRUE(entries().empty()) << "the instance keeps it";
  instance.reset();
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(ModuleCache, AnUpdateThatFailedIsTriedAgain) {
  Sample sample(4);
  EXPECT_EQ(end_of(start_child([&] {
              signal(SIGXFSZ, SIG_IGN);
              Engine e = engine(CompileMode::lazy);
              Module module = compile(e, sample.bytes);
              sample.expect_right(e, module);
              rlimit limit{.rlim_cur = 5000, .rlim_max = RLIM_INFINITY};
              if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
              EXPECT_EQ(kind_of(module.update_cache()), ErrorKind::io);
              EXPECT_EQ(kind_of(module.update_cache()), ErrorKind::io) << "it is not there yet";
              limit.rlim_cur = RLIM_INFINITY;
              if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
              must(module.update_cache());
              EXPECT_EQ(entries().size(), 1u);
              return 0;
            })),
            0);
}

TEST_F(ModuleCache, ADamagedEntryGoesAtOnce) {
  Sample sample(4);
  live(config(CompileMode::lazy), sample);
  replace_file(only_entry(), "garbage");
  Module module = compile(engine(CompileMode::lazy), sample.bytes);
  EXPECT_TRUE(module.cache_outcome().failure);
  EXPECT_TRUE(entries("").empty());
}

TEST_F(ModuleCache, WithoutOneThereIsNone) {
  Engine e = engine_of(CompileMode::lazy);
  Sample sample;
  Module module = compile(e, sample.bytes);
  sample.expect_right(e, module);
  EXPECT_FALSE(module.cache_outcome().hit);
  EXPECT_FALSE(module.cache_outcome().failure);
  must(module.update_cache());
  // A code file is not the cache's business.
  Engine cached = engine(CompileMode::lazy, 1);
  {
    Module loaded = must(Module::deserialize(cached, must(module.serialize())));
    sample.expect_right(cached, loaded, 4, 5);
    EXPECT_FALSE(loaded.cache_outcome().hit);
    must(loaded.update_cache());
  }
  EXPECT_TRUE(entries("").empty());
}

TEST_F(ModuleCache, TheLeastRecentlyUsedGo) {
  std::vector<Sample> samples;
  for (uint32_t salt = 1; salt <= 5; ++salt) samples.emplace_back(4, salt);
  ModuleCache::live(config(CompileMode::aot), samples[0]);
  Config limited = config(CompileMode::aot);
  limited.cache.limit_bytes = fs::file_size(only_entry()) * 7 / 2;
  for (int i : {0, 1, 2}) ModuleCache::live(limited, samples[i]);
  EXPECT_EQ(entries().size(), 3u);
  EXPECT_TRUE(ModuleCache::live(limited, samples[0]).hit);
  EXPECT_FALSE(ModuleCache::live(limited, samples[3]).hit);
  EXPECT_EQ(entries().size(), 3u);
  for (int i : {3, 2, 0}) EXPECT_TRUE(ModuleCache::live(limited, samples[i]).hit) << i;
  EXPECT_FALSE(ModuleCache::live(limited, samples[1]).hit);
  EXPECT_FALSE(ModuleCache::live(limited, samples[3]).hit) << "the least recently used of the three";
  EXPECT_EQ(entries().size(), 3u);
}

TEST_F(ModuleCache, ThreadsCompileTheSameModule) {
  Sample sample(20, 1, 5);
  for (CompileMode mode : {CompileMode::lazy, CompileMode::aot}) {
    fs::remove_all(folder_);
    Engine e = engine(mode, 1);
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 10; ++i) {
          Module module = compile(e, sample.bytes);
          sample.expect_right(e, module, 20, 3);
          Module::CacheOutcome outcome = module.cache_outcome();
          EXPECT_FALSE(outcome.failure) << outcome.failure->message;
        }
      });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(entries("").size(), 1u);
    EXPECT_TRUE(ModuleCache::live(config(mode), sample).hit);
  }
}

/// Each with its own engines, in a folder for fewer modules than they have, where every now and then an entry is
/// damaged.
TEST_F(ModuleCache, ProcessesShareAFolder) {
  std::vector<Sample> samples;
  for (uint32_t salt = 1; salt <= 5; ++salt) samples.emplace_back(6, salt, 10);
  live(config(CompileMode::aot), samples[0]);
  uint64_t limit_bytes = fs::file_size(only_entry()) * 6;
  auto body = [&](uint32_t seed) {
    std::mt19937 random(seed);
    int hits = 0, misses = 0;
    auto start = std::chrono::steady_clock::now();
    auto goes_on = [&] {
      auto time = std::chrono::steady_clock::now() - start;
      return time < 1500ms || (time < 60s && (hits < 4 || misses < 4));
    };
    while (goes_on()) {
      const Sample& sample = samples[random() % samples.size()];
      Config config = this->config(CompileMode(random() % 3), random() % 2 ? 1 : 1000);
      config.cache.limit_bytes = limit_bytes;
      Engine e = must(Engine::create(config));
      Module module = compile(e, sample.bytes);
      sample.expect_right(e, module, 1 + static_cast<uint32_t>(random() % 6), 3);
      Module::CacheOutcome outcome = module.cache_outcome();
      ++(outcome.hit ? hits : misses);
      if (outcome.failure) {
        EXPECT_EQ(outcome.failure->kind, ErrorKind::corrupt) << outcome.failure->message;
      }
      if (random() % 8 == 0) {
        std::string path = entries().empty() ? "" : entries().front();
        std::string text = read_file(path);  // empty if it is gone by now
        if (text.empty()) continue;
        text[random() % text.size()] ^= 1;
        // Only this process has that name.
        std::string mine = root_ + "/" + std::to_string(getpid());
        replace_file(mine, text);
        std::error_code failed;
        fs::rename(mine, path, failed);
      }
      if (testing::Test::HasFailure()) return 4;
    }
    return hits < 4 || misses < 4 ? 3 : 0;
  };
  std::vector<pid_t> children;
  for (uint32_t seed = 1; seed <= 3; ++seed) children.push_back(start_child([&] { return body(seed); }));
  for (pid_t child : children) EXPECT_EQ(end_of(child), 0);
  EXPECT_TRUE(entries(".tmp").empty());
}

}  // namespace
}  // namespace rotor::runtime::test
