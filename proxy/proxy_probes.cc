// What a proxy asks of two instances before one takes the other's place.
#include <fmt/format.h>

#include "proxy/probes.h"
#include "proxy/proxy_impl.h"
#include "rotor/printable.h"

namespace rotor::proxy {

std::string ProxyImpl::compare_probes(LiveGuest& active, LiveGuest& next) {
  bool skipped = false;
  for (size_t i = 0; i < plan_.probes.size(); i++) {
    const ProbePlan& probe = plan_.probes[i];
    const RawReply* kept = active.poison && rewinder_ ? rewinder_->answer_at_checkpoint(i) : nullptr;
    if (active.poison && !kept) {
      skipped = true;
      continue;
    }
    // The one that may be dropped is asked first.
    auto theirs = ask(plan_, probe, next, [&](uint32_t made_by) -> std::optional<uint32_t> {
      auto oldest = recorder_->oldest(made_by, active);
      const uint32_t* raw = oldest ? next.handles.find(oldest->first) : nullptr;
      return raw ? std::optional(*raw) : std::nullopt;
    });
    if (!theirs) return fmt::format("{}: the standby fails: {}", probe.shown, printable(theirs.error().to_string()));
    Result<std::optional<RawReply>> mine = std::optional<RawReply>();
    if (!kept) {
      mine = ask(plan_, probe, active, [&](uint32_t made_by) -> std::optional<uint32_t> {
        auto oldest = recorder_->oldest(made_by, active);
        return oldest ? std::optional(oldest->second) : std::nullopt;
      });
      if (!mine) (void)note(active, std::move(mine).error());
      kept = mine && *mine ? &**mine : nullptr;
    }
    if (!kept && !*theirs) continue;  // nothing lives that it could be asked of
    if (!mine) {
      skipped = true;
      continue;
    }
    if (!kept || !*theirs) return fmt::format("{}: the standby has not the handle that it takes", probe.shown);
    probes_.add();
    std::string differs = difference(probe, active.poison ? "the checkpoint" : "the active", *kept, **theirs);
    if (!differs.empty()) return differs;
  }
  if (skipped) probes_skipped_.add();
  return {};
}

}  // namespace rotor::proxy
