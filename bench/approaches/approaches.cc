// Compares what can be done about a guest that leaks. One process runs one approach and prints one line of JSON;
// `bench/approaches/run.py` starts it for each of them.
//
//   approaches compile MODULE.wasm CODE_FILE
//   approaches APPROACH --module CODE_FILE --setup TRACE --load TRACE --policy TOML [--limit-mib 8] [--calls 1000]
//              [--recycle-calls 10] [--reload-at 0.9] [--workers 0] [--sample-calls 10]
//
// APPROACH is threads, reload, fork, replay or image. A call is one repetition of the load.
#include "bench/approaches/approaches.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>

#include "bench/must.h"

namespace rotor::approaches {

bool Outcome::record(const Result<void>& done, double ms, const wasm_bindgen::ReplayReport& report) {
  if (!done) {
    failed_at = call_ms.size();
    failure = done.error().to_string();
    return false;
  }
  call_ms.push_back(ms);
  right += report.all_equal();
  return true;
}

void Outcome::pause(double ms) { longest_pause_ms = std::max(longest_pause_ms, ms); }

uint64_t proportional_bytes(uint64_t image_bytes) {
  std::ifstream lines("/proc/self/smaps_rollup");
  uint64_t all = 0, in_memory_files = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("Pss:")) all = std::strtoull(line.c_str() + 4, nullptr, 10) * 1024;
    if (line.starts_with("Pss_Shmem:")) in_memory_files = std::strtoull(line.c_str() + 10, nullptr, 10) * 1024;
  }
  return all - in_memory_files + std::max(in_memory_files, image_bytes);
}

double cpu_ms() {
  double ms = 0;
  for (int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    getrusage(who, &usage);
    for (const timeval& time : {usage.ru_utime, usage.ru_stime})
      ms += static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  }
  return ms;
}

namespace {

void compile(const std::string& wasm, const std::string& code_file) {
  std::ifstream in(wasm, std::ios::binary);
  if (!in) die(wasm + ": can't be read");
  const std::vector<uint8_t> bytes(std::istreambuf_iterator<char>(in), {});
  Config config;
  config.mode = CompileMode::aot;
  const Engine engine = must(Engine::create(std::move(config)));
  must(must(Module::compile(engine, bytes)).serialize_to_file(code_file));
}

class Options {
 public:
  Options(int argc, char** argv) {
    for (int i = 2; i < argc; i += 2) {
      const std::string_view name = argv[i];
      if (!name.starts_with("--") || i + 1 == argc) die("an option and its value, not " + std::string(name));
      values_[std::string(name.substr(2))] = argv[i + 1];
    }
  }
  std::string text(const std::string& name) {
    if (!values_.contains(name)) die("--" + name + " is missing");
    return take(name, "");
  }
  double number(const std::string& name, const char* fallback) {
    return std::strtod(take(name, fallback).c_str(), nullptr);
  }
  uint64_t count(const std::string& name, const char* fallback) {
    return std::strtoull(take(name, fallback).c_str(), nullptr, 10);
  }
  void check_all_known() const {
    if (!values_.empty()) die("no option --" + values_.begin()->first);
  }

 private:
  std::string take(const std::string& name, const char* fallback) {
    auto found = values_.extract(name);
    return found ? found.mapped() : fallback;
  }
  std::map<std::string, std::string> values_;
};

Workload workload_of(Options options) {
  Engine engine = must(Engine::create());
  Module module = must(Module::deserialize_file(engine, options.text("module")));
  wasm_bindgen::Trace setup = must(wasm_bindgen::load_trace(options.text("setup")));
  wasm_bindgen::Trace load = must(wasm_bindgen::load_trace(options.text("load"), &setup));
  Workload workload{.engine = std::move(engine),
                    .module = std::move(module),
                    .setup = std::move(setup),
                    .load = std::move(load),
                    .policy = options.text("policy"),
                    .limit_bytes = options.count("limit-mib", "8") << 20,
                    .calls = options.count("calls", "1000"),
                    .recycle_calls = std::max<uint64_t>(options.count("recycle-calls", "10"), 1),
                    .reload_at = options.number("reload-at", "0.9"),
                    .workers = static_cast<uint32_t>(options.count("workers", "0")),
                    .sample_calls = std::max<uint64_t>(options.count("sample-calls", "10"), 1)};
  options.check_all_known();
  return workload;
}

double rounded(double value) { return static_cast<double>(static_cast<int64_t>(value * 1000 + 0.5)) / 1000; }

void print(std::string_view approach, const Workload& workload, const Outcome& out) {
  std::vector<double> sorted = out.call_ms;
  std::ranges::sort(sorted);
  auto percentile = [&](double fraction) {
    if (sorted.empty()) return 0.0;
    return rounded(sorted[static_cast<size_t>(fraction * static_cast<double>(sorted.size() - 1) + 0.5)]);
  };
  uint64_t peak = 0, sum = 0;
  for (const auto& [call, bytes] : out.memory_bytes) {
    peak = std::max(peak, bytes);
    sum += bytes;
  }
  nlohmann::ordered_json json;
  json["approach"] = approach;
  json["calls"] = out.call_ms.size();
  json["right"] = out.right;
  json["wanted"] = workload.calls;
  json["failed_at"] = out.failed_at ? nlohmann::ordered_json(*out.failed_at) : nlohmann::ordered_json();
  json["failure"] = out.failure.substr(0, out.failure.find('\n'));
  json["setup_ms"] = rounded(out.setup_ms);
  json["median_ms"] = percentile(0.5);
  json["p99_ms"] = percentile(0.99);
  json["max_ms"] = percentile(1);
  json["cpu_ms_per_call"] = rounded(out.call_ms.empty() ? 0 : out.cpu_ms / static_cast<double>(out.call_ms.size()));
  json["longest_pause_ms"] = rounded(out.longest_pause_ms);
  json["exchanges"] = out.exchanges;
  json["memory_peak_bytes"] = peak;
  json["memory_mean_bytes"] = out.memory_bytes.empty() ? 0 : sum / out.memory_bytes.size();
  json["memory"] = out.memory_bytes;
  std::printf("%s\n", json.dump().c_str());
}

void run(std::string_view approach, const Workload& workload) {
  if (approach == "threads") return print(approach, workload, must(recycle_threads(workload)));
  if (approach == "reload") return print(approach, workload, must(reload(workload)));
  if (approach == "fork") return print(approach, workload, must(fork_server(workload)));
  if (approach == "replay") return print(approach, workload, must(rotate(workload, false)));
  if (approach == "image") return print(approach, workload, must(rotate(workload, true)));
  die("no approach " + std::string(approach));
}

}  // namespace
}  // namespace rotor::approaches

int main(int argc, char** argv) {
  using namespace rotor::approaches;
  if (argc < 2) die("compile, threads, reload, fork, replay or image?");
  const std::string_view approach = argv[1];
  if (approach == "compile" && argc == 4) {
    compile(argv[2], argv[3]);
  } else {
    run(approach, workload_of(Options(argc, argv)));
  }
  return 0;
}
