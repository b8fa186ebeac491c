// What a proxy does otherwise with RotationMode::checkpoint: numbers pass as they are, nothing is recorded, and the
// active is exchanged for an instance made from an image of its own.
#include <fmt/format.h>

#include "proxy/call_scope.h"
#include "proxy/clock.h"
#include "proxy/proxy_impl.h"
#include "rotor/guard.h"

namespace rotor::proxy {
namespace {

std::unexpected<Error> not_with_checkpoints(const char* what) {
  return fail(ErrorKind::invalid_argument, fmt::format("{} is for mode = \"checkpoint\"", what));
}

}  // namespace

/// Called with the gate closed, before a lease begins: rewinds if it is time.
Result<void> ProxyImpl::ready_by_rewind() {
  LiveGuest& active = gate_.active();
  const bool poisoned = active.poison.has_value();
  if (!poisoned && use_ < policy_.swap_at && !wanted_) return {};
  if (!rotating_) {
    active.poison.reset();  // there is nothing to replace it with: it is kept, as with on_trap = keep
    return {};
  }
  const Rewinder::Obstacle obstacle = rewinder_->obstacle(
      active, {.calls = calls_, .trapped = poisoned, .wanted = wanted_, .nothing_returned = calls_ == traps_});
  if (obstacle != Rewinder::Obstacle::none)
    rewinder_->tell(obstacle, calls_);
  else if ((poisoned || wanted_ || warmer_->lets_try(false)) && rewind())
    return {};
  auto why = [&] {
    return obstacle == Rewinder::Obstacle::none ? warmer_->last_problem() : rewinder_->text_of(obstacle);
  };
  if (poisoned) return std::unexpected(about_poison(active, "and there is nothing to rewind to: " + why()));
  if (policy_.at_swap == AtSwap::fail && use_ >= policy_.swap_at)
    return fail(ErrorKind::limit,
                fmt::format("memory use is {:.0f} % and there is no rewind (at_swap = fail): {}", use_ * 100, why()));
  return {};
}

/// Exchanges the active for an instance made from the checkpoint. Pre: nothing is in the way. Returns false if that
/// failed.
bool ProxyImpl::rewind() {
  const uint64_t start_ns = now_ns();
  const double use_before = use_;
  auto next = rewinder_->stamp();
  if (!next || !swap(std::move(next), start_ns, 0)) return false;
  rewinder_->note_rewind(gate_.active(), rotations_, use_before - use_);
  rewinder_->watch(gate_.active(), attention_);
  return true;
}

/// Rewinds before a call that may change state, if much has leaked since the checkpoint: the next one would keep that.
/// Only for a lease of one call, which has not begun to use the active.
void ProxyImpl::rewind_before_change(Holder& holder) {
  if (holder.is_explicit || holder.depth > 1 || holder.guest_depth || !rotating_ || !rewinder_->has_leaked(use_))
    return;
  const bool around = std::exchange(preparing_, true);  // the callbacks must not call the proxy
  if (rewinder_->obstacle(gate_.active(), {.calls = calls_}) == Rewinder::Obstacle::none && warmer_->lets_try(false))
    rewind();
  preparing_ = around;
}

/// Called when the outermost lease ended, before the gate opens.
void ProxyImpl::end_rewindable_lease() {
  if (gate_.active().poison) return;
  (void)take_checkpoint(When::due);
  if (warms_) rewinder_->prepare();
}

/// Takes the checkpoint that a rewind has paid for: before a lease begins, or, if it is one of one call that leaves
/// nothing behind, before it has begun to use the active. What that leaks is not in it then.
void ProxyImpl::checkpoint_before_use(Holder& holder) {
  if (holder.is_explicit || holder.depth > 1 || holder.guest_depth || !rotating_ || gate_.active().poison) return;
  (void)take_checkpoint(When::paid);
}

/// Pre: no lease uses the active yet, and nobody is in the guest.
Result<void> ProxyImpl::take_checkpoint(When when) {
  LiveGuest& active = gate_.active();
  const bool around = std::exchange(preparing_, true);  // the callbacks must not call the proxy
  Result<void> taken = when == When::now   ? rewinder_->take(active, use_)
                       : when == When::due ? rewinder_->take_if_due(active, use_, calls_)
                                           : rewinder_->take_if_paid(active, use_, calls_);
  preparing_ = around;
  if (active.poison) attention_ = true;
  if (!taken && taken.error().kind == ErrorKind::unsupported) give_up("no checkpoint: " + taken.error().message);
  return taken;
}

Result<void> ProxyImpl::checkpoint() {
  if (plan_.mode != RotationMode::checkpoint) return not_with_checkpoints("a checkpoint");
  if (!rewinder_ || !rotating_) return fail(ErrorKind::invalid_argument, "rotation is off");
  ROTOR_CHECK(acquire(false));
  const bool joined = gate_.mine().depth > 1;
  Result<void> taken = joined ? fail(ErrorKind::invalid_argument, "a checkpoint can't be taken within a lease")
                              : take_checkpoint(When::now);
  release();
  return taken;
}

Result<void> ProxyImpl::drop(uint64_t number) {
  if (plan_.mode != RotationMode::checkpoint) return not_with_checkpoints("Lease::drop");
  if (!rewinder_) return {};
  Holder& holder = gate_.mine();
  PhaseScope phase(gate_, holder);
  return rewinder_->drop(number);
}

/// Begins a call. Returns whether it leaves something behind. Errors: those of Rewinder::begin_call.
Result<bool> ProxyImpl::begin_unrecorded(uint32_t index, const Rewinder::Numbers& numbers) {
  rewinder_->hear(gate_.active(), calls_);
  Result<bool> changes = rewinder_->begin_call(index, numbers, calls_ + 1);
  if (!changes) {
    stale_handles_++;
    return changes;
  }
  calls_.add();
  attention_.store(true, std::memory_order_relaxed);
  return changes;
}

/// Notes a call that failed. If the guest is lost by it, so is what it left behind, as its caller knows.
Error ProxyImpl::note_unrecorded(Holder& holder, bool changes, Error error) {
  LiveGuest& active = gate_.active();
  const bool was_poisoned = active.poison.has_value();
  error = note(active, std::move(error));
  if (changes && !was_poisoned && active.poison && holder.guest_depth == 0) rewinder_->take_back_change();
  return error;
}

Result<Reply> ProxyImpl::call_unrecorded(Holder& holder, uint32_t index, std::span<const Arg> args) {
  if (rewinder_->may_change(index))
    rewind_before_change(holder);
  else
    checkpoint_before_use(holder);
  LiveGuest& active = gate_.active();
  PreparedCall call;
  ROTOR_CHECK(recorder_->prepare(index, args, active, call));
  const Rewinder::Numbers numbers = rewinder_->numbers(index, args);
  ROTOR_TRY(const bool changes, begin_unrecorded(index, numbers));
  RawReply raw;
  Result<void> called = call_in_time(holder, active, [&] {
    return call_guest(gate_, holder, false, [&] { return active.call(index, call.args, raw); });
  });
  retire();
  if (!called) return std::unexpected(note_unrecorded(holder, changes, std::move(called).error()));
  Result<Reply> reply = recorder_->finish(index, call, std::move(raw), active, std::nullopt);
  rewinder_->end_call(index, numbers, reply ? rewinder_->results(index, *reply) : std::vector<uint64_t>(), calls_);
  return reply;
}

Result<std::vector<Value>> ProxyImpl::raw_unrecorded(Holder& holder, uint32_t index, std::span<const Value> args) {
  LiveGuest& active = gate_.active();
  ROTOR_TRY(const Func* func, active.func(index));
  const Rewinder::Numbers numbers = rewinder_->numbers(index, args);
  ROTOR_TRY(const bool changes, begin_unrecorded(index, numbers));
  auto results =
      call_in_time(holder, active, [&] { return call_guest(gate_, holder, false, [&] { return func->call(args); }); });
  retire();
  if (!results) return std::unexpected(note_unrecorded(holder, changes, std::move(results).error()));
  rewinder_->end_call(index, numbers, rewinder_->results(index, *results), calls_);
  return results;
}

}  // namespace rotor::proxy
