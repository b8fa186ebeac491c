#include "hosts/wasm_bindgen/guest.h"

namespace rotor::wasm_bindgen {

BindgenGuest::BindgenGuest(std::unique_ptr<BindgenHost> host)
    : host_(std::move(host)), defaults_(host_->pool_options()) {}

void BindgenGuest::apply(const GroupRule& group) {
  PoolOptions pool = defaults_;
  if (!group.start.empty()) pool.start = group.start;
  if (!group.stop.empty()) pool.stop = group.stop;
  if (!group.thread_exit.empty()) pool.thread_exit = group.thread_exit;
  if (group.stop_deadline_ms) pool.stop_deadline_ms = group.stop_deadline_ms;
  host_->set_pool_options(std::move(pool));
}

Result<void> BindgenGuest::start_workers(const GroupRule& group) {
  apply(group);
  return group.workers ? host_->start_pool(group.workers) : Result<void>();
}

Result<void> BindgenGuest::stop_workers(const GroupRule& group) {
  apply(group);
  ROTOR_CHECK(host_->stop());
  // A worker that failed may have left locks held, and work half done, in the guest's memory.
  std::vector<Error> ended_badly = host_->take_worker_errors();
  if (!ended_badly.empty()) return std::unexpected(std::move(ended_badly.front()));
  return {};
}

GuestFactory bindgen_guests(const Engine& engine, const Module& module, BindgenOptions options) {
  if (!options.random) options.random = std::make_shared<SharedRandom>();
  return [engine, module, options](const GuestRequest& request) -> Result<std::unique_ptr<Guest>> {
    ROTOR_TRY(std::unique_ptr<BindgenHost> host, BindgenHost::create(engine, module, options, &request));
    return std::make_unique<BindgenGuest>(std::move(host));
  };
}

}  // namespace rotor::wasm_bindgen
