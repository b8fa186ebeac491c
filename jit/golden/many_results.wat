;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; Up to four results in registers, more through the callee's buffer.
(module
  (func $five (param i32) (result i32 i64 f32 f64 i32)
    (local.get 0) (i64.const 1) (f32.const 2) (f64.const 3) (i32.const 4))
  (func $caller (param i32) (result i32 i64 f32 f64)
    (call $five (local.get 0)) (drop)))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "five"
; Function Attrs: nounwind
define hidden swiftcc void @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = getelementptr i8, ptr %0, i32 8
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  store i32 %1, ptr %4, align 8
  %5 = getelementptr i8, ptr %4, i64 16
  store i64 1, ptr %5, align 8
  %6 = getelementptr i8, ptr %4, i64 32
  store float 2.000000e+00, ptr %6, align 8
  %7 = getelementptr i8, ptr %4, i64 48
  store double 3.000000e+00, ptr %7, align 8
  %8 = getelementptr i8, ptr %4, i64 64
  store i32 4, ptr %8, align 8
  ret void
}

; "caller"
; Function Attrs: nounwind
define hidden swiftcc { i32, i64, float, double } @f1(ptr swiftself %0, i32 %1) #0 !rotor.entry !6 {
  call swiftcc void @f0(ptr swiftself %0, i32 %1) #1, !dbg !7  ; module offset 0x3f
  %3 = getelementptr i8, ptr %0, i32 8
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = load i32, ptr %4, align 8
  %6 = getelementptr i8, ptr %4, i64 16
  %7 = load i64, ptr %6, align 8
  %8 = getelementptr i8, ptr %4, i64 32
  %9 = load float, ptr %8, align 8
  %10 = getelementptr i8, ptr %4, i64 48
  %11 = load double, ptr %10, align 8
  %12 = getelementptr i8, ptr %4, i64 64
  %13 = insertvalue { i32, i64, float, double } poison, i32 %5, 0
  %14 = insertvalue { i32, i64, float, double } %13, i64 %7, 1
  %15 = insertvalue { i32, i64, float, double } %14, float %9, 2
  %16 = insertvalue { i32, i64, float, double } %15, double %11, 3
  ret { i32, i64, float, double } %16
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 37, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 60, scope: !4)
!7 = distinct !DILocation(line: 63, scope: !4)
;;; STDOUT ;;)
