// Rotor's side of bench/gc/run.py: calls an export of a module that is garbage-collected, or runs a program between its
// calls of bench.start and bench.end, and prints what it took as JSON.
//   gc_bench call FILE EXPORT NUMBER RUNS
//   gc_bench program FILE FOLDER RUNS        the folder is the program's own
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "rotor/rotor.h"
#include "rotor/wasi.h"

namespace {

using rotor::Result;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

struct Sample {
  double ms;
  rotor::InstanceUsage usage;
};

void print(double compile_ms, const std::vector<Sample>& samples, int result) {
  std::printf("{\"compile_ms\": %.1f, \"result\": %d, \"runs\": [", compile_ms, result);
  for (size_t i = 0; i < samples.size(); ++i)
    std::printf(
        "%s{\"ms\": %.3f, \"collections\": %llu, \"imprecise\": %llu, \"pause_ms_max\": %.3f, \"pause_ms\": %.3f}",
        i ? ", " : "", samples[i].ms, static_cast<unsigned long long>(samples[i].usage.heap_collections),
        static_cast<unsigned long long>(samples[i].usage.heap_imprecise_collections),
        static_cast<double>(samples[i].usage.heap_pause_ns_max) / 1e6,
        static_cast<double>(samples[i].usage.heap_pause_ns_total) / 1e6);
  std::printf("]}\n");
}

Result<rotor::Engine> engine() {
  rotor::Config config;
  config.features.gc = true;
  config.mode = rotor::CompileMode::aot;
  return rotor::Engine::create(config);
}

Result<rotor::Module> compile(const rotor::Engine& engine, const std::string& path, double& ms) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(in)), {});
  const auto begin = Clock::now();
  ROTOR_TRY(rotor::Module module, rotor::Module::compile(engine, bytes));
  ms = ms_since(begin);
  return module;
}

Result<void> call(const std::string& path, const std::string& name, int number, int runs) {
  double compile_ms = 0;
  ROTOR_TRY(rotor::Engine engine, ::engine());
  ROTOR_TRY(rotor::Module module, compile(engine, path, compile_ms));
  std::vector<Sample> samples;
  int result = 0;
  for (int i = 0; i < runs; ++i) {
    ROTOR_TRY(rotor::Instance instance, rotor::Linker(engine).instantiate(module));
    ROTOR_TRY(auto func, instance.get_typed<int32_t(int32_t)>(name));
    const auto begin = Clock::now();
    ROTOR_TRY(result, func(number));
    samples.push_back({ms_since(begin), instance.usage()});
  }
  print(compile_ms, samples, result);
  return {};
}

Result<void> program(const std::string& path, const std::string& folder, int runs) {
  double compile_ms = 0;
  ROTOR_TRY(rotor::Engine engine, ::engine());
  ROTOR_TRY(rotor::Module module, compile(engine, path, compile_ms));
  std::vector<Sample> samples;
  for (int i = 0; i < runs; ++i) {
    rotor::wasi::Builder builder;
    builder.standard_out(rotor::wasi::Output::inherit()).standard_error(rotor::wasi::Output::inherit());
    builder.folder(folder, ".");
    ROTOR_TRY(rotor::wasi::Environment environment, builder.build());
    rotor::Linker linker(engine);
    rotor::wasi::define(linker, environment);
    Clock::time_point begin;
    double ms = 0;
    linker.define("bench", "start", [&] { begin = Clock::now(); });
    linker.define("bench", "end", [&] { ms = ms_since(begin); });
    ROTOR_TRY(rotor::Instance instance, linker.instantiate(module));
    ROTOR_TRY([[maybe_unused]] uint32_t code, rotor::wasi::run_command(instance, environment));
    samples.push_back({ms, instance.usage()});
  }
  print(compile_ms, samples, 0);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  Result<void> done = rotor::fail(rotor::ErrorKind::invalid_argument,
                                  "usage: gc_bench call FILE EXPORT NUMBER RUNS | gc_bench program FILE FOLDER RUNS");
  if (what == "call" && argc == 6) done = call(argv[2], argv[3], std::atoi(argv[4]), std::atoi(argv[5]));
  if (what == "program" && argc == 5) done = program(argv[2], argv[3], std::atoi(argv[4]));
  if (done) return 0;
  std::fprintf(stderr, "%s\n", done.error().to_string().c_str());
  return 1;
}
