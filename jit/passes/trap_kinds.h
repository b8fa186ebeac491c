// Trap sites (code/abi.h). The last pass before code is printed makes them of what LLVM made of llvm.ubsantrap, and, at
// tier 0, of llvm.trap: LLVM's fast instruction selector knows that, but not llvm.ubsantrap, for which it would leave
// the block to the slow one: 8 % of the compile time. The kind is the column of its location.
#pragma once

#include "llvm/CodeGen/MachineFunctionPass.h"
#include "rotor/trap.h"

namespace rotor::jit {

/// The column that stands for a kind; 0 is a location without one.
inline constexpr unsigned trap_column(TrapKind kind) { return static_cast<unsigned>(kind) + 1; }

/// Returns the pass, which the pass manager it is added to owns.
llvm::MachineFunctionPass* create_trap_kinds_pass();

}  // namespace rotor::jit
