// The passages between C++ (System V) and compiled code (swiftcc: the context in r13; rbx rbp r12-r15 callee-saved).
// See entry.h for the signatures and the layout of CallRegs.

        .intel_syntax noprefix
        .text

// Begins the frame of an entry: what the host wants preserved lies where rotor_enter_landing looks for it.
        .macro  BEGIN_ENTRY
        push    rbp
        .cfi_def_cfa_offset 16
        .cfi_offset rbp, -16
        mov     rbp, rsp
        .cfi_def_cfa_register rbp
        push    rbx
        .cfi_offset rbx, -24
        push    r12
        .cfi_offset r12, -32
        push    r13
        .cfi_offset r13, -40
        push    r14
        .cfi_offset r14, -48
        push    r15
        .cfi_offset r15, -56
        .endm

// uint64_t rotor_enter(code rdi, context rsi, regs rdx, stack_args rcx, shape r8, void** saved_sp r9)
        .globl  rotor_enter
        .hidden rotor_enter
        .type   rotor_enter, @function
        .p2align 4
rotor_enter:
        .cfi_startproc
        BEGIN_ENTRY
        push    rdx                     // regs; rsp is a multiple of 16 again
        mov     [r9], rsp               // saved_sp: kSavedSpToFrame below rbp
        mov     r13, rsi
        mov     r11, rdi
        mov     r10, rdx
        mov     ebx, r8d
        shr     r8d                     // shape: the stack words
        je      2f
        lea     rax, [r8 + 1]           // an even number of words keeps rsp aligned
        and     rax, -2
        shl     rax, 3
        sub     rsp, rax
1:      mov     rax, [rcx + r8*8 - 8]
        mov     [rsp + r8*8 - 8], rax
        dec     r8
        jne     1b
2:      movsd   xmm0, [r10 + 48]
        movsd   xmm1, [r10 + 64]
        movsd   xmm2, [r10 + 80]
        movsd   xmm3, [r10 + 96]
        movsd   xmm4, [r10 + 112]
        movsd   xmm5, [r10 + 128]
        movsd   xmm6, [r10 + 144]
        movsd   xmm7, [r10 + 160]
        test    bl, 1                   // shape: vectors
        jne     4f
3:      mov     rdi, [r10]
        mov     rsi, [r10 + 8]
        mov     rdx, [r10 + 16]
        mov     rcx, [r10 + 24]
        mov     r8,  [r10 + 32]
        mov     r9,  [r10 + 40]
        call    r11
        mov     r10, [rbp - 48]
        mov     [r10], rax
        mov     [r10 + 8], rdx
        mov     [r10 + 16], rcx
        mov     [r10 + 24], r8
        movaps  [r10 + 48], xmm0
        movaps  [r10 + 64], xmm1
        movaps  [r10 + 80], xmm2
        movaps  [r10 + 96], xmm3
        lea     rsp, [rbp - 48]
        xor     eax, eax
        jmp     5f

4:      movhps  xmm0, [r10 + 56]
        movhps  xmm1, [r10 + 72]
        movhps  xmm2, [r10 + 88]
        movhps  xmm3, [r10 + 104]
        movhps  xmm4, [r10 + 120]
        movhps  xmm5, [r10 + 136]
        movhps  xmm6, [r10 + 152]
        movhps  xmm7, [r10 + 168]
        jmp     3b

// Traps and failing host functions come here with rsp = saved_sp and every other register unknown. Each entry finds its
// 1 where it returns that.
        .globl  rotor_enter_landing
        .hidden rotor_enter_landing
rotor_enter_landing:
        lea     rbp, [rsp + 48]
        mov     eax, 1
5:      mov     edx, eax
        add     rsp, 8
        pop     r15
        pop     r14
        pop     r13
        pop     r12
        pop     rbx
        pop     rbp
        .cfi_def_cfa rsp, 8
        ret
        .cfi_endproc
        .size   rotor_enter, . - rotor_enter

// Entries of typed calls (rotor/detail/direct_call.h), which take their arguments in registers, one integer later than
// the guest does, and give the result back as the guest does. Frames are as rotor_enter's; what the guest's code
// preserves is not read back.
// {uint64_t rax, uint64_t left rdx} rotor_enter_for_int(CallFrame* rdi, up to 5 integers, up to 8 floats)
// {float or double xmm0, uint64_t left rax} rotor_enter_for_float(the same)
        .macro  ENTRY name, left
        .globl  \name
        .type   \name, @function
        .p2align 4
\name:
        .cfi_startproc
        BEGIN_ENTRY
        push    rdi                     // rsp is a multiple of 16 again
        mov     r11, [rdi]              // DirectCall::code
        mov     r13, [rdi + 8]          // DirectCall::context
        mov     [rdi + 16], rsp         // EntryRecord::saved_sp: kSavedSpToFrame below rbp
        mov     rdi, rsi
        mov     rsi, rdx
        mov     rdx, rcx
        mov     rcx, r8
        mov     r8,  r9
        call    r11
        xor     \left, \left
        mov     r13, [rbp - 24]
        leave
        .cfi_def_cfa rsp, 8
        ret
        .cfi_endproc
        .size   \name, . - \name
        .endm

        ENTRY   rotor_enter_for_int, edx
        ENTRY   rotor_enter_for_float, eax

