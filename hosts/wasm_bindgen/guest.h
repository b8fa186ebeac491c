// wasm-bindgen guests for a proxy: BindgenHost as rotor::Guest.
//
//   auto proxy = Proxy::create(module, bindgen_guests(engine, module), policy);
#pragma once

#include <memory>
#include <string>

#include "hosts/wasm_bindgen/host.h"
#include "rotor/proxy.h"

namespace rotor::wasm_bindgen {

/// One guest of a proxy, its host objects and its workers.
class BindgenGuest final : public Guest {
 public:
  explicit BindgenGuest(std::unique_ptr<BindgenHost> host);

  BindgenHost& host() { return *host_; }
  Instance& instance() override { return host_->instance(); }
  std::string describe_error(ExternRef error) override { return host_->describe(error); }
  /// Starts the workers. For names that the rule leaves empty, and a deadline of 0, BindgenOptions::pool counts.
  Result<void> start_workers(const GroupRule& group) override;
  /// Stops the workers. Errors: those of BindgenHost::stop; that of a worker that failed since the last stop.
  Result<void> stop_workers(const GroupRule& group) override;
  Result<std::shared_ptr<const void>> save() override { return host_->save_objects(); }
  void on_trap() override { host_->set_trapped(); }

 private:
  void apply(const GroupRule& group);

  std::unique_ptr<BindgenHost> host_;
  const PoolOptions defaults_;
};

/// Returns a factory whose guests all draw random bytes from one generator, `options.random`, so that none repeats what
/// another has drawn.
GuestFactory bindgen_guests(const Engine& engine, const Module& module, BindgenOptions options = {});

}  // namespace rotor::wasm_bindgen
