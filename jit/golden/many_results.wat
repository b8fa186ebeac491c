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
define hidden swiftcc void @f0(ptr swiftself %0, i32 %1) #0 {
  %3 = getelementptr i8, ptr %0, i32 8
  %4 = load ptr, ptr %3, align 8, !invariant.load !3
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

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(none)
declare ptr @llvm.frameaddress.p0(i32 immarg) #1

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.ubsantrap(i8 immarg) #2

; "caller"
; Function Attrs: nounwind
define hidden swiftcc { i32, i64, float, double } @f1(ptr swiftself %0, i32 %1) #0 {
  %3 = call ptr @llvm.frameaddress.p0(i32 0)
  %4 = ptrtoint ptr %3 to i64
  %5 = load ptr, ptr %0, align 8
  %6 = load i64, ptr %5, align 8
  %7 = icmp ult i64 %4, %6
  br i1 %7, label %8, label %9

8:                                                ; preds = %2
  call void @llvm.ubsantrap(i8 12) #3, !dbg !4  ; module offset 0x3c
  unreachable

9:                                                ; preds = %2
  call swiftcc void @f0(ptr swiftself %0, i32 %1) #4, !dbg !6  ; module offset 0x3f
  %10 = getelementptr i8, ptr %0, i32 8
  %11 = load ptr, ptr %10, align 8, !invariant.load !3
  %12 = load i32, ptr %11, align 8
  %13 = getelementptr i8, ptr %11, i64 16
  %14 = load i64, ptr %13, align 8
  %15 = getelementptr i8, ptr %11, i64 32
  %16 = load float, ptr %15, align 8
  %17 = getelementptr i8, ptr %11, i64 48
  %18 = load double, ptr %17, align 8
  %19 = getelementptr i8, ptr %11, i64 64
  %20 = insertvalue { i32, i64, float, double } poison, i32 %12, 0
  %21 = insertvalue { i32, i64, float, double } %20, i64 %14, 1
  %22 = insertvalue { i32, i64, float, double } %21, float %16, 2
  %23 = insertvalue { i32, i64, float, double } %22, double %18, 3
  ret { i32, i64, float, double } %23
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nocallback nofree nosync nounwind willreturn memory(none) }
attributes #2 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #3 = { nomerge }
attributes #4 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = !{}
!4 = distinct !DILocation(line: 60, scope: !5)
!5 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!6 = distinct !DILocation(line: 63, scope: !5)
;;; STDOUT ;;)
