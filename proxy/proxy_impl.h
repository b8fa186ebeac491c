// The implementation of rotor::Proxy: leases, calls, and when to exchange the active.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "memory/fork.h"
#include "proxy/gate.h"
#include "proxy/lease_count.h"
#include "proxy/live_guest.h"
#include "proxy/log.h"
#include "proxy/recorder.h"
#include "proxy/rewinder.h"
#include "proxy/warmer.h"
#include "rotor/proxy.h"

namespace rotor::proxy {

/// One attempt of with_lease: what host functions answered in it, for the next attempt.
struct Attempt {
  std::vector<HostAnswer> given = {};  ///< answers of the attempt before
  size_t used = 0;                     ///< how many of them were given
  std::vector<HostAnswer> answers = {};
  bool is_unrepeatable = false;  ///< a host function did what can't be done again in its place
};

/// Members that are said to be the lease's are touched only by the thread that the gate let in, with its phase closed,
/// or by a waiter that exchanges under it.
class ProxyImpl final : memory::ForkHooks {
 public:
  ProxyImpl(Policy policy, GuestFactory factory, ProxyOptions options);
  ~ProxyImpl();
  Result<void> start(const Module& module);

  Result<void> acquire(bool is_explicit);
  void release();
  Result<Reply> call(std::string_view name, std::span<const Arg> args);
  /// Makes a call of ProxyFunc, in a lease of its own or in the one that the thread holds.
  Result<void> call_own(uint32_t export_index, Slot* slots, RawCall raw_call);
  Result<void> call_slots(uint32_t export_index, Slot* slots, RawCall raw_call);
  Result<std::vector<Value>> raw(std::string_view name, std::span<const Value> args);
  Result<uint32_t> resolve(uint32_t token);
  Result<void> keep(uint32_t token);
  Result<void> drop(uint64_t number);
  Result<Memory> memory();
  Result<void> set_deadline(InterruptHandle::Clock::time_point deadline);
  Result<uint32_t> export_of(std::string_view name, const FuncType& type) const;
  /// Begins an attempt within a lease of acquire(): what is recorded from now on can be taken back. Returns false if
  /// that can't be: the lease is within another, was exchanged under, or no trap rotates.
  bool begin_attempt(Attempt& attempt);
  /// Ends an attempt. Returns true if the guest trapped: what was recorded is taken back, and the next attempt will
  /// find a fresh instance. `last`: there will be no next attempt.
  bool end_attempt(bool last);

  Result<void> prepare();
  Result<void> rotate();
  Result<void> checkpoint();
  Result<VerifyReport> verify();
  ProxyCounters counters() const;
  const Policy& policy() const { return policy_; }

 private:
  void before_fork() override;
  void after_fork_in_parent() override;
  void after_fork_in_child() override;

  Result<void> ready_active();
  /// Returns a standby, or null if none can be had. `must`: waits for one.
  std::unique_ptr<LiveGuest> get_standby(bool must, uint64_t* wait_ns);
  /// Makes `next` the active. Returns false if a probe answers otherwise on it or it refused to take over: it is
  /// dropped.
  bool swap(std::unique_ptr<LiveGuest> next, uint64_t start_ns, uint64_t wait_ns);
  /// Returns how `next` answers a probe otherwise than the active does; empty: it does not. If a probe traps on the
  /// active, that is poisoned.
  std::string compare_probes(LiveGuest& active, LiveGuest& next);
  /// Counts an exchange, and tells the recorder.
  RotationEvent count_exchange(const LiveGuest& old, const LiveGuest& next, RotationCause cause, uint64_t wait_ns);
  void count_pause(RotationEvent& event, uint64_t start_ns);
  class QuickLease;
  class CallLease;
  // Exchange under a holder: see Gate.
  std::unique_ptr<LiveGuest> exchange_under(LiveGuest& old, Holder& holder);
  Result<Reply> call_retired(Holder& holder, uint32_t index, std::span<const Arg> args);
  Result<void> check_drain(const Holder& holder) const;
  std::unexpected<Error> retired_error(std::string what) const;

  Result<Reply> call_active(Holder& holder, bool may_open, uint32_t index, std::span<const Arg> args);
  // With checkpoints, proxy/proxy_checkpoint.cc:
  Result<void> ready_by_rewind();
  bool rewind();
  void rewind_before_change(Holder& holder);
  void checkpoint_before_use(Holder& holder);
  enum class When : uint8_t { now, due, paid };
  Result<void> take_checkpoint(When when);
  void end_rewindable_lease();
  Result<bool> begin_unrecorded(uint32_t index, const Rewinder::Numbers& numbers);
  Error note_unrecorded(Holder& holder, bool changes, Error error);
  Result<Reply> call_unrecorded(Holder& holder, uint32_t index, std::span<const Arg> args);
  Result<std::vector<Value>> raw_unrecorded(Holder& holder, uint32_t index, std::span<const Value> args);

