// The exchange under a lease that is held too long, and what such a lease may still do on the instance that it was left
// with.
#include <fmt/format.h>

#include "proxy/clock.h"
#include "proxy/proxy_impl.h"

namespace rotor::proxy {

/// Called on a waiter's thread, with the holder's phase open and the gate's mutex held.
std::unique_ptr<LiveGuest> ProxyImpl::exchange_under(LiveGuest& old, Holder& holder) {
  // The guest can't be asked while the holder may be in it.
  const double use = old.is_asked_for_use() ? use_ : old.use();
  if (use < policy_.force_at || old.poison || attempt_) return nullptr;
  const uint64_t start_ns = now_ns();
  warmer_->set_active_bytes(old.memory_bytes());
  auto next = warmer_->take(policy_.catch_up_ns);
  if (!next) next = warmer_->stamp(policy_.catch_up_ns, false);
  if (!next) {
    warmer_->request(false);
    return nullptr;
  }
  if (auto took = hand_over(old, *next); !took) {
    warmer_->refuse(std::move(next), took.error());
    return nullptr;
  }
  for (const auto& [token, raw] : recorder_->all_raw(old)) holder.raw.emplace(token, raw);
  if (!plan_.probes.empty()) probes_skipped_.add();  // the active may be in a call
  RotationEvent event = count_exchange(old, *next, RotationCause::force, 0);
  old.retired_at_ns = start_ns;
  const uint64_t bytes = next->memory_bytes();
  use_ = next->use();
  warms_ = use_ >= policy_.warm_at;
  memory_bytes_.set(bytes);
  warmer_->set_active_bytes(bytes);
  warmer_->watch_drains(1);
  count_pause(event, start_ns);
  forced_ = event;
  attention_ = true;
  return next;
}

std::unexpected<Error> ProxyImpl::retired_error(std::string what) const {
  return fail(ErrorKind::retired, "the lease's instance was exchanged under it: " + std::move(what));
}

Result<void> ProxyImpl::check_drain(const Holder& holder) const {
  if (now_ns() - holder.guest->retired_at_ns < policy_.drain_deadline_ms * 1'000'000) return {};
  return retired_error(fmt::format("its drain deadline of {} ms has passed", policy_.drain_deadline_ms));
}

/// Calls the instance that the lease was left with: queries that return no handle still run there.
Result<Reply> ProxyImpl::call_retired(Holder& holder, uint32_t index, std::span<const Arg> args) {
  const ExportPlan& plan = plan_.exports[index];
  ROTOR_CHECK(check_drain(holder));
  bool ends = false;
  for (ArgKind kind : plan.args) ends |= consumes(kind);
  if (plan.effect != Effect::query || plan.makes_handles || ends)
    return retired_error(plan.shown + " would change, or give handles of, a state that is no more");
  if (holder.guest->poison) return std::unexpected(about_poison(*holder.guest, "earlier in this lease"));
  return call_in_time(holder, *holder.guest,
                      [&] { return recorder_->call_detached(index, args, *holder.guest, holder.raw); });
}

}  // namespace rotor::proxy
