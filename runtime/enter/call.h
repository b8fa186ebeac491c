// Calls from the host into compiled code.
#pragma once

#include "code/abi.h"
#include "rotor/func.h"
#include "runtime/store/link_group.h"

namespace rotor::runtime {

/// Calls a function with raw slots: arguments in, results out. Pre: the calling thread is inside `group`, which the
/// function belongs to; so do the functions among the arguments. Errors: trap, host and whatever a host function
/// returned.
Result<void> invoke(LinkGroup& group, const code::FuncRef& ref, Slot* slots);

}  // namespace rotor::runtime
