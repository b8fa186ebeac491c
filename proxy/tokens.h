// Tokens, which the host holds in place of the guest's pointers.
//
// A token has bit 31 set, so that one which reaches a guest untranslated is out of reach of most memories; below it a
// generation and an index into the table. An entry that ended is reused as late as possible, and remembers until then
// what it was and why it ended.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "proxy/live_guest.h"
#include "proxy/policy.h"

namespace rotor::proxy {

class TokenTable {
 public:
  static constexpr uint32_t kIndexBits = 22;
  static constexpr uint32_t kMaxLive = 1u << kIndexBits;
  static constexpr uint32_t kGenerations = 1u << (31 - kIndexBits);
  static constexpr uint32_t kMinFree = 4096;  ///< entries that have ended and are not yet reused

  enum class State : uint8_t { built, query, released, lease_ended, swapped_out, rolled_back };
  struct Entry {
    State state = State::released;
    uint16_t generation = 0;
    uint32_t export_index = 0;  ///< of the call that returned it
    uint32_t raw = 0;           ///< the guest's pointer, in guest number `guest`
    uint64_t guest = 0;
    HandleId id = kNullHandle;
    uint64_t rotation = 0;  ///< swapped_out: the rotation that ended it
  };

  explicit TokenTable(const Plan& plan) : plan_(plan) {}

  /// Returns a token for a handle of guest number `guest`; 0 for the handle 0. Errors: limit (kMaxLive).
  Result<uint32_t> add(State state, uint32_t export_index, HandleId id, uint32_t raw, uint64_t guest);
  /// Returns the entry of a token, or null if it is none or has ended. Valid until the next add.
  Entry* live(uint32_t token) {
    const uint32_t index = index_of(token);
    if (!(token & kTokenBit) || index >= entries_.size()) return nullptr;
    Entry& entry = entries_[index];
    if (generation_of(token) != entry.generation || entry.state > State::query) return nullptr;
    return &entry;
  }
  /// Returns the entry of a token, as `live`. Errors: stale_handle, saying what the token was and what ended it.
  Result<Entry*> find(uint32_t token) {
    if (Entry* entry = live(token)) [[likely]]
      return entry;
    return std::unexpected(stale(token));
  }
  /// Returns the guest's pointer behind a live entry. Errors: stale_handle (the guest has no such handle, which is a
  /// bug in Rotor).
  Result<uint32_t> raw(Entry& entry, const LiveGuest& guest) {
    if (entry.guest == guest.number) [[likely]]
      return entry.raw;
    return look_up(entry, guest);
  }
  void end(uint32_t token, State why, uint64_t rotation = 0);
  /// Returns the live entry of the oldest handle that builds by an export returned, or null. Valid until the next add.
  Entry* oldest(uint32_t export_index);
  /// Returns (token, raw) of all live entries.
  std::vector<std::pair<uint32_t, uint32_t>> all_raw(const LiveGuest& guest);

  /// Begins a span that roll_back can take back: tokens that are added or ended. `commit` keeps it.
  void begin_undo() { undoing_ = true; }
  void commit();
  void roll_back();

 private:
  static constexpr uint32_t kTokenBit = 1u << 31;
  static uint32_t index_of(uint32_t token) { return token & (kMaxLive - 1); }
  static uint32_t generation_of(uint32_t token) { return token >> kIndexBits & (kGenerations - 1); }
  static uint32_t token_of(uint32_t index, const Entry& entry) {
    return kTokenBit | uint32_t{entry.generation} << kIndexBits | index;
  }
  Error stale(uint32_t token) const;
  Result<uint32_t> look_up(Entry& entry, const LiveGuest& guest) const;

  const Plan& plan_;
  std::vector<Entry> entries_;
  std::deque<uint32_t> free_;  ///< indices in the order they ended
  bool undoing_ = false;
  std::vector<std::pair<uint32_t, Entry>> ended_;  ///< index, and the entry before it ended
  std::vector<uint32_t> added_;                    ///< tokens
};

}  // namespace rotor::proxy
