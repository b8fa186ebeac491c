// Throws: where compiled code and failing host functions leave their frame for a landing pad, or for the host
// (runtime/enter/unwind.h).

        .intel_syntax noprefix
        .text

// Puts the callee-saved registers, which are as the guest had them at its call, into the UnwindRegs at rsp.
        .macro  KEEP_REGS
        mov     [rsp], rbx
        mov     [rsp + 8], r12
        mov     [rsp + 16], r13
        mov     [rsp + 24], r14
        mov     [rsp + 32], r15
        .endm

// [[noreturn]] void rotor_throw_*(context rdi, rsi)
// void rotor_unwind_*(context rdi, rsi, UnwindRegs* rdx, frame rcx)
        .macro  THROW name, dispatch
        .globl  \name
        .hidden \name
        .type   \name, @function
        .hidden \dispatch
        .p2align 4
\name:
        .cfi_startproc
        push    rbp
        .cfi_def_cfa_offset 16
        .cfi_offset rbp, -16
        mov     rbp, rsp
        .cfi_def_cfa_register rbp
        sub     rsp, 64
        KEEP_REGS
        mov     rdx, rsp
        mov     rcx, rbp
        call    \dispatch
        jmp     rotor_go_on
        .cfi_endproc
        .size   \name, . - \name
        .endm

        THROW   rotor_throw_new, rotor_unwind_new
        THROW   rotor_throw_ref, rotor_unwind_ref
        THROW   rotor_throw_on, rotor_unwind_on

// Jumped to by the entries of host functions, in their frame, if the function failed.
// void rotor_unwind_host(UnwindRegs* rdi, frame rsi)
        .globl  rotor_host_failed
        .hidden rotor_host_failed
        .type   rotor_host_failed, @function
        .hidden rotor_unwind_host
        .p2align 4
rotor_host_failed:
        .cfi_startproc
        .cfi_def_cfa rbp, 16
        .cfi_offset rbp, -16
        KEEP_REGS
        mov     rdi, rsp
        mov     rsi, rbp
        call    rotor_unwind_host
        .cfi_endproc
        .size   rotor_host_failed, . - rotor_host_failed

// Goes on with the UnwindRegs at rsp.
        .type   rotor_go_on, @function
rotor_go_on:
        mov     rbx, [rsp]
        mov     r12, [rsp + 8]
        mov     r13, [rsp + 16]
        mov     r14, [rsp + 24]
        mov     r15, [rsp + 32]
        mov     rbp, [rsp + 40]
        mov     rax, [rsp + 56]
        mov     rsp, [rsp + 48]
        jmp     rax
        .size   rotor_go_on, . - rotor_go_on

        .section .note.GNU-stack, "", @progbits
