// From what a trap left behind to a Trap.
#pragma once

#include <cstdint>
#include <span>

#include "rotor/result.h"
#include "rotor/trap.h"

namespace rotor::runtime {

/// Appends the frames of `pcs`, up to Trap::kMaxFrames in all. Return addresses point behind their call; `first_is_pc`:
/// the first one is the address of an instruction instead. Pre: the code's instances are alive.
void append_frames(Trap& trap, std::span<const uintptr_t> pcs, bool first_is_pc);

/// A trap as an error.
Error trap_error(TrapKind kind, std::span<const uintptr_t> pcs = {});

/// The error that a host function ended the guest's call with, `pcs` being the guest's frames up to the entry: a trap
/// of a nested call gets them appended, the host's own error gets a backtrace.
Error host_error(Error error, std::span<const uintptr_t> pcs);

}  // namespace rotor::runtime
