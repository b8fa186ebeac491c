// Tokens: what the host holds in place of the guest's pointers.
//
// A token has bit 31 set, so that one which reaches a guest untranslated is out of reach of most memories; below it a
// generation and an index into the table. An entry that ended is reused as late as possible, and remembers until then
// what it was and why it ended.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "proxy/live_guest.h"
#include "proxy/policy.h"

namespace rotor::proxy {

/// The handles that recorded calls returned, numbered in the order of the log.
using HandleId = uint32_t;

class TokenTable {
 public:
  static constexpr uint32_t kIndexBits = 22;
  static constexpr uint32_t kMaxLive = 1u << kIndexBits;
  static constexpr uint32_t kGenerations = 1u << (31 - kIndexBits);
  static constexpr uint32_t kMinFree = 4096;  ///< entries that have ended and are not yet reused

  enum class State : uint8_t { built, query, released, lease_ended, swapped_out };
  struct Entry {
    State state = State::released;
    uint16_t generation = 0;
    uint32_t export_index = 0;  ///< of the call that returned it
    uint32_t value = 0;         ///< built: HandleId; query: the raw value
    uint64_t rotation = 0;      ///< swapped_out: the rotation that ended it
  };

  explicit TokenTable(const Plan& plan) : plan_(plan) {}

  /// Tokens for handles of the active; 0 stands for 0. Errors: limit (kMaxLive).
  Result<uint32_t> add_built(uint32_t export_index, HandleId id);
  Result<uint32_t> add_query(uint32_t export_index, uint32_t raw);
  /// Null if the token is none or has ended. Valid until the next add.
  const Entry* live(uint32_t token) const;
  /// The same. Errors: stale_handle, saying what the token was and what ended it.
  Result<const Entry*> find(uint32_t token) const;
  void end(uint32_t token, State why, uint64_t rotation = 0);

 private:
  Result<uint32_t> add(Entry entry);
  static uint32_t index_of(uint32_t token) { return token & (kMaxLive - 1); }
  static uint32_t generation_of(uint32_t token) { return token >> kIndexBits & (kGenerations - 1); }

  const Plan& plan_;
  std::vector<Entry> entries_;
  std::deque<uint32_t> free_;  ///< indices in the order they ended
};

}  // namespace rotor::proxy
