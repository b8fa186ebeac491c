;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; Code and context come out of the instance's context.
(module
  (import "m" "f" (func $f (param i32 f64) (result i32 i64)))
  (func $caller (param i32) (result i32 i64) (call $f (local.get 0) (f64.const 2))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "caller"
; Function Attrs: nounwind
define hidden swiftcc { i32, i64 } @f1(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = getelementptr i8, ptr %0, i32 56
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = getelementptr i8, ptr %0, i32 64
  %6 = load ptr, ptr %5, align 8, !invariant.load !5
  %7 = call swiftcc { i32, i64 } %4(ptr swiftself %6, i32 %1, double 2.000000e+00) #1, !dbg !6  ; module offset 0x35
  %8 = extractvalue { i32, i64 } %7, 0
  %9 = extractvalue { i32, i64 } %7, 1
  ret { i32, i64 } %7
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 41, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 53, scope: !4)
;;; STDOUT ;;)