// [[noreturn]] void rotor_leave(void* saved_sp rdi)
        .globl  rotor_leave
        .hidden rotor_leave
        .type   rotor_leave, @function
rotor_leave:
        mov     rsp, rdi
        jmp     rotor_enter_landing
        .size   rotor_leave, . - rotor_leave

// The swiftcc entries of host functions: r13 is the host function's own context. The second is for those that have
// neither floats nor vectors, nor arguments on the stack; it leaves the places of vectors in CallRegs alone.
// bool rotor_host_dispatch(context rdi, CallRegs* rsi, stack_args rdx): false, if the function failed.
        .macro  HOST_ENTRY name, floats
        .globl  \name
        .hidden \name
        .type   \name, @function
        .p2align 4
\name:
        .cfi_startproc
        push    rbp
        .cfi_def_cfa_offset 16
        .cfi_offset rbp, -16
        mov     rbp, rsp
        .cfi_def_cfa_register rbp
        sub     rsp, 176                // CallRegs
        mov     [rsp], rdi
        mov     [rsp + 8], rsi
        mov     [rsp + 16], rdx
        mov     [rsp + 24], rcx
        mov     [rsp + 32], r8
        mov     [rsp + 40], r9
        .if     \floats
        movaps  [rsp + 48], xmm0
        movaps  [rsp + 64], xmm1
        movaps  [rsp + 80], xmm2
        movaps  [rsp + 96], xmm3
        movaps  [rsp + 112], xmm4
        movaps  [rsp + 128], xmm5
        movaps  [rsp + 144], xmm6
        movaps  [rsp + 160], xmm7
        .endif
        mov     rdi, r13
        mov     rsi, rsp
        lea     rdx, [rbp + 16]         // behind the saved rbp and the return address
        call    rotor_host_dispatch
        test    al, al
        je      rotor_host_failed
        mov     rax, [rsp]
        mov     rdx, [rsp + 8]
        mov     rcx, [rsp + 16]
        mov     r8,  [rsp + 24]
        .if     \floats
        movsd   xmm0, [rsp + 48]
        movhps  xmm0, [rsp + 56]
        movsd   xmm1, [rsp + 64]
        movhps  xmm1, [rsp + 72]
        movsd   xmm2, [rsp + 80]
        movhps  xmm2, [rsp + 88]
        movsd   xmm3, [rsp + 96]
        movhps  xmm3, [rsp + 104]
        .endif
        leave
        .cfi_def_cfa rsp, 8
        ret
        .cfi_endproc
        .size   \name, . - \name
        .endm

        .hidden rotor_host_dispatch
        HOST_ENTRY rotor_host_entry, 1
        HOST_ENTRY rotor_host_entry_ints, 0

// Entered by a function's stub with its arguments in place, r13 its context, and on the stack the return address into the
// stub, then the caller's. Has the function compiled and goes on into it.
// {code rax, saved_sp rdx} rotor_lazy_dispatch(context rdi, return_address rsi, frame rdx)
        .globl  rotor_lazy_entry
        .hidden rotor_lazy_entry
        .type   rotor_lazy_entry, @function
        .hidden rotor_lazy_dispatch
        .p2align 4
rotor_lazy_entry:
        .cfi_startproc
        .cfi_def_cfa_offset 16          // two return addresses
        pop     r11
        .cfi_def_cfa_offset 8
        push    rbp
        .cfi_def_cfa_offset 16
        .cfi_offset rbp, -16
        mov     rbp, rsp
        .cfi_def_cfa_register rbp
        sub     rsp, 176                // 6 integer and 8 whole vector registers
        mov     [rsp], rdi
        mov     [rsp + 8], rsi
        mov     [rsp + 16], rdx
        mov     [rsp + 24], rcx
        mov     [rsp + 32], r8
        mov     [rsp + 40], r9
        movaps  [rsp + 48], xmm0
        movaps  [rsp + 64], xmm1
        movaps  [rsp + 80], xmm2
        movaps  [rsp + 96], xmm3
        movaps  [rsp + 112], xmm4
        movaps  [rsp + 128], xmm5
        movaps  [rsp + 144], xmm6
        movaps  [rsp + 160], xmm7
        mov     rdi, r13
        mov     rsi, r11
        mov     rdx, rbp
        call    rotor_lazy_dispatch
        test    rdx, rdx
        jne     1f
        mov     rdi, [rsp]
        mov     rsi, [rsp + 8]
        mov     rdx, [rsp + 16]
        mov     rcx, [rsp + 24]
        mov     r8,  [rsp + 32]
        mov     r9,  [rsp + 40]
        movaps  xmm0, [rsp + 48]
        movaps  xmm1, [rsp + 64]
        movaps  xmm2, [rsp + 80]
        movaps  xmm3, [rsp + 96]
        movaps  xmm4, [rsp + 112]
        movaps  xmm5, [rsp + 128]
        movaps  xmm6, [rsp + 144]
        movaps  xmm7, [rsp + 160]
        leave
        .cfi_def_cfa rsp, 8
        jmp     rax
        .cfi_def_cfa rbp, 16
1:      mov     rsp, rdx
        jmp     rotor_enter_landing
        .cfi_endproc
        .size   rotor_lazy_entry, . - rotor_lazy_entry

        .section .note.GNU-stack, "", @progbits
