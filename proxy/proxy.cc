#include "rotor/proxy.h"

#include <fmt/format.h>

#include <atomic>
#include <cassert>
#include <cstdlib>
#include <string_view>

#include "proxy/recorder.h"
#include "proxy/slot.h"
#include "proxy/warmer.h"

namespace rotor::proxy {
namespace {

bool switched_off() {
  const char* value = std::getenv("ROTOR_ROTATION");
  return value && std::string_view(value) == "off";
}

void raise_to(std::atomic<uint64_t>& maximum, uint64_t value) {
  if (value > maximum.load(std::memory_order_relaxed)) maximum.store(value, std::memory_order_relaxed);
}

}  // namespace

/// What is said to be the lease's is touched only by the thread that the gate let in.
class ProxyImpl {
 public:
  ProxyImpl(Policy policy, Plan plan, GuestFactory factory, ProxyOptions options);
  ~ProxyImpl() { assert(slot_.is_free() && "leases end before their proxy"); }
  Result<void> start();

  Result<void> acquire(bool is_explicit);
  void release();
  Result<Reply> call(std::string_view name, std::span<const Arg> args);
  Result<std::vector<Value>> raw(std::string_view name, std::span<const Value> args);
  Result<uint32_t> resolve(uint32_t token);
  Result<Memory> memory() { return slot_.active().instance().memory0(); }

  ProxyCounters counters() const;
  const Policy& policy() const { return policy_; }

 private:
  Result<void> ready_active();
  void swap(std::unique_ptr<LiveGuest> next, uint64_t start_ns, uint64_t wait_ns);
  Error note(Error error);
  Error about_poison(std::string what) const;
  void retire() {
    if (retired_) [[unlikely]]
      warmer_.retire(std::move(retired_));
  }
  void give_up();
  void sample();

  const Policy policy_;
  const Plan plan_;
  const GuestFactory factory_;
  const ProxyOptions options_;
  const bool enabled_;
  Log log_;
  mutable ActiveSlot slot_;
  Warmer warmer_;  // after the log that it reads

  // The lease's.
  Recorder recorder_;
  bool is_explicit_ = false;     ///< the outermost lease is one of acquire()
  bool preparing_ = false;       ///< inside ready_active
  unsigned guest_depth_ = 0;     ///< calls into the guest on this thread's stack
  double use_ = 0;               ///< of the active's memory, at the end of the last lease
  std::optional<Error> poison_;  ///< the trap after which the active must not be used
  /// Handed to the background thread after the next call: waking that within the swap made some pauses 100 times
  /// longer.
  std::unique_ptr<LiveGuest> retired_;

