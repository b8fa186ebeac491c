// A recorded call: what the host passed to the guest, symbolically, and what the call returned.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "proxy/policy.h"
#include "rotor/func.h"

namespace rotor::proxy {

/// A handle that a call returned, numbered once and for all: never used again for another one.
using HandleId = uint64_t;
inline constexpr HandleId kNullHandle = 0;

/// The symbol for a number of the host's that is an address in the guest: where the host had it from.
struct Symbol {
  enum class Kind : uint8_t { none, argument, nested };
  Kind kind = Kind::none;
  uint32_t index = 0;  ///< of the import's arguments, or of the answer's nested results
};

/// What a host function did to its guest while it answered.
struct HostEffect {
  enum class Kind : uint8_t { write, follow, table_set, table_grow, nested_call };
  Kind kind = Kind::write;
  Symbol base = {};       ///< write, follow: what the address is relative to
  uint64_t offset = 0;    ///< write, follow: from the base; table_set: the index; table_grow: by how much
  std::string name = {};  ///< of the table or the export
  ValType type = ValType::i32;
  Slot slot = 0;  ///< the element
  std::vector<uint8_t> bytes = {};
  std::vector<Value> args = {};      ///< of the nested call
  std::vector<Symbol> symbols = {};  ///< what stands for each of them
  uint32_t result_count = 0;
};

/// One call of an imported function, and all that it answered.
struct HostAnswer {
  uint32_t import_index = 0;
  std::vector<Slot> args = {};
  std::vector<Slot> results = {};
  std::vector<Symbol> result_symbols = {};
  std::vector<HostEffect> effects = {};
  std::optional<Error> error = {};  ///< that it failed with

  uint64_t size_bytes() const;
};

/// Immutable once it is in the log.
struct LogCall {
  uint64_t seq = 0;  ///< place in the order of calls
  uint32_t export_index = 0;
  /// Per argument: a scalar's bits, a HandleId, or how many bytes of `data` belong to it.
  std::vector<Slot> args = {};
  /// Contents of the arguments that are bytes or vectors, one after the other. Handles as HandleIds.
  std::vector<uint8_t> data = {};

  // The results; a replay that returns anything else has diverged.
  std::vector<Slot> scalars = {};
  std::vector<HandleId> made = {};  ///< single or in a vector; kNullHandle where the guest returned null
  uint64_t data_hash = 0;           ///< of bytes and vectors of numbers
  bool guest_error = false;

  /// Whether it was a query until a build took a handle that it returned.
  bool promoted = false;
  std::vector<HostAnswer> answers = {};
  uint64_t cost_ns = 0;  ///< that it took on the active

  uint64_t size_bytes() const;
  /// Returns export and arguments as a string: equal for calls that are equal.
  std::string identity() const;
  /// Returns the string that the policy's `key` makes of the call: equal for calls of which the last one wins.
  std::string key(const ExportPlan& plan) const;
};

/// Calls `visit(HandleId, bool ends)` for each handle among the arguments that is not null.
template <class Visit>
void each_taken(const ExportPlan& plan, const LogCall& call, Visit visit) {
  size_t at = 0;
  for (size_t i = 0; i < call.args.size(); i++) {
    const ArgKind kind = plan.args[i];
    if (takes_data(kind)) {
      if (takes_handles(kind)) {
        for (size_t offset = 0; offset < call.args[i]; offset += sizeof(HandleId)) {
          HandleId id = 0;
          std::memcpy(&id, &call.data[at + offset], sizeof id);
          if (id != kNullHandle) visit(id, consumes(kind));
        }
      }
      at += call.args[i];
    } else if (kind != ArgKind::scalar && call.args[i] != kNullHandle) {
      visit(call.args[i], consumes(kind));
    }
  }
}

/// Returns whether a call may have changed more than the handles that it takes and makes: then it is replayed whatever
/// became of those.
inline bool changes_more(const ExportPlan& plan, const LogCall& call) {
  return plan.effect == Effect::build && !plan.local && !call.promoted;
}

uint64_t hash_bytes(uint64_t seed, std::span<const uint8_t> bytes);

}  // namespace rotor::proxy
