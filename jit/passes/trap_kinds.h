// Trap sites at tier 0. LLVM's fast instruction selector knows llvm.trap, but not llvm.ubsantrap, for which it would
// leave the block to the slow one: 8 % of the compile time. So tier-0 code is emitted with llvm.trap, whose kind is the
// column of its location, and this pass, the last before code is printed, makes of each the `ud1` of that kind.
#pragma once

#include "llvm/CodeGen/MachineFunctionPass.h"
#include "rotor/trap.h"

namespace rotor::jit {

/// The column that stands for a kind; 0 is a location without one.
inline constexpr unsigned trap_column(TrapKind kind) { return static_cast<unsigned>(kind) + 1; }

/// Returns the pass, which the pass manager it is added to owns.
llvm::MachineFunctionPass* create_trap_kinds_pass();

}  // namespace rotor::jit
