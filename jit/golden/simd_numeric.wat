;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; Nothing is poison: shift counts are cut to the width, and what does not fit an integer is the processor's business.
(module
  (func $shift (param v128 i32) (result v128) (i16x8.shr_s (local.get 0) (local.get 1)))
  (func $trunc (param v128) (result v128) (i32x4.trunc_sat_f32x4_s (local.get 0)))
  (func $min (param v128 v128) (result v128) (f64x2.min (local.get 0) (local.get 1)))
  (func $swizzle (param v128 v128) (result v128) (i8x16.swizzle (local.get 0) (local.get 1)))
  (func $all_true (param v128) (result i32) (i32x4.all_true (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "shift"
; Function Attrs: nounwind
define hidden swiftcc <2 x i64> @f0(ptr swiftself %0, <2 x i64> %1, i32 %2) #0 !rotor.entry !3 {
  %4 = bitcast <2 x i64> %1 to <8 x i16>
  %5 = and i32 %2, 15
  %6 = trunc i32 %5 to i16
  %7 = insertelement <8 x i16> poison, i16 %6, i64 0
  %8 = shufflevector <8 x i16> %7, <8 x i16> poison, <8 x i32> zeroinitializer
  %9 = ashr <8 x i16> %4, %8
  %10 = bitcast <8 x i16> %9 to <2 x i64>
  ret <2 x i64> %10
}

; "trunc"
; Function Attrs: nounwind
define hidden swiftcc <2 x i64> @f1(ptr swiftself %0, <2 x i64> %1) #0 !rotor.entry !5 {
  %3 = bitcast <2 x i64> %1 to <4 x float>
  %4 = fcmp ord <4 x float> %3, %3
  %5 = select <4 x i1> %4, <4 x float> %3, <4 x float> zeroinitializer
  %6 = fcmp oge <4 x float> %5, splat (float 0x41E0000000000000)
  %7 = sext <4 x i1> %6 to <4 x i32>
  %8 = call <4 x i32> @llvm.x86.sse2.cvttps2dq(<4 x float> %5)
  %9 = xor <4 x i32> %8, %7
  %10 = bitcast <4 x i32> %9 to <2 x i64>
  ret <2 x i64> %10
}

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(none)
declare <4 x i32> @llvm.x86.sse2.cvttps2dq(<4 x float>) #1

; "min"
; Function Attrs: nounwind
define hidden swiftcc <2 x i64> @f2(ptr swiftself %0, <2 x i64> %1, <2 x i64> %2) #2 !rotor.entry !6 {
  %4 = bitcast <2 x i64> %1 to <2 x double>
  %5 = bitcast <2 x i64> %2 to <2 x double>
  %6 = fcmp olt <2 x double> %4, %5
  %7 = select <2 x i1> %6, <2 x double> %4, <2 x double> %5
  %8 = bitcast <2 x double> %7 to <2 x i64>
  %9 = fcmp olt <2 x double> %5, %4
  %10 = select <2 x i1> %9, <2 x double> %5, <2 x double> %4
  %11 = bitcast <2 x double> %10 to <2 x i64>
  %12 = or <2 x i64> %8, %11
  %13 = bitcast <2 x i64> %12 to <2 x double>
  %14 = fadd <2 x double> %4, %5
  %15 = fcmp uno <2 x double> %4, %5
  %16 = select <2 x i1> %15, <2 x double> %14, <2 x double> %13
  %17 = bitcast <2 x double> %16 to <2 x i64>
  ret <2 x i64> %17
}

; "swizzle"
; Function Attrs: nounwind
define hidden swiftcc <2 x i64> @f3(ptr swiftself %0, <2 x i64> %1, <2 x i64> %2) #0 !rotor.entry !7 {
  %4 = bitcast <2 x i64> %1 to <16 x i8>
  %5 = bitcast <2 x i64> %2 to <16 x i8>
  %6 = call <16 x i8> @llvm.uadd.sat.v16i8(<16 x i8> %5, <16 x i8> splat (i8 112))
  %7 = call <16 x i8> @llvm.x86.ssse3.pshuf.b.128(<16 x i8> %4, <16 x i8> %6)
  %8 = bitcast <16 x i8> %7 to <2 x i64>
  ret <2 x i64> %8
}

; Function Attrs: nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none)
declare <16 x i8> @llvm.uadd.sat.v16i8(<16 x i8>, <16 x i8>) #3

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(none)
declare <16 x i8> @llvm.x86.ssse3.pshuf.b.128(<16 x i8>, <16 x i8>) #1

; "all_true"
; Function Attrs: nounwind
define hidden swiftcc i32 @f4(ptr swiftself %0, <2 x i64> %1) #0 !rotor.entry !8 {
  %3 = bitcast <2 x i64> %1 to <4 x i32>
  %4 = icmp eq <4 x i32> %3, zeroinitializer
  %5 = sext <4 x i1> %4 to <4 x i32>
  %6 = bitcast <4 x i32> %5 to <2 x i64>
  %7 = call i32 @llvm.x86.sse41.ptestz(<2 x i64> %6, <2 x i64> %6)
  ret i32 %7
}

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(none)
declare i32 @llvm.x86.sse41.ptestz(<2 x i64>, <2 x i64>) #1

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nocallback nofree nosync nounwind willreturn memory(none) }
attributes #2 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" "rotor-floats" }
attributes #3 = { nocallback nocreateundeforpoison nofree nosync nounwind speculatable willreturn memory(none) }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 45, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DILocation(line: 55, scope: !4)
!6 = distinct !DILocation(line: 63, scope: !4)
!7 = distinct !DILocation(line: 73, scope: !4)
!8 = distinct !DILocation(line: 82, scope: !4)
;;; STDOUT ;;)
