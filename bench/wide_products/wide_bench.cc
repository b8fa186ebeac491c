// Runs exports `i64 NAME(i64 turns)` of a module and times them, for `bench/wide_products/run.py` and the test beside
// it.
//
//   wide_bench MODULE.wasm o0 | o1 | o1-narrow
//
// o1-narrow is o1 without the pass for wide products. Reads lines `NAME TURNS`; answers each with `RESULT NANOSECONDS`,
// CPU time of this thread.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/must.h"
#include "rotor/rotor.h"

namespace {

using namespace rotor;

uint64_t thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

std::optional<Config> config_of(std::string_view level) {
  if (level != "o0" && level != "o1" && level != "o1-narrow") return std::nullopt;
  Config config;
  config.mode = CompileMode::aot;
  config.opt = level == "o0" ? OptLevel::o0 : OptLevel::o1;
  config.wide_products = level != "o1-narrow";
  config.cache.enabled = false;
  return config;
}

std::vector<uint8_t> read_file(const char* path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) die(std::string("can't read ") + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void serve(Instance& instance) {
  std::string name;
  int64_t turns = 0;
  while (std::cin >> name >> turns) {
    Func function = must(instance.get_func(name));
    const uint64_t before_ns = thread_cpu_ns();
    const std::vector<Value> results = must(function.call({Value(turns)}));
    const uint64_t spent_ns = thread_cpu_ns() - before_ns;
    if (results.size() != 1) die(name + " has no result");
    std::printf("%llu %llu\n", static_cast<unsigned long long>(results[0].i64()),
                static_cast<unsigned long long>(spent_ns));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<Config> config = argc == 3 ? config_of(argv[2]) : std::nullopt;
  if (!config) die("usage: wide_bench MODULE.wasm o0|o1|o1-narrow");
  const Engine engine = must(Engine::create(*config));
  const Module module = must(Module::compile(engine, read_file(argv[1])));
  Instance instance = must(Linker(engine).instantiate(module));
  serve(instance);
}
