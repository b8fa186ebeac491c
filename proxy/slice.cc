#include "proxy/slice.h"

#include <set>
#include <string>
#include <unordered_map>

namespace rotor::proxy {
namespace {

/// Returns whether a call may end handles and does nothing else that later calls can see.
bool only_ends(const ExportPlan& plan, const LogCall& call) { return plan.effect != Effect::build && !call.promoted; }

class Slicer {
 public:
  Slicer(const Plan& plan, std::span<const std::shared_ptr<const LogCall>> calls, const HasHandle& has,
         const std::unordered_set<HandleId>& pinned)
      : plan_(plan), calls_(calls), has_(has), pinned_(pinned), forced_(calls.size()) {
    for (uint32_t i = 0; i < calls.size(); i++) {
      for (HandleId id : calls[i]->made)
        if (id != kNullHandle) maker_[id] = i;
    }
    for (uint32_t i = 0; i < calls.size(); i++)
      each_taken(plan_of(i), *calls[i], [&](HandleId id, bool ends) {
        if (ends) ender_[id] = i;
      });
  }

  std::vector<bool> run() {
    std::vector<bool> kept;
    // A call that has to stay because it ends a handle may need other handles, whose makers have ends of their own.
    do kept = scan();
    while (force_ends(kept));
    return kept;
  }

 private:
  const ExportPlan& plan_of(uint32_t index) const { return plan_.exports[calls_[index]->export_index]; }

  std::vector<bool> scan() const {
    std::vector<bool> kept(calls_.size());
    std::unordered_set<HandleId> needed = pinned_;
    for (const auto& [id, maker] : maker_)
      if (!ender_.contains(id)) needed.insert(id);
    std::set<std::string> written;  // keys that a later call sets
    for (uint32_t i = static_cast<uint32_t>(calls_.size()); i-- > 0;) {
      const LogCall& call = *calls_[i];
      const ExportPlan& plan = plan_of(i);
      if (only_ends(plan, call)) {
        kept[i] = forced_[i];
      } else {
        kept[i] = forced_[i] || is_needed(plan, call, needed, written);
      }
      if (!kept[i]) continue;
      const bool ends_only = only_ends(plan, call);
      each_taken(plan, call, [&](HandleId id, bool ends) {
        if (!(ends_only && ends)) needed.insert(id);
      });
    }
    return kept;
  }

  bool is_needed(const ExportPlan& plan, const LogCall& call, const std::unordered_set<HandleId>& needed,
                 std::set<std::string>& written) const {
    const bool is_local = !changes_more(plan, call);
    bool touches = false, makes_needed = false, changes_needed = false, orphan = false;
    for (HandleId id : call.made) {
      touches |= id != kNullHandle;
      makes_needed |= needed.contains(id);
    }
    each_taken(plan, call, [&](HandleId id, bool ends) {
      touches = true;
      orphan |= !maker_.contains(id) && !has_(id);
      changes_needed |= !ends && !plan.reads && !call.promoted && needed.contains(id);
      // A handle made before these calls lives, unless one of them ends it.
      changes_needed |= !ends && !plan.reads && !call.promoted && !maker_.contains(id) && !ender_.contains(id);
    });
    if (is_local && (orphan || (touches && !makes_needed && !changes_needed))) return false;
    if (!plan.key) return true;
    return written.insert(call.key(plan)).second || makes_needed;
  }

  bool force_ends(const std::vector<bool>& kept) {
    bool more = false;
    for (const auto& [id, ender] : ender_) {
      if (kept[ender]) continue;
      auto maker = maker_.find(id);
      const bool is_there = maker == maker_.end() ? has_(id) : kept[maker->second];
      if (!is_there) continue;
      forced_[ender] = true;
      more = true;
    }
    return more;
  }

  const Plan& plan_;
  const std::span<const std::shared_ptr<const LogCall>> calls_;
  const HasHandle& has_;
  const std::unordered_set<HandleId>& pinned_;
  std::vector<bool> forced_;
  std::unordered_map<HandleId, uint32_t> maker_;
  std::unordered_map<HandleId, uint32_t> ender_;
};

}  // namespace

std::vector<bool> slice(const Plan& plan, std::span<const std::shared_ptr<const LogCall>> calls, const HasHandle& has,
                        const std::unordered_set<HandleId>& pinned) {
  return Slicer(plan, calls, has, pinned).run();
}

}  // namespace rotor::proxy
