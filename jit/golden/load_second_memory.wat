;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; The base of memory 1 is loaded where it is needed, that of memory 0 at the entry.
(module
  (memory 1)
  (memory $m 1)
  (func (param i32) (result i32) (i32.add (i32.load $m (local.get 0)) (i32.load (local.get 0)))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = getelementptr i8, ptr %0, i32 48
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = getelementptr i8, ptr %0, i32 64
  %6 = load ptr, ptr %5, align 8, !invariant.load !5
  %7 = zext i32 %1 to i64
  %8 = getelementptr i8, ptr %6, i64 %7
  %9 = load volatile i32, ptr %8, align 1, !dbg !6  ; module offset 0x22
  %10 = getelementptr i8, ptr %4, i64 %7
  %11 = load volatile i32, ptr %10, align 1, !dbg !7  ; module offset 0x28
  %12 = add i32 %9, %11, !dbg !6  ; module offset 0x22
  ret i32 %12
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 31, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 34, scope: !4)
!7 = distinct !DILocation(line: 40, scope: !4)
;;; STDOUT ;;)
