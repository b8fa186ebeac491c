#include "proxy/checkpoint_state.h"

namespace rotor::proxy {

void CheckpointState::note_taken(uint64_t now_ns, uint64_t cost_ns, double use) {
  exists_ = tried_ = true;
  failed_ = paid_ = false;
  changes_ = 0;
  use_ = use;
  begun_ns_ = now_ns - cost_ns;
  cost_ns_ = cost_ns;
}

void CheckpointState::note_failed(uint64_t now_ns, uint64_t cost_ns) {
  tried_ = failed_ = true;
  begun_ns_ = now_ns - cost_ns;
  cost_ns_ = cost_ns;
}

bool CheckpointState::is_due(uint64_t now_ns, double use) const {
  if (!tried_) return true;
  if (static_cast<double>(cost_ns_) <= rule_.cpu * static_cast<double>(now_ns - begun_ns_)) return true;
  // One that stands above warm_at serves a trap only, for which the bound on time will do.
  return exists_ && !failed_ && use < warm_at_ && (paid_ || use >= use_ + rule_.grown);
}

}  // namespace rotor::proxy
