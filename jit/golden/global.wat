;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; A store to a global stays where it is: it can be seen after a trap. What is immutable is loaded as such.
(module
  (import "m" "base" (global $base i32))
  (global $state (mut i32) (i32.const 0))
  (func $set (param i32)
    (global.set $state (local.get 0))
    (global.set $state (i32.add (global.get $state) (global.get $base)))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "set"
; Function Attrs: nounwind
define hidden swiftcc void @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = getelementptr i8, ptr %0, i32 64
  store volatile i32 %1, ptr %3, align 4
  %4 = getelementptr i8, ptr %0, i32 48
  %5 = load ptr, ptr %4, align 8, !invariant.load !5
  %6 = load i32, ptr %5, align 4, !invariant.load !5
  %7 = add i32 %1, %6
  store volatile i32 %7, ptr %3, align 4
  ret void
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 44, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
;;; STDOUT ;;)
