// The common parts of the approaches to a guest that leaks: the workload, and what is measured.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hosts/wasm_bindgen/trace.h"
#include "hosts/wasm_bindgen/trace_replayer.h"
#include "rotor/rotor.h"

namespace rotor::approaches {

struct Workload {
  Engine engine;
  Module module;
  wasm_bindgen::Trace setup;
  wasm_bindgen::Trace load;
  std::string policy;        ///< file; for the approaches with a proxy
  uint64_t limit_bytes = 0;  ///< of the guest's memory
  uint64_t calls = 0;        ///< repetitions of the load to make
  uint64_t recycle_calls = 0;
  double reload_at = 0;  ///< fraction of limit_bytes
  uint32_t workers = 0;
  uint64_t sample_calls = 0;  ///< memory is measured after so many calls, which is not part of their time
};

class Stopwatch {
 public:
  double ms() const { return std::chrono::duration<double, std::milli>(Clock::now() - begin_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_ = Clock::now();
};

struct Outcome {
  double setup_ms = 0;
  std::vector<double> call_ms;  ///< as the caller sees it, waiting included
  uint64_t right = 0;           ///< calls whose every stated result was right
  std::optional<uint64_t> failed_at;
  std::string failure;
  /// Time in which no call can run because the guest is exchanged, or made ready.
  double longest_pause_ms = 0;
  uint64_t exchanges = 0;  ///< of threads, instances or processes
  double cpu_ms = 0;       ///< of the calls and of what runs meanwhile, children included
  std::vector<std::pair<uint64_t, uint64_t>> memory_bytes;  ///< (call, of all processes)

  bool due(const Workload& workload) const { return call_ms.size() % workload.sample_calls == 0; }
  /// Records one call. Returns false if it failed, which ends the run.
  bool record(const Result<void>& done, double ms, const wasm_bindgen::ReplayReport& report);
  void pause(double ms);
};

/// Returns the resident bytes of this process; pages that several processes map count in part. `image_bytes`: what the
/// system holds for images, all of which counts, whether it is mapped now or not.
uint64_t proportional_bytes(uint64_t image_bytes = 0);
/// Returns the CPU time of this process and of the children that it has waited for.
double cpu_ms();

/// Keeps one instance, and calls it on a new thread every Workload::recycle_calls calls: stacks are freed, the guest's
/// memory is not.
Result<Outcome> recycle_threads(const Workload& workload);
/// Makes a new instance once memory has passed `reload_at`: a caller waits for it and for its state.
Result<Outcome> reload(const Workload& workload);
/// Forks a process that has the state for each call; the child sends its results through a pipe and ends.
Result<Outcome> fork_server(const Workload& workload);
/// Calls through a proxy, which makes standbys by replay alone or, if `images`, from the image of the first standby,
/// which is made before the first call.
Result<Outcome> rotate(const Workload& workload, bool images);

}  // namespace rotor::approaches
