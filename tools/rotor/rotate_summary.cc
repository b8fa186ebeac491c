// Makes the JSON that rotor rotate prints of a run.
#include "tools/rotor/rotate.h"

#include <algorithm>

namespace rotor::cli {
namespace {

template <class T>
T median(std::vector<T> values) {
  if (values.empty()) return {};
  std::ranges::nth_element(values, values.begin() + static_cast<ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}
template <class T>
T maximum(const std::vector<T>& values) {
  return values.empty() ? T{} : *std::ranges::max_element(values);
}

nlohmann::ordered_json latency_json(const Percentiles& p) {
  nlohmann::ordered_json json;
  json["count"] = p.count;
  if (p.count == 0) return json;
  json["p50_ms"] = rounded(p.p50);
  json["p90_ms"] = rounded(p.p90);
  json["p99_ms"] = rounded(p.p99);
  json["p999_ms"] = rounded(p.p999);
  json["max_ms"] = rounded(p.max);
  return json;
}

void add_memory(const Measured& m, nlohmann::ordered_json& json) {
  const ProxyCounters& c = m.counters;
  json["memory_bytes"] = c.memory_bytes;
  json["peak_together_bytes"] = c.peak_together_bytes;
  json["reclaimed_bytes"] = c.reclaimed_bytes;
  json["image_bytes"] = c.image_bytes;
  const std::vector<uint64_t>& resident = m.resident_bytes;
  json["resident_first_bytes"] = resident.empty() ? 0 : resident.front();
  json["resident_median_bytes"] = median(resident);
  json["resident_last_bytes"] = resident.empty() ? 0 : resident.back();
  json["resident_max_bytes"] = maximum(resident);
}

void add_counters(const ProxyCounters& c, nlohmann::ordered_json& json) {
  json["swaps"] = c.rotations;
  json["swaps_image"] = c.rotations_image;
  json["swaps_trap"] = c.rotations_trap;
  json["swaps_force"] = c.rotations_force;
  json["warmups"] = c.warmups;
  json["warmups_failed"] = c.warmups_failed;
  if (!c.last_problem.empty()) json["last_problem"] = c.last_problem;
  json["divergences"] = c.divergences;
  json["images"] = c.images;
  json["images_failed"] = c.images_failed;
  json["images_dropped"] = c.images_dropped;
  json["not_kept_ready"] = c.not_kept_ready;
  json["verified"] = c.verified;
  json["verify_failed"] = c.verify_failed;
  json["probes"] = c.probes;
  json["probes_failed"] = c.probes_failed;
  json["probes_skipped"] = c.probes_skipped;
  json["retired"] = c.retired;
  json["drain_overdue"] = c.drain_overdue;
  json["traps"] = c.traps;
  json["retries"] = c.retries;
  json["stale_handles"] = c.stale_handles;
  json["export_calls"] = c.calls;
  json["calls_replayed"] = c.calls_replayed;
  json["log_calls"] = c.log_calls;
  json["log_bytes"] = c.log_bytes;
  json["log_replay_ms"] = rounded(ms(c.log_replay_ns));
  json["log_recorded"] = c.log_recorded;
  json["log_compactions"] = c.log_compactions;
  json["log_cuts"] = c.log_cuts;
}

void add_checkpoints(const ProxyCounters& c, nlohmann::ordered_json& json) {
  json["checkpoints"] = c.checkpoints;
  json["checkpoints_failed"] = c.checkpoints_failed;
  json["checkpoint_pause_last_ms"] = rounded(ms(c.checkpoint_ns_last));
  json["checkpoint_pause_max_ms"] = rounded(ms(c.checkpoint_ns_max));
  json["checkpoint_bytes"] = c.checkpoint_bytes;
  json["checkpoint_stale"] = c.checkpoint_stale;
  json["state_changes"] = c.state_changes;
  json["stale_by"] = c.stale_by;
  json["rewinds_held_up"] = c.rewinds_held_up;
  json["held"] = c.held;
}

}  // namespace

double mib(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }
double ms(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

const char* cause_text(RotationCause cause) {
  switch (cause) {
    case RotationCause::memory: return "memory";
    case RotationCause::trap: return "trap";
    case RotationCause::force: return "force";
  }
  return "?";
}

nlohmann::ordered_json rotation_json(const RotationEvent& e, uint64_t call) {
  nlohmann::ordered_json json;
  json["rotation"] = e.rotation;
  json["cause"] = cause_text(e.cause);
  json["origin"] = e.origin == StandbyOrigin::image ? "image" : "replay";
  json["call"] = call;
  json["bytes_before"] = e.bytes_before;
  json["bytes_after"] = e.bytes_after;
  json["calls_replayed"] = e.calls_replayed;
  json["warmup_ms"] = rounded(ms(e.warmup_ns));
  json["wait_ms"] = rounded(ms(e.wait_ns));
  json["swap_pause_ns"] = e.swap_pause_ns;
  return json;
}

nlohmann::ordered_json summary_json(const RotateOptions& options, const Measured& m) {
  const ProxyCounters& c = m.counters;
  nlohmann::ordered_json json;
  json["calls"] = m.load.calls;
  json["ok"] = m.load.ok;
  json["wrong"] = m.load.wrong;
  json["lost"] = m.load.lost();
  json["checked"] = m.report.checked;
  json["equal"] = m.report.equal;
  if (!options.also.empty()) {
    json["also_calls"] = m.also.calls;
    json["also_ok"] = m.also.ok;
    json["also_wrong"] = m.also.wrong;
    json["also_lost"] = m.also.lost();
  }
  json["rotation"] = c.rotating ? "on" : "off";
  if (!c.rotating) json["off_reason"] = options.rotation == "off" ? "--rotation off" : c.off_reason;
  add_counters(c, json);
  if (m.policy.mode == RotationMode::checkpoint) add_checkpoints(c, json);
  add_memory(m, json);
  json["swap_pause_max_ns"] = c.swap_pause_ns_max;
  json["wait_max_ms"] = rounded(ms(c.wait_ns_max));
  json["warmup_last_ms"] = rounded(ms(c.warmup_ns_last));
  json["setup_ms"] = rounded(m.setup_ms);
  if (options.prepare) json["prepare_ms"] = rounded(m.prepare_ms);
  json["load_ms"] = rounded(m.load_ms);
  const LatencyBySwap latency = latency_by_swap(m.repetitions);
  json["call_median_ms"] = rounded(latency.all.p50);
  json["call_max_ms"] = rounded(latency.all.max);
  json["latency"]["all"] = latency_json(latency.all);
  json["latency"]["before_swap"] = latency_json(latency.before);
  json["latency"]["during_swap"] = latency_json(latency.during);
  json["latency"]["after_swap"] = latency_json(latency.after);
  if (!m.failures.empty())
    json["failure"] = m.failures.front().message.substr(0, m.failures.front().message.find('\n'));
  return json;
}

}  // namespace rotor::cli
