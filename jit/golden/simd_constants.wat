;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --deterministic
;; A float vector that LLVM would fold is read from memory, wherever it comes from; one of integers is not. NaNs are made
;; canonical on demand.
(module
  (func $mul (param v128) (result v128) (local v128)
    (local.set 1 (v128.const f32x4 1 1 1 1))
    (f32x4.mul (local.get 0) (local.get 1)))
  (func $add (param v128) (result v128)
    (i32x4.add (local.get 0) (v128.const i32x4 0 0 0x3f800000 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8
@v = internal externally_initialized constant <4 x float> splat (float 1.000000e+00)

; "mul"
; Function Attrs: nounwind
define hidden swiftcc <2 x i64> @f0(ptr swiftself %0, <2 x i64> %1) #0 !rotor.entry !3 {
  %3 = bitcast <2 x i64> %1 to <4 x float>
  %4 = load <4 x float>, ptr @v, align 16, !invariant.load !5
  %5 = fmul <4 x float> %3, %4
  %6 = bitcast <4 x float> %5 to <2 x i64>
  ret <2 x i64> %6
}

; "add"
; Function Attrs: nounwind
define hidden swiftcc <2 x i64> @f1(ptr swiftself %0, <2 x i64> %1) #1 !rotor.entry !6 {
  %3 = bitcast <2 x i64> %1 to <4 x i32>
  %4 = add <4 x i32> %3, <i32 0, i32 0, i32 1065353216, i32 0>
  %5 = bitcast <4 x i32> %4 to <2 x i64>
  ret <2 x i64> %5
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" "rotor-floats" }
attributes #1 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 25, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 57, scope: !4)
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8
@v = internal externally_initialized constant <4 x float> splat (float 1.000000e+00)

; "mul"
; Function Attrs: nounwind
define hidden swiftcc <2 x i64> @f0(ptr swiftself %0, <2 x i64> %1) #0 !rotor.entry !3 {
  %3 = bitcast <2 x i64> %1 to <4 x float>
  %4 = load <4 x float>, ptr @v, align 16, !invariant.load !5
  %5 = fmul <4 x float> %3, %4
  %6 = fcmp uno <4 x float> %5, %5
  %7 = select <4 x i1> %6, <4 x float> splat (float 0x7FF8000000000000), <4 x float> %5
  %8 = bitcast <4 x float> %7 to <2 x i64>
  ret <2 x i64> %8
}

; "add"
; Function Attrs: nounwind
define hidden swiftcc <2 x i64> @f1(ptr swiftself %0, <2 x i64> %1) #1 !rotor.entry !6 {
  %3 = bitcast <2 x i64> %1 to <4 x i32>
  %4 = add <4 x i32> %3, <i32 0, i32 0, i32 1065353216, i32 0>
  %5 = bitcast <4 x i32> %4 to <2 x i64>
  ret <2 x i64> %5
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" "rotor-floats" }
attributes #1 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 25, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 57, scope: !4)
;;; STDOUT ;;)