  Result<Reply> retry(Holder& holder, uint32_t index, std::span<const Arg> args, Error trapped,
                      std::vector<HostAnswer> answers);
  /// Runs a call in the guest. `answers`: in, what host functions are to answer; out, what they answered.
  Result<RawReply> run_guest(Holder& holder, bool may_open, uint32_t index, PreparedCall& call,
                             std::vector<HostAnswer>& answers, std::string& unrecordable);
  void begin_tape(ImportTape& tape, std::span<const HostAnswer> answers);
  std::vector<HostAnswer> end_tape(ImportTape& tape);
  /// Returns when a call that begins now has to end. Errors: limit (it is too late to begin).
  Result<InterruptHandle::Clock::time_point> deadline_of_call(const Holder& holder) const;
  /// Makes a call of an instance, which ends at its deadline if it has one. Errors: those of deadline_of_call, those of
  /// Instance::set_deadline: the call was not made; those of the call.
  template <class Call>
  auto call_in_time(const Holder& holder, LiveGuest& guest, Call&& call) -> decltype(call()) {
    ROTOR_TRY(const auto deadline, deadline_of_call(holder));
    if (deadline == InterruptHandle::Clock::time_point::max()) [[likely]]
      return call();
    ROTOR_CHECK(guest.instance().set_deadline(deadline));
    auto called = call();
    guest.instance().clear_deadline();
    return called;
  }
  Result<Reply> finish(Holder& holder, uint32_t index, PreparedCall& call, RawReply&& raw,
                       std::vector<HostAnswer> answers, const std::string& unrecordable, uint64_t number);
  /// Returns the function for a call the shortest way, with the handles in `slots` translated; null if the call can't
  /// be made that way.
  const Func* simple_func(LiveGuest& active, uint32_t index, Slot* slots) {
    const LiveGuest::Simple& simple = active.simple(index);
    if (!simple.func || attempt_ || !recorder_->translate(simple.handle_params, slots, active)) [[unlikely]]
      return nullptr;
    return simple.func;
  }
  Result<void> call_general(Holder& holder, bool alive, bool may_open, uint32_t index, Slot* slots);
  /// Ends the outermost lease: opens the gate, or retires the instance that the holder was left with. Pre: the phase is
  /// closed, and the holder stays in no instance.
  void end_lease(Holder& holder);
  Error note(LiveGuest& guest, Error error);
  Error about_poison(const LiveGuest& guest, std::string what) const;
  void retire() {
    if (!retired_) [[likely]]
      return;
    kept_back_bytes_.set(0);  // first: who looks meanwhile may miss it, and never counts it twice
    warmer_->retire(std::move(retired_));
  }
  /// Called when the log may have grown: ends rotation if that filled it, else tells the background thread.
  void tell_recorded();
  void give_up(std::string why);
  void sample();
  /// Samples only where needed, which is cheaper: if the memory's size did not change, and the guest need not be asked,
  /// nothing did.
  void sample_if_grown() {
    if (is_asked_for_use_ || gate_.active().memory_bytes() != memory_bytes_) [[unlikely]]
      sample();
  }
  // These call the embedder's code; what it throws becomes ProxyCounters::last_problem.
  void emit(const ProxyEvent& event);
  void tell(const RotationEvent& event);
  /// Calls Guest::on_rotate. Errors: its own; host (it threw).
  static Result<void> hand_over(LiveGuest& old, LiveGuest& next);

  const Policy policy_;
  const GuestFactory factory_;
  const ProxyOptions options_;
  const bool enabled_;
  Plan plan_;  // points into the policy
  std::optional<GuestSource> source_;
  std::optional<Log> log_;
  mutable Gate gate_;
  Gate::Force force_;
  std::optional<Warmer> warmer_;  // after the log that it reads

  // Members of the lease:
  std::optional<Recorder> recorder_;
  std::optional<Rewinder> rewinder_;     ///< with RotationMode::checkpoint, if rotation is on
  bool is_asked_for_use_ = false;        ///< LiveGuest::is_asked_for_use
  bool preparing_ = false;               ///< inside ready_active
  Attempt* attempt_ = nullptr;           ///< of the with_lease that runs; else null
  std::optional<RotationEvent> forced_;  ///< an exchange under a holder that on_rotation has yet to be told of
  double use_ = 0;                       ///< of the active's memory, at the end of the last lease
  bool warms_ = false;                   ///< `use_` has reached warm_at
  /// The retired instance, which is handed to the background thread after the next call: waking that within the swap
  /// made some pauses 100 times longer.
  std::unique_ptr<LiveGuest> retired_;

  // Written by the lease's thread, read by any.
  std::atomic<bool> rotating_;
  std::atomic<bool> wanted_ = false;  ///< rotate() asked for an exchange
  /// The next lease has to look at more than the gate: a trap, memory use, an exchange that is wanted or to be told of.
  std::atomic<bool> attention_ = false;
  LeaseCount calls_, leases_, retries_;
  std::atomic<uint64_t> traps_ = 0, stale_handles_ = 0;
  LeaseCount rotations_, rotations_trap_, rotations_force_, rotations_image_, reclaimed_bytes_;
  LeaseCount kept_back_bytes_;  ///< of `retired_`; 0: none
  LeaseCount memory_bytes_, denied_growths_, pause_ns_last_, pause_ns_max_, pause_ns_total_, wait_ns_max_;
  LeaseCount heap_live_bytes_, heap_limit_bytes_, heap_collections_, heap_pause_ns_max_;
  LeaseCount probes_, probes_failed_, probes_skipped_;
  std::atomic<uint64_t> drain_overdue_ = 0;
  mutable std::mutex off_reason_mutex_;
  std::string off_reason_;
  /// Made by `start`, once all members are.
  std::optional<memory::ForkRegistration> forks_;
};

}  // namespace rotor::proxy
