#include "runtime/compile/validate.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "code/threads.h"

namespace rotor::runtime {

Result<CallGraph> validate_in_parallel(const wasm::Module& module, std::span<const uint8_t> bytes, const Config& config,
                                       const std::function<void()>& meanwhile) {
  auto functions = static_cast<uint32_t>(module.bodies.size());
  CallGraph graph;
  graph.runs.resize((functions + CallGraph::kRun - 1) / CallGraph::kRun);
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::optional<Error> error;
  size_t bad = SIZE_MAX;
  auto work = [&] {
    for (size_t run; (run = next.fetch_add(1)) < graph.runs.size();) {
      auto first = static_cast<uint32_t>(run * CallGraph::kRun);
      auto ok = wasm::validate_bodies(module, bytes, config.features, first,
                                      std::min(first + CallGraph::kRun, functions), &graph.runs[run]);
      if (ok) continue;
      std::scoped_lock lock(mutex);
      // Every lower run is already claimed, so its error will still be seen.
      next = graph.runs.size();
      if (run < bad) error = std::move(ok).error();
      bad = std::min(bad, run);
    }
  };
  unsigned threads =
      config.compile_workers ? config.compile_workers : std::max(1u, std::thread::hardware_concurrency());
  threads = static_cast<unsigned>(std::min<size_t>(threads, graph.runs.size()));
  code::run_on_threads(threads, work, meanwhile);
  if (error) return std::unexpected(std::move(*error));
  return graph;
}

}  // namespace rotor::runtime
