// Config::perf_map: each test is a process of its own, so that the file is its own too.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <regex>
#include <thread>

#include "code/run_page.h"
#include "runtime/access.h"
#include "runtime/module.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

/// A line of the file.
struct Line {
  uintptr_t begin;
  uintptr_t size;
  std::string name;
};

class PerfMapTest : public testing::Test {
 protected:
  PerfMapTest() { std::remove(path_.c_str()); }
  ~PerfMapTest() override { std::remove(path_.c_str()); }

  static Engine engine(CompileMode mode) {
    Config config;
    config.perf_map = true;
    config.mode = mode;
    config.hot_count = 1;
    return must(Engine::create(config));
  }

  /// Each line must have the form that perf reads.
  std::vector<Line> lines() const {
    static const std::regex kForm("([0-9a-f]+) ([0-9a-f]+) (\\S+( \\[tier[01]\\])?)");
    std::ifstream file(path_);
    std::vector<Line> lines;
    for (std::string text; std::getline(file, text);) {
      std::smatch parts;
      if (std::regex_match(text, parts, kForm))
        lines.push_back({std::stoull(parts[1], nullptr, 16), std::stoull(parts[2], nullptr, 16), parts[3]});
      else
        ADD_FAILURE() << text;
    }
    return lines;
  }

  /// The line whose range holds an address; fails the test if it is not alone.
  Line line_at(const void* pc) const {
    auto at = reinterpret_cast<uintptr_t>(pc);
    std::vector<Line> found;
    for (Line& line : lines())
      if (at >= line.begin && at - line.begin < line.size) found.push_back(std::move(line));
    EXPECT_EQ(found.size(), 1u);
    return found.empty() ? Line{} : found.front();
  }

  const std::string path_ = "/tmp/perf-" + std::to_string(getpid()) + ".map";
};

/// Where an export's code is now: what its slot holds.
const void* code_of(const Module& module, std::string_view name) {
  const wasm::Module& decoded = impl_of(module).wasm();
  auto item = std::ranges::find(decoded.exports, name, &wasm::Export::name);
  const uint8_t* slot =
      impl_of(module).region().run_page() + code::RunPageLayout(decoded).slot(item->index - decoded.imported_funcs);
  const void* code;
  std::memcpy(&code, slot, sizeof code);
  return code;
}

TEST_F(PerfMapTest, NoFileUnlessAskedFor) {
  Engine e = test::engine();
  compile(e, kTraps);
  struct stat status;
  EXPECT_NE(stat(path_.c_str(), &status), 0);
}

TEST_F(PerfMapTest, ListsAllCodeThatIsMadeAheadOfTime) {
  Engine e = engine(CompileMode::aot);
  Module module = compile(e, kTraps);
  EXPECT_EQ(lines().size(), module.compile_stats().functions);
  const auto* div = static_cast<const uint8_t*>(code_of(module, "div_s"));
  Line line = line_at(div);
  EXPECT_EQ(line.name, "wasm!div_s [tier1]");
  EXPECT_EQ(line.begin, reinterpret_cast<uintptr_t>(div));
  // Its last byte is one of the function to those who walk stacks, too; the next is not.
  EXPECT_EQ(impl_of(module).frame_at(line.begin + line.size - 1)->func_name, "div_s");
  auto next = impl_of(module).frame_at(line.begin + line.size);
  EXPECT_TRUE(!next || next->func_name != "div_s");
}

TEST_F(PerfMapTest, ListsFunctionsAsTheyAreCompiled) {
  Engine e = engine(CompileMode::lazy);
  Module module = compile(e, kTraps);
  ASSERT_EQ(lines().size(), 1u);
  EXPECT_EQ(line_at(impl_of(module).entry(3)).name, "wasm![stubs]");
  Instance instance = instantiate(Linker(e), module);
  auto div = typed<int32_t(int32_t, int32_t)>(instance, "div_s");
  EXPECT_EQ(must(div(7, 2)), 3);
  ASSERT_GE(lines().size(), 2u);
  EXPECT_EQ(lines()[1].name, "wasm!div_s [tier0]");
  for (int i = 0; i < 10; ++i) must(div(7, 2));
  impl_of(module).tiering()->wait_for_background();
  EXPECT_EQ(line_at(code_of(module, "div_s")).name, "wasm!div_s [tier1]");
}

TEST_F(PerfMapTest, ListsTheCodeOfFiles) {
  std::string path = testing::TempDir() + "rotor_perf_map_" + std::to_string(getpid());
  must(compile(test::engine(), kTraps).serialize_to_file(path));
  Engine e = engine(CompileMode::aot);
  Module module = must(Module::deserialize_file(e, path));
  std::remove(path.c_str());
  EXPECT_EQ(line_at(code_of(module, "div_s")).name, "wasm!div_s [tier1]");
}

TEST_F(PerfMapTest, EnginesShareTheFile) {
  constexpr int kThreads = 4, kModules = 8;
  uint32_t functions = compile(test::engine(), kTraps).compile_stats().functions;
  std::vector<std::thread> threads;
  Engine shared = engine(CompileMode::aot);
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      Engine e = i % 2 ? shared : engine(CompileMode::aot);
      for (int n = 0; n < kModules; ++n) compile(e, kTraps);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(lines().size(), functions * kThreads * kModules);
}

TEST_F(PerfMapTest, AFileThatCantBeOpenedIsAnErrorOfTheEngine) {
  // What somebody else might leave in /tmp: it is not followed.
  ASSERT_EQ(symlink("/dev/null", path_.c_str()), 0);
  Config config;
  config.mode = CompileMode::aot;
  config.perf_map = true;
  auto made = Engine::create(config);
  ASSERT_EQ(kind_of(made), ErrorKind::io);
  EXPECT_NE(made.error().message.find(path_), std::string::npos) << made.error().message;
  // A pipe would be waited for, and whoever reads it would learn where our code lies.
  ASSERT_EQ(unlink(path_.c_str()), 0);
  ASSERT_EQ(mkfifo(path_.c_str(), 0666), 0);
  made = Engine::create(config);
  ASSERT_EQ(kind_of(made), ErrorKind::io);
  EXPECT_NE(made.error().message.find(path_), std::string::npos) << made.error().message;
  const int reader = open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_EQ(kind_of(Engine::create(config)), ErrorKind::io);
  close(reader);
  if (geteuid() != 0) return;
  ASSERT_EQ(unlink(path_.c_str()), 0);
  std::ofstream(path_) << "another's\n";
  ASSERT_EQ(chown(path_.c_str(), 12345, 12345), 0);
  EXPECT_EQ(kind_of(Engine::create(config)), ErrorKind::io);
}

}  // namespace
}  // namespace rotor::runtime::test
