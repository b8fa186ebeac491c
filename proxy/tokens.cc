#include "proxy/tokens.h"

#include <fmt/format.h>

#include <cassert>

namespace rotor::proxy {
namespace {

std::string why(const TokenTable::Entry& entry) {
  switch (entry.state) {
    case TokenTable::State::lease_ended: return "it ended with its lease";
    case TokenTable::State::swapped_out: return fmt::format("rotation {} ended it", entry.rotation);
    case TokenTable::State::rolled_back: return "the attempt that made it trapped and ran again";
    default: return "it was released or consumed";
  }
}

}  // namespace

Result<uint32_t> TokenTable::add(State state, uint32_t export_index, HandleId id, uint32_t raw, uint64_t guest) {
  if (raw == 0) return 0;
  Entry entry{.state = state, .export_index = export_index, .raw = raw, .guest = guest, .id = id};
  uint32_t index = 0;
  if (free_.size() > kMinFree || (entries_.size() == kMaxLive && !free_.empty())) {
    index = free_.front();
    free_.pop_front();
    entry.generation = static_cast<uint16_t>((entries_[index].generation + 1) % kGenerations);
    entries_[index] = entry;
  } else {
    if (entries_.size() == kMaxLive)
      return fail(ErrorKind::limit, fmt::format("the host holds {} handles, the most there can be", kMaxLive));
    index = static_cast<uint32_t>(entries_.size());
    entries_.push_back(entry);
  }
  const uint32_t token = token_of(index, entry);
  if (undoing_) added_.push_back(token);
  return token;
}

Error TokenTable::stale(uint32_t token) const {
  uint32_t index = index_of(token);
  if (!(token & kTokenBit) || index >= entries_.size())
    return Error(ErrorKind::stale_handle, fmt::format("{:#x} is no handle of this proxy", token));
  const Entry& entry = entries_[index];
  if (generation_of(token) != entry.generation)
    return Error(ErrorKind::stale_handle, fmt::format("stale handle {:#x}: it ended long ago", token));
  return Error(ErrorKind::stale_handle,
               fmt::format("stale handle {:#x} of {}: {}", token, plan_.exports[entry.export_index].shown, why(entry)));
}

Result<uint32_t> TokenTable::look_up(Entry& entry, const LiveGuest& guest) const {
  const uint32_t* raw = guest.handles.find(entry.id);
  if (!raw)
    return fail(ErrorKind::stale_handle, fmt::format("a handle of {} did not come along with a rotation",
                                                     plan_.exports[entry.export_index].shown));
  entry.raw = *raw;
  entry.guest = guest.number;
  return entry.raw;
}

void TokenTable::end(uint32_t token, State why, uint64_t rotation) {
  assert(live(token));
  uint32_t index = index_of(token);
  if (undoing_)
    ended_.emplace_back(index, entries_[index]);
  else
    free_.push_back(index);
  entries_[index].state = why;
  entries_[index].rotation = rotation;
}

TokenTable::Entry* TokenTable::oldest(uint32_t export_index) {
  Entry* found = nullptr;
  for (Entry& entry : entries_)
    if (entry.state == State::built && entry.export_index == export_index && (!found || entry.id < found->id))
      found = &entry;
  return found;
}

std::vector<std::pair<uint32_t, uint32_t>> TokenTable::all_raw(const LiveGuest& guest) {
  std::vector<std::pair<uint32_t, uint32_t>> all;
  for (uint32_t i = 0; i < entries_.size(); i++) {
    if (entries_[i].state > State::query) continue;
    if (auto raw = this->raw(entries_[i], guest)) all.emplace_back(token_of(i, entries_[i]), *raw);
  }
  return all;
}

void TokenTable::commit() {
  undoing_ = false;
  for (const auto& [index, entry] : ended_) free_.push_back(index);
  ended_.clear();
  added_.clear();
}

void TokenTable::roll_back() {
  undoing_ = false;
  // Entries are restored last one first: one that was made and ended within the span comes back as made, and is ended
  // below.
  for (; !ended_.empty(); ended_.pop_back()) entries_[ended_.back().first] = ended_.back().second;
  for (uint32_t token : added_) end(token, State::rolled_back);
  added_.clear();
}

}  // namespace rotor::proxy
