// Stands between the host's calls and the guest's: translates tokens both ways, and records what builds state.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/live_guest.h"
#include "proxy/log.h"
#include "proxy/provisional.h"
#include "proxy/tokens.h"

namespace rotor::proxy {

/// A call on its way into the guest.
struct PreparedCall {
  std::vector<RawArg> args;
  std::vector<std::vector<uint32_t>> raw_handles;   ///< the pointers for vectors of handles; `args` points into it
  std::vector<uint32_t> consumed;                   ///< tokens that end when it returns
  bool builds = false;                              ///< the handles it returns are part of the state
  std::shared_ptr<LogCall> record;                  ///< what goes into the log; null: nothing for now
  std::shared_ptr<Provisional> provisional;         ///< kept in case a build takes a handle that it returns
  std::vector<std::shared_ptr<Provisional>> needs;  ///< queries whose handles it takes
  std::vector<HandleId> takes_built;

  bool is_kept() const { return record || provisional; }
  LogCall* kept() const { return record ? record.get() : provisional ? provisional->call.get() : nullptr; }
};

/// Returns the hash of results that are bytes or a vector of numbers; 0 if there are none.
uint64_t hash_of(const ExportPlan& plan, std::span<const uint8_t> bytes, std::span<const uint32_t> vector);

/// Used only by the thread that holds the lease.
class Recorder {
 public:
  Recorder(const Plan& plan, Log& log, bool enabled)
      : plan_(plan), log_(log), tokens_(plan), enabled_(enabled), recording_(enabled) {}

  /// Checks and translates arguments. Errors: type_mismatch, stale_handle; invalid_argument (can't be recorded).
  Result<void> prepare(uint32_t export_index, std::span<const Arg> args, const LiveGuest& active, PreparedCall& call);
  /// Ends consumed tokens, translates results, appends to the log. `call_number` is set for a call outside an explicit
  /// lease. Errors: host (the guest's error result), limit (TokenTable::kMaxLive).
  Result<Reply> finish(uint32_t export_index, PreparedCall& call, RawReply&& raw, const LiveGuest& active,
                       std::optional<uint64_t> call_number);

  /// Translates the results of a call that neither takes nor returns a handle of the host's: nothing is looked up.
  static Result<Reply> plain_reply(const ExportPlan& plan, RawReply&& raw);
  /// Makes a whole call on a guest that is retired; `raw_of` maps tokens to its pointers. Pre: the call returns no
  /// handle and ends none.
  Result<Reply> call_detached(uint32_t export_index, std::span<const Arg> args, LiveGuest& guest,
                              const std::unordered_map<uint32_t, uint32_t>& raw_of) const;

  /// Replaces the handles among the slots (a bit per parameter in `handle_params`) by pointers, the shortest way.
  /// Returns false, and changes nothing, if `resolve` has to look at one of them.
  bool translate(uint32_t handle_params, Slot* slots, const LiveGuest& active) {
    if (!enabled_) return true;
    // All are looked at first, and only then replaced: none is translated if one can't be.
    for (uint32_t left = handle_params; left; left &= left - 1) {
      const auto token = static_cast<uint32_t>(slots[std::countr_zero(left)]);
      const TokenTable::Entry* entry = tokens_.live(token);
      if (token != 0 && (!entry || entry->guest != active.number)) [[unlikely]]
        return false;
    }
    for (uint32_t left = handle_params; left; left &= left - 1) {
      Slot& slot = slots[std::countr_zero(left)];
      if (const auto token = static_cast<uint32_t>(slot)) slot = tokens_.live(token)->raw;
    }
    return true;
  }
  Result<uint32_t> resolve(uint32_t token, const LiveGuest& active);
  /// Returns the oldest handle that lives of those that builds by an export returned, with the guest's pointer; nothing
  /// if none lives.
  std::optional<std::pair<HandleId, uint32_t>> oldest(uint32_t export_index, const LiveGuest& active) {
    TokenTable::Entry* entry = tokens_.oldest(export_index);
    if (!entry) return std::nullopt;
    auto raw = tokens_.raw(*entry, active);
    return raw ? std::optional(std::pair(entry->id, *raw)) : std::nullopt;
  }
  /// Returns (token, raw) of all live handles, for a lease that stays behind on the guest.
  std::vector<std::pair<uint32_t, uint32_t>> all_raw(const LiveGuest& guest) { return tokens_.all_raw(guest); }

