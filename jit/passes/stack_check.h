// The place where a function compares the stack that it takes with what there is.
//
// The compare stands before all that the function writes to the stack, and takes off just what its frame takes, which
// is known only once registers are allocated and the frame is laid out: callee-saved registers, spilled values,
// arguments of calls, realignment. So it is a pass over machine code, after all that change a frame:
//
//         mov   r11, [r13]          ; Context::activation
//         lea   r10, [rsp - frame]
//         cmp   r10, [r11]          ; Activation::stack_limit
//         jb    overflow
//
// r10 and r11 hold nothing at an entry. The trap handler finds in r10 what was compared (runtime/enter/trap_linux.cc),
// and that the function's frame is not there yet: rbp is its caller's.
//
// A function that calls nothing, whose frame takes no more than kUncheckedFrameBytes (code/abi.h), has no compare.
#pragma once

#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/IR/Function.h"

namespace rotor::jit {

/// Sets the location (module offset) at which the function's stack overflow traps.
void set_entry_location(llvm::Function& function, llvm::DILocation* location);
/// Copies to `to` what was set and noted here for `from`.
void copy_stack_check(const llvm::Function& from, llvm::Function& to);
/// Notes that the function jumps to rotor_tail_call with `words` stack words, which that pushes below the stack pointer
/// that the function was entered with.
void note_tail_call_words(llvm::Function& function, uint64_t words);

/// Returns the pass, which the pass manager it is added to owns.
llvm::MachineFunctionPass* create_stack_check_pass();

}  // namespace rotor::jit