  // Written by the lease's thread, read by any.
  std::atomic<bool> rotating_;
  std::atomic<uint64_t> calls_ = 0, leases_ = 0, traps_ = 0, stale_handles_ = 0, rotations_ = 0;
  std::atomic<uint64_t> memory_bytes_ = 0, pause_ns_last_ = 0, pause_ns_max_ = 0, wait_ns_max_ = 0;
  mutable std::mutex off_reason_mutex_;
  std::string off_reason_;
};

ProxyImpl::ProxyImpl(Policy policy, Plan plan, GuestFactory factory, ProxyOptions options)
    : policy_(std::move(policy)),
      plan_(std::move(plan)),
      factory_(std::move(factory)),
      options_(std::move(options)),
      enabled_(policy_.enabled && !switched_off()),
      log_(policy_.log_max_calls, policy_.log_max_bytes),
      warmer_(policy_, plan_, log_, factory_),
      recorder_(plan_, log_, enabled_),
      rotating_(enabled_) {
  if (!enabled_) off_reason_ = policy_.enabled ? "ROTOR_ROTATION=off" : "the policy says enabled = false";
}

Result<void> ProxyImpl::start() {
  ROTOR_TRY(auto first, LiveGuest::create(factory_, plan_, policy_.memory_limit_bytes));
  slot_.exchange(std::move(first));
  sample();
  return enabled_ ? warmer_.start() : Result<void>();
}

void ProxyImpl::sample() {
  use_ = slot_.active().use();
  memory_bytes_.store(slot_.active().memory_bytes(), std::memory_order_relaxed);
}

// ---- leases ---------------------------------------------------------------------------------------------------------

Result<void> ProxyImpl::acquire(bool is_explicit) {
  if (warmer_.on_this_thread())
    return fail(ErrorKind::invalid_argument, "a host function called the proxy while its call was replayed");
  if (slot_.enter()) {
    is_explicit_ = is_explicit;
    preparing_ = true;
    Result<void> ready = ready_active();
    preparing_ = false;
    if (!ready) {
      slot_.leave();
      slot_.open();
      return ready;
    }
  } else if (preparing_) {
    slot_.leave();
    return fail(ErrorKind::invalid_argument, "on_rotation called the proxy");
  }
  leases_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

void ProxyImpl::release() {
  if (!slot_.leave()) return;
  recorder_.end_lease();
  retire();
  sample();
  // A trapped instance is replaced by the next who comes; its standby may start now.
  if (rotating_ && (poison_ || use_ >= policy_.warm_at)) warmer_.request(poison_.has_value());
  slot_.open();
}

/// With the gate closed, before a lease begins: exchanges the active, if it is time.
Result<void> ProxyImpl::ready_active() {
  const bool poisoned = poison_.has_value();
  if (!poisoned && use_ < policy_.swap_at) [[likely]]
    return {};
  if (!rotating_) {
    poison_.reset();  // nothing to replace it with: as on_trap = keep
    return {};
  }
  const uint64_t start_ns = now_ns();
  const bool force = poisoned || use_ >= policy_.force_at;
  if (!force && recorder_.holds_swap(calls_, policy_.query_handle_calls)) return {};
  uint64_t wait_ns = 0;
  const bool wait = poisoned || policy_.at_swap == AtSwap::wait;
  if (warmer_.request(poisoned) && wait) {
    warmer_.wait();
    wait_ns = now_ns() - start_ns;
  }
  if (auto next = warmer_.take(force || wait ? UINT64_MAX : policy_.catch_up_ns)) {
    swap(std::move(next), start_ns, wait_ns);
    return {};
  }
  if (poisoned) return std::unexpected(about_poison("and making another failed: " + warmer_.last_problem()));
  if (policy_.at_swap == AtSwap::fail)
    return fail(ErrorKind::limit,
                fmt::format("memory use is {:.0f} % and no standby is ready (at_swap = fail)", use_ * 100));
  return {};
}

void ProxyImpl::swap(std::unique_ptr<LiveGuest> next, uint64_t start_ns, uint64_t wait_ns) {
  RotationEvent event{.rotation = rotations_.fetch_add(1, std::memory_order_relaxed) + 1,
                      .cause = poison_ ? RotationCause::trap : RotationCause::memory,
                      .calls = calls_,
                      .bytes_before = slot_.active().memory_bytes(),
                      .bytes_after = next->memory_bytes(),
                      .calls_replayed = next->calls_replayed,
                      .warmup_ns = next->warmup_ns,
                      .wait_ns = wait_ns};
  next->rotation = event.rotation;
  retired_ = slot_.exchange(std::move(next));
  recorder_.swapped(event.rotation);
  poison_.reset();
  sample();
  event.swap_pause_ns = now_ns() - start_ns - wait_ns;
  pause_ns_last_.store(event.swap_pause_ns, std::memory_order_relaxed);
  raise_to(pause_ns_max_, event.swap_pause_ns);
  raise_to(wait_ns_max_, wait_ns);
  if (options_.on_rotation) options_.on_rotation(event);
}

// ---- calls ----------------------------------------------------------------------------------------------------------

Result<Reply> ProxyImpl::call(std::string_view name, std::span<const Arg> args) {
  ROTOR_TRY(const uint32_t index, plan_.find(name));
  const ExportPlan& plan = plan_.exports[index];
  if (poison_) return std::unexpected(about_poison("earlier in this lease"));
  if (plan.raw_only)
    return fail(ErrorKind::invalid_argument, fmt::format("{} {}; call it through Lease::raw", name, plan.raw_only));
  LiveGuest& active = slot_.active();
  PreparedCall call;
  if (auto prepared = recorder_.prepare(index, args, active, call); !prepared) {
    if (prepared.error().kind == ErrorKind::stale_handle) stale_handles_.fetch_add(1, std::memory_order_relaxed);
    return std::unexpected(std::move(prepared).error());
  }
  if (guest_depth_ && (call.builds || call.record))
    return fail(ErrorKind::invalid_argument,
                fmt::format("{} changes the state, but a host function called it: on replay it would run twice", name));
  const uint64_t number = calls_.fetch_add(1, std::memory_order_relaxed) + 1;
  const uint64_t start_ns = call.record ? now_ns() : 0;
  RawReply raw;
  guest_depth_++;
  Result<void> called = active.call(index, call.args, raw);
  guest_depth_--;
  retire();
  if (!called) return std::unexpected(note(std::move(called).error()));
  if (call.record) call.record->cost_ns = now_ns() - start_ns;
  const bool recorded = call.record != nullptr;
  auto reply =
      recorder_.finish(index, call, std::move(raw), active, is_explicit_ ? std::nullopt : std::optional(number));
  if (recorded) {
    if (recorder_.recording())
      warmer_.notify();
    else
      give_up();
  }
  return reply;
}

Result<std::vector<Value>> ProxyImpl::raw(std::string_view name, std::span<const Value> args) {
  ROTOR_TRY(const uint32_t index, plan_.find(name));
  if (plan_.exports[index].effect != Effect::query)
    return fail(ErrorKind::invalid_argument,
                fmt::format("{} builds or releases state: a raw call of it could not be recorded", name));
  if (poison_) return std::unexpected(about_poison("earlier in this lease"));
  ROTOR_TRY(const Func* func, slot_.active().func(index));
  calls_.fetch_add(1, std::memory_order_relaxed);
  guest_depth_++;
  auto results = func->call(args);
  guest_depth_--;
  retire();
  if (!results) return std::unexpected(note(std::move(results).error()));
  return results;
}

Result<uint32_t> ProxyImpl::resolve(uint32_t token) {
  auto raw = recorder_.resolve(token, slot_.active());
  if (!raw) stale_handles_.fetch_add(1, std::memory_order_relaxed);
  return raw;
}

/// Takes down a failed call. One that did not return left the guest in the middle of something.
Error ProxyImpl::note(Error error) {
  if (error.kind != ErrorKind::trap && error.kind != ErrorKind::host) return error;
  traps_.fetch_add(1, std::memory_order_relaxed);
  if (rotating_ && policy_.on_trap == OnTrap::rotate && !poison_) poison_ = error;
  return error;
}

/// The trap that made the active unusable, and what came of it.
Error ProxyImpl::about_poison(std::string what) const {
  Error error = *poison_;
  error.message = fmt::format("the instance trapped ({}), {}", poison_->message, what);
  return error;
}

void ProxyImpl::give_up() {
  rotating_ = false;
  warmer_.give_up();
  std::lock_guard lock(off_reason_mutex_);
  off_reason_ =
      fmt::format("the log reached a bound ({} calls or {} bytes)", policy_.log_max_calls, policy_.log_max_bytes);
}

ProxyCounters ProxyImpl::counters() const {
  ProxyCounters counters;
  counters.calls = calls_;
  counters.leases = leases_;
  counters.waiting = slot_.waiting();
  counters.traps = traps_;
  counters.stale_handles = stale_handles_;
  counters.rotations = rotations_;
  counters.log_calls = log_.size();
  counters.log_bytes = log_.size_bytes();
  counters.swap_pause_ns_last = pause_ns_last_;
  counters.swap_pause_ns_max = pause_ns_max_;
  counters.wait_ns_max = wait_ns_max_;
  counters.memory_bytes = memory_bytes_;
  counters.rotating = rotating_;
  warmer_.count(counters);
  std::lock_guard lock(off_reason_mutex_);
  counters.off_reason = off_reason_;
  return counters;
}

}  // namespace rotor::proxy

namespace rotor {

Proxy::Proxy(std::unique_ptr<proxy::ProxyImpl> impl) : impl_(std::move(impl)) {}
Proxy::Proxy(Proxy&&) noexcept = default;
Proxy& Proxy::operator=(Proxy&&) noexcept = default;
Proxy::~Proxy() = default;

Result<Proxy> Proxy::create(const Module& module, GuestFactory make_guest, Policy policy, ProxyOptions options) {
  ROTOR_TRY(proxy::Plan plan, proxy::make_plan(policy, module));
  auto impl =
      std::make_unique<proxy::ProxyImpl>(std::move(policy), std::move(plan), std::move(make_guest), std::move(options));
  ROTOR_CHECK(impl->start());
  return Proxy(std::move(impl));
}

Result<Lease> Proxy::acquire() {
  ROTOR_CHECK(impl_->acquire(true));
  return Lease(impl_.get());
}

Result<Reply> Proxy::call(std::string_view name, std::span<const Arg> args) {
  ROTOR_CHECK(impl_->acquire(false));
  Result<Reply> reply = impl_->call(name, args);
  impl_->release();
  return reply;
}

ProxyCounters Proxy::counters() const { return impl_->counters(); }
const Policy& Proxy::policy() const { return impl_->policy(); }

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  if (impl_) impl_->release();
  impl_ = std::exchange(other.impl_, nullptr);
  return *this;
}
Lease::~Lease() {
  if (impl_) impl_->release();
}
Result<Reply> Lease::call(std::string_view name, std::span<const Arg> args) { return impl_->call(name, args); }
Result<std::vector<Value>> Lease::raw(std::string_view name, std::span<const Value> args) {
  return impl_->raw(name, args);
}
Result<uint32_t> Lease::resolve(uint32_t token) const { return impl_->resolve(token); }
Result<Memory> Lease::memory() const { return impl_->memory(); }

}  // namespace rotor
