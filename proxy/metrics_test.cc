#include <gtest/gtest.h>

#include <cctype>
#include <map>
#include <sstream>

#include "rotor/proxy.h"

namespace rotor {
namespace {

/// Each number another one, so that none can stand in for its neighbour.
ProxyCounters filled() {
  ProxyCounters c;
  uint64_t next = 1;
  for (uint64_t* field : {&c.calls,           &c.leases,          &c.waiting,
                          &c.traps,           &c.retries,         &c.stale_handles,
                          &c.rotations,       &c.rotations_trap,  &c.rotations_force,
                          &c.rotations_image, &c.warmups,         &c.warmups_failed,
                          &c.futile,          &c.divergences,     &c.catch_up_failed,
                          &c.calls_replayed,  &c.images,          &c.images_failed,
                          &c.verified,        &c.verify_failed,   &c.log_calls,
                          &c.log_bytes,       &c.log_recorded,    &c.log_compactions,
                          &c.drained,         &c.drain_overdue,   &c.retired,
                          &c.memory_bytes,    &c.standby_bytes,   &c.retired_bytes,
                          &c.image_bytes,     &c.reclaimed_bytes, &c.peak_together_bytes,
                          &c.denied_growths})
    *field = next++;
  c.heap_live_bytes = 114;
  c.heap_limit_bytes = 115;
  c.heap_collections = 116;
  c.heap_pause_ns_max = 117'000'000'001;
  c.images_dropped = 98;
  c.log_cuts = 110;
  c.probes = 111;
  c.probes_failed = 112;
  c.probes_skipped = 113;
  c.not_kept_ready = 99;
  c.checkpoints = 101;
  c.checkpoints_failed = 102;
  c.checkpoint_bytes = 103;
  c.state_changes = 104;
  c.rewinds_held_up = 105;
  c.held = 106;
  c.checkpoint_ns_last = 107'000'000'001;
  c.checkpoint_ns_max = 108'000'000'001;
  c.checkpoint_ns_total = 109'000'000'001;
  c.checkpoint_stale = true;
  c.stale_by = "set \"1\"";
  for (uint64_t* field :
       {&c.log_replay_ns, &c.warmup_ns_last, &c.warmup_ns_total, &c.swap_pause_ns_last, &c.swap_pause_ns_max,
        &c.swap_pause_ns_total, &c.wait_ns_max, &c.drain_ns_last, &c.drain_ns_total})
    *field = next++ * 1'000'000'000 + 250;
  c.rotating = true;
  c.last_problem = "a \"quoted\" \\ and\na line";
  return c;
}

constexpr const char* kFilled = R"(# HELP rotor_calls_total Export calls by the host.
# TYPE rotor_calls_total counter
rotor_calls_total 1
# HELP rotor_leases_total Outermost leases given, those of one call included.
# TYPE rotor_leases_total counter
rotor_leases_total 2
# HELP rotor_waiting Threads that wait for a lease.
# TYPE rotor_waiting gauge
rotor_waiting 3
# HELP rotor_traps_total Calls that trapped.
# TYPE rotor_traps_total counter
rotor_traps_total 4
# HELP rotor_retries_total Calls that ran again after a trap.
# TYPE rotor_retries_total counter
rotor_retries_total 5
# HELP rotor_stale_handles_total Calls refused for a handle that is none or no more.
# TYPE rotor_stale_handles_total counter
rotor_stale_handles_total 6
# HELP rotor_rotating Whether rotation is on: 1 or 0.
# TYPE rotor_rotating gauge
rotor_rotating 1
# HELP rotor_rotations_total Instances exchanged.
# TYPE rotor_rotations_total counter
rotor_rotations_total 7
# HELP rotor_rotations_trap_total Instances exchanged for a trap.
# TYPE rotor_rotations_trap_total counter
rotor_rotations_trap_total 8
# HELP rotor_rotations_force_total Instances exchanged under a lease.
# TYPE rotor_rotations_force_total counter
rotor_rotations_force_total 9
# HELP rotor_rotations_image_total Instances exchanged for one made from the image.
# TYPE rotor_rotations_image_total counter
rotor_rotations_image_total 10
# HELP rotor_swap_pause_last_seconds Last time that the gate was closed for a swap.
# TYPE rotor_swap_pause_last_seconds gauge
rotor_swap_pause_last_seconds 38.000000250
# HELP rotor_swap_pause_max_seconds Longest time that the gate was closed for a swap.
# TYPE rotor_swap_pause_max_seconds gauge
rotor_swap_pause_max_seconds 39.000000250
# HELP rotor_swap_pause_seconds_total Time that the gate was closed for swaps.
# TYPE rotor_swap_pause_seconds_total counter
rotor_swap_pause_seconds_total 40.000000250
# HELP rotor_wait_max_seconds Longest time that a caller waited for a standby.
# TYPE rotor_wait_max_seconds gauge
rotor_wait_max_seconds 41.000000250
# HELP rotor_warmups_total Warm-ups begun.
# TYPE rotor_warmups_total counter
rotor_warmups_total 11
# HELP rotor_warmups_failed_total Warm-ups failed.
# TYPE rotor_warmups_failed_total counter
rotor_warmups_failed_total 12
# HELP rotor_warmup_problem_info Why the last failed warm-up did.
# TYPE rotor_warmup_problem_info gauge
rotor_warmup_problem_info{problem="a \"quoted\" \\ and\na line"} 1
# HELP rotor_futile_total Warm-ups whose standby stood above warm_at after the replay.
# TYPE rotor_futile_total counter
rotor_futile_total 13
# HELP rotor_divergences_total Warm-ups whose replay went another way than the recording.
# TYPE rotor_divergences_total counter
rotor_divergences_total 14
# HELP rotor_catch_up_failed_total Warm-ups that the log ran away from.
# TYPE rotor_catch_up_failed_total counter
rotor_catch_up_failed_total 15
# HELP rotor_calls_replayed_total Calls replayed on standbys.
# TYPE rotor_calls_replayed_total counter
rotor_calls_replayed_total 16
# HELP rotor_warmup_last_seconds Time that the last warm-up took.
# TYPE rotor_warmup_last_seconds gauge
rotor_warmup_last_seconds 36.000000250
# HELP rotor_warmup_seconds_total Time that warm-ups took.
# TYPE rotor_warmup_seconds_total counter
rotor_warmup_seconds_total 37.000000250
# HELP rotor_images_total Images made of standbys.
# TYPE rotor_images_total counter
rotor_images_total 17
# HELP rotor_images_failed_total Images that could not be made.
# TYPE rotor_images_failed_total counter
rotor_images_failed_total 18
# HELP rotor_images_dropped_total Images that no standby could be made from.
# TYPE rotor_images_dropped_total counter
rotor_images_dropped_total 98
# HELP rotor_not_kept_ready_total Images for which no address space could be kept ready.
# TYPE rotor_not_kept_ready_total counter
rotor_not_kept_ready_total 99
# HELP rotor_images_verified_total Images whose calls were replayed once more.
# TYPE rotor_images_verified_total counter
rotor_images_verified_total 19
# HELP rotor_images_verify_failed_total Images whose calls had another outcome then.
# TYPE rotor_images_verify_failed_total counter
rotor_images_verify_failed_total 20
# HELP rotor_probes_total Probes made and compared.
# TYPE rotor_probes_total counter
rotor_probes_total 111
# HELP rotor_probes_failed_total Exchanges that did not take place since a probe's answers differed.
# TYPE rotor_probes_failed_total counter
rotor_probes_failed_total 112
# HELP rotor_probes_skipped_total Exchanges at which the active could not be probed.
# TYPE rotor_probes_skipped_total counter
rotor_probes_skipped_total 113
# HELP rotor_log_calls Calls in the log.
# TYPE rotor_log_calls gauge
rotor_log_calls 21
# HELP rotor_log_bytes Size of the log.
# TYPE rotor_log_bytes gauge
rotor_log_bytes 22
# HELP rotor_log_replay_seconds Time that the log's calls took when they were recorded.
# TYPE rotor_log_replay_seconds gauge
rotor_log_replay_seconds 35.000000250
# HELP rotor_log_recorded_total Calls ever recorded.
# TYPE rotor_log_recorded_total counter
rotor_log_recorded_total 23
# HELP rotor_log_compactions_total Compactions of the log.
# TYPE rotor_log_compactions_total counter
rotor_log_compactions_total 24
# HELP rotor_log_cuts_total Times that an image took the place of the calls before it.
# TYPE rotor_log_cuts_total counter
rotor_log_cuts_total 110
# HELP rotor_checkpoints_total Checkpoints taken.
# TYPE rotor_checkpoints_total counter
rotor_checkpoints_total 101
# HELP rotor_checkpoints_failed_total Checkpoints that could not be taken.
# TYPE rotor_checkpoints_failed_total counter
rotor_checkpoints_failed_total 102
# HELP rotor_checkpoint_pause_last_seconds Time that callers waited for the last checkpoint.
# TYPE rotor_checkpoint_pause_last_seconds gauge
rotor_checkpoint_pause_last_seconds 107.000000001
# HELP rotor_checkpoint_pause_max_seconds Longest time that callers waited for a checkpoint.
# TYPE rotor_checkpoint_pause_max_seconds gauge
rotor_checkpoint_pause_max_seconds 108.000000001
# HELP rotor_checkpoint_pause_seconds_total Time that callers waited for checkpoints.
# TYPE rotor_checkpoint_pause_seconds_total counter
rotor_checkpoint_pause_seconds_total 109.000000001
# HELP rotor_checkpoint_memory_bytes Memory that the guest had at the last checkpoint.
# TYPE rotor_checkpoint_memory_bytes gauge
rotor_checkpoint_memory_bytes 103
# HELP rotor_checkpoint_stale Whether no rewind can go to the checkpoint, or there is none: 1 or 0.
# TYPE rotor_checkpoint_stale gauge
rotor_checkpoint_stale 1
# HELP rotor_state_changes_total Calls that left something behind, as far as the policy knows.
# TYPE rotor_state_changes_total counter
rotor_state_changes_total 104
# HELP rotor_checkpoint_stale_by_info Exports that have left most behind, with the calls that did.
# TYPE rotor_checkpoint_stale_by_info gauge
rotor_checkpoint_stale_by_info{exports="set \"1\""} 1
# HELP rotor_rewinds_held_up_total Times that a rewind was due and could not be.
# TYPE rotor_rewinds_held_up_total counter
rotor_rewinds_held_up_total 105
# HELP rotor_held_results Results newer than the checkpoint that the host holds.
# TYPE rotor_held_results gauge
rotor_held_results 106
# HELP rotor_retired Retired instances that are not yet freed.
# TYPE rotor_retired gauge
rotor_retired 27
# HELP rotor_drained_total Retired instances that were freed.
# TYPE rotor_drained_total counter
rotor_drained_total 25
# HELP rotor_drain_overdue_total Leases of retired instances that did not end by the deadline.
# TYPE rotor_drain_overdue_total counter
rotor_drain_overdue_total 26
# HELP rotor_drain_last_seconds Time from the last swap whose instance is freed until it was.
# TYPE rotor_drain_last_seconds gauge
rotor_drain_last_seconds 42.000000250
# HELP rotor_drain_seconds_total Time from swaps until the retired instances were freed.
# TYPE rotor_drain_seconds_total counter
rotor_drain_seconds_total 43.000000250
# HELP rotor_memory_bytes Guest memory; of the image what the system holds for it.
# TYPE rotor_memory_bytes gauge
rotor_memory_bytes{role="active"} 28
rotor_memory_bytes{role="standby"} 29
rotor_memory_bytes{role="retired"} 30
rotor_memory_bytes{role="image"} 31
# HELP rotor_memory_peak_together_bytes Most guest memory that active, standby and retired ones had at once.
# TYPE rotor_memory_peak_together_bytes gauge
rotor_memory_peak_together_bytes 33
# HELP rotor_reclaimed_bytes_total What retired instances had more than those that took their place.
# TYPE rotor_reclaimed_bytes_total counter
rotor_reclaimed_bytes_total 32
# HELP rotor_denied_growths_total Growths of memory that the active was denied.
# TYPE rotor_denied_growths_total counter
rotor_denied_growths_total 34
# HELP rotor_heap_live_bytes Objects in the active's garbage-collected heap, after its last collection.
# TYPE rotor_heap_live_bytes gauge
rotor_heap_live_bytes 114
# HELP rotor_heap_limit_bytes What those may have.
# TYPE rotor_heap_limit_bytes gauge
rotor_heap_limit_bytes 115
# HELP rotor_heap_collections_total Collections of that heap.
# TYPE rotor_heap_collections_total counter
rotor_heap_collections_total 116
# HELP rotor_heap_pause_max_seconds Longest collection of that heap.
# TYPE rotor_heap_pause_max_seconds gauge
rotor_heap_pause_max_seconds 117.000000001
)";

TEST(Metrics, ExactText) { EXPECT_EQ(prometheus_text(filled()), kFilled); }

TEST(Metrics, LabelsGoIntoEachLine) {
  std::istringstream lines(prometheus_text(filled(), "guest=\"prover\""));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    EXPECT_NE(line.find("{guest=\"prover\""), line.npos) << line;
  }
  std::string text = prometheus_text(filled(), "guest=\"prover\"");
  EXPECT_NE(text.find("rotor_memory_bytes{guest=\"prover\",role=\"active\"} 28\n"), text.npos);
}

