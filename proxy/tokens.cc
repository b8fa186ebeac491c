#include "proxy/tokens.h"

#include <fmt/format.h>

#include <cassert>

namespace rotor::proxy {
namespace {

constexpr uint32_t kTokenBit = 1u << 31;

std::string why(const TokenTable::Entry& entry) {
  switch (entry.state) {
    case TokenTable::State::lease_ended: return "it ended with its lease";
    case TokenTable::State::swapped_out: return fmt::format("rotation {} ended it", entry.rotation);
    default: return "it was released or consumed";
  }
}

}  // namespace

Result<uint32_t> TokenTable::add(Entry entry) {
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
  return kTokenBit | uint32_t{entry.generation} << kIndexBits | index;
}

Result<uint32_t> TokenTable::add_built(uint32_t export_index, HandleId id) {
  return add({.state = State::built, .export_index = export_index, .value = id});
}

Result<uint32_t> TokenTable::add_query(uint32_t export_index, uint32_t raw) {
  return add({.state = State::query, .export_index = export_index, .value = raw});
}

const TokenTable::Entry* TokenTable::live(uint32_t token) const {
  uint32_t index = index_of(token);
  if (!(token & kTokenBit) || index >= entries_.size()) return nullptr;
  const Entry& entry = entries_[index];
  if (generation_of(token) != entry.generation || entry.state > State::query) return nullptr;
  return &entry;
}

Result<const TokenTable::Entry*> TokenTable::find(uint32_t token) const {
  if (const Entry* entry = live(token)) [[likely]]
    return entry;
  uint32_t index = index_of(token);
  if (!(token & kTokenBit) || index >= entries_.size())
    return fail(ErrorKind::stale_handle, fmt::format("{:#x} is no handle of this proxy", token));
  const Entry& entry = entries_[index];
  if (generation_of(token) != entry.generation)
    return fail(ErrorKind::stale_handle, fmt::format("stale handle {:#x}: it ended long ago", token));
  return fail(ErrorKind::stale_handle,
              fmt::format("stale handle {:#x} of {}: {}", token, plan_.exports[entry.export_index].name, why(entry)));
}

void TokenTable::end(uint32_t token, State why, uint64_t rotation) {
  assert(live(token));
  uint32_t index = index_of(token);
  entries_[index].state = why;
  entries_[index].rotation = rotation;
  free_.push_back(index);
}

}  // namespace rotor::proxy
