// Keeps a guest's accesses whole: an access that is to trap does so, whatever LLVM makes of its value.
//
// LLVM may fold a load into its user. LLVM does not mind whether all of a volatile access then happens, or only the
// bytes that the user needs; for a guest it matters, since what is not accessed can't trap. Three kinds of users are at
// fault:
//
// - a conditional move: the pass "x86-cmov-conversion" makes a branch of it and moves its load into one of the arms;
// - an instruction that takes less than was loaded: pmovsxbw reads 8 bytes of the 16, movddup too;
// - an AVX-512 instruction under a mask: memory of lanes that are masked off is not touched.
//
// So a conditional move gets its load taken out again before that pass runs, and before each instruction of the other
// kinds stands a load of all the bytes into a register that nobody reads. What an instruction accesses is asked of
// LLVM's printer in Intel's syntax ("qword ptr", "{k1}"), which knows it of every instruction; no list of instructions
// would be complete.
#pragma once

namespace llvm { class TargetPassConfig; }

namespace rotor::jit {

/// Adds the pass where the code generator has chosen instructions, and once more where it has folded loads into them
/// after that. To be called before the code generator's own passes are added.
void add_guest_access_passes(llvm::TargetPassConfig& config);

}  // namespace rotor::jit
