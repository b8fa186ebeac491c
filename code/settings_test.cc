#include "code/settings.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <utility>
#include <vector>

namespace rotor::code {
namespace {

const std::vector<std::pair<const char*, std::function<void(Config&)>>> kThatMatter = {
    {"mode", [](Config& c) { c.mode = CompileMode::lazy; }},
    {"opt", [](Config& c) { c.opt = OptLevel::o0; }},
    {"cpu", [](Config& c) { c.cpu = "x86-64-v4"; }},
    {"interruptible", [](Config& c) { c.interruptible = true; }},
    {"deterministic", [](Config& c) { c.deterministic = true; }},
    {"wide_products", [](Config& c) { c.wide_products = false; }},
    {"fuel", [](Config& c) { c.fuel = true; }},
    {"slab_memories", [](Config& c) { c.slab_memories = true; }},
    {"compile_steps_per_byte", [](Config& c) { c.compile_steps_per_byte++; }},
    {"compile_memory_bytes", [](Config& c) { c.compile_memory_bytes++; }},
    {"compile_deadline_ms", [](Config& c) { c.compile_deadline_ms++; }},
    {"threads", [](Config& c) { c.features.threads = false; }},
    {"simd", [](Config& c) { c.features.simd = false; }},
    {"custom_page_sizes", [](Config& c) { c.features.custom_page_sizes = true; }},
};

std::string key_of(const Config& config) { return CodeSettings::of(config).key(); }

TEST(CodeSettings, EachThatMattersChangesTheKey) {
  Config base;
  base.cpu = "baseline";
  base.mode = CompileMode::aot;
  std::set<std::string> keys = {key_of(base)};
  for (const auto& [what, change] : kThatMatter) {
    Config config = base;
    change(config);
    EXPECT_TRUE(keys.insert(key_of(config)).second) << what;
  }
}

TEST(CodeSettings, OthersDoNot) {
  Config config;
  const std::string key = key_of(config);
  config.hot_count = 7;
  config.compile_workers = 3;
  config.perf_map = true;
  config.cache.enabled = true;
  EXPECT_EQ(key_of(config), key);
  // Code of the modes eager and lazy is the same, made earlier or later.
  config.mode = CompileMode::lazy;
  const std::string lazy = key_of(config);
  config.mode = CompileMode::eager;
  EXPECT_EQ(key_of(config), lazy);
}

TEST(CodeSettings, TiersBeginAtO0AndCountForTier1) {
  Config config;
  config.mode = CompileMode::aot;
  EXPECT_EQ(CodeSettings::of(config).first_opt(), OptLevel::o1);
  EXPECT_FALSE(CodeSettings::of(config).instrumented());
  config.mode = CompileMode::lazy;
  EXPECT_EQ(CodeSettings::of(config).first_opt(), OptLevel::o0);
  EXPECT_TRUE(CodeSettings::of(config).instrumented());
  config.opt = OptLevel::o0;
  EXPECT_FALSE(CodeSettings::of(config).instrumented());
}

}  // namespace
}  // namespace rotor::code
