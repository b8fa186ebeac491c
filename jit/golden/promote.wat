;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; A signalling NaN comes out quiet even where LLVM folds a conversion and its reverse.
(module
  (func $promote (param f32) (result f64) (f64.promote_f32 (local.get 0)))
  (func $demote (param f64) (result f32) (f32.demote_f64 (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "promote"
; Function Attrs: nounwind
define hidden swiftcc double @f0(ptr swiftself %0, float %1) #0 !rotor.entry !3 {
  %3 = call float @llvm.canonicalize.f32(float %1)
  %4 = fpext float %3 to double
  ret double %4
}

; Function Attrs: nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none)
declare float @llvm.canonicalize.f32(float) #1

; "demote"
; Function Attrs: nounwind
define hidden swiftcc float @f1(ptr swiftself %0, double %1) #0 !rotor.entry !5 {
  %3 = fptrunc double %1 to float
  ret float %3
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none) }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 30, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DILocation(line: 36, scope: !4)
;;; STDOUT ;;)
