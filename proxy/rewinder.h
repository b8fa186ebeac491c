// RotationMode::checkpoint: takes checkpoints of the active, and makes the instances that take its place from them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxy/checkpoint_state.h"
#include "proxy/held_results.h"
#include "proxy/lease_count.h"
#include "proxy/live_guest.h"
#include "proxy/warmer.h"
#include "rotor/proxy.h"

namespace rotor::proxy {

/// Used by the holder of the lease with its phase closed, but for `report`, which any thread may call.
class Rewinder {
 public:
  /// A number among the arguments of a call, or its results.
  struct Number {
    uint64_t bits = 0;
    bool may_be_pointer = false;  ///< as far as the policy says
    bool ends = false;            ///< the call consumes it
  };
  using Numbers = std::vector<Number>;
  /// What a rewind depends on beside the checkpoint.
  struct Moment {
    uint64_t calls = 0;             ///< made
    bool trapped = false;           ///< the active is lost anyway, with what is held and newer
    bool wanted = false;            ///< the rewind need not help
    bool nothing_returned = false;  ///< no call has ever returned
  };
  /// Why no rewind can be.
  enum class Obstacle : uint8_t { none, missing, stale, held, futile };

  Rewinder(const Policy& policy, const Plan& plan, Warmer& warmer, const ProxyOptions& options);

  /// Returns the numbers among the arguments of a call, in order; none if nobody would look at them.
  Numbers numbers(uint32_t export_index, std::span<const Arg> args) const;
  Numbers numbers(uint32_t export_index, std::span<const Value> args) const;
  /// Returns whether a call of an export may leave something behind.
  bool may_change(uint32_t export_index) const { return plan_.exports[export_index].leaves != Leaves::nothing; }
  /// Returns whether so much leaked since the checkpoint that a rewind is worth it before the next change, which keeps
  /// what leaked until then.
  bool has_leaked(double use) const { return !state_.is_stale() && use >= state_.use() + policy_.checkpoint.grown; }
  /// Hears what the active's host functions said, and asks for its host state: a change makes the checkpoint stale.
  void hear(LiveGuest& active, uint64_t calls);
  /// Notes that a call is about to be made, the `call_number`-th. Returns whether it leaves something behind. Errors:
  /// stale_handle (an argument is a number that a rewind took).
  Result<bool> begin_call(uint32_t export_index, const Numbers& args, uint64_t call_number);
  /// Notes that a call returned. `results`: its integers.
  void end_call(uint32_t export_index, const Numbers& args, std::span<const uint64_t> results, uint64_t call_number);
  /// Takes back that a call leaves something behind: it trapped, no other runs around it, and the guest is poisoned.
  void take_back_change();
  /// Returns the integers that a call returned and that end_call asks for.
  std::vector<uint64_t> results(uint32_t export_index, const Reply& reply) const;
  std::vector<uint64_t> results(uint32_t export_index, std::span<const Value> values) const;
  /// Notes that Lease::memory gave the guest's memory out.
  void note_memory(uint64_t call_number);
  /// Gives up a number (Lease::drop). Errors: not_found.
  Result<void> drop(uint64_t number);

  /// Has the guest be the active from now on: what its host functions say is heard. `attention`: raised then.
  void watch(LiveGuest& active, std::atomic<bool>& attention) { active.tape().watch_state(attention); }
  /// Returns whether there is a reason for a checkpoint: a stale one, or what is held and newer. `calls` were made.
  bool wants_checkpoint(LiveGuest& active, uint64_t calls);
  /// Takes a checkpoint if there is a reason for one, it is due, and the last call left nothing behind. Pre: nobody is
  /// in the guest, and no lease is held. Errors: those of `take`.
  Result<void> take_if_due(LiveGuest& active, double use, uint64_t calls);
  /// Takes a checkpoint if there is a reason for one and a rewind has paid for it, though the last call may have
  /// changed state: the next one may leak. Pre: as above. Errors: those of `take`.
  Result<void> take_if_paid(LiveGuest& active, double use, uint64_t calls);
  /// Takes a checkpoint. Pre: as above. Errors: those of Guest and Instance::snapshot. If the active did not survive
  /// that, it is poisoned.
  Result<void> take(LiveGuest& active, double use);
  /// Returns whether a rewind may be.
  Obstacle obstacle(LiveGuest& active, const Moment& moment);
  /// Tells of what is in the way, once for each checkpoint; of what is held only once something always was for
  /// `query_handle_calls` calls: most is released soon.
  void tell(Obstacle obstacle, uint64_t calls);
  /// Says what is in the way.
  std::string text_of(Obstacle obstacle) const;
  /// Has an instance made from the checkpoint in advance, by the background thread, if a rewind may go to it.
  void prepare();
  /// Returns an instance made from the checkpoint: that one, if it is ready. Returns null, and notes why, if none can
  /// be made. Pre: nothing is in the way.
  std::unique_ptr<LiveGuest> stamp();
  /// Notes that the instance that `stamp` made is the active now, and uses so much less memory than the one before.
  void note_rewind(LiveGuest& active, uint64_t rotation, double given_back);
  /// Returns what the active answered to a probe when the checkpoint was taken, or null if it did not.
  const RawReply* answer_at_checkpoint(size_t probe) const {
    return checkpoint_ && answers_[probe] ? &*answers_[probe] : nullptr;
  }
  /// Notes that an instance made from the checkpoint answers otherwise than the active: something was left behind that
  /// the policy does not know of, so no rewind goes to it.
  void distrust(uint64_t calls) { note_change(plan_.exports.size() + kProbe, calls); }
  /// Drops the checkpoint: no more are taken.
  void give_up() { checkpoint_.reset(); }

  /// Sets the counters that are counted here.
  void report(ProxyCounters& to) const;

 private:
  /// What leaves something behind and is no export; counted behind these.
  enum Other : uint32_t { kHostFunction, kHostState, kLeaseMemory, kProbe, kOthers };

  void note_change(size_t source, uint64_t call_number);
  bool holds_newer() const;
  Result<std::shared_ptr<const StandbyImage>> image_of(LiveGuest& active);
  void ask_probes(LiveGuest& active);
  std::string changers() const;
  void publish();
  void call_back(const char* what, const std::function<void()>& callback);

  const Policy& policy_;
  const Plan& plan_;
  Warmer& warmer_;
  const ProxyOptions& options_;
  const bool tracks_;  ///< results, rather than ask the host
  CheckpointState state_;
  HeldResults held_;
  std::shared_ptr<const StandbyImage> checkpoint_;
  std::vector<std::optional<RawReply>> answers_;  ///< to each probe, when it was taken
  bool prepared_ = false;                         ///< an instance was asked for in advance
  bool told_ = false;                             ///< of what is in the way, since the last checkpoint or rewind

  LeaseCount checkpoints_, failed_, ns_last_, ns_max_, ns_total_, bytes_, resident_bytes_;
  LeaseCount held_up_, futile_, held_count_, stale_;
  std::vector<LeaseCount> changes_;  ///< by export, then Other
};

}  // namespace rotor::proxy
