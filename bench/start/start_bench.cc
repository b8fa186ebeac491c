// Measures what an embedder waits for before kimchi_wasm gives its first result. One process measures one thing and
// prints one line of JSON; `bench/start/run.py` starts it, and the same programs for other engines, several times over.
//
//   start_bench cold    MODULE.wasm OPT              bytes in memory to the first result, all cores
//   start_bench compile MODULE.wasm OPT [ARTIFACT]   all of it on one thread; writes the artifact afterwards
//   start_bench load    ARTIFACT OPT                 the artifact's file to the first result
//   start_bench cache   MODULE.wasm FOLDER           `cold` with the cache in that folder, filled first if it is empty
//
// OPT is 0, 1 (all compiled ahead of time) or lazy.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/must.h"
#include "hosts/wasm_bindgen/host.h"
#include "hosts/wasm_bindgen/sha256.h"
#include "rotor/rotor.h"

namespace {

using namespace rotor;
using wasm_bindgen::BindgenHost;

class Stopwatch {
 public:
  double ms() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_).count();
  }
  double cpu_s() const { return cpu_now() - cpu_begin_; }

 private:
  static double cpu_now() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }

  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  double cpu_begin_ = cpu_now();
};

/// Returns the peak of this process's resident memory, in MB. ru_maxrss is not used, since it includes the process
/// before exec.
double peak_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  die("no VmHWM in /proc/self/status");
}

std::vector<uint8_t> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) die("can't read " + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

Engine make_engine(std::string_view opt, unsigned workers, const std::string& cache_folder = "") {
  Config config;
  config.mode = opt == "lazy" ? CompileMode::lazy : CompileMode::aot;
  config.opt = opt == "0" ? OptLevel::o0 : OptLevel::o1;
  config.compile_workers = workers;
  config.cache.enabled = !cache_folder.empty();
  config.cache.folder = cache_folder;
  return must(Engine::create(config));
}

std::vector<Value> call(BindgenHost& host, std::string_view name, std::initializer_list<Value> args) {
  return must(must(host.instance().get_func(name)).call(std::span(args.begin(), args.size())));
}

/// Times a module from here to the first result, and checks that result outside the time.
void run_guest(const Engine& engine, const Module& module, const Stopwatch& watch) {
  const double module_ms = watch.ms();
  auto host = must(BindgenHost::create(engine, module));  // calls the guest's __wbindgen_start
  const double started_ms = watch.ms();
  const std::vector<Value> srs = call(*host, "caml_fp_srs_create", {Value(int32_t{64})});
  const double result_ms = watch.ms();
  const std::vector<Value> point = call(*host, "caml_fp_srs_h", {srs[0]});
  const std::vector<Value> x = call(*host, "__wbg_get_wasmgvesta_x", {point[0]});
  const auto bytes = must(host->take({static_cast<uint32_t>(x[0].i32()), static_cast<uint32_t>(x[1].i32())}));
  std::printf("{\"module_ms\":%.3f,\"started_ms\":%.3f,\"result_ms\":%.3f,\"check\":\"%s\"}\n", module_ms, started_ms,
              result_ms, wasm_bindgen::to_hex(bytes).c_str());
}

void cold(const std::string& file, std::string_view opt) {
  const std::vector<uint8_t> bytes = read_file(file);
  const Stopwatch watch;
  const Engine engine = make_engine(opt, 0);
  run_guest(engine, must(Module::compile(engine, bytes)), watch);
}

void compile(const std::string& file, std::string_view opt, const char* artifact) {
  const std::vector<uint8_t> bytes = read_file(file);
  const double before_mb = peak_mb();
  const Stopwatch watch;
  const Engine engine = make_engine(opt, 1);
  const Module module = must(Module::compile(engine, bytes));
  std::printf("{\"cpu_s\":%.3f,\"module_ms\":%.3f,\"peak_mb\":%.1f,\"before_mb\":%.1f}\n", watch.cpu_s(), watch.ms(),
              peak_mb(), before_mb);
  if (!artifact) return;
  if (auto written = module.serialize_to_file(artifact); !written) die(written.error().to_string());
}

void load(const std::string& artifact, std::string_view opt) {
  const Stopwatch watch;
  const Engine engine = make_engine(opt, 0);
  run_guest(engine, must(Module::deserialize_file(engine, artifact)), watch);
}

void cache(const std::string& file, const std::string& folder) {
  const std::vector<uint8_t> bytes = read_file(file);
  if (!must(Module::compile(make_engine("lazy", 0, folder), bytes)).cache_outcome().hit) {
    const Engine engine = make_engine("lazy", 0, folder);
    const Module module = must(Module::compile(engine, bytes));
    auto host = must(BindgenHost::create(engine, module));
    call(*host, "caml_fp_srs_create", {Value(int32_t{64})});
    host.reset();
    if (auto put = module.update_cache(); !put) die(put.error().to_string());
  }
  const Stopwatch watch;
  const Engine engine = make_engine("lazy", 0, folder);
  const Module module = must(Module::compile(engine, bytes));
  if (!module.cache_outcome().hit) die("not from the cache");
  run_guest(engine, module, watch);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "version") {
    std::printf("{\"version\":\"%s\",\"llvm\":\"%s\"}\n", ROTOR_VERSION, ROTOR_LLVM_VERSION);
  } else if (mode == "cold" && argc == 4) {
    cold(argv[2], argv[3]);
  } else if (mode == "compile" && (argc == 4 || argc == 5)) {
    compile(argv[2], argv[3], argv[4]);
  } else if (mode == "load" && argc == 4) {
    load(argv[2], argv[3]);
  } else if (mode == "cache" && argc == 4) {
    cache(argv[2], argv[3]);
  } else {
    die("version | cold MODULE OPT | compile MODULE OPT [ARTIFACT] | load ARTIFACT OPT | cache MODULE FOLDER");
  }
  std::fflush(stdout);
}
