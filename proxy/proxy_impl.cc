#include "proxy/proxy_impl.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdlib>
#include <string_view>

#include "proxy/call_scope.h"
#include "proxy/clock.h"
#include "rotor/guard.h"
#include "rotor/printable.h"
#include "rotor/trap.h"

namespace rotor::proxy {
namespace {

bool switched_off() {
  const char* value = std::getenv("ROTOR_ROTATION");
  return value && std::string_view(value) == "off";
}

/// Returns whether a call was ended from outside, at a deadline or by an interrupt: nobody wants it tried again.
bool was_ended(const Error& error) { return error.trap && error.trap->kind == TrapKind::interrupted; }

}  // namespace

ProxyImpl::ProxyImpl(Policy policy, GuestFactory factory, ProxyOptions options)
    : policy_(std::move(policy)),
      factory_(std::move(factory)),
      options_(std::move(options)),
      enabled_(policy_.enabled && !switched_off()),
      rotating_(enabled_) {
  if (!enabled_) off_reason_ = policy_.enabled ? "ROTOR_ROTATION=off" : "the policy says enabled = false";
}

ProxyImpl::~ProxyImpl() { assert(gate_.is_free() && "leases end before their proxy"); }

// These lock in the order in which other code does.

void ProxyImpl::before_fork() {
  gate_.before_fork();
  warmer_->before_fork();
  off_reason_mutex_.lock();
}

void ProxyImpl::after_fork_in_parent() {
  off_reason_mutex_.unlock();
  warmer_->after_fork_in_parent();
  gate_.after_fork_in_parent();
}

void ProxyImpl::after_fork_in_child() {
  memory::make_anew(off_reason_mutex_);
  source_->after_fork_in_child();
  warmer_->after_fork_in_child();
  gate_.after_fork_in_child();
}

Result<void> ProxyImpl::start(const Module& module) {
  ROTOR_TRY(plan_, make_plan(policy_, module));
  if (!enabled_) plan_.records_answers = false;
  source_.emplace(plan_, factory_, policy_.memory_limit_bytes, enabled_);
  log_.emplace(plan_, LogBounds{policy_.log_max_calls, policy_.log_max_bytes, policy_.log_max_replay_ns});
  const bool rewinds = enabled_ && plan_.mode == RotationMode::checkpoint;
  recorder_.emplace(plan_, *log_, enabled_ && !rewinds);
  warmer_.emplace(
      policy_, plan_, *log_, *source_,
      Warmer::Callbacks{.on_event = options_.on_event, .check_drains = [this] {
                          for (size_t n = gate_.count_overdue(now_ns(), policy_.drain_deadline_ms * 1'000'000); n > 0;
                               n--) {
                            drain_overdue_++;
                            emit({.kind = ProxyEventKind::drain_overdue});
                          }
                        }});
  forks_.emplace(static_cast<memory::ForkHooks&>(*this), Rank::proxy);
  if (rewinds) rewinder_.emplace(policy_, plan_, *warmer_, options_);
  force_.wanted = [this] { return rotating_.load() && !rewinder_; };
  force_.exchange = [this](LiveGuest& old, Holder& holder) { return exchange_under(old, holder); };
  ROTOR_TRY(auto first, source_->make(nullptr, rewinds));
  ROTOR_CHECK(first->start_workers());
  if (rewinds) rewinder_->watch(*first, attention_);
  attention_ = rewinds;  // the first checkpoint is wanted
  // Whether calls can be ended is known now.
  if (plan_.call_deadline_ms) {
    ROTOR_CHECK(first->instance().set_deadline(InterruptHandle::Clock::now() + std::chrono::hours(1)));
    first->instance().clear_deadline();
  }
  is_asked_for_use_ = first->is_asked_for_use();
  gate_.exchange(std::move(first));
  sample();
  return enabled_ ? warmer_->start() : Result<void>();
}

void ProxyImpl::sample() {
  LiveGuest& active = gate_.active();
  const uint64_t bytes = active.memory_bytes();
  use_ = active.use();
  memory_bytes_.set(bytes);
  denied_growths_.set(active.denied_growths());
  if (active.has_heap()) {
    heap_live_bytes_.set(active.usage().heap_live_bytes);
    heap_limit_bytes_.set(active.usage().heap_limit_bytes);
    heap_collections_.set(active.usage().heap_collections);
    heap_pause_ns_max_.set(active.usage().heap_pause_ns_max);
  }
  warmer_->set_active_bytes(bytes);
  warms_ = use_ >= policy_.warm_at;
  if (use_ >= policy_.swap_at || rewinder_) attention_.store(true, std::memory_order_relaxed);
}

// ---- leases ---------------------------------------------------------------------------------------------------------

Result<void> ProxyImpl::acquire(bool is_explicit) {
  if (warmer_->on_this_thread()) [[unlikely]]
    return fail(ErrorKind::invalid_argument, "a host function called the proxy while its call was replayed");
  switch (gate_.enter(force_)) {
    [[likely]] case Gate::Entry::came_in:
      break;
    case Gate::Entry::joined:
      if (preparing_) {
        gate_.leave(gate_.mine());
        return fail(ErrorKind::invalid_argument, "on_rotation called the proxy");
      }
      return {};
    case Gate::Entry::joined_retired: return {};
    case Gate::Entry::lost:
      return fail(ErrorKind::invalid_argument,
                  "another thread held a lease when this process was forked: the proxy is lost here");
  }
  Holder& holder = gate_.mine();
  if (attention_.load(std::memory_order_relaxed)) [[unlikely]] {
    preparing_ = true;
    if (forced_) {
      tell(*forced_);
      forced_.reset();
    }
    Result<void> ready = ready_active();
    preparing_ = false;
    attention_ = false;  // cleared before the conditions below are read: rotate() sets those first, then this
    if (gate_.active().poison || use_ >= policy_.swap_at || wanted_ ||
        (rewinder_ && rewinder_->wants_checkpoint(gate_.active(), calls_)))
      attention_ = true;
    if (!ready) {
      gate_.leave(holder);
      gate_.open();
      return ready;
    }
  }
  leases_.add();
  if (is_explicit) {
    if (rewinder_) checkpoint_before_use(holder);
    holder.is_explicit = true;
    holder.stay_in(gate_.active());
    gate_.allow_exchange(holder);
  }
  return {};
}

void ProxyImpl::release() {
  Holder& holder = gate_.mine();
  if (holder.depth > 1) {
    holder.depth--;
    return;
  }
  gate_.close(holder);
  holder.stay.end();
  end_lease(holder);
}

void ProxyImpl::end_lease(Holder& holder) {
  gate_.leave(holder);
  if (holder.is_retired.load(std::memory_order_acquire)) [[unlikely]] {
    warmer_->retire(gate_.end_retired(holder));
    warmer_->watch_drains(-1);
    return;
  }
  recorder_->end_lease();
  retire();
  sample_if_grown();
  // A trapped instance is replaced by the next thread that comes in; its standby may be started now.
  if ((warms_ || attention_.load(std::memory_order_relaxed)) && rotating_.load(std::memory_order_relaxed)) {
    const bool poisoned = gate_.active().poison.has_value();
    denied_growths_.set(gate_.active().denied_growths());
    if (rewinder_) end_rewindable_lease();
    // With an image the next thread makes the instance itself, in less time than it takes to wake the background
    // thread.
    else if (poisoned ? !warmer_->image() : warms_ && !warmer_->is_engaged())
      warmer_->request(poisoned);
  }
  gate_.open();
}

/// Called with the gate closed, before a lease begins: exchanges the active if it is time.
Result<void> ProxyImpl::ready_active() {
  if (rewinder_) return ready_by_rewind();
  LiveGuest& active = gate_.active();
  const bool poisoned = active.poison.has_value();
  if (!poisoned && use_ < policy_.swap_at && !wanted_) return {};
  if (!rotating_) {
    active.poison.reset();  // there is nothing to replace it with: it is kept, as with on_trap = keep
    return {};
  }
  const uint64_t start_ns = now_ns();
  const bool force = poisoned || use_ >= policy_.force_at;
  if (!force && recorder_->holds_swap(calls_, policy_.query_handle_calls)) return {};
  uint64_t wait_ns = 0;
  const bool must = force || (policy_.at_swap == AtSwap::wait && use_ >= policy_.swap_at);
  if (auto next = get_standby(must, &wait_ns); next && swap(std::move(next), start_ns, wait_ns)) return {};
  if (poisoned) return std::unexpected(about_poison(active, "and making another failed: " + warmer_->last_problem()));
  if (policy_.at_swap == AtSwap::fail && use_ >= policy_.swap_at)
    return fail(ErrorKind::limit,
                fmt::format("memory use is {:.0f} % and no standby is ready (at_swap = fail)", use_ * 100));
  return {};
}

std::unique_ptr<LiveGuest> ProxyImpl::get_standby(bool must, uint64_t* wait_ns) {
  const bool at_any_use = gate_.active().poison.has_value() || wanted_.load();
  const uint64_t tail_ns = must ? UINT64_MAX : policy_.catch_up_ns;
  if (auto ready = warmer_->take(tail_ns)) return ready;
  if (auto stamped = warmer_->stamp(tail_ns, at_any_use)) return stamped;
  if (!warmer_->request(at_any_use) || !must) return nullptr;
  const uint64_t start_ns = now_ns();
  warmer_->wait();
  *wait_ns = now_ns() - start_ns;
  return warmer_->take(UINT64_MAX);
}

RotationEvent ProxyImpl::count_exchange(const LiveGuest& old, const LiveGuest& next, RotationCause cause,
                                        uint64_t wait_ns) {
  rotations_.add();
  if (cause == RotationCause::trap) rotations_trap_.add();
  if (cause == RotationCause::force) rotations_force_.add();
  if (next.origin == StandbyOrigin::image) rotations_image_.add();
  RotationEvent event{.rotation = rotations_,
                      .cause = cause,
                      .origin = next.origin,
                      .calls = calls_,
                      .bytes_before = old.memory_bytes(),
                      .bytes_after = next.memory_bytes(),
                      .calls_replayed = next.calls_replayed,
                      .warmup_ns = next.warmup_ns,
                      .wait_ns = wait_ns};
  if (event.bytes_before > event.bytes_after) reclaimed_bytes_.add(event.bytes_before - event.bytes_after);
  recorder_->swapped(event.rotation);
  wanted_ = false;
  return event;
}

void ProxyImpl::count_pause(RotationEvent& event, uint64_t start_ns) {
  event.swap_pause_ns = now_ns() - start_ns - event.wait_ns;
  pause_ns_last_.set(event.swap_pause_ns);
  pause_ns_max_.raise(event.swap_pause_ns);
  pause_ns_total_.add(event.swap_pause_ns);
  wait_ns_max_.raise(event.wait_ns);
}

Result<void> ProxyImpl::hand_over(LiveGuest& old, LiveGuest& next) {
  return detail::guarded("Guest::on_rotate", [&] { return next.guest().on_rotate(old.guest()); });
}

void ProxyImpl::tell(const RotationEvent& event) {
  if (!options_.on_rotation) return;
  if (auto told = detail::guarded("on_rotation", [&] { options_.on_rotation(event); }); !told)
    warmer_->note_problem(told.error());
}

void ProxyImpl::emit(const ProxyEvent& event) {
  if (!options_.on_event) return;
  if (auto told = detail::guarded("on_event", [&] { options_.on_event(event); }); !told)
    warmer_->note_problem(told.error());
}

bool ProxyImpl::swap(std::unique_ptr<LiveGuest> next, uint64_t start_ns, uint64_t wait_ns) {
  LiveGuest& old = gate_.active();
  const bool around = std::exchange(preparing_, true);  // the callbacks must not call the proxy
  if (std::string differs = compare_probes(old, *next); !differs.empty()) {
    preparing_ = around;
    probes_failed_.add();
    if (rewinder_) rewinder_->distrust(calls_);
    warmer_->tell({.kind = ProxyEventKind::probe_differed, .text = differs});
    warmer_->refuse_wrong(std::move(next), Error(ErrorKind::internal, "a probe differs: " + std::move(differs)));
    return false;
  }
  if (auto took = hand_over(old, *next); !took) {
    preparing_ = around;
    warmer_->refuse(std::move(next), took.error());
    return false;
  }
  retire();
  const RotationCause cause = old.poison ? RotationCause::trap : RotationCause::memory;
  RotationEvent event = count_exchange(old, *next, cause, wait_ns);
  if (Holder& holder = gate_.mine(); holder.stay) holder.stay_in(*next);
  retired_ = gate_.exchange(std::move(next));
  sample();
  count_pause(event, start_ns);
  retired_->retired_at_ns = start_ns;
  kept_back_bytes_.set(event.bytes_before);
  tell(event);
  preparing_ = around;
  return true;
}

// ---- calls ----------------------------------------------------------------------------------------------------------

Result<Reply> ProxyImpl::call(std::string_view name, std::span<const Arg> args) {
  ROTOR_TRY(const uint32_t index, plan_.find(name));
  const ExportPlan& plan = plan_.exports[index];
  if (plan.raw_only)
    return fail(ErrorKind::invalid_argument,
                fmt::format("{} {}; call it through Lease::raw", plan.shown, plan.raw_only));
  Holder& holder = gate_.mine();
  PhaseScope phase(gate_, holder);
  if (!phase.alive()) return call_retired(holder, index, args);
  if (gate_.active().poison) return std::unexpected(about_poison(gate_.active(), "earlier in this lease"));
  return call_active(holder, phase.may_open(), index, args);
}

Result<Reply> ProxyImpl::call_active(Holder& holder, bool may_open, uint32_t index, std::span<const Arg> args) {
  if (rewinder_) return call_unrecorded(holder, index, args);
  const ExportPlan& plan = plan_.exports[index];
  PreparedCall call;
  if (auto prepared = recorder_->prepare(index, args, gate_.active(), call); !prepared) {
    if (prepared.error().kind == ErrorKind::stale_handle) stale_handles_++;
    return std::unexpected(std::move(prepared).error());
  }
  if (holder.guest_depth && (call.builds || call.record))
    return fail(ErrorKind::invalid_argument, fmt::format("{} changes the state, but a host function called it: on "
                                                         "replay it would run twice",
                                                         plan.shown));
  calls_.add();
  const uint64_t number = calls_;
  std::vector<HostAnswer> answers;
  std::string unrecordable;
  auto raw = run_guest(holder, may_open, index, call, answers, unrecordable);
  if (raw) return finish(holder, index, call, std::move(*raw), std::move(answers), unrecordable, number);
  Error error = std::move(raw).error();
  const bool poisoned = !holder.is_retired && gate_.active().poison.has_value();
  if (poisoned && !was_ended(error) && plan.retry && unrecordable.empty() && !attempt_ && !holder.raw_used &&
      holder.guest_depth == 0)
    return retry(holder, index, args, std::move(error), std::move(answers));
  return std::unexpected(std::move(error));
}

Result<RawReply> ProxyImpl::run_guest(Holder& holder, bool may_open, uint32_t index, PreparedCall& call,
                                      std::vector<HostAnswer>& answers, std::string& unrecordable) {
  const ExportPlan& plan = plan_.exports[index];
  LiveGuest& active = gate_.active();
  // Nested calls are part of what the host function around them answers.
  const bool tapes = plan_.records_answers && holder.guest_depth == 0 && (call.is_kept() || plan.retry || attempt_);
  if (tapes) begin_tape(active.tape(), answers);
  const bool opens = may_open && !tapes && !call.is_kept() && !plan.makes_handles && call.consumed.empty();
  RawReply raw;
  const uint64_t start_ns = call.is_kept() ? now_ns() : 0;
  Result<void> called = call_in_time(holder, active, [&] {
    return call_guest(gate_, holder, opens, [&] { return active.call(index, call.args, raw); });
  });
  if (LogCall* kept = call.kept()) kept->cost_ns = now_ns() - start_ns;
  if (tapes) {
    unrecordable = active.tape().unrecordable();
    answers = end_tape(active.tape());
  }
  if (!holder.is_retired) retire();
  if (!called) return std::unexpected(note(active, std::move(called).error()));
  return raw;
}

/// Begins to record or replay a call. `answers`: those that host functions are to give before they are called
/// themselves.
void ProxyImpl::begin_tape(ImportTape& tape, std::span<const HostAnswer> answers) {
  if (attempt_ && attempt_->used < attempt_->given.size())
    tape.replay(std::span(attempt_->given).subspan(attempt_->used), true);
  else if (!answers.empty())
    tape.replay(answers, true);
  else
    tape.record();
}

std::vector<HostAnswer> ProxyImpl::end_tape(ImportTape& tape) {
  if (attempt_) {
    attempt_->used += tape.given();
    attempt_->is_unrepeatable |= !tape.unrecordable().empty();
  }
  std::vector<HostAnswer> answers = tape.stop();
  if (attempt_) attempt_->answers.insert(attempt_->answers.end(), answers.begin(), answers.end());
  return answers;
}

Result<Reply> ProxyImpl::finish(Holder& holder, uint32_t index, PreparedCall& call, RawReply&& raw,
                                std::vector<HostAnswer> answers, const std::string& unrecordable, uint64_t number) {
  const bool recorded = call.record != nullptr;
  if (LogCall* kept = call.kept()) kept->answers = std::move(answers);
  if (!unrecordable.empty() && call.provisional)
    call.provisional->stuck = "and what its host answered can't be recorded: " + unrecordable;
  if (holder.is_retired)  // no member of the lease is touched: the call returns no handle and ends none
    return Recorder::plain_reply(plan_.exports[index], std::move(raw));
  const LiveGuest& active = gate_.active();
  auto reply =
      recorder_->finish(index, call, std::move(raw), active, holder.is_explicit ? std::nullopt : std::optional(number));
  if (!recorded || !rotating_) return reply;
  if (!unrecordable.empty()) {
    recorder_->give_up();
    give_up(fmt::format("{} can't be recorded: {}", plan_.exports[index].shown, unrecordable));
  } else {
    tell_recorded();
  }
  return reply;
}

/// Makes a call that trapped once more on a fresh instance; if that works, its caller does not learn of the trap.
Result<Reply> ProxyImpl::retry(Holder& holder, uint32_t index, std::span<const Arg> args, Error trapped,
                               std::vector<HostAnswer> answers) {
  drop_from_error(answers);
  const uint64_t start_ns = now_ns();
  uint64_t wait_ns = 0;
  auto next = get_standby(true, &wait_ns);
  if (!next || !swap(std::move(next), start_ns, wait_ns)) return std::unexpected(std::move(trapped));
  PreparedCall call;
  // This fails if the call takes a handle of a query, which went with the old instance.
  if (!recorder_->prepare(index, args, gate_.active(), call)) return std::unexpected(std::move(trapped));
  retries_.add();
  emit({.kind = ProxyEventKind::retried, .text = printable(trapped.message)});
  std::string unrecordable;
  auto raw = run_guest(holder, false, index, call, answers, unrecordable);
  if (!raw) return std::unexpected(std::move(raw).error());
  return finish(holder, index, call, std::move(*raw), std::move(answers), unrecordable, calls_);
}

/// A lease for one call, of a thread that finds the gate open, or nothing.
class ProxyImpl::QuickLease {
 public:
  [[gnu::always_inline]] explicit QuickLease(ProxyImpl& proxy) : proxy_(proxy), holder_(proxy.gate_.try_enter()) {}
  [[gnu::always_inline]] ~QuickLease() {
    if (called_) [[likely]] {
      proxy_.end_lease(*holder_);
    } else if (holder_) {
      proxy_.gate_.leave(*holder_);
      proxy_.gate_.open();
    }
  }
  QuickLease(const QuickLease&) = delete;
  explicit operator bool() const { return holder_; }
  /// Makes the call for which the lease is.
  [[gnu::always_inline]] Result<void> call(const Func& func, Slot* slots, RawCall raw_call) {
    called_ = true;
    proxy_.leases_.add();
    proxy_.calls_.add();
    LiveGuest& active = proxy_.gate_.active();
    Result<void> called = call_guest(proxy_.gate_, *holder_, true, [&] { return raw_call(func, slots); });
    if (!called) [[unlikely]]
      called = std::unexpected(proxy_.note(active, std::move(called).error()));
    return called;
  }

