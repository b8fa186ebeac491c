// What the runtime knows of a thread.
#pragma once

#include <cstdint>

#include "runtime/enter/fiber_stack.h"

namespace rotor::runtime {

struct BiasSeat;
struct EntryRecord;

/// A thread's state. The signal handler reads it, so it has neither constructor nor destructor.
struct ThreadState {
  /// A bit of `bias_word`, beside the address of the seat.
  static constexpr uintptr_t kBiased = 4;

  EntryRecord* top = nullptr;
  uintptr_t stack_low = 0;
  uintptr_t stack_high = 0;
  FoundFiberStack fiber;
  bool ready = false;  ///< the stack is known and there is an alternate signal stack
  /// The last entry's place on the thread's own stack, the context that was entered, and the limit that this gave. One
  /// like it needs no more than a look whether that limit is still in force.
  uintptr_t last_sp = 0;
  const void* last_context = nullptr;
  uint64_t last_limit = 0;
  /// The frame of a helper that copies bytes of a guest's, which may lie in a mapped file; 0: none does.
  uintptr_t copying_frame = 0;
  BiasSeat* seat = nullptr;           ///< null: no group is biased to it
  uintptr_t bias_word = UINTPTR_MAX;  ///< LinkGroup::holder_ of groups that are biased to it
};
extern thread_local constinit ThreadState t_thread __attribute__((tls_model("initial-exec")));

}  // namespace rotor::runtime
