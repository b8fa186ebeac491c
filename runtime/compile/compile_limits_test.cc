// What compiling may take: memory and time of an engine, by the settings that an embedder has.
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "rotor/wat.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

Config config_of(CompileMode mode) {
  Config config;
  config.mode = mode;
  config.compile_workers = 1;
  return config;
}

std::vector<uint8_t> module_of(int functions) {
  std::string text = "(module";
  for (int i = 0; i < functions; ++i)
    text += "(func (export \"f" + std::to_string(i) + "\") (param i32) (result i32) local.get 0 i32.const " +
            std::to_string(i) + " i32.add)";
  return must(wat_to_wasm(text + ")"));
}

class CompileLimits : public testing::TestWithParam<CompileMode> {
 protected:
  /// Of compiling, or of the first call.
  static Error error_of(Config config, const std::vector<uint8_t>& bytes) {
    Engine engine = must(Engine::create(std::move(config)));
    auto module = Module::compile(engine, bytes);
    if (!module) return std::move(module).error();
    Instance instance = must(Linker(engine).instantiate(*module));
    auto called = must(instance.get_func("f0")).call({Value(int32_t{1})});
    EXPECT_FALSE(called);
    return called ? Error(ErrorKind::internal, "none") : std::move(called).error();
  }
};
INSTANTIATE_TEST_SUITE_P(, CompileLimits, testing::Values(CompileMode::aot, CompileMode::eager, CompileMode::lazy),
                         [](const auto& info) {
                           return info.param == CompileMode::aot     ? "Aot"
                                  : info.param == CompileMode::eager ? "Eager"
                                                                     : "Lazy";
                         });

TEST_P(CompileLimits, OfMemoryAreAnErrorThatNamesTheFunction) {
  Config config = config_of(GetParam());
  config.compile_memory_bytes = 64 << 10;
  Error error = error_of(std::move(config), module_of(1));
  EXPECT_EQ(error.kind, ErrorKind::limit);
  EXPECT_NE(error.message.find("function 0"), std::string::npos) << error.message;
  EXPECT_NE(error.message.find("compile_memory_bytes of 65536"), std::string::npos) << error.message;
}

TEST_P(CompileLimits, OfTimeAreAnErrorThatNamesTheFunction) {
  Config config = config_of(GetParam());
  config.compile_deadline_ms = 1;
  // A function that by its size alone takes longer, in whatever form.
  std::string sum;
  for (int i = 0; i < 2000; ++i) sum += " i32.const 1 i32.add";
  Error error = error_of(std::move(config), must(wat_to_wasm("(module (func (export \"f0\") (param i32) (result i32)"
                                                             " local.get 0" +
                                                             sum + "))")));
  EXPECT_EQ(error.kind, ErrorKind::limit);
  EXPECT_NE(error.message.find("function 0"), std::string::npos) << error.message;
  EXPECT_NE(error.message.find("compile_deadline_ms of 1"), std::string::npos) << error.message;
}

// Of a whole module: half of the time is for optimising. What came of haste is not kept for those who have time.
TEST(CompileDeadline, OverHalfOfItNothingIsOptimised) {
  const std::string folder = testing::TempDir() + "rotor_compile_deadline";
  std::filesystem::remove_all(folder);
  auto compile = [&](uint32_t pause_ms) {
    Config config = config_of(CompileMode::aot);
    config.compile_deadline_ms = 4000;
    config.cache = {.enabled = true, .folder = folder};
    config.compile_progress = [&, first = true](uint32_t, uint32_t) mutable {
      if (std::exchange(first, false)) std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
    };
    Engine engine = must(Engine::create(std::move(config)));
    return Module::compile(engine, module_of(100));
  };
  Module hurried = must(compile(2200));
  EXPECT_TRUE(hurried.compile_stats().hurried);
  Module unhurried = must(compile(0));
  EXPECT_FALSE(unhurried.cache_outcome().hit);
  EXPECT_FALSE(unhurried.compile_stats().hurried);
  EXPECT_TRUE(must(compile(0)).cache_outcome().hit);
  std::filesystem::remove_all(folder);

  auto late = [&] {
    Config config = config_of(CompileMode::aot);
    config.compile_deadline_ms = 1000;
    config.compile_progress = [](uint32_t, uint32_t) { std::this_thread::sleep_for(std::chrono::milliseconds(1100)); };
    Engine engine = must(Engine::create(std::move(config)));
    return Module::compile(engine, module_of(100));
  }();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::limit);
  EXPECT_NE(late.error().message.find("compile_deadline_ms of 1000 is over at function 16"), std::string::npos)
      << late.error().message;
}

}  // namespace
}  // namespace rotor::runtime::test
