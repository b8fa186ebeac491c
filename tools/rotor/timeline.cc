#include "tools/rotor/timeline.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstdlib>

namespace rotor::cli {

uint64_t resident_bytes() {
  const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[128] = {};
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size <= 0) return 0;
  char* second = nullptr;
  (void)std::strtoull(text, &second, 10);
  return std::strtoull(second, nullptr, 10) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

double Timeline::now_ms() const {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_).count();
}

void Timeline::on_rotation(const RotationEvent& event) {
  std::lock_guard lock(mutex_);
  data_.swaps.push_back({event, now_ms(), repetition_, std::nullopt});
  swaps_++;
}

void Timeline::on_event(const ProxyEvent& event) {
  std::lock_guard lock(mutex_);
  const double now = now_ms();
  switch (event.kind) {
    case ProxyEventKind::warmup_begun: data_.warmups.push_back({now, now, false, {}}); break;
    case ProxyEventKind::warmup_done:
    case ProxyEventKind::warmup_failed:
      if (data_.warmups.empty() || data_.warmups.back().ended) break;
      data_.warmups.back().end_ms = now;
      data_.warmups.back().ended = true;
      if (event.kind == ProxyEventKind::warmup_failed)
        data_.warmups.back().problem = event.text.empty() ? "failed" : event.text;
      break;
    case ProxyEventKind::image_made: data_.images++; break;
    case ProxyEventKind::drained: {
      // The event tells how long ago the swap was, not which one it was, so the nearest is taken.
      const double swapped = now - static_cast<double>(event.ns) / 1e6;
      SwapMark* nearest = nullptr;
      for (SwapMark& swap : data_.swaps) {
        if (swap.drained_ms) continue;
        if (!nearest || std::abs(swap.at_ms - swapped) < std::abs(nearest->at_ms - swapped)) nearest = &swap;
      }
      if (nearest) nearest->drained_ms = now;
      break;
    }
    case ProxyEventKind::drain_overdue: data_.overdue++; break;
    case ProxyEventKind::checkpoint_taken:
    case ProxyEventKind::checkpoint_failed:
      data_.checkpoints.push_back({now, repetition_, event.ns, event.bytes, event.text});
      break;
    case ProxyEventKind::rewind_held_up: data_.held_up.push_back({now, repetition_, 0, 0, event.text}); break;
    default: break;
  }
}

void Timeline::sample(const Proxy& proxy) {
  const ProxyCounters counters = proxy.counters();
  const uint64_t resident = resident_bytes();
  std::lock_guard lock(mutex_);
  data_.samples.push_back({now_ms(), counters.memory_bytes, counters.standby_bytes, counters.retired_bytes,
                           counters.image_bytes, resident});
}

void Timeline::start(const Proxy& proxy, uint32_t every_ms) {
  sampler_ = std::jthread([this, &proxy, every_ms](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      sample(proxy);
      wake.wait_for(lock, stop, std::chrono::milliseconds(every_ms), [] { return false; });
    }
  });
}

void Timeline::stop() {
  if (!sampler_.joinable()) return;
  sampler_.request_stop();
  sampler_.join();
}

TimelineData Timeline::take() {
  std::lock_guard lock(mutex_);
  const double now = now_ms();
  for (WarmupSpan& span : data_.warmups)
    if (!span.ended) span.end_ms = now;
  return std::move(data_);
}

}  // namespace rotor::cli
