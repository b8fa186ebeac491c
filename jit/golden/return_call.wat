;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --func caller --opt 1
;; The caller has the uniform prototype. Its first callee fits in its place: a jump. The second has one word more on the
;; stack, so that the runtime makes the call; its address and words are handed over in memory.
(module
  (func $near (param f64 i32) (result i32) (local.get 1))
  (func $far (param i64 i64 i64 i64 i64 i64 i32) (result i32) (local.get 6))
  (func $caller (param i32) (result i32)
    (if (local.get 0) (then (return_call $near (f64.const 2.5) (local.get 0))))
    (return_call $far
      (i64.const 0) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "caller"
; Function Attrs: nounwind
define hidden swiftcc i32 @u2.0(ptr swiftself %0, i64 %1, i64 %2, i64 %3, i64 %4, i64 %5, i64 %6, <4 x float> %7, <4 x float> %8, <4 x float> %9, <4 x float> %10, <4 x float> %11, <4 x float> %12, <4 x float> %13, <4 x float> %14) #0 !rotor.entry !3 {
  %16 = trunc i64 %1 to i32
  %17 = icmp ne i32 %16, 0
  br i1 %17, label %18, label %21

18:                                               ; preds = %15
  %19 = zext i32 %16 to i64
  %20 = musttail call swiftcc i32 @u0.0(ptr swiftself %0, i64 %19, i64 poison, i64 poison, i64 poison, i64 poison, i64 poison, <4 x float> bitcast (<2 x double> <double 2.500000e+00, double poison> to <4 x float>), <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison) #1, !dbg !5  ; module offset 0x45
  ret i32 %20

21:                                               ; preds = %15
  %22 = zext i32 %16 to i64
  %23 = getelementptr i8, ptr %0, i32 8
  %24 = load ptr, ptr %23, align 8, !invariant.load !6
  store i64 %22, ptr %24, align 8
  %25 = load ptr, ptr %0, align 8
  %26 = getelementptr i8, ptr %25, i32 8
  store ptr @f1, ptr %26, align 8
  %27 = getelementptr i8, ptr %25, i32 16
  store ptr %0, ptr %27, align 8
  %28 = getelementptr i8, ptr %25, i32 24
  store i64 1, ptr %28, align 8
  %29 = getelementptr i8, ptr %25, i32 32
  store i64 0, ptr %29, align 8
  %30 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 184), align 8
  %31 = musttail call swiftcc i32 %30(ptr swiftself %0, i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison) #1, !dbg !7  ; module offset 0x56
  ret i32 %31
}

; "near"
; Function Attrs: nounwind
declare hidden swiftcc i32 @u0.0(ptr swiftself, i64, i64, i64, i64, i64, i64, <4 x float>, <4 x float>, <4 x float>, <4 x float>, <4 x float>, <4 x float>, <4 x float>, <4 x float>) #1

; "far"
; Function Attrs: nounwind
declare hidden swiftcc i32 @f1(ptr swiftself, i64, i64, i64, i64, i64, i64, i32) #1

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" "rotor-tail-call-words"="1" }
attributes #1 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 53, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DILocation(line: 69, scope: !4)
!6 = !{}
!7 = distinct !DILocation(line: 86, scope: !4)
;;; STDOUT ;;)
