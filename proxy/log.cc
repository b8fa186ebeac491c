#include "proxy/log.h"

#include <algorithm>

namespace rotor::proxy {
namespace {

/// Returns the calls that neither a fresh instance needs nor one that stands at any of the positions.
std::unordered_set<const LogCall*> unneeded(const Plan& plan, const Calls& calls,
                                            std::span<const LogPosition> positions,
                                            const std::unordered_set<HandleId>& pinned) {
  std::vector<bool> kept = slice(plan, calls, has_none, pinned);
  for (const LogPosition& position : positions) {
    auto first = std::ranges::upper_bound(calls, position.seq, {}, [](const auto& call) { return call->seq; });
    const auto begin = static_cast<size_t>(first - calls.begin());
    const std::vector<bool> tail = slice(plan, std::span(calls).subspan(begin), has_all, pinned);
    for (size_t i = 0; i < tail.size(); i++)
      if (tail[i]) kept[begin + i] = true;
  }
  std::unordered_set<const LogCall*> dropped;
  for (size_t i = 0; i < calls.size(); i++)
    if (!kept[i]) dropped.insert(calls[i].get());
  return dropped;
}

}  // namespace

void Log::note_changes(const LogCall& call) {
  const ExportPlan& plan = plan_.exports[call.export_index];
  const bool builds = plan.effect == Effect::build;
  bool touches = false;
  for (HandleId id : call.made) touches |= id != kNullHandle;
  each_taken(plan, call, [&](HandleId id, bool ends) {
    touches = true;
    if (builds && !plan.reads && !ends) changes_[id].changed = std::max(changes_[id].changed, call.seq);
    if (!ends) return;
    // A handle that ended matters only to a query that took it and may yet be recorded, which pins it.
    if (pins_.contains(id))
      changes_[id].ended = call.seq;
    else
      changes_.erase(id);
  });
  if (changes_more(plan, call) || (builds && !touches)) last_global_ = std::max(last_global_, call.seq);
}

bool Log::unchanged_since(uint64_t seq, std::span<const HandleId> handles) const {
  if (last_global_ > seq) return false;
  return std::ranges::none_of(handles, [&](HandleId id) {
    auto found = changes_.find(id);
    return found != changes_.end() && (found->second.changed > seq || found->second.ended > seq);
  });
}

void Log::pin(HandleId id) {
  std::lock_guard lock(mutex_);
  pins_[id]++;
}

void Log::unpin(HandleId id) {
  std::lock_guard lock(mutex_);
  auto found = pins_.find(id);
  if (found == pins_.end() || --found->second > 0) return;
  pins_.erase(found);
  auto changes = changes_.find(id);
  if (changes != changes_.end() && changes->second.ended) changes_.erase(changes);
}

Log::Appended Log::append(std::shared_ptr<const LogCall> call) {
  note_changes(*call);
  // This lock comes first in the order of locks, but is only tried below. While a reader moves, nothing may be dropped:
  // then the log may outgrow its bounds for a while, up to twice.
  std::unique_lock reading(reading_mutex_, std::defer_lock);
  std::unique_lock lock(mutex_);
  if (given_up_) return Appended::full;
  bytes_ += call->size_bytes();
  recorded_++;
  if (plan_.exports[call->export_index].once) once_.insert(call->identity());
  const uint64_t seq = call->seq;
  size_t place = entries_.size();
  if (!entries_.empty() && seq < entries_.back().call->seq) {
    place = first_behind(seq);
    late_.push_back(seq);
  }
  entries_.insert(entries_.begin() + static_cast<ptrdiff_t>(place), {std::move(call), 0});
  add_costs(place);
  if (over_bounds(1)) {
    if (reading.try_lock()) {
      std::unordered_set<HandleId> pinned;
      const Calls calls = copy(0, &pinned);
      drop(unneeded(plan_, calls, positions_, pinned));
    }
    if (over_bounds(reading ? 1 : 2)) {
      clear();
      given_up_ = true;
      return Appended::full;
    }
  }
  return entries_.size() >= due_at_ ? Appended::due : Appended::ok;
}

bool Log::over_bounds(uint64_t scale) const {
  return entries_.size() / scale > bounds_.calls || bytes_ / scale > bounds_.bytes ||
         entries_cost_ns() / scale > bounds_.replay_ns;
}

void Log::add_costs(size_t from) {
  uint64_t cost_ns = from ? entries_[from - 1].cost_ns : 0;
  for (size_t i = from; i < entries_.size(); i++) entries_[i].cost_ns = cost_ns += entries_[i].call->cost_ns;
}

Calls Log::copy(size_t from, std::unordered_set<HandleId>* pinned) const {
  Calls calls;
  calls.reserve(entries_.size() - from);
  for (size_t i = from; i < entries_.size(); i++) calls.push_back(entries_[i].call);
  for (const auto& [id, count] : pins_) pinned->insert(id);
  return calls;
}

void Log::drop(const std::unordered_set<const LogCall*>& calls) {
  for (const Entry& entry : entries_) {
    if (!calls.contains(entry.call.get())) continue;
    bytes_ -= entry.call->size_bytes();
    if (plan_.exports[entry.call->export_index].once) once_.erase(entry.call->identity());
  }
  std::erase_if(entries_, [&](const Entry& entry) { return calls.contains(entry.call.get()); });
  add_costs(0);
  compactions_++;
  due_at_ = std::max<uint64_t>(kFirstCompaction, entries_.size() * 2);
}

uint64_t Log::compact(std::span<const LogPosition> positions) {
  std::lock_guard reading(reading_mutex_);
  Calls calls;
  std::unordered_set<HandleId> pinned;
  {
    std::lock_guard lock(mutex_);
    calls = copy(0, &pinned);
  }
  // Calls go on meanwhile: what they append can't need what is dropped here, since nobody holds a handle of it.
  const std::unordered_set<const LogCall*> dropped = unneeded(plan_, calls, positions, pinned);
  std::lock_guard lock(mutex_);
  drop(dropped);
  return entries_.size();
}

void Log::set_positions(std::vector<LogPosition> positions) {
  std::lock_guard lock(mutex_);
  positions_ = std::move(positions);
}

void Log::give_up() {
  std::lock_guard lock(mutex_);
  clear();
  given_up_ = true;
}

void Log::clear() {
  entries_ = {};
  once_ = {};
  bytes_ = 0;
}

bool Log::has_once(const std::string& identity) const {
  std::lock_guard lock(mutex_);
  return once_.contains(identity);
}

// ---- readers --------------------------------------------------------------------------------------------------------

namespace {

Calls sliced(const Plan& plan, Calls calls, const HasHandle& has, const std::unordered_set<HandleId>& pinned) {
  if (calls.empty()) return calls;
  const std::vector<bool> kept = slice(plan, calls, has, pinned);
  size_t count = 0;
  for (size_t i = 0; i < calls.size(); i++)
    if (kept[i]) std::swap(calls[count++], calls[i]);
  calls.resize(count);
  return calls;
}

}  // namespace

Calls Log::fresh_calls(LogPosition* position) const {
  Calls calls;
  std::unordered_set<HandleId> pinned;
  {
    std::lock_guard lock(mutex_);
    calls = copy(0, &pinned);
    *position = end();
  }
  return sliced(plan_, std::move(calls), has_none, pinned);
}

Result<Calls> Log::tail_calls(LogPosition& position, const HasHandle& has) const {
  Calls calls;
  std::unordered_set<HandleId> pinned;
  {
    std::lock_guard lock(mutex_);
    if (missed_one_locked(position))
      return fail(ErrorKind::internal,
                  "a query was taken by a build after what it had read changed: replay begins anew");
    calls = copy(first_behind(position.seq), &pinned);
    position = {.seq = std::max(position.seq, end().seq), .late = late_.size()};
  }
  // The tail is sliced, too: calls that compaction kept for another reader, who stands farther on, may take handles
  // that this one never made.
  return sliced(plan_, std::move(calls), has, pinned);
}

size_t Log::first_behind(uint64_t seq) const {
  auto place = std::ranges::upper_bound(entries_, seq, {}, [](const Entry& e) { return e.call->seq; });
  return static_cast<size_t>(place - entries_.begin());
}

bool Log::missed_one_locked(const LogPosition& position) const {
  return std::any_of(late_.begin() + static_cast<ptrdiff_t>(position.late), late_.end(),
                     [&](uint64_t seq) { return seq <= position.seq; });
}

bool Log::at_end(const LogPosition& position) const {
  std::lock_guard lock(mutex_);
  return entries_.empty() || entries_.back().call->seq <= position.seq;
}

uint64_t Log::tail_ns(const LogPosition& position) const {
  std::lock_guard lock(mutex_);
  const size_t first = first_behind(position.seq);
  return entries_cost_ns() - (first ? entries_[first - 1].cost_ns : 0);
}

uint64_t Log::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}
uint64_t Log::size_bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}
uint64_t Log::cost_ns() const {
  std::lock_guard lock(mutex_);
  return entries_cost_ns();
}
uint64_t Log::recorded() const {
  std::lock_guard lock(mutex_);
  return recorded_;
}
uint64_t Log::compactions() const {
  std::lock_guard lock(mutex_);
  return compactions_;
}

}  // namespace rotor::proxy
