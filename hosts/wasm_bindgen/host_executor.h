// Runs the calls of a trace on a plain host: no proxy, handles are the guest's pointers.
#pragma once

#include <string>
#include <vector>

#include "hosts/wasm_bindgen/host.h"
#include "hosts/wasm_bindgen/trace_replayer.h"

namespace rotor::wasm_bindgen {

class HostExecutor : public TraceExecutor {
 public:
  explicit HostExecutor(BindgenHost& host) : host_(host) {}
  Result<void> prepare(std::span<const std::string> names) override;
  Result<void> call(uint32_t name, std::span<const ReplayArg> args, TraceResult result, ReplayReply& reply) override;

 private:
  struct Target {
    Func func;
    FuncType type;
    std::string name;
  };
  Result<void> marshal(const Target& target, std::span<const ReplayArg> args);
  Result<void> unmarshal(const Target& target, TraceResult result, ReplayReply& reply);
  Result<void> push(const Target& target, size_t& next, const TraceNumber& number);

  BindgenHost& host_;
  std::vector<Target> targets_;
  std::vector<Slot> slots_;
  std::vector<GuestSpan> passed_;  ///< to free after the call, under the plain ABI
};

}  // namespace rotor::wasm_bindgen
