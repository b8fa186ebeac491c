#include "proxy/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace rotor::proxy {
namespace {

/// A log that is over half of a bound tells of it each time that it grew by so much of the bound.
constexpr double kFillStep = 0.125;

/// Returns the calls that neither a fresh instance needs nor one that stands at any of the positions.
std::unordered_set<const LogCall*> unneeded(const Plan& plan, const Calls& calls,
                                            std::span<const LogPosition> positions, bool is_cut,
                                            const std::unordered_set<HandleId>& pinned) {
  // Once the log was cut, there is a reader behind all of it, and none begins without an image.
  std::vector<bool> kept = is_cut ? std::vector<bool>(calls.size()) : slice(plan, calls, has_none, pinned);
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
  std::lock_guard lock(mutex_);
  if (given_up_) return Appended::ok;
  assert(call->seq > cut_seq_ && "what a cut dropped has no place any more");
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
  const char* bound = nullptr;
  const double fill = fill_locked(&bound);
  if (fill > 1) return Appended::full;
  if (fill >= filling_at_) {
    filling_at_ = fill + kFillStep;
    return Appended::filling;
  }
  return entries_.size() >= due_at_ ? Appended::due : Appended::ok;
}

double Log::fill_locked(const char** bound) const {
  double most = 0;
  auto consider = [&](uint64_t value, uint64_t of, const char* name) {
    const double part = static_cast<double>(value) / static_cast<double>(of);
    if (part < most) return;
    most = part;
    *bound = name;
  };
  consider(entries_cost_ns(), bounds_.replay_ns, "max_replay_ms");
  consider(bytes_, bounds_.bytes, "max_bytes");
  consider(entries_.size(), bounds_.calls, "max_calls");
  return most;
}

double Log::fill() const {
  std::lock_guard lock(mutex_);
  const char* bound = nullptr;
  return fill_locked(&bound);
}

double Log::fill_behind(const LogPosition& position) const {
  std::lock_guard lock(mutex_);
  if (entries_.empty()) return 0;
  const char* bound = nullptr;
  const size_t behind = entries_.size() - first_behind(position.seq);
  return fill_locked(&bound) * static_cast<double>(behind) / static_cast<double>(entries_.size());
}

std::string Log::bound_text() const {
  std::lock_guard lock(mutex_);
  const char* bound = nullptr;
  (void)fill_locked(&bound);
  return fmt::format("{} ({} calls of {}, {} bytes of {}, {} ms of replay of {})", bound, entries_.size(),
                     bounds_.calls, bytes_, bounds_.bytes, entries_cost_ns() / 1'000'000,
                     bounds_.replay_ns / 1'000'000);
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
  compactions_++;
  note_dropped();
}

void Log::note_dropped() {
  add_costs(0);
  due_at_ = std::max<uint64_t>(kFirstCompaction, entries_.size() * 2);
  const char* bound = nullptr;
  filling_at_ = std::max(0.5, fill_locked(&bound) + kFillStep);
}

uint64_t Log::cut(const LogPosition& position) {
  std::lock_guard lock(mutex_);
  const size_t first = first_behind(position.seq);
  for (size_t i = 0; i < first; i++) {
    const LogCall& call = *entries_[i].call;
    bytes_ -= call.size_bytes();
    // Recorded once more, the call fills a cache that is full: nobody notices.
    if (plan_.exports[call.export_index].once) once_.erase(call.identity());
  }
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(first));
  cut_seq_ = std::max(cut_seq_, position.seq);
  is_cut_ = true;
  cuts_++;
  note_dropped();
  return entries_.size();
}

uint64_t Log::compact(std::span<const LogPosition> positions) {
  std::lock_guard reading(reading_mutex_);
  Calls calls;
  std::unordered_set<HandleId> pinned;
  bool is_cut = false;
  {
    std::lock_guard lock(mutex_);
    calls = copy(0, &pinned);
    is_cut = is_cut_;
  }
  // Calls go on meanwhile: what they append can't need what is dropped here, since nobody holds a handle of it.
  const std::unordered_set<const LogCall*> dropped = unneeded(plan_, calls, positions, is_cut, pinned);
  std::lock_guard lock(mutex_);
  drop(dropped);
  return entries_.size();
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

Result<Calls> Log::fresh_calls(LogPosition* position) const {
  Calls calls;
  std::unordered_set<HandleId> pinned;
  {
    std::lock_guard lock(mutex_);
    if (is_cut_) return fail(ErrorKind::internal, "the log was cut, and the image that it was cut at is gone");
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
    if (position.seq < cut_seq_)
      return fail(ErrorKind::internal, "the log was cut beyond what this instance has seen: replay begins anew");
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
uint64_t Log::cuts() const {
  std::lock_guard lock(mutex_);
  return cuts_;
}
uint64_t Log::compactions() const {
  std::lock_guard lock(mutex_);
  return compactions_;
}

}  // namespace rotor::proxy
