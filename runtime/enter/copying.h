// What guards copies that helpers make for a guest.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/enter/thread.h"

namespace rotor::runtime {

/// A scope in which bytes of a guest's are copied, within bounds. They may lie in a mapped file that somebody has cut
/// since: then the trap handler leaves the guest, and nothing in the scope may need to be cleaned up.
class Copying {
 public:
  explicit Copying(const void* frame) {
    t_thread.copying_frame = reinterpret_cast<uintptr_t>(frame);
    // The compiler knows that memset does not read it, and not that a handler may.
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  ~Copying() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    t_thread.copying_frame = 0;
  }
  Copying(const Copying&) = delete;
};

}  // namespace rotor::runtime
