// What a proxy tells of its work: events as they happen, and counters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rotor {

/// Why an instance was exchanged: memory use, or Proxy::rotate; a trap; memory use, under a lease.
enum class RotationCause : uint8_t { memory, trap, force };
/// How the new one was made: by the factory and a replay of the log, or from an image or checkpoint.
enum class StandbyOrigin : uint8_t { replay, image };

/// An exchange of the active instance for a standby. Times in nanoseconds.
struct RotationEvent {
  uint64_t rotation = 0;                         ///< 1: the first
  RotationCause cause = RotationCause::memory;   ///< why it took place
  StandbyOrigin origin = StandbyOrigin::replay;  ///< how the new active was made
  uint64_t calls = 0;                            ///< export calls made through the proxy before it
  uint64_t bytes_before = 0;                     ///< memory of the retired instance
  uint64_t bytes_after = 0;                      ///< memory of the new active
  uint64_t calls_replayed = 0;                   ///< on the new active; those in its image apart
  uint64_t warmup_ns = 0;                        ///< instantiation and replay
  uint64_t wait_ns = 0;        ///< the caller waited so long for the standby (`at_swap` = wait, a trap, `force_at`)
  uint64_t swap_pause_ns = 0;  ///< from gate closed to gate open, the wait apart
};

/// What else may be told of, beside rotations.
enum class ProxyEventKind : uint8_t {
  warmup_begun,    ///< a standby is being made
  warmup_done,     ///< `ns` it took
  warmup_failed,   ///< `text` says why: an error, a divergence, futility
  image_made,      ///< `bytes` that the system holds for it, `ns` it took beyond the warm-up
  image_verified,  ///< `text`: empty, or how the replay differed
  drained,         ///< a retired instance, or a standby that was dropped, was freed: `bytes` of its memory, `ns` since
  drain_overdue,   ///< a lease of a retired instance did not end by the deadline
  retried,         ///< `text`: the trap that nobody saw
  log_compacted,   ///< `calls` that remain
  log_cut,         ///< an image stands for the calls before it: `calls` that remain
  rotation_ended,  ///< for good, and `text` says why
  checkpoint_taken,   ///< `bytes` that the system holds for it, `ns` that callers waited meanwhile
  checkpoint_failed,  ///< `text` says why; the one before, if there is one, stays
  probe_differed,     ///< no exchange took place: `text` names the probe, and says how the answers differ
  rewind_held_up,     ///< it is time, and no rewind can be: `text` says why, and which exports are the cause
};
/// Something that happened. What its kind does not name below is 0 or empty.
struct ProxyEvent {
  ProxyEventKind kind;    ///< what happened
  uint64_t ns = 0;        ///< how long it took, in nanoseconds
  uint64_t bytes = 0;     ///< of memory
  uint64_t calls = 0;     ///< in the log
  std::string text = {};  ///< for people
};

/// A snapshot; counts since the proxy was created.
struct ProxyCounters {
  uint64_t calls = 0;    ///< export calls by the host
  uint64_t leases = 0;   ///< outermost ones; those of one call included
  uint64_t waiting = 0;  ///< threads that wait for a lease, as of now
  uint64_t traps = 0;    ///< calls that a trap or a host function's error ended, those that were then retried included
  uint64_t retries = 0;  ///< calls and with_lease functions that ran again after a trap
  uint64_t stale_handles = 0;  ///< calls refused for a token

  uint64_t rotations = 0;        ///< in all
  uint64_t rotations_trap = 0;   ///< of them, for a trap
  uint64_t rotations_force = 0;  ///< of them, under a lease
  uint64_t rotations_image = 0;  ///< of them, with a standby from the image
  uint64_t warmups = 0;          ///< begun
  uint64_t warmups_failed = 0;   ///< `last_problem` says why
  uint64_t futile = 0;           ///< of the failed, those whose standby stood above warm_at
  uint64_t divergences = 0;      ///< of the failed, those where a replay went another way
  uint64_t catch_up_failed = 0;  ///< of the failed, those that the log ran away from
  uint64_t calls_replayed = 0;   ///< on all standbys together
  uint64_t images = 0;           ///< made
  uint64_t images_failed = 0;    ///< a standby went on without
  uint64_t images_dropped = 0;   ///< no standby could be made from them: one was made from the log instead
  uint64_t not_kept_ready = 0;   ///< images without Snapshot::keep_ready: the system refused
  uint64_t verified = 0;         ///< images whose calls were replayed once more
  uint64_t verify_failed = 0;    ///< of them, with another outcome
  uint64_t probes = 0;           ///< made and compared
  uint64_t probes_failed = 0;    ///< exchanges that did not take place, since an answer differed
  uint64_t probes_skipped = 0;   ///< exchanges at which the active could not be asked: after a trap, under a lease