  /// Makes a query handle outlive its lease. Errors: stale_handle.
  Result<void> keep(uint32_t token, uint64_t calls);
  /// Ends the query handles that the ending lease got.
  void end_lease() {
    if (!lease_handles_.empty()) [[unlikely]]
      end_lease_handles();
  }
  /// Ends all query handles: their instance is retired.
  void swapped(uint64_t rotation);
  /// Returns whether there is a live query handle of no lease, the last of which was given less than `bound` calls ago.
  bool holds_swap(uint64_t calls, uint64_t bound);

  /// Returns whether calls are recorded: not if rotation is off, or the log was given up; tokens are used even so.
  bool recording() const { return recording_; }
  /// Stops recording for good: something can't be recorded.
  void give_up() {
    recording_ = false;
    log_.give_up();
  }
  /// Returns, once, whether the log grew by enough to be worth a compaction.
  bool compaction_due() { return std::exchange(compaction_due_, false); }
  /// Returns, once, whether the log comes close to a bound, or is over one. Not within a span that can be taken back:
  /// what it recorded has yet to get its place.
  bool shortening_due() { return !undoing_ && std::exchange(shortening_due_, false); }

  /// Begins a span that roll_back can take back: what is recorded, and the tokens that end or are given. `commit` keeps
  /// it.
  void begin_undo();
  void commit();
  void roll_back();

 private:
  struct Taken {
    uint32_t raw = 0;
    HandleId id = kNullHandle;
  };
  /// What recording has to know of one call's arguments.
  struct Seen {
    bool ends_built = false;
    bool ends_query = false;
  };
  Result<Taken> take_handle(uint32_t token, ArgKind kind, const LiveGuest& active, PreparedCall& call, Seen& seen);
  Result<RawArg> take_arg(ArgKind kind, ValType type, const Arg& arg, const LiveGuest& active, PreparedCall& call,
                          LogCall* record, Seen& seen);
  Result<std::span<const uint8_t>> take_handles(ArgKind kind, const Arg& arg, const LiveGuest& active,
                                                PreparedCall& call, LogCall* record, Seen& seen);
  Result<uint32_t> give_handle(uint32_t export_index, uint32_t raw, PreparedCall& call, const LiveGuest& active,
                               std::optional<uint64_t> call_number);
  bool has_once(const LogCall& call) const;
  void end_consumed(PreparedCall& call);
  void end_token(uint32_t token, TokenTable::State why, uint64_t rotation = 0);
  void promote(Provisional& query);
  bool unchanged_since(const Provisional& query) const;
  /// Returns the query that can't enter the log any more, of those that would with this one; null: all can.
  const Provisional* too_late(const Provisional& query, std::vector<const Provisional*>& seen) const;
  void emit(std::shared_ptr<const LogCall> call);
  void append(std::shared_ptr<const LogCall> call);
  void prune_kept();
  bool is_query(uint32_t token);
  void end_lease_handles();

  const Plan& plan_;
  Log& log_;
  TokenTable tokens_;
  const bool enabled_;  ///< false: tokens are raw values
  bool recording_;
  bool compaction_due_ = false;
  bool shortening_due_ = false;
  std::unordered_map<HandleId, std::shared_ptr<Provisional>> provisional_;  ///< of live query handles
  std::vector<uint32_t> lease_handles_;  ///< query tokens of the current lease, freed ones included
  std::vector<uint32_t> kept_handles_;   ///< query tokens that no lease ends, freed ones included until pruned
  size_t prune_at_ = 64;
  uint64_t last_kept_call_ = 0;

  bool undoing_ = false;
  std::vector<std::shared_ptr<const LogCall>> pending_;  ///< to be recorded by commit
  std::vector<uint32_t> promoted_;                       ///< tokens of query handles that were taken by builds
};

}  // namespace rotor::proxy
