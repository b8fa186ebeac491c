;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --fuel
;; What each segment costs is taken off the account at its begin; entries and loops' heads look at what is left.
(module
  (func $f (param i32)
    (loop $l
      (if (i32.and (local.get 0) (i32.const 1)) (then (call $f (i32.const 0))))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "f"
; Function Attrs: nounwind
define hidden swiftcc void @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = load ptr, ptr %0, align 8
  %4 = getelementptr i8, ptr %3, i32 72
  %5 = load volatile i64, ptr %4, align 8
  %6 = sub i64 %5, 1
  store volatile i64 %6, ptr %4, align 8
  %7 = icmp slt i64 %6, 0
  br i1 %7, label %8, label %9

8:                                                ; preds = %2
  call void @llvm.ubsantrap(i8 22) #2, !dbg !5  ; module offset 0x18
  unreachable

9:                                                ; preds = %2, %25
  %10 = phi i32 [ %30, %25 ], [ %1, %2 ]
  %11 = load ptr, ptr %0, align 8
  %12 = getelementptr i8, ptr %11, i32 72
  %13 = load volatile i64, ptr %12, align 8
  %14 = sub i64 %13, 4
  store volatile i64 %14, ptr %12, align 8
  %15 = icmp slt i64 %14, 0
  br i1 %15, label %16, label %17

16:                                               ; preds = %9
  call void @llvm.ubsantrap(i8 22) #2, !dbg !6  ; module offset 0x1a
  unreachable

17:                                               ; preds = %9
  %18 = and i32 %10, 1
  %19 = icmp ne i32 %18, 0
  br i1 %19, label %20, label %25

20:                                               ; preds = %17
  %21 = load ptr, ptr %0, align 8
  %22 = getelementptr i8, ptr %21, i32 72
  %23 = load volatile i64, ptr %22, align 8
  %24 = sub i64 %23, 2
  store volatile i64 %24, ptr %22, align 8
  call swiftcc void @f0(ptr swiftself %0, i32 0) #3, !dbg !7  ; module offset 0x23
  br label %25

25:                                               ; preds = %17, %20
  %26 = load ptr, ptr %0, align 8
  %27 = getelementptr i8, ptr %26, i32 72
  %28 = load volatile i64, ptr %27, align 8
  %29 = sub i64 %28, 5
  store volatile i64 %29, ptr %27, align 8
  %30 = sub i32 %10, 1
  %31 = icmp ne i32 %30, 0
  br i1 %31, label %9, label %32

32:                                               ; preds = %25
  ret void
}

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.ubsantrap(i8 immarg) #1

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #2 = { nomerge }
attributes #3 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 23, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DILocation(line: 24, scope: !4)
!6 = distinct !DILocation(line: 26, scope: !4)
!7 = distinct !DILocation(line: 35, scope: !4)
;;; STDOUT ;;)
