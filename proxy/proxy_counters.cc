// Proxy::counters.
#include "proxy/proxy_impl.h"

namespace rotor::proxy {

ProxyCounters ProxyImpl::counters() const {
  ProxyCounters counters;
  counters.calls = calls_;
  counters.leases = leases_;
  counters.waiting = gate_.waiting();
  counters.traps = traps_;
  counters.retries = retries_;
  counters.stale_handles = stale_handles_;
  counters.rotations = rotations_;
  counters.rotations_trap = rotations_trap_;
  counters.rotations_force = rotations_force_;
  counters.rotations_image = rotations_image_;
  counters.log_calls = log_->size();
  counters.log_bytes = log_->size_bytes();
  counters.log_replay_ns = log_->cost_ns();
  counters.log_recorded = log_->recorded();
  counters.log_compactions = log_->compactions();
  counters.log_cuts = log_->cuts();
  counters.swap_pause_ns_last = pause_ns_last_;
  counters.swap_pause_ns_max = pause_ns_max_;
  counters.swap_pause_ns_total = pause_ns_total_;
  counters.wait_ns_max = wait_ns_max_;
  counters.memory_bytes = memory_bytes_;
  counters.reclaimed_bytes = reclaimed_bytes_;
  counters.denied_growths = denied_growths_;
  counters.heap_live_bytes = heap_live_bytes_;
  counters.heap_limit_bytes = heap_limit_bytes_;
  counters.heap_collections = heap_collections_;
  counters.heap_pause_ns_max = heap_pause_ns_max_;
  counters.drain_overdue = drain_overdue_;
  counters.probes = probes_;
  counters.probes_failed = probes_failed_;
  counters.probes_skipped = probes_skipped_;
  counters.rotating = rotating_;
  warmer_->report(counters);
  if (rewinder_) rewinder_->report(counters);
  // These retired instances are not yet the background thread's: those that leases stay on, and the one kept back until
  // the next call.
  counters.retired += gate_.draining(&counters.retired_bytes) + (kept_back_bytes_ ? 1 : 0);
  counters.retired_bytes += kept_back_bytes_;
  std::lock_guard lock(off_reason_mutex_);
  counters.off_reason = off_reason_;
  return counters;
}

}  // namespace rotor::proxy
