;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --enable gc
;; The next cell of the size class, or a call where the run is used up; then the fields.
(module
  (type $t (struct (field i8) (field f64) (field (ref null any))))
  (func $make (param i32 f64 anyref) (result (ref $t)) (struct.new $t (local.get 0) (local.get 1) (local.get 2))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "make"
; Function Attrs: nounwind
define hidden swiftcc i64 @f0(ptr swiftself %0, i32 %1, double %2, i64 %3) #0 !rotor.entry !3 {
  %5 = getelementptr i8, ptr %0, i32 40
  %6 = load ptr, ptr %5, align 8, !invariant.load !5
  %7 = getelementptr i8, ptr %6, i32 80
  %8 = load volatile i32, ptr %7, align 4
  %9 = getelementptr i8, ptr %7, i32 4
  %10 = load volatile i32, ptr %9, align 4
  %11 = add i32 %8, 32
  %12 = icmp ugt i32 %11, %10
  br i1 %12, label %17, label %13

13:                                               ; preds = %4
  store volatile i32 %11, ptr %7, align 4
  %14 = zext i32 %8 to i64
  %15 = getelementptr i8, ptr %6, i64 %14
  %16 = load i64, ptr getelementptr (i8, ptr @rotor_run_page, i64 120), align 8, !invariant.load !5
  store volatile i64 %16, ptr %15, align 8
  br label %20

17:                                               ; preds = %4
  %18 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 192), align 8
  %19 = call i64 %18(ptr %0, i32 0) #1, !dbg !6  ; module offset 0x2a
  br label %20

20:                                               ; preds = %17, %13
  %21 = phi i64 [ %14, %13 ], [ %19, %17 ]
  %22 = getelementptr i8, ptr %6, i64 %21
  %23 = getelementptr i8, ptr %22, i32 8
  %24 = trunc i32 %1 to i8
  store volatile i8 %24, ptr %23, align 1
  %25 = getelementptr i8, ptr %22, i32 16
  store volatile double %2, ptr %25, align 8
  %26 = getelementptr i8, ptr %22, i32 24
  %27 = trunc i64 %3 to i32
  store volatile i32 %27, ptr %26, align 4
  ret i64 %21
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 35, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 42, scope: !4)
;;; STDOUT ;;)
