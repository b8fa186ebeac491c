// The log: the calls that built state, symbolically, in the order they were made. Bounded, and compacted by slicing.
//
// Positions. Every call has a number, `seq`. A reader (a standby, an image) has a position: the number of the last call
// that it has seen. It has yet to see all calls that the log holds with higher numbers. Compaction keeps what any
// reader needs; it must not run while a reader moves, which `reading` prevents.
//
// Cuts. At a bound an image takes the place of the calls before it: they are dropped, and who begins anew begins with
// the image.
//
// Late calls. If a build takes a handle that a query returned long before, the query enters the log at the place where
// it was made, if what it had read has changed since. Readers that are past that place have missed it and get an error:
// they begin anew.
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

/// The position of a reader.
struct LogPosition {
  uint64_t seq = 0;
  uint64_t late = 0;  ///< late calls that it has seen or that lie ahead of it
};

/// The log. The thread that holds the lease appends to it; any thread may read it.
class Log {
 public:
  enum class Appended : uint8_t {
    ok,
    due,      ///< it grew so much since the last compaction that one is due
    filling,  ///< over half of a bound, and it grew by an eighth of that since it was last said
    full,     ///< over a bound
  };

  Log(const Plan& plan, LogBounds bounds) : plan_(plan), bounds_(bounds) {}

  /// Takes the number of the next call. Only for the thread that holds the lease.
  uint64_t next_seq() { return ++last_seq_; }
  HandleId next_handle() { return ++last_handle_; }

  /// Appends a call, whose number comes from next_seq: the newest one, or that of a late call.
  Appended append(std::shared_ptr<const LogCall> call);
  /// Returns whether a call of an export marked `once` was recorded with these arguments.
  bool has_once(const std::string& identity) const;
  /// Pin and unpin a handle: while it is pinned its history stays although it ended, since a query that took it may yet
  /// be needed.
  void pin(HandleId id);
  void unpin(HandleId id);
  /// Returns whether no call with a higher number than `seq` changed or ended one of the handles, or may have changed
  /// what is no handle.
  bool unchanged_since(uint64_t seq, std::span<const HandleId> handles) const;
  /// Returns the number of the last call that a cut dropped: nothing can be put in before it. 0: it was never cut. Only
  /// for the thread that holds the lease.
  uint64_t cut_seq() const { return cut_seq_; }

  /// Returns the calls that a fresh instance must replay; `position` gets where it then stands. Errors: internal (the
  /// log was cut).
  Result<Calls> fresh_calls(LogPosition* position) const;
  /// Returns the calls that an instance at `position` must replay; `position` moves to the end. Errors: internal (it
  /// missed a late call, or a cut dropped calls that it has yet to see).
  Result<Calls> tail_calls(LogPosition& position, const HasHandle& has) const;
  bool at_end(const LogPosition& position) const;
  bool missed_one(const LogPosition& position) const {
    std::lock_guard lock(mutex_);
    return missed_one_locked(position);
  }
  /// Returns the ns that the calls behind the position took on the active.
  uint64_t tail_ns(const LogPosition& position) const;

  /// Returns a lock to be held while a reader replays: compaction waits for it.
  std::shared_lock<std::shared_mutex> reading() const { return std::shared_lock(reading_mutex_); }
  /// Drops the calls that neither a fresh instance nor one at any of `positions` needs. May run beside appends; waits
  /// for readers. Returns how many calls remain.
  uint64_t compact(std::span<const LogPosition> positions);
  /// Returns a lock under which nobody reads. It is taken before the Warmer's; if not `waits`, it is not held if
  /// someone reads.
  std::unique_lock<std::shared_mutex> nobody_reading(bool waits) {
    return waits ? std::unique_lock(reading_mutex_) : std::unique_lock(reading_mutex_, std::try_to_lock);
  }
  /// Drops the calls up to the position, where an image stands. Pre: nobody reads, and no reader is behind. Only for
  /// the thread that holds the lease. Returns how many calls remain.
  uint64_t cut(const LogPosition& position);
  /// Returns how much of its bounds the log takes, as a part of that of which it takes most.
  double fill() const;
  /// Returns the same of the calls behind the position, as if all were alike.
  double fill_behind(const LogPosition& position) const;
  /// Returns what that bound is, for people.
  std::string bound_text() const;
  void give_up();

  uint64_t size() const;
  uint64_t size_bytes() const;
  uint64_t cost_ns() const;  ///< of the calls in it
  uint64_t recorded() const;
  uint64_t compactions() const;
  uint64_t cuts() const;

  // As memory::ForkHooks. In the child nobody reads.
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
  double fill_locked(const char** bound) const;
  Calls copy(size_t from, std::unordered_set<HandleId>* pinned) const;
  LogPosition end() const { return {.seq = entries_.empty() ? 0 : entries_.back().call->seq, .late = late_.size()}; }
  void add_costs(size_t from);
  void drop(const std::unordered_set<const LogCall*>& calls);
  void note_dropped();
  void clear();

  const Plan& plan_;
  const LogBounds bounds_;
  uint64_t last_seq_ = 0;
  HandleId last_handle_ = 0;
  // For the thread that holds the lease only:
  std::unordered_map<HandleId, Changes> changes_;  ///< of handles that live or are pinned
  std::unordered_map<HandleId, uint32_t> pins_;    ///< written under mutex_, too
  uint64_t cut_seq_ = 0;                           ///< written under mutex_, too
  uint64_t last_global_ = 0;                       ///< the last call that may have changed what is no handle

  mutable std::shared_mutex reading_mutex_;  ///< taken before mutex_, and before the Warmer's
  mutable std::mutex mutex_;                 ///< for what follows
  std::vector<Entry> entries_;
  std::vector<uint64_t> late_;
  std::set<std::string> once_;
  uint64_t bytes_ = 0;
  uint64_t recorded_ = 0;
  uint64_t compactions_ = 0;
  uint64_t cuts_ = 0;
  uint64_t due_at_ = kFirstCompaction;
  double filling_at_ = 0.5;  ///< what `fill` is when that is worth telling of
  bool is_cut_ = false;
  bool given_up_ = false;

  /// The size in calls at which the first compaction is due; the next one is whenever the log has doubled.
  static constexpr uint64_t kFirstCompaction = 4096;
};

}  // namespace rotor::proxy