  uint64_t log_calls = 0;        ///< in the log, as of now
  uint64_t log_bytes = 0;        ///< of the log, as of now
  uint64_t log_replay_ns = 0;    ///< what its calls took on the active
  uint64_t log_recorded = 0;     ///< calls ever recorded
  uint64_t log_compactions = 0;  ///< of the log
  uint64_t log_cuts = 0;         ///< times that an image took the place of the calls before it

  // RotationMode::checkpoint:
  uint64_t checkpoints = 0;          ///< taken
  uint64_t checkpoints_failed = 0;   ///< `last_problem` says why
  uint64_t checkpoint_ns_last = 0;   ///< how long callers waited for the last one
  uint64_t checkpoint_ns_max = 0;    ///< for that which took longest
  uint64_t checkpoint_ns_total = 0;  ///< for all of them
  uint64_t checkpoint_bytes = 0;     ///< memory that the guest had at the last one
  uint64_t state_changes = 0;        ///< calls that left something behind, as far as the policy knows
  uint64_t rewinds_held_up = 0;      ///< times that a rewind was due and could not be: once for each checkpoint
  uint64_t held = 0;                 ///< results newer than the checkpoint that the host holds, as of now
  bool checkpoint_stale = false;     ///< something was left behind since it was taken, or there is none yet
  std::string stale_by;  ///< the exports that have left most behind, with how many calls did: `set 12, add 3`

  uint64_t warmup_ns_last = 0;       ///< instantiation and replay of the last standby
  uint64_t warmup_ns_total = 0;      ///< of all standbys
  uint64_t swap_pause_ns_last = 0;   ///< from gate closed to gate open, of the last rotation
  uint64_t swap_pause_ns_max = 0;    ///< of the longest pause
  uint64_t swap_pause_ns_total = 0;  ///< of all rotations
  uint64_t wait_ns_max = 0;          ///< longest time that a caller waited for a standby
  uint64_t drain_ns_last = 0;        ///< from swap to freed
  uint64_t drain_ns_total = 0;       ///< of all retired instances
  uint64_t drained = 0;              ///< retired instances that were freed
  uint64_t drain_overdue = 0;        ///< leases that did not end by the deadline

  uint64_t retired = 0;              ///< instances not yet freed, as of now
  uint64_t memory_bytes = 0;         ///< of the active, as of the last lease's end
  uint64_t standby_bytes = 0;        ///< memory of the standby, as of now; 0: none
  uint64_t retired_bytes = 0;        ///< of those not yet freed
  uint64_t image_bytes = 0;          ///< what the system holds for the image
  uint64_t reclaimed_bytes = 0;      ///< what retired instances had more than those that took their place
  uint64_t peak_together_bytes = 0;  ///< most that active, standby and retired ones had at once
  uint64_t denied_growths = 0;       ///< of the active
  // Of the active's garbage-collected heap, as of the last lease's end; 0 if it has none, or the policy has a gauge.
  uint64_t heap_live_bytes = 0;    ///< of objects, after the last collection
  uint64_t heap_limit_bytes = 0;   ///< Limits::heap_bytes
  uint64_t heap_collections = 0;   ///< since the active was made
  uint64_t heap_pause_ns_max = 0;  ///< of a collection

  bool rotating = false;     ///< rotation is on
  std::string off_reason;    ///< why it is not: policy, environment, or a log that no image can stand for
  std::string last_problem;  ///< of the last failed warm-up; or what an event's callback, or Guest::on_trap, threw
};

/// The counters in Prometheus' text format (0.0.4), each name with `rotor_` before it, times in seconds. `labels`, if
/// any, go into each line's braces as they are: `guest="prover"`.
std::string prometheus_text(const ProxyCounters& counters, std::string_view labels = {});

}  // namespace rotor
