// Decides when a checkpoint is taken, and whether a rewind may go to it. It knows neither guest nor clock.
#pragma once

#include <cstdint>

#include "rotor/proxy/policy.h"

namespace rotor::proxy {

/// What is known of the checkpoint and of what happened since. Used by the holder of the lease. Memory use is given as
/// a fraction of the limit.
class CheckpointState {
 public:
  CheckpointState(const CheckpointRule& rule, double warm_at) : rule_(rule), warm_at_(warm_at) {}

  /// Returns whether a checkpoint was taken.
  bool exists() const { return exists_; }
  /// Returns whether something was left behind since it was taken, or whether there is none.
  bool is_stale() const { return !exists_ || changes_; }
  /// Returns whether nothing was ever left behind, and no checkpoint taken.
  bool is_pristine() const { return !exists_ && !changes_; }
  /// Returns whether the checkpoint itself uses so much that a rewind to it would not help.
  bool is_futile() const { return exists_ && use_ >= warm_at_; }

  /// Returns the use of the guest that it was taken of.
  double use() const { return use_; }

  /// Notes that a call which leaves something behind begins, the `call_number`-th.
  void note_change(uint64_t call_number) {
    changes_++;
    last_change_ = call_number;
  }
  /// Takes back the note of a call that trapped: what it did is gone with the instance, as its caller knows.
  void take_back_change() { changes_--; }
  /// Returns whether the last of so many calls left nothing behind: what is being built, is built.
  bool is_quiet(uint64_t calls) const { return calls > last_change_; }
  /// Notes that a checkpoint was taken of a guest that uses `use`.
  void note_taken(uint64_t now_ns, uint64_t cost_ns, double use);
  /// Notes that a rewind gave back so much memory. If that is as much as makes a checkpoint due where it is lost
  /// instead, the next one is paid for: due as soon as it is stale, before something leaks that it would keep.
  void note_rewind(double given_back) { paid_ |= given_back >= rule_.grown; }
  /// Returns whether a checkpoint of a guest that uses `use` is paid for.
  bool is_paid(double use) const { return paid_ && exists_ && !failed_ && use < warm_at_; }
  /// Notes that none could be taken. The next attempt is due once this one took no more than the bound on time.
  void note_failed(uint64_t now_ns, uint64_t cost_ns);
  /// Returns whether a checkpoint is due, if there is a reason for one.
  bool is_due(uint64_t now_ns, double use) const;

 private:
  const CheckpointRule& rule_;
  const double warm_at_;
  bool exists_ = false;
  uint64_t changes_ = 0;      ///< since the checkpoint
  uint64_t last_change_ = 0;  ///< the number of the last call that left something behind
  double use_ = 0;            ///< at the checkpoint
  bool paid_ = false;         ///< since the checkpoint a rewind gave back as much as makes one due
  bool tried_ = false;
  bool failed_ = false;    ///< the last attempt
  uint64_t begun_ns_ = 0;  ///< when the last attempt began
  uint64_t cost_ns_ = 0;   ///< what that took
};

}  // namespace rotor::proxy
