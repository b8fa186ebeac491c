// Replays traces on a TraceExecutor, and compares every result.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "hosts/wasm_bindgen/trace.h"
#include "rotor/result.h"

namespace rotor::wasm_bindgen {

/// An argument with its handles put in.
struct ReplayArg {
  enum class Kind : uint8_t { number, handle, bytes, u32s, handles };  ///< handles: u32s, at least one of them a handle
  Kind kind = Kind::number;
  TraceNumber number;
  uint32_t handle = 0;
  std::span<const uint8_t> bytes;
  std::span<const uint32_t> elements;
};

/// What a call returned: the member that its TraceResult names.
struct ReplayReply {
  TraceNumber number;
  uint32_t handle = 0;
  std::vector<uint8_t> data;
  std::vector<uint32_t> handles;
};

/// Runs single calls: on a plain host, or through a proxy's lease. A handle is any number that it returned for one.
class TraceExecutor {
 public:
  virtual ~TraceExecutor() = default;
  /// Called before the calls of a trace that names these exports, again if they change. Errors: not_found.
  virtual Result<void> prepare(std::span<const std::string> names) = 0;
  /// Runs a call. `name` is an index in what `prepare` was given.
  virtual Result<void> call(uint32_t name, std::span<const ReplayArg> args, TraceResult result, ReplayReply& reply) = 0;
};

/// A call of a trace that returned something else than that expects, the first time that it did.
struct Mismatch {
  std::string file;   ///< the trace's
  uint32_t line = 0;  ///< in the file, from 1
  std::string name;
  std::string expected;
  std::string actual;
  uint64_t run = 0;    ///< ReplayReport::runs before that one
  uint64_t times = 1;  ///< in how many runs
};

struct ReplayReport {
  static constexpr size_t kMaxMismatches = 100;  ///< lines that are told of
  uint64_t runs = 0;                             ///< of traces, begun
  uint64_t calls = 0;
  uint64_t checked = 0;
  uint64_t equal = 0;
  std::vector<Mismatch> mismatches;
  bool all_equal() const { return equal == checked; }
};

/// Keeps the handles of all traces it has replayed. A trace may be replayed again: its handles are then the new ones.
class TraceReplayer {
 public:
  explicit TraceReplayer(TraceExecutor& executor) : executor_(executor) {}

  /// Called with (calls done, calls in all) before each call, if set.
  std::function<void(uint64_t, uint64_t)> on_progress;

  /// Replays a trace and adds to `report`, also if it fails half-way. Errors: those of the executor, with `file:line:
  /// export: ` in front.
  Result<void> run(const Trace& trace, ReplayReport& report);

 private:
  Result<void> run_call(const Trace& trace, uint32_t index, ReplayReport& report);
  Result<uint32_t> handle(HandleRef ref) const;
  Result<void> resolve(const Trace& trace, const TraceCall& call);
  void keep(const TraceCall& call, uint32_t number);

  TraceExecutor& executor_;
  const Trace* prepared_ = nullptr;
  std::vector<uint32_t> handles_;  ///< by number of the call
  std::unordered_map<uint32_t, std::vector<uint32_t>> vectors_;
  // Reused by each call.
  std::vector<ReplayArg> args_;
  std::vector<uint32_t> elements_;
  ReplayReply reply_;
};

/// Return results as a trace states them: for messages, and to compare.
std::string to_text(const TraceNumber& number);
std::string to_text(const ExpectedData& data);
ExpectedData digest(std::span<const uint8_t> data);

}  // namespace rotor::wasm_bindgen
