// What the hosts of modules made by Emscripten share: docs/emscripten.md.
#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "rotor/proxy.h"
#include "rotor/rotor.h"

namespace emscripten {

inline rotor::Result<rotor::Module> compile(const rotor::Engine& engine, const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
  return rotor::Module::compile(engine, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
}

/// Defines what the host does not: a memory of its own for each instance, and functions that fail with their name.
inline void define_rest(rotor::Linker& linker, const rotor::Engine& engine, const rotor::Module& module) {
  for (const rotor::ImportInfo& item : module.imports()) {
    if (linker.defined(item.module, item.name)) continue;
    if (auto* memory = std::get_if<rotor::MemoryType>(&item.type)) {
      auto make = [engine, type = *memory](const rotor::InstanceOptions& options) -> rotor::Result<rotor::Extern> {
        ROTOR_TRY(rotor::Memory made, rotor::Memory::create(engine, type, options.limits.memory));
        return made;
      };
      linker.define_per_instance(item.module, item.name, *memory, make);
    } else if (auto* func = std::get_if<rotor::FuncType>(&item.type)) {
      auto missing = [name = item.module + "." + item.name](rotor::Caller&, rotor::Slot*) -> rotor::Result<void> {
        return rotor::fail(rotor::ErrorKind::host, "the guest called " + name + ", which this host does not have");
      };
      linker.define_func(item.module, item.name, *func, missing);
    }
  }
}

/// Makes a proxy of guests with a memory of at most `limit_bytes`. `define_imports` defines what the host has.
inline rotor::Result<rotor::Proxy> start(const char* wasm, const char* policy_file, uint64_t limit_bytes,
                                         void (*define_imports)(rotor::Linker&), rotor::ProxyOptions options) {
  ROTOR_TRY(auto engine, rotor::Engine::create());
  ROTOR_TRY(auto module, compile(engine, wasm));
  ROTOR_TRY(auto policy, rotor::Policy::load_toml(policy_file));
  rotor::Linker linker(engine);
  define_imports(linker);
  define_rest(linker, engine, module);
  ROTOR_TRY(auto pre, linker.instantiate_pre(module));
  rotor::Limits limits;
  limits.memory.limit_bytes = limit_bytes;
  return rotor::Proxy::create(module, rotor::linked_guests(pre, limits), policy, std::move(options));
}

/// emscripten_resize_heap: malloc asks for a memory of that many bytes.
inline rotor::Result<int32_t> resize_heap(rotor::Caller& caller, int32_t wanted) {
  ROTOR_TRY(rotor::Memory memory, caller.get_memory());
  const uint64_t bytes = static_cast<uint32_t>(wanted), page = memory.page_bytes();
  if (bytes <= memory.size_bytes()) return 1;
  return memory.grow((bytes - memory.size_bytes() + page - 1) / page) ? 1 : 0;
}

/// environ_sizes_get of WASI: no variables, in 0 bytes.
inline rotor::Result<int32_t> environ_sizes_get(rotor::Caller& caller, int32_t count, int32_t bytes) {
  constexpr uint8_t kZero[4] = {};
  for (int32_t at : {count, bytes}) ROTOR_CHECK(caller.write(static_cast<uint32_t>(at), kZero));
  return 0;
}
inline int32_t environ_get(int32_t, int32_t) { return 0; }

/// emscripten_date_now, and emscripten_get_now: milliseconds.
inline double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Processor time of this thread, in milliseconds: what others run on the machine is not in it.
inline double cpu_ms() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

/// Counts and times requests: ordinary ones, and those with a rotation within, or before them.
class Requests {
 public:
  /// The proxy tells by these. They refer to this.
  rotor::ProxyOptions options() {
    return {.on_rotation = [this](const rotor::RotationEvent&) { is_first_ = true; },
            .on_checkpoint = [this] { has_checkpoint_ = true; }};
  }
  /// Makes a request, which returns whether its answer is right.
  template <class Request>
  void run(Request request) {
    const double start_ms = cpu_ms();
    right_ += request();
    const double took_ms = cpu_ms() - start_ms;
    made_++;
    if (!has_checkpoint_) (is_first_ ? first_ms_ : ordinary_ms_).push_back(took_ms);
    is_first_ = has_checkpoint_ = false;
  }
  bool all_right() const { return right_ == made_; }
  void print(const rotor::ProxyCounters& counters) {
    std::printf("%d of %d requests right, %d rotations, %d checkpoints\n", right_, made_,
                static_cast<int>(counters.rotations), static_cast<int>(counters.checkpoints));
    std::printf("pause of a rotation %.3f ms, at most %.3f; of a checkpoint %.3f ms, at most %.3f\n",
                mean(counters.swap_pause_ns_total, counters.rotations), counters.swap_pause_ns_max / 1e6,
                mean(counters.checkpoint_ns_total, counters.checkpoints), counters.checkpoint_ns_max / 1e6);
    std::printf("processor time of a request: %s; of the first after a rotation: %s\n", median(ordinary_ms_).c_str(),
                median(first_ms_).c_str());
    if (!all_right()) std::printf("last problem: %s\n", counters.last_problem.c_str());
  }

 private:
  static double mean(uint64_t total_ns, uint64_t count) { return count ? total_ns / 1e6 / count : 0; }
  static std::string median(std::vector<double>& times_ms) {
    if (times_ms.empty()) return "none without a checkpoint";
    std::ranges::sort(times_ms);
    char text[64];
    std::snprintf(text, sizeof text, "%.3f ms (median of %zu)", times_ms[times_ms.size() / 2], times_ms.size());
    return text;
  }
  int made_ = 0, right_ = 0;
  bool is_first_ = false, has_checkpoint_ = false;
  std::vector<double> ordinary_ms_, first_ms_;
};

/// main: `PROGRAM FILE.wasm POLICY REQUESTS [rewind]`. With `rewind` each request begins with one: a policy that loses
/// state is found by it.
template <class Run>
int main_of(int argc, char** argv, Run run) {
  if (argc < 4 || argc > 5) {
    std::fprintf(stderr, "usage: %s FILE.wasm POLICY REQUESTS [rewind]\n", argv[0]);
    return 2;
  }
  rotor::Result<bool> right = run(argv[1], argv[2], std::atoi(argv[3]), argc == 5);
  if (!right) std::fprintf(stderr, "%s\n", right.error().to_string().c_str());
  return right && *right ? 0 : 1;
}

}  // namespace emscripten
