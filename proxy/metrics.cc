// The proxy's counters as Prometheus' text format has them.
#include <fmt/format.h>

#include <iterator>

#include "rotor/printable.h"
#include "rotor/proxy/counters.h"

namespace rotor {
namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;

/// Escapes text for a label's value.
std::string escaped(std::string_view text) {
  std::string out;
  for (char c : printable_lines(text)) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

class Writer {
 public:
  explicit Writer(std::string_view labels) : labels_(labels) {}

  void counter(const char* name, const char* help, uint64_t value) { number(name, "counter", help, value); }
  void gauge(const char* name, const char* help, uint64_t value) { number(name, "gauge", help, value); }
  void seconds_total(const char* name, const char* help, uint64_t ns) { seconds(name, "counter", help, ns); }
  void seconds_gauge(const char* name, const char* help, uint64_t ns) { seconds(name, "gauge", help, ns); }

  /// Puts text into a label of a series of its own: as a label of a counter it would end the counter's series each time
  /// that it changes.
  void info(const char* name, const char* help, const char* label, const std::string& text) {
    if (text.empty()) return;
    begin(name, "gauge", help);
    sample(name, fmt::format("{}=\"{}\"", label, escaped(text)), "1");
  }

  void begin(const char* name, const char* type, const char* help) {
    fmt::format_to(std::back_inserter(text_), "# HELP rotor_{0} {1}\n# TYPE rotor_{0} {2}\n", name, help, type);
  }
  /// Puts one line. `label` is one more label, such as `role="active"`, or empty.
  void sample(const char* name, std::string_view label, std::string_view value) {
    const bool both = !labels_.empty() && !label.empty();
    fmt::format_to(std::back_inserter(text_), "rotor_{}", name);
    if (!labels_.empty() || !label.empty())
      fmt::format_to(std::back_inserter(text_), "{{{}{}{}}}", labels_, both ? "," : "", label);
    fmt::format_to(std::back_inserter(text_), " {}\n", value);
  }
  std::string take() { return std::move(text_); }

 private:
  void number(const char* name, const char* type, const char* help, uint64_t value) {
    begin(name, type, help);
    sample(name, {}, fmt::to_string(value));
  }
  void seconds(const char* name, const char* type, const char* help, uint64_t ns) {
    begin(name, type, help);
    sample(name, {}, fmt::format("{}.{:09}", ns / kNsPerSecond, ns % kNsPerSecond));
  }

  std::string_view labels_;
  std::string text_;
};

void calls(Writer& out, const ProxyCounters& c) {
  out.counter("calls_total", "Export calls by the host.", c.calls);
  out.counter("leases_total", "Outermost leases given, those of one call included.", c.leases);
  out.gauge("waiting", "Threads that wait for a lease.", c.waiting);
  out.counter("traps_total", "Calls that trapped.", c.traps);
  out.counter("retries_total", "Calls that ran again after a trap.", c.retries);
  out.counter("stale_handles_total", "Calls refused for a handle that is none or no more.", c.stale_handles);
}

void rotations(Writer& out, const ProxyCounters& c) {
  out.gauge("rotating", "Whether rotation is on: 1 or 0.", c.rotating);
  out.info("rotation_off_info", "Why rotation is off.", "reason", c.off_reason);
  out.counter("rotations_total", "Instances exchanged.", c.rotations);
  out.counter("rotations_trap_total", "Instances exchanged for a trap.", c.rotations_trap);
  out.counter("rotations_force_total", "Instances exchanged under a lease.", c.rotations_force);
  out.counter("rotations_image_total", "Instances exchanged for one made from the image.", c.rotations_image);
  out.seconds_gauge("swap_pause_last_seconds", "Last time that the gate was closed for a swap.", c.swap_pause_ns_last);
  out.seconds_gauge("swap_pause_max_seconds", "Longest time that the gate was closed for a swap.", c.swap_pause_ns_max);
  out.seconds_total("swap_pause_seconds_total", "Time that the gate was closed for swaps.", c.swap_pause_ns_total);
  out.seconds_gauge("wait_max_seconds", "Longest time that a caller waited for a standby.", c.wait_ns_max);
}

void warmups(Writer& out, const ProxyCounters& c) {
  out.counter("warmups_total", "Warm-ups begun.", c.warmups);
  out.counter("warmups_failed_total", "Warm-ups failed.", c.warmups_failed);
  out.info("warmup_problem_info", "Why the last failed warm-up did.", "problem", c.last_problem);
  out.counter("futile_total", "Warm-ups whose standby stood above warm_at after the replay.", c.futile);
  out.counter("divergences_total", "Warm-ups whose replay went another way than the recording.", c.divergences);
  out.counter("catch_up_failed_total", "Warm-ups that the log ran away from.", c.catch_up_failed);
  out.counter("calls_replayed_total", "Calls replayed on standbys.", c.calls_replayed);
  out.seconds_gauge("warmup_last_seconds", "Time that the last warm-up took.", c.warmup_ns_last);
  out.seconds_total("warmup_seconds_total", "Time that warm-ups took.", c.warmup_ns_total);
  out.counter("images_total", "Images made of standbys.", c.images);
  out.counter("images_failed_total", "Images that could not be made.", c.images_failed);
  out.counter("images_dropped_total", "Images that no standby could be made from.", c.images_dropped);
  out.counter("not_kept_ready_total", "Images for which no address space could be kept ready.", c.not_kept_ready);
  out.counter("images_verified_total", "Images whose calls were replayed once more.", c.verified);
  out.counter("images_verify_failed_total", "Images whose calls had another outcome then.", c.verify_failed);
  out.counter("probes_total", "Probes made and compared.", c.probes);
  out.counter("probes_failed_total", "Exchanges that did not take place since a probe's answers differed.",
              c.probes_failed);
  out.counter("probes_skipped_total", "Exchanges at which the active could not be probed.", c.probes_skipped);
}

void log(Writer& out, const ProxyCounters& c) {
  out.gauge("log_calls", "Calls in the log.", c.log_calls);
  out.gauge("log_bytes", "Size of the log.", c.log_bytes);
  out.seconds_gauge("log_replay_seconds", "Time that the log's calls took when they were recorded.", c.log_replay_ns);
  out.counter("log_recorded_total", "Calls ever recorded.", c.log_recorded);
  out.counter("log_compactions_total", "Compactions of the log.", c.log_compactions);
  out.counter("log_cuts_total", "Times that an image took the place of the calls before it.", c.log_cuts);
}

void checkpoints(Writer& out, const ProxyCounters& c) {
  out.counter("checkpoints_total", "Checkpoints taken.", c.checkpoints);
  out.counter("checkpoints_failed_total", "Checkpoints that could not be taken.", c.checkpoints_failed);
  out.seconds_gauge("checkpoint_pause_last_seconds", "Time that callers waited for the last checkpoint.",
                    c.checkpoint_ns_last);
  out.seconds_gauge("checkpoint_pause_max_seconds", "Longest time that callers waited for a checkpoint.",
                    c.checkpoint_ns_max);
  out.seconds_total("checkpoint_pause_seconds_total", "Time that callers waited for checkpoints.",
                    c.checkpoint_ns_total);
  out.gauge("checkpoint_memory_bytes", "Memory that the guest had at the last checkpoint.", c.checkpoint_bytes);
  out.gauge("checkpoint_stale", "Whether no rewind can go to the checkpoint, or there is none: 1 or 0.",
            c.checkpoint_stale);
  out.counter("state_changes_total", "Calls that left something behind, as far as the policy knows.", c.state_changes);
  out.info("checkpoint_stale_by_info", "Exports that have left most behind, with the calls that did.", "exports",
           c.stale_by);
  out.counter("rewinds_held_up_total", "Times that a rewind was due and could not be.", c.rewinds_held_up);
  out.gauge("held_results", "Results newer than the checkpoint that the host holds.", c.held);
}

void memory(Writer& out, const ProxyCounters& c) {
  out.gauge("retired", "Retired instances that are not yet freed.", c.retired);
  out.counter("drained_total", "Retired instances that were freed.", c.drained);
  out.counter("drain_overdue_total", "Leases of retired instances that did not end by the deadline.", c.drain_overdue);
  out.seconds_gauge("drain_last_seconds", "Time from the last swap whose instance is freed until it was.",
                    c.drain_ns_last);
  out.seconds_total("drain_seconds_total", "Time from swaps until the retired instances were freed.", c.drain_ns_total);
  out.begin("memory_bytes", "gauge", "Guest memory; of the image what the system holds for it.");
  out.sample("memory_bytes", R"(role="active")", fmt::to_string(c.memory_bytes));
  out.sample("memory_bytes", R"(role="standby")", fmt::to_string(c.standby_bytes));
  out.sample("memory_bytes", R"(role="retired")", fmt::to_string(c.retired_bytes));
  out.sample("memory_bytes", R"(role="image")", fmt::to_string(c.image_bytes));
  out.gauge("memory_peak_together_bytes", "Most guest memory that active, standby and retired ones had at once.",
            c.peak_together_bytes);
  out.counter("reclaimed_bytes_total", "What retired instances had more than those that took their place.",
              c.reclaimed_bytes);
  out.counter("denied_growths_total", "Growths of memory that the active was denied.", c.denied_growths);
  out.gauge("heap_live_bytes", "Objects in the active's garbage-collected heap, after its last collection.",
            c.heap_live_bytes);
  out.gauge("heap_limit_bytes", "What those may have.", c.heap_limit_bytes);
  out.counter("heap_collections_total", "Collections of that heap.", c.heap_collections);
  out.seconds_gauge("heap_pause_max_seconds", "Longest collection of that heap.", c.heap_pause_ns_max);
}

}  // namespace

std::string prometheus_text(const ProxyCounters& counters, std::string_view labels) {
  Writer out(labels);
  calls(out, counters);
  rotations(out, counters);
  warmups(out, counters);
  log(out, counters);
  checkpoints(out, counters);
  memory(out, counters);
  return out.take();
}

}  // namespace rotor
