// The log: the calls that built state, symbolically, in the order they were made. Bounded, and compacted by slicing.
//
// Positions. Every call has a number, `seq`. A reader (a standby, an image) has a position: the number of the last call
// that it has seen. What it has yet to see is all that the log holds with higher numbers. Compaction keeps what any
// reader needs; it must not run while a reader moves, which `reading` sees to.
//
// Late calls. A query whose handle a build takes long after enters the log where it was made, if what it had read has
// changed since. Readers that are past that place have missed it, and say so: they begin anew.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proxy/log_call.h"
#include "proxy/slice.h"

namespace rotor::proxy {

struct LogBounds {
  uint64_t calls = 0;
  uint64_t bytes = 0;
  uint64_t replay_ns = 0;
};

/// How far a reader has come.
struct LogPosition {
  uint64_t seq = 0;
  uint64_t late = 0;  ///< late calls that it has seen or that lie ahead of it
};

/// Appended to by the thread that holds the lease, read by any.
class Log {
 public:
  enum class Appended : uint8_t {
    ok,
    due,   ///< it grew much since the last compaction
    full,  ///< a bound is reached, and compaction did not help: it is empty from now on
  };

  Log(const Plan& plan, LogBounds bounds) : plan_(plan), bounds_(bounds) {}

  /// The number of the next call. Only for the thread that holds the lease.
  uint64_t next_seq() { return ++last_seq_; }
  HandleId next_handle() { return ++last_handle_; }

  /// `call` has a number of next_seq: the newest one, or that of a late call.
  Appended append(std::shared_ptr<const LogCall> call);
  /// Whether a call of an export marked `once` was recorded with these arguments.
  bool has_once(const std::string& identity) const;
  /// While pinned, a handle's history stays although the handle ended: a query that took it may yet be needed.
  void pin(HandleId id);
  void unpin(HandleId id);
  /// Whether no call with a higher number changed or ended one of the handles, or touched none at all.
  bool unchanged_since(uint64_t seq, std::span<const HandleId> handles) const;

  /// What a fresh instance must replay, and where it then stands.
  Calls fresh_calls(LogPosition* position) const;
  /// What an instance that stands at the position must replay, which moves to the end. Errors: internal (it missed a
  /// late call).
  Result<Calls> tail_calls(LogPosition& position, const HasHandle& has) const;
  bool at_end(const LogPosition& position) const;
  bool missed_one(const LogPosition& position) const {
    std::lock_guard lock(mutex_);
    return missed_one_locked(position);
  }
  /// What the calls behind the position took on the active.
  uint64_t tail_ns(const LogPosition& position) const;

  /// Held while a reader replays: compaction waits.
  std::shared_lock<std::shared_mutex> reading() const { return std::shared_lock(reading_mutex_); }
  /// Drops what neither a fresh instance nor one at any of `positions` needs. Beside appends; waits for readers.
  /// Returns how many calls remain.
  uint64_t compact(std::span<const LogPosition> positions);
  /// Where readers stand, for compactions that a bound asks for.
  void set_positions(std::vector<LogPosition> positions);
  void give_up();

  uint64_t size() const;
  uint64_t size_bytes() const;
  uint64_t cost_ns() const;  ///< of the calls in it
  uint64_t recorded() const;
  uint64_t compactions() const;

  // As of memory::ForkHooks. In the child nobody reads.
  void before_fork() { mutex_.lock(); }
  void after_fork_in_parent() { mutex_.unlock(); }
  void after_fork_in_child() {
    new (&mutex_) std::mutex();
    new (&reading_mutex_) std::shared_mutex();
  }

 private:
  struct Entry {
    std::shared_ptr<const LogCall> call;
    uint64_t cost_ns = 0;  ///< of the calls up to this one
  };
  struct Changes {
    uint64_t changed = 0;
    uint64_t ended = 0;
  };

  void note_changes(const LogCall& call);
  // Pre for these: mutex_ is held.
  size_t first_behind(uint64_t seq) const;
  bool missed_one_locked(const LogPosition& position) const;
  uint64_t entries_cost_ns() const { return entries_.empty() ? 0 : entries_.back().cost_ns; }
  bool over_bounds(uint64_t scale) const;
  Calls copy(size_t from, std::unordered_set<HandleId>* pinned) const;
  LogPosition end() const { return {.seq = entries_.empty() ? 0 : entries_.back().call->seq, .late = late_.size()}; }
  void add_costs(size_t from);
  void drop(const std::unordered_set<const LogCall*>& calls);
  void clear();

  const Plan& plan_;
  const LogBounds bounds_;
  uint64_t last_seq_ = 0;
  HandleId last_handle_ = 0;
  // Of the thread that holds the lease.
  std::unordered_map<HandleId, Changes> changes_;  ///< of handles that live or are pinned
  std::unordered_map<HandleId, uint32_t> pins_;    ///< written under mutex_, too
  uint64_t last_global_ = 0;                       ///< the last call that touched no handle

  mutable std::shared_mutex reading_mutex_;  ///< before mutex_, and before the Warmer's
  mutable std::mutex mutex_;                 ///< for what follows
  std::vector<Entry> entries_;
  std::vector<uint64_t> late_;
  std::vector<LogPosition> positions_;
  std::set<std::string> once_;
  uint64_t bytes_ = 0;
  uint64_t recorded_ = 0;
  uint64_t compactions_ = 0;
  uint64_t due_at_ = kFirstCompaction;
  bool given_up_ = false;

  /// Calls from which on a compaction is worth its while; then whenever the log has doubled.
  static constexpr uint64_t kFirstCompaction = 4096;
};

}  // namespace rotor::proxy
