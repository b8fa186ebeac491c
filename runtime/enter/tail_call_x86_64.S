// Tail calls that a jump alone can't do (code/abi.h, "Tail calls").

        .intel_syntax noprefix
        .text

// Entered by a jump, as a function of the caller that made the tail call: its arguments in registers, the others in the
// results buffer of the context in r13; the callee is in Activation::tail. Calls it from a frame that puts right what
// the callee leaves different: the stack words, r13, and the place of results in memory. A callee that makes such a tail
// call again returns to this frame, which is then used again: so a chain of tail calls takes one frame, however long.
// An exception that passes the frame takes the context from there (runtime/enter/unwind.cc).
// Frame: [rbp - 8] the context to return with, [rbp - 16] words of results in memory, below them the stack words.
// Free to use: rax, r10 and r11; where results are in memory, rdx after the call.
        .globl  rotor_tail_call
        .hidden rotor_tail_call
        .type   rotor_tail_call, @function
        .p2align 4
rotor_tail_call:
        .cfi_startproc
        mov     r10, [r13]              // Context::activation
        lea     rax, [rip + 3f]
        mov     r11, [r13 + 8]          // Context::results
        cmp     [rsp], rax
        je      1f                      // rbp, which its callees preserve, is that frame's
        push    rbp
        .cfi_def_cfa_offset 16
        .cfi_offset rbp, -16
        mov     rbp, rsp
        .cfi_def_cfa_register rbp
        push    r13
        .cfi_offset r13, -24
        push    [r10 + 32]              // TailCall::result_words
1:      lea     rsp, [rbp - 16]
        mov     rax, [r10 + 24]         // TailCall::stack_words: at most 2 * kMaxParams, less than the host's reserve
        test    al, 1
        je      2f
        push    rax                     // an even number of words keeps rsp aligned
        jmp     2f
4:      push    [r11 + rax*8 - 8]
        dec     rax
2:      test    rax, rax
        jne     4b
        mov     r13, [r10 + 16]         // TailCall::context
        call    [r10 + 8]               // TailCall::code
        .globl  rotor_tail_call_return
        .hidden rotor_tail_call_return
rotor_tail_call_return:
3:      mov     r10, [rbp - 16]
        test    r10, r10
        je      6f
        mov     r11, [r13 + 8]          // the last callee's results: it preserved its r13
        mov     rax, [rbp - 8]
        mov     rax, [rax + 8]
5:      mov     rdx, [r11 + r10*8 - 8]
        mov     [rax + r10*8 - 8], rdx
        dec     r10
        jne     5b
6:      mov     r13, [rbp - 8]
        leave
        .cfi_def_cfa rsp, 8
        ret
        .cfi_endproc
        .size   rotor_tail_call, . - rotor_tail_call

        .section .note.GNU-stack, "", @progbits
