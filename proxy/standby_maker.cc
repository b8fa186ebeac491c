#include "proxy/standby_maker.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "proxy/clock.h"

namespace rotor::proxy {
namespace {

std::unexpected<WarmupFailure> because(Error error) {
  return std::unexpected(WarmupFailure{.error = std::move(error)});
}

}  // namespace

std::expected<void, WarmupFailure> StandbyMaker::make(Warmup& warmup, bool at_any_use) {
  warmup.wants_image =
      policy_.image == ImageMode::lazy && (!warmup.image || log_.tail_ns(warmup.position) > policy_.image_tail_ns);
  if (auto begun = begin(warmup); !begun) return because(std::move(begun).error());
  if (auto caught = catch_up(warmup); !caught) return caught;
  if (const double use = warmup.guest->use(); use >= policy_.warm_at && !at_any_use)
    return std::unexpected(WarmupFailure{
        .error =
            Error(ErrorKind::limit,
                  fmt::format("rotation is futile: after replay a standby uses {:.0f} % of its memory", use * 100)),
        .futile = true});
  return {};
}

Result<void> StandbyMaker::begin(Warmup& warmup) {
  ROTOR_TRY(warmup.guest, source_.make(warmup.image.get(), warmup.wants_image));
  LiveGuest& guest = *warmup.guest;
  ROTOR_CHECK(guest.start_workers());
  if (!warmup.image) {
    ROTOR_TRY(warmup.calls, log_.fresh_calls(&warmup.position));
    for (const auto& call : warmup.calls) ROTOR_CHECK(replayer_.replay(*call, guest));
  } else if (warmup.wants_image) {
    warmup.base = warmup.image->stands_alone ? warmup.image : warmup.image->base;
    warmup.calls = warmup.image->calls;
  }
  return {};
}

Result<void> StandbyMaker::make_for_cut(Warmup& warmup) {
  warmup.wants_image = true;
  ROTOR_CHECK(begin(warmup));
  return replay_tail(*warmup.guest, warmup.position, &warmup.calls);
}

Result<void> StandbyMaker::stamp(Warmup& warmup) {
  ROTOR_TRY(warmup.guest, source_.make(warmup.image.get(), false));
  ROTOR_CHECK(warmup.guest->start_workers());
  return replay_tail(*warmup.guest, warmup.position, nullptr);
}

Stamped StandbyMaker::stamp_checkpoint(const StandbyImage* checkpoint) {
  const uint64_t start_ns = now_ns();
  Stamped stamped;
  auto made = source_.make(checkpoint, !checkpoint);
  if (!made) {
    stamped.error = std::move(made).error();
    return stamped;
  }
  stamped.guest = std::move(*made);
  Result<void> ready = stamped.guest->start_workers();
  if (ready && checkpoint) ready = reseed(*stamped.guest);
  if (!ready) stamped.error = std::move(ready).error();
  stamped.guest->warmup_ns = now_ns() - start_ns;
  return stamped;
}

/// Has the guest draw or take random numbers that no other instance has. (The first one drew its own.)
Result<void> StandbyMaker::reseed(LiveGuest& guest) const {
  if (plan_.reseed == kNoExport) return {};
  const ExportPlan& plan = plan_.exports[plan_.reseed];
  ROTOR_TRY(Func func, guest.instance().get_func(plan.export_name));
  std::vector<Slot> slots(std::max<size_t>(plan.type.params.size(), 1));
  const size_t bytes = plan.type.params.size() * sizeof(Slot);
  if (bytes && getrandom(slots.data(), bytes, 0) != static_cast<ssize_t>(bytes))
    return fail(ErrorKind::io, "the system gives no random numbers");
  for (size_t i = 0; i < plan.type.params.size(); i++)
    if (plan.type.params[i] == ValType::i32) slots[i] = static_cast<uint32_t>(slots[i]);
  return func.call_raw(slots.data());
}

std::expected<void, WarmupFailure> StandbyMaker::catch_up(Warmup& warmup) {
  for (uint32_t round = 0; !log_.at_end(warmup.position); round++) {
    if (round == policy_.catch_up_rounds && log_.tail_ns(warmup.position) > policy_.catch_up_ns)
      return std::unexpected(WarmupFailure{
          .error = Error(ErrorKind::limit, fmt::format("the log grows faster than it is replayed: after {} rounds the "
                                                       "standby is behind by {} ns of calls",
                                                       round, log_.tail_ns(warmup.position))),
          .ran_away = true});
    if (round > 0 && log_.tail_ns(warmup.position) <= policy_.catch_up_ns) return {};  // the rest when it is taken
    auto replayed = replay_tail(*warmup.guest, warmup.position, &warmup.calls);
    if (!replayed) return because(std::move(replayed).error());
  }
  return {};
}

Result<void> StandbyMaker::replay_tail(LiveGuest& guest, LogPosition& position, Calls* calls) {
  ROTOR_TRY(Calls tail, log_.tail_calls(position, [&](HandleId id) { return guest.handles.find(id) != nullptr; }));
  for (const auto& call : tail) ROTOR_CHECK(replayer_.replay(*call, guest));
  if (calls) calls->insert(calls->end(), tail.begin(), tail.end());
  return {};
}

}  // namespace rotor::proxy