 private:
  ProxyImpl& proxy_;
  Holder* const holder_;
  bool called_ = false;
};

/// Releases the lease that the thread acquired for one call.
class ProxyImpl::CallLease {
 public:
  explicit CallLease(ProxyImpl& proxy) : proxy_(proxy) {}
  ~CallLease() { proxy_.release(); }
  CallLease(const CallLease&) = delete;

 private:
  ProxyImpl& proxy_;
};

Result<void> ProxyImpl::call_own(uint32_t index, Slot* slots, RawCall raw_call) {
  if (!attention_.load(std::memory_order_relaxed) && !warmer_->on_this_thread()) [[likely]] {
    if (QuickLease lease(*this); lease) [[likely]] {
      if (const Func* func = simple_func(gate_.active(), index, slots)) [[likely]]
        return lease.call(*func, slots, raw_call);
    }
  }
  ROTOR_CHECK(acquire(false));
  CallLease lease(*this);
  if (rewinder_ && !rewinder_->may_change(index)) checkpoint_before_use(gate_.mine());
  return call_slots(index, slots, raw_call);
}

Result<void> ProxyImpl::call_slots(uint32_t index, Slot* slots, RawCall raw_call) {
  Holder& holder = gate_.mine();
  PhaseScope phase(gate_, holder);
  LiveGuest* active = phase.alive() ? &gate_.active() : nullptr;  // else another holder may be using it
  const bool has_deadline = holder.deadline != InterruptHandle::Clock::time_point::max();
  if (active && !active->poison && !retired_ && !has_deadline) [[likely]] {
    if (const Func* func = simple_func(*active, index, slots)) [[likely]] {
      calls_.add();
      // After a call that went well, a phase that was open need not be closed.
      Result<void> called =
          call_guest(gate_, holder, phase.may_open(), [&] { return raw_call(*func, slots); }, phase.was_open());
      if (called) [[likely]]
        phase.leave_as_is();
      else
        called = std::unexpected(note(*active, std::move(called).error()));
      return called;
    }
  }
  return call_general(holder, phase.alive(), phase.may_open(), index, slots);
}

Result<void> ProxyImpl::call_general(Holder& holder, bool alive, bool may_open, uint32_t index, Slot* slots) {
  const ExportPlan& plan = plan_.exports[index];
  if (alive && gate_.active().poison) return std::unexpected(about_poison(gate_.active(), "earlier in this lease"));
  if (alive && plan.simple) ROTOR_CHECK(gate_.active().func(index));  // looked up for the next call
  std::vector<Arg> args;
  for (size_t i = 0; i < plan.args.size(); i++) args.push_back(Arg::from_slot(plan.type.params[i], slots[i]));
  Result<Reply> reply = alive ? call_active(holder, may_open, index, args) : call_retired(holder, index, args);
  if (!reply) return std::unexpected(std::move(reply).error());
  for (size_t i = 0; i < reply->values.size(); i++) slots[i] = reply->values[i].bits();
  return {};
}

Result<std::vector<Value>> ProxyImpl::raw(std::string_view name, std::span<const Value> args) {
  ROTOR_TRY(const uint32_t index, plan_.find(name));
  if (plan_.exports[index].effect != Effect::query)
    return fail(
        ErrorKind::invalid_argument,
        fmt::format("{} builds or releases state{}: a raw call of it could not be recorded", plan_.exports[index].shown,
                    plan_.exports[index].rule ? "" : ", since no line of the policy says that it is a query"));
  Holder& holder = gate_.mine();
  PhaseScope phase(gate_, holder);
  LiveGuest& guest = phase.alive() ? gate_.active() : *holder.guest;
  if (!phase.alive()) ROTOR_CHECK(check_drain(holder));
  if (guest.poison) return std::unexpected(about_poison(guest, "earlier in this lease"));
  if (rewinder_) return raw_unrecorded(holder, index, args);
  ROTOR_TRY(const Func* func, guest.func(index));
  holder.raw_used = true;
  if (phase.alive()) calls_.add();
  const bool opens = phase.alive() && phase.may_open() && !attempt_;
  const bool tapes = attempt_ && plan_.records_answers && holder.guest_depth == 0;
  if (tapes) begin_tape(guest.tape(), {});
  auto results =
      call_in_time(holder, guest, [&] { return call_guest(gate_, holder, opens, [&] { return func->call(args); }); });
  if (tapes) (void)end_tape(guest.tape());
  if (!holder.is_retired) retire();
  if (!results) return std::unexpected(note(guest, std::move(results).error()));
  return results;
}

Result<uint32_t> ProxyImpl::resolve(uint32_t token) {
  Holder& holder = gate_.mine();
  PhaseScope phase(gate_, holder);
  if (!phase.alive()) {
    auto found = holder.raw.find(token);
    return found == holder.raw.end() ? Result<uint32_t>(retired_error("and it knew no such handle")) : found->second;
  }
  holder.raw_used = true;
  auto raw = recorder_->resolve(token, gate_.active());
  if (!raw) stale_handles_++;
  return raw;
}

Result<void> ProxyImpl::keep(uint32_t token) {
  Holder& holder = gate_.mine();
  PhaseScope phase(gate_, holder);
  if (!phase.alive()) return retired_error("its query handles end with it");
  return recorder_->keep(token, calls_);
}

Result<Memory> ProxyImpl::memory() {
  Holder& holder = gate_.mine();
  PhaseScope phase(gate_, holder);
  holder.raw_used = true;
  if (rewinder_) {
    rewinder_->note_memory(calls_);
    attention_ = true;
  }
  return (phase.alive() ? gate_.active() : *holder.guest).instance().memory0();
}

Result<void> ProxyImpl::set_deadline(InterruptHandle::Clock::time_point deadline) {
  Holder& holder = gate_.mine();
  PhaseScope phase(gate_, holder);
  using Clock = InterruptHandle::Clock;
  if (deadline != Clock::time_point::max() && holder.guest_depth == 0) {
    const Instance& instance = (phase.alive() ? gate_.active() : *holder.guest).instance();
    ROTOR_CHECK(instance.set_deadline(Clock::now() + std::chrono::hours(1)));
    instance.clear_deadline();
  }
  holder.deadline = deadline;
  return {};
}

Result<InterruptHandle::Clock::time_point> ProxyImpl::deadline_of_call(const Holder& holder) const {
  using Clock = InterruptHandle::Clock;
  Clock::time_point deadline = holder.deadline;
  if ((deadline == Clock::time_point::max() && plan_.call_deadline_ms == 0) || holder.guest_depth > 0) [[likely]]
    return Clock::time_point::max();
  const Clock::time_point now = Clock::now();
  if (deadline <= now) return fail(ErrorKind::limit, "the lease's deadline has passed: the call was not made");
  if (plan_.call_deadline_ms) deadline = std::min(deadline, now + std::chrono::milliseconds(plan_.call_deadline_ms));
  return deadline;
}

/// Notes a failed call. One that did not return left the guest in the middle of something.
Error ProxyImpl::note(LiveGuest& guest, Error error) {
  if (error.kind != ErrorKind::trap && error.kind != ErrorKind::host && error.kind != ErrorKind::internal) return error;
  traps_++;
  if (rotating_ && policy_.on_trap == OnTrap::rotate && !guest.poison) {
    guest.poison = error;
    attention_ = true;
    if (auto told = detail::guarded("Guest::on_trap", [&] { guest.guest().on_trap(); }); !told)
      warmer_->note_problem(told.error());
  }
  return error;
}

/// Returns the trap that made an instance unusable, with what followed from it.
Error ProxyImpl::about_poison(const LiveGuest& guest, std::string what) const {
  Error error = *guest.poison;
  error.message = fmt::format("the instance trapped ({}), {}", printable(guest.poison->message), what);
  return error;
}

// ---- with_lease -----------------------------------------------------------------------------------------------------

bool ProxyImpl::begin_attempt(Attempt& attempt) {
  Holder& holder = gate_.mine();
  PhaseScope phase(gate_, holder);
  if (holder.depth != 1 || !phase.alive() || !rotating_ || rewinder_ || policy_.on_trap != OnTrap::rotate) return false;
  attempt_ = &attempt;
  recorder_->begin_undo();
  return true;
}

bool ProxyImpl::end_attempt(bool last) {
  Holder& holder = gate_.mine();
  PhaseScope phase(gate_, holder);
  const std::optional<Error>& poison = gate_.active().poison;
  const bool again = poison && !was_ended(*poison) && !last && !attempt_->is_unrepeatable;
  if (again) drop_from_error(attempt_->answers);
  attempt_ = nullptr;
  if (again) {
    recorder_->roll_back();
    retries_.add();
    emit({.kind = ProxyEventKind::retried, .text = gate_.active().poison->message});
    return true;
  }
  recorder_->commit();
  tell_recorded();
  return false;
}

// ---- the rest -------------------------------------------------------------------------------------------------------

void ProxyImpl::tell_recorded() {
  if (!rotating_) return;
  if (recorder_->shortening_due()) {
    if (auto shorter = warmer_->shorten_log(); !shorter) {
      const std::string bound = log_->bound_text();
      recorder_->give_up();
      return give_up(fmt::format("the log reached its bound {}, and no image can stand for its calls: {}", bound,
                                 printable(shorter.error().message)));
    }
  }
  warmer_->notify(recorder_->compaction_due());
}

void ProxyImpl::give_up(std::string why) {
  rotating_ = false;
  warmer_->give_up();
  if (rewinder_) rewinder_->give_up();
  {
    std::lock_guard lock(off_reason_mutex_);
    off_reason_ = why;
  }
  emit({.kind = ProxyEventKind::rotation_ended, .text = std::move(why)});
}

Result<uint32_t> ProxyImpl::export_of(std::string_view name, const FuncType& type) const {
  ROTOR_TRY(const uint32_t index, plan_.find(name));
  const ExportPlan& plan = plan_.exports[index];
  if (plan.raw_only)
    return fail(ErrorKind::invalid_argument,
                fmt::format("{} {}; call it through Lease::raw", plan.shown, plan.raw_only));
  if (!plan.filled.empty())
    return fail(ErrorKind::type_mismatch, fmt::format("{} fills arguments: call it by name", plan.shown));
  for (ArgKind kind : plan.args)
    if (takes_data(kind))
      return fail(ErrorKind::type_mismatch, fmt::format("{} takes bytes or a vector: call it by name", plan.shown));
  for (ResultKind kind : plan.results)
    if (kind >= ResultKind::bytes)
      return fail(ErrorKind::type_mismatch,
                  fmt::format("{} returns bytes, a vector or an error: call it by name", plan.shown));
  if (!(plan.type == type))
    return fail(ErrorKind::type_mismatch,
                fmt::format("{} is of type {}, not {}", plan.shown, to_string(plan.type), to_string(type)));
  return index;
}

namespace {
std::unexpected<Error> not_rotating() { return fail(ErrorKind::invalid_argument, "rotation is off"); }
}  // namespace

Result<void> ProxyImpl::prepare() {
  if (!rotating_) return not_rotating();
  if (rewinder_) return counters().checkpoint_stale ? checkpoint() : Result<void>();
  uint64_t failed_before = 0;
  if (!warmer_->request(false, &failed_before))
    return fail(ErrorKind::limit, "no standby for now: " + warmer_->last_problem());
  return warmer_->wait_ready(failed_before);
}

Result<void> ProxyImpl::rotate() {
  if (!rotating_) return not_rotating();
  wanted_ = true;
  attention_ = true;
  if (!rewinder_) warmer_->request(true);
  return {};
}

Result<VerifyReport> ProxyImpl::verify() {
  if (plan_.mode == RotationMode::checkpoint)
    return fail(ErrorKind::invalid_argument, "there is no replay to verify with mode = \"checkpoint\"");
  auto image = warmer_->image();
  if (!image) return fail(ErrorKind::not_found, "there is no image yet");
  return warmer_->verify(*image);
}

}  // namespace rotor::proxy
