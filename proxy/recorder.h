// Between the host's calls and the guest's: translates tokens both ways and records what builds state.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "proxy/live_guest.h"
#include "proxy/log.h"
#include "proxy/tokens.h"

namespace rotor::proxy {

/// A call on its way into the guest.
struct PreparedCall {
  std::vector<RawArg> args;
  std::vector<std::vector<uint32_t>> raw_handles;  ///< of vectors of handles; `args` points into it
  std::vector<uint32_t> consumed;                  ///< tokens that end when it returns
  bool builds = false;                             ///< the handles it returns are part of the state
  std::shared_ptr<LogCall> record;                 ///< null: not recorded
};

/// Used by the thread that holds the lease.
class Recorder {
 public:
  Recorder(const Plan& plan, Log& log, bool enabled)
      : plan_(plan), log_(log), tokens_(plan), enabled_(enabled), recording_(enabled) {}

  /// Checks and translates arguments. Errors: type_mismatch, stale_handle; invalid_argument (can't be recorded).
  Result<void> prepare(uint32_t export_index, std::span<const Arg> args, const LiveGuest& active, PreparedCall& call);
  /// Ends consumed tokens, translates results, appends to the log. `call_number` is set for a call outside an explicit
  /// lease. Errors: host (the guest's error result), limit (TokenTable::kMaxLive).
  Result<Reply> finish(uint32_t export_index, PreparedCall& call, RawReply&& raw, LiveGuest& active,
                       std::optional<uint64_t> call_number);
  Result<uint32_t> resolve(uint32_t token, const LiveGuest& active) const;

  /// Ends the query handles that the ending lease got.
  void end_lease();
  /// Ends all query handles: their instance is retired.
  void swapped(uint64_t rotation);
  /// Whether there is a live query handle of no lease that is younger than `bound` calls.
  bool holds_swap(uint64_t calls, uint64_t bound);
  /// False: off, or a bound of the log was reached; tokens stay.
  bool recording() const { return recording_; }

 private:
  struct Taken {
    uint32_t raw = 0;
    HandleId id = kNullHandle;
  };
  /// What the arguments of one call are made of, as far as recording asks.
  struct Handles {
    bool ends_built = false;
    uint32_t query_export = kNoExport;  ///< that returned one of them
  };
  Result<Taken> take_handle(uint32_t token, ArgKind kind, const LiveGuest& active, PreparedCall& call,
                            Handles& seen) const;
  Result<RawArg> take_arg(ArgKind kind, ValType type, const Arg& arg, const LiveGuest& active, PreparedCall& call,
                          LogCall* record, Handles& seen) const;
  Result<std::span<const uint8_t>> take_handles(ArgKind kind, const Arg& arg, const LiveGuest& active,
                                                PreparedCall& call, LogCall* record, Handles& seen) const;
  Result<uint32_t> give_handle(uint32_t export_index, uint32_t raw, const PreparedCall& call, LiveGuest& active,
                               std::optional<uint64_t> call_number);
  void prune_kept();

  const Plan& plan_;
  Log& log_;
  TokenTable tokens_;
  const bool enabled_;  ///< false: tokens are raw values
  bool recording_;
  std::vector<uint32_t> lease_handles_;  ///< query tokens of the current lease, freed ones included
  std::vector<uint32_t> kept_handles_;   ///< query tokens that no lease ends, freed ones included until pruned
  size_t prune_at_ = 64;
  uint64_t last_kept_call_ = 0;
};

}  // namespace rotor::proxy
