// The log: the calls that built state, symbolically, in the order they were made.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "proxy/policy.h"
#include "proxy/tokens.h"
#include "rotor/func.h"

namespace rotor::proxy {

inline constexpr HandleId kNullHandle = UINT32_MAX;

/// A recorded call, with every handle named by its HandleId. Immutable once appended.
struct LogCall {
  uint32_t export_index = 0;
  /// By argument: a scalar's bits, a HandleId, or how many bytes of `data` are its.
  std::vector<Slot> args;
  /// Contents of the arguments that are bytes or vectors, one after the other. Handles as HandleIds.
  std::vector<uint8_t> data;

  // What it returned; a replay that returns anything else has diverged.
  std::vector<Slot> scalars;
  uint32_t handle_count = 0;  ///< 0 included, whether single or in a vector
  bool guest_error = false;

  uint64_t cost_ns = 0;  ///< what it took on the active

  uint64_t size_bytes() const { return sizeof *this + data.size() + (args.size() + scalars.size()) * sizeof(Slot); }
  /// Export and arguments: equal for calls that are.
  std::string key() const;
};

/// Appended to by the thread that holds the lease, read by the background thread.
class Log {
 public:
  Log(uint64_t max_calls, uint64_t max_bytes) : max_calls_(max_calls), max_bytes_(max_bytes) {}

  /// False: a bound is reached, and the log is empty from now on.
  bool append(std::shared_ptr<const LogCall> call, bool once);
  /// Whether a call of an export marked `once` was recorded with these arguments.
  bool has_once(const std::string& key) const;
  void give_up();

  uint64_t size() const;
  uint64_t size_bytes() const;
  uint64_t cost_ns() const;  ///< of all calls
  /// At most `max` calls, from `first` on.
  std::vector<std::shared_ptr<const LogCall>> read(uint64_t first, size_t max) const;

 private:
  const uint64_t max_calls_;
  const uint64_t max_bytes_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const LogCall>> calls_;
  uint64_t bytes_ = 0;
  uint64_t cost_ns_ = 0;
  std::unordered_set<std::string> once_;
};

}  // namespace rotor::proxy
