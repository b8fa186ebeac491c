// Runs the calls of a trace through a proxy's lease. What each call's results mean is the policy's to say; where the
// trace disagrees, that is an error.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "hosts/wasm_bindgen/trace_replayer.h"
#include "rotor/proxy.h"

namespace rotor::wasm_bindgen {

class LeaseExecutor final : public TraceExecutor {
 public:
  LeaseExecutor(const Module& module, bool rotating) : module_(module), rotating_(rotating) {}

  /// Sets the lease that the following calls are part of. `compare_with`: their results must equal those of the first
  /// lease that was begun with the same trace; null: they are not compared. Where the trace says that data varies, only
  /// its size is compared.
  void begin(Lease& lease, const Trace* compare_with);
  Result<void> prepare(std::span<const std::string> names) override;
  Result<void> call(uint32_t name, std::span<const ReplayArg> args, TraceResult result, ReplayReply& reply) override;

  /// Gives up the handles that this lease's calls returned and no call released (Lease::drop): no other repetition of
  /// the trace can name them. For RotationMode::checkpoint.
  void drop_returned();

  /// Returns how many results of this lease's calls differ from those of the first lease.
  uint64_t differing() const { return differing_; }

 private:
  struct Target {
    std::string name;
    FuncType type;
  };
  /// What is compared: a number, the count of handles, the data.
  struct Seen {
    TraceNumber number;
    std::vector<uint8_t> data;
    bool operator==(const Seen&) const = default;
  };

  Result<void> convert(const Target& target, std::span<const ReplayArg> args);
  Result<void> take(const Target& target, Reply& from, TraceResult result, ReplayReply& reply);
  void compare(TraceResult result, const ReplayReply& reply);

  const Module& module_;
  const bool rotating_;
  Lease* lease_ = nullptr;
  const Trace* compare_with_ = nullptr;
  std::map<const Trace*, std::vector<Seen>> firsts_;
  std::vector<Seen>* first_ = nullptr;  ///< of `compare_with_`
  bool is_first_ = false;
  size_t call_ = 0;                 ///< of this lease
  std::vector<uint32_t> returned_;  ///< handles, by this lease's calls
  uint64_t differing_ = 0;
  std::vector<Target> targets_;
  std::vector<Arg> args_;
};

}  // namespace rotor::wasm_bindgen