TEST(Metrics, ReasonOfOff) {
  ProxyCounters c;
  c.off_reason = "policy";
  std::string text = prometheus_text(c);
  EXPECT_NE(text.find("rotor_rotating 0\n"), text.npos);
  EXPECT_NE(text.find("rotor_rotation_off_info{reason=\"policy\"} 1\n"), text.npos);
  EXPECT_EQ(text.find("warmup_problem_info"), text.npos);
}

TEST(Metrics, GuestsWordsStayInTheirLabel) {
  ProxyCounters c;
  c.last_problem = "a \"\x1b[31m\\\" 1\n  #0 \u202e\xff";
  std::string text = prometheus_text(c);
  EXPECT_NE(text.find("{problem=\"a \\\"\\\\u{1b}[31m\\\\\\\" 1\\n  #0 \\\\u{202e}\\\\xff\"} 1\n"), text.npos) << text;
}

/// What a scraper asks for: HELP, TYPE, then the samples of that name, each once; numbers that are finite.
void expect_format(const std::string& text) {
  std::istringstream lines(text);
  std::map<std::string, std::string> types;
  std::string current;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first, second, name, type;
    words >> first;
    if (first == "#") {
      words >> second >> name;
      if (second == "HELP") {
        EXPECT_TRUE(types.emplace(name, "").second) << name << " has two HELP lines";
        current = name;
        continue;
      }
      words >> type;
      ASSERT_EQ(second, "TYPE");
      EXPECT_EQ(name, current);
      EXPECT_TRUE(types[name].empty()) << name << " has two TYPE lines";
      types[name] = type;
      EXPECT_TRUE(type == "counter" || type == "gauge") << line;
      EXPECT_EQ(type == "counter", name.ends_with("_total")) << line;
      continue;
    }
    EXPECT_EQ(line.substr(0, line.find_first_of("{ ")), current);
    const std::string value = line.substr(line.rfind(' ') + 1);
    ASSERT_FALSE(value.empty());
    EXPECT_TRUE(std::isdigit(static_cast<unsigned char>(value[0]))) << line;  // neither NaN nor +Inf
    size_t used = 0;
    (void)std::stod(value, &used);
    EXPECT_EQ(used, value.size()) << line;
  }
}

TEST(Metrics, Format) {
  expect_format(prometheus_text({}));
  expect_format(prometheus_text(filled()));
  ProxyCounters large;
  large.warmup_ns_total = UINT64_MAX;
  large.log_bytes = UINT64_MAX;
  expect_format(prometheus_text(large, "a=\"b\""));
}

}  // namespace
}  // namespace rotor
