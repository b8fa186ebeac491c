;;; ARGS: compile in.wasm --emit asm --cpu baseline --opt 0 --enable=wide-arithmetic
;; Two instructions each, at every level.
(module
  (func $add (param i64 i64 i64 i64) (result i64 i64)
    (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func $mul (param i64 i64) (result i64 i64) (i64.mul_wide_s (local.get 0) (local.get 1))))
(;; STDOUT ;;;
	.file	"batch"
	.text
	.hidden	f0                              # -- Begin function f0
	.globl	f0
	.p2align	4
	.type	f0,@function
f0:                                     # @f0
	# "add"
# %bb.0:
	pushq	%rbp
	movq	%rsp, %rbp
	movq	%rcx, -32(%rbp)                 # 8-byte Spill
	movq	%rdx, -24(%rbp)                 # 8-byte Spill
	movq	%rsi, -16(%rbp)                 # 8-byte Spill
	movq	%rdi, -8(%rbp)                  # 8-byte Spill
	jmp	.LBB0_1
.LBB0_1:
	movq	-32(%rbp), %rcx                 # 8-byte Reload
	movq	-16(%rbp), %rax                 # 8-byte Reload
	movq	-24(%rbp), %rsi                 # 8-byte Reload
	movq	-8(%rbp), %rdx                  # 8-byte Reload
	addq	%rsi, %rdx
	movq	%rdx, -48(%rbp)                 # 8-byte Spill
	adcq	%rcx, %rax
	movq	%rax, -40(%rbp)                 # 8-byte Spill
# %bb.2:
	movq	-40(%rbp), %rdx                 # 8-byte Reload
	movq	-48(%rbp), %rax                 # 8-byte Reload
	popq	%rbp
	retq
.Lfunc_end0:
	.size	f0, .Lfunc_end0-f0
                                        # -- End function
	.hidden	f1                              # -- Begin function f1
	.globl	f1
	.p2align	4
	.type	f1,@function
f1:                                     # @f1
	# "mul"
# %bb.0:
	pushq	%rbp
	movq	%rsp, %rbp
	movq	%rsi, -16(%rbp)                 # 8-byte Spill
	movq	%rdi, -8(%rbp)                  # 8-byte Spill
	jmp	.LBB1_1
.LBB1_1:
	movq	-16(%rbp), %rcx                 # 8-byte Reload
	movq	-8(%rbp), %rax                  # 8-byte Reload
	imulq	%rcx
	movq	%rax, -32(%rbp)                 # 8-byte Spill
	movq	%rdx, -24(%rbp)                 # 8-byte Spill
# %bb.2:
	movq	-24(%rbp), %rdx                 # 8-byte Reload
	movq	-32(%rbp), %rax                 # 8-byte Reload
	popq	%rbp
	retq
.Lfunc_end1:
	.size	f1, .Lfunc_end1-f1
                                        # -- End function
	.hidden	rotor_run_page
	.section	".note.GNU-stack","",@progbits
;;; STDOUT ;;)
