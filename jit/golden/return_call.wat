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

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(none)
declare ptr @llvm.frameaddress.p0(i32 immarg) #0

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.ubsantrap(i8 immarg) #1

; "caller"
; Function Attrs: nounwind
define hidden swiftcc i32 @u2.0(ptr swiftself %0, i64 %1, i64 %2, i64 %3, i64 %4, i64 %5, i64 %6, <4 x float> %7, <4 x float> %8, <4 x float> %9, <4 x float> %10, <4 x float> %11, <4 x float> %12, <4 x float> %13, <4 x float> %14) #2 {
  %16 = trunc i64 %1 to i32
  %17 = call ptr @llvm.frameaddress.p0(i32 0)
  %18 = ptrtoint ptr %17 to i64
  %19 = load ptr, ptr %0, align 8
  %20 = load i64, ptr %19, align 8
  %21 = icmp ult i64 %18, %20
  br i1 %21, label %22, label %23

22:                                               ; preds = %15
  call void @llvm.ubsantrap(i8 12) #4, !dbg !3  ; module offset 0x35
  unreachable

23:                                               ; preds = %15
  %24 = icmp ne i32 %16, 0
  br i1 %24, label %25, label %28

25:                                               ; preds = %23
  %26 = zext i32 %16 to i64
  %27 = musttail call swiftcc i32 @u0.0(ptr swiftself %0, i64 %26, i64 poison, i64 poison, i64 poison, i64 poison, i64 poison, <4 x float> bitcast (<2 x double> <double 2.500000e+00, double poison> to <4 x float>), <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison) #3, !dbg !5  ; module offset 0x45
  ret i32 %27

28:                                               ; preds = %23
  %29 = zext i32 %16 to i64
  %30 = getelementptr i8, ptr %19, i32 8
  store ptr @f1, ptr %30, align 8
  %31 = getelementptr i8, ptr %19, i32 16
  store ptr %0, ptr %31, align 8
  %32 = getelementptr i8, ptr %19, i32 24
  store i64 1, ptr %32, align 8
  %33 = getelementptr i8, ptr %19, i32 32
  store i64 0, ptr %33, align 8
  %34 = getelementptr i8, ptr %0, i32 8
  %35 = load ptr, ptr %34, align 8, !invariant.load !6
  store i64 %29, ptr %35, align 8
  %36 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 184), align 8
  %37 = musttail call swiftcc i32 %36(ptr swiftself %0, i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison) #3, !dbg !7  ; module offset 0x56
  ret i32 %37
}

; "near"
; Function Attrs: nounwind
declare hidden swiftcc i32 @u0.0(ptr swiftself, i64, i64, i64, i64, i64, i64, <4 x float>, <4 x float>, <4 x float>, <4 x float>, <4 x float>, <4 x float>, <4 x float>, <4 x float>) #3

; "far"
; Function Attrs: nounwind
declare hidden swiftcc i32 @f1(ptr swiftself, i64, i64, i64, i64, i64, i64, i32) #3

attributes #0 = { nocallback nofree nosync nounwind willreturn memory(none) }
attributes #1 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #2 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #3 = { nounwind }
attributes #4 = { nomerge }

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
