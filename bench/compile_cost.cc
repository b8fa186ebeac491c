// Measures what it costs to compile the modules of jit/testing/costly_modules.h, in CPU time and memory per byte of the
// module, each in a process of its own, in three sizes. Exits with 1 if one takes more than
// docs/decisions/compile-budget.md promises.
//
//   compile_cost [--opt 0|1] [--only NAME] [--scale N] [--write FOLDER]
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "jit/testing/costly_modules.h"
#include "rotor/engine.h"
#include "rotor/module.h"

using namespace rotor;
using jit::costly_modules;
using jit::CostlyModule;

namespace {

struct Options {
  int opt = -1;  ///< both
  std::string only;
  uint32_t scale = 1;
  std::string folder;
};

struct Cost {
  double cpu_s = 0;
  double peak_mb = 0;
  std::string outcome;
};

/// What docs/decisions/compile-budget.md promises: CPU time in us per byte plus constant seconds, memory in KiB per
/// byte plus constant MB.
struct Promise {
  double us_per_byte, constant_s, kib_per_byte, constant_mb;
};
constexpr Promise kPromises[] = {{200, 0.1, 10, 100}, {400, 0.1, 16, 100}};
/// Seconds of CPU time after which a process is ended.
constexpr rlim_t kMostSeconds = 30;

/// Compiles the module in this process, which was made for it.
[[noreturn]] void compile(OptLevel opt, const std::vector<uint8_t>& module) {
  rlimit limit{kMostSeconds, kMostSeconds};
  setrlimit(RLIMIT_CPU, &limit);
  Config config;
  config.mode = CompileMode::aot;
  config.opt = opt;
  config.compile_workers = 1;
  config.features.legacy_exceptions = true;
  auto engine = Engine::create(config);
  if (!engine) _exit(3);
  if (module.empty()) _exit(0);
  auto compiled = Module::compile(*engine, module);
  if (!compiled) std::fprintf(stderr, "  %s\n", compiled.error().to_string().c_str());
  _exit(compiled ? 0 : compiled.error().kind == ErrorKind::limit ? 2 : 3);
}

Cost measure(OptLevel opt, const std::vector<uint8_t>& module) {
  std::fflush(nullptr);
  pid_t child = fork();
  if (child == 0) compile(opt, module);
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  Cost cost{seconds(usage.ru_utime) + seconds(usage.ru_stime), static_cast<double>(usage.ru_maxrss) / 1024, ""};
  if (WIFSIGNALED(status))
    cost.outcome = "signal " + std::to_string(WTERMSIG(status));
  else if (WEXITSTATUS(status) == 2)
    cost.outcome = "limit";
  else if (WEXITSTATUS(status) != 0)
    cost.outcome = "error";
  return cost;
}

/// Reports one module. Returns false if it took more than promised, or failed.
bool report(const CostlyModule& maker, int opt, uint32_t scale) {
  const Promise& promise = kPromises[opt];
  OptLevel level = opt == 0 ? OptLevel::o0 : OptLevel::o1;
  bool kept = true;
  for (uint32_t size : {maker.size * scale, maker.size * 2 * scale, maker.size * 4 * scale}) {
    std::vector<uint8_t> module = maker.make(size);
    auto bytes = static_cast<double>(module.size());
    Cost cost = measure(level, module);
    bool over = cost.cpu_s > promise.constant_s + promise.us_per_byte * bytes / 1e6 ||
                cost.peak_mb > promise.constant_mb + promise.kib_per_byte * bytes / 1024 ||
                (!cost.outcome.empty() && cost.outcome != "limit");
    kept = kept && !over;
    std::printf("o%d  %-28s %7u %8.1f KB %8.3f s %8.1f us/B %8.1f MB %7.2f KiB/B  %s%s\n", opt, maker.name, size,
                bytes / 1e3, cost.cpu_s, cost.cpu_s * 1e6 / bytes, cost.peak_mb, cost.peak_mb * 1024 / bytes,
                cost.outcome.c_str(), over ? "  OVER" : "");
    std::fflush(stdout);
    if (!cost.outcome.empty()) break;
  }
  return kept;
}

void write(const CostlyModule& maker, const Options& options) {
  std::vector<uint8_t> module = maker.make(maker.size * options.scale);
  std::string name = maker.name;
  std::ranges::replace(name, ' ', '_');
  std::ofstream out(options.folder + "/" + name + ".wasm", std::ios::binary);
  out.write(reinterpret_cast<const char*>(module.data()), static_cast<std::streamsize>(module.size()));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string name = argv[i], value = argv[i + 1];
    if (name == "--opt") options.opt = std::atoi(value.c_str());
    if (name == "--only") options.only = value;
    if (name == "--scale") options.scale = static_cast<uint32_t>(std::atoi(value.c_str()));
    if (name == "--write") options.folder = value;
  }
  bool kept = true;
  for (int opt : {0, 1}) {
    if (options.opt >= 0 && options.opt != opt) continue;
    for (const CostlyModule& maker : costly_modules()) {
      if (!options.only.empty() && options.only != maker.name) continue;
      if (options.folder.empty())
        kept &= report(maker, opt, options.scale);
      else
        write(maker, options);
    }
  }
  return kept ? 0 : 1;
}
