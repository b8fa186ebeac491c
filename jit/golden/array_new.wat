;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --enable gc
;; The size class and its cell are looked up by the length, then the next cell is taken, or a call is made.
(module
  (type $t (array (mut i32)))
  (func $make (param i32) (result (ref $t)) (array.new_default $t (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "make"
; Function Attrs: nounwind
define hidden swiftcc i64 @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = icmp ule i32 %1, 254
  br i1 %3, label %4, label %34

4:                                                ; preds = %2
  %5 = shl i32 %1, 2
  %6 = add i32 %5, 15
  %7 = lshr i32 %6, 3
  %8 = zext i32 %7 to i64
  %9 = getelementptr i8, ptr %0, i32 40
  %10 = load ptr, ptr %9, align 8, !invariant.load !5
  %11 = getelementptr i8, ptr %10, i64 %8
  %12 = getelementptr i8, ptr %11, i32 384
  %13 = load i8, ptr %12, align 1, !invariant.load !5
  %14 = zext i8 %13 to i32
  %15 = zext i32 %14 to i64
  %16 = getelementptr i8, ptr %11, i32 513
  %17 = load i8, ptr %16, align 1, !invariant.load !5
  %18 = zext i8 %17 to i32
  %19 = shl i32 %18, 3
  %20 = getelementptr i8, ptr %10, i32 64
  %21 = getelementptr i64, ptr %20, i64 %15
  %22 = load volatile i32, ptr %21, align 4
  %23 = getelementptr i8, ptr %21, i32 4
  %24 = load volatile i32, ptr %23, align 4
  %25 = add i32 %22, %19
  %26 = icmp ugt i32 %25, %24
  br i1 %26, label %34, label %27

27:                                               ; preds = %4
  store volatile i32 %25, ptr %21, align 4
  %28 = zext i32 %22 to i64
  %29 = getelementptr i8, ptr %10, i64 %28
  %30 = zext i32 %1 to i64
  %31 = shl i64 %30, 32
  %32 = load i64, ptr getelementptr (i8, ptr @rotor_run_page, i64 120), align 8, !invariant.load !5
  %33 = or i64 %32, %31
  store volatile i64 %33, ptr %29, align 8
  br label %37

34:                                               ; preds = %4, %2
  %35 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 200), align 8
  %36 = call i64 %35(ptr %0, i32 0, i32 %1) #1, !dbg !6  ; module offset 0x1f
  br label %37

37:                                               ; preds = %34, %27
  %38 = phi i64 [ %28, %27 ], [ %36, %34 ]
  ret i64 %38
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 28, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 31, scope: !4)
;;; STDOUT ;;)
