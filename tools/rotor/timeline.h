// The course of a run through a proxy: memory, warm-ups, swaps, drains.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "rotor/proxy.h"

namespace rotor::cli {

/// Returns the bytes of physical memory of this process.
uint64_t resident_bytes();

struct MemorySample {
  double at_ms = 0;
  uint64_t active = 0;  ///< guest memory
  uint64_t standby = 0;
  uint64_t retired = 0;
  uint64_t image = 0;
  uint64_t resident = 0;  ///< of the process
};

struct WarmupSpan {
  double begin_ms = 0;
  double end_ms = 0;
  bool ended = false;
  std::string problem;  ///< why it failed
};

struct SwapMark {
  RotationEvent event;
  double at_ms = 0;
  uint64_t repetition = 0;
  std::optional<double> drained_ms;  ///< when the retired instance was freed
};

/// A checkpoint that was taken or could not be, or a rewind that could not be.
struct CheckpointMark {
  double at_ms = 0;  ///< when it was told of, which is at its end
  uint64_t repetition = 0;
  uint64_t pause_ns = 0;  ///< that callers waited
  uint64_t bytes = 0;     ///< that the system holds for it
  std::string problem;    ///< why there is none; of a rewind: what is in the way
};

struct TimelineData {
  std::vector<MemorySample> samples;  ///< in order of time
  std::vector<WarmupSpan> warmups;
  std::vector<SwapMark> swaps;
  std::vector<CheckpointMark> checkpoints;  ///< taken, or failed
  std::vector<CheckpointMark> held_up;      ///< rewinds
  uint64_t images = 0;
  uint64_t overdue = 0;
};

/// Collects TimelineData. Thread-safe.
class Timeline {
 public:
  /// Begins to count times.
  Timeline() : begin_(std::chrono::steady_clock::now()) {}
  ~Timeline() { stop(); }

  double now_ms() const;
  /// These are for ProxyOptions.
  void on_rotation(const RotationEvent& event);
  void on_event(const ProxyEvent& event);
  /// Samples `proxy` from a thread each `every_ms`, until `stop`. The proxy must live until then.
  void start(const Proxy& proxy, uint32_t every_ms);
  void stop();
  /// Takes one more sample: after a repetition.
  void sample(const Proxy& proxy);
  void set_repetition(uint64_t repetition) { repetition_ = repetition; }
  uint64_t swaps() const { return swaps_; }

  /// Returns what was collected. Must be called after `stop`.
  TimelineData take();

 private:
  const std::chrono::steady_clock::time_point begin_;
  std::atomic<uint64_t> repetition_ = 0;
  std::atomic<uint64_t> swaps_ = 0;
  std::mutex mutex_;
  TimelineData data_;
  std::jthread sampler_;
};

}  // namespace rotor::cli
