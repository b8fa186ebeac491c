;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; What LLVM may not fold is read from memory that it must think unknown.
(module
  (func $negate (param f64) (result f64) (f64.sub (f64.const -0.0) (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8
@d.8000000000000000 = internal externally_initialized constant double -0.000000e+00

; "negate"
; Function Attrs: nounwind
define hidden swiftcc double @f0(ptr swiftself %0, double %1) #0 !rotor.entry !3 {
  %3 = load double, ptr @d.8000000000000000, align 8, !invariant.load !5
  %4 = fsub double %3, %1
  ret double %4
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" "rotor-floats" }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 24, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
;;; STDOUT ;;)
