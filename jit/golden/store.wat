;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; Volatile: what is stored before a trap can be seen after it. Two stores to one place stay two.
(module
  (memory 1)
  (func $store (param i32 i64)
    (i64.store32 (local.get 0) (local.get 1))
    (i64.store32 (local.get 0) (i64.const 7))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "store"
; Function Attrs: nounwind
define hidden swiftcc void @f0(ptr swiftself %0, i32 %1, i64 %2) #0 !rotor.entry !3 {
  %4 = getelementptr i8, ptr %0, i32 48
  %5 = load ptr, ptr %4, align 8, !invariant.load !5
  %6 = getelementptr i8, ptr %0, i32 32
  store volatile i8 1, ptr %6, align 1
  %7 = zext i32 %1 to i64
  %8 = getelementptr i8, ptr %5, i64 %7
  %9 = trunc i64 %2 to i32
  store volatile i32 %9, ptr %8, align 1, !dbg !6  ; module offset 0x22
  store volatile i32 7, ptr %8, align 1, !dbg !7  ; module offset 0x29
  ret void
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 29, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 34, scope: !4)
!7 = distinct !DILocation(line: 41, scope: !4)
;;; STDOUT ;;)
