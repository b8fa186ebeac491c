// The stacks that embedders have declared (rotor/fiber_stack.h).
#pragma once

#include <cstdint>

#include "memory/os.h"

namespace rotor::runtime {

/// The stack that a thread was last found on; a part of ThreadState, so it has no constructor.
struct FoundFiberStack {
  memory::os::StackRange range{0, 0};
  uint64_t generation = 0;  ///< of the declarations, when it was found
};

/// Returns the declared stack that `sp` lies in, or nullptr. Looks in `last` first, and leaves there what it finds.
/// Takes no lock if the stack is the one found last and nothing was declared since.
const memory::os::StackRange* find_fiber_stack(FoundFiberStack& last, uintptr_t sp);

}  // namespace rotor::runtime
