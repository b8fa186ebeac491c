// Makes a Trap from what one left behind.
#pragma once

#include <cstdint>
#include <span>

#include "rotor/result.h"
#include "rotor/trap.h"

namespace rotor::runtime {

/// Appends the frames of `pcs`, up to Trap::kMaxFrames in all. Return addresses point behind their call; `first_is_pc`:
/// the first one is the address of an instruction instead. Pre: the code's instances are alive.
void append_frames(Trap& trap, std::span<const uintptr_t> pcs, bool first_is_pc);

/// Makes an error of a trap.
Error trap_error(TrapKind kind, std::span<const uintptr_t> pcs = {});

/// Completes the error that a host function ended the guest's call with. `pcs` are the guest's frames up to the entry:
/// they are appended to a trap of a nested call; the host's own error gets a backtrace of them.
Error host_error(Error error, std::span<const uintptr_t> pcs);

}  // namespace rotor::runtime
