;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; 64-bit addresses: the index is compared, and behind an offset past the guard the end, whose sum may wrap.
(module
  (memory i64 1)
  (func $near (param i64) (result i32) (i32.load offset=16 (local.get 0)))
  (func $far (param i64) (result i32) (i32.load offset=0x4000000 (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "near"
; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i64 %1) #0 !rotor.entry !3 {
  %3 = getelementptr i8, ptr %0, i32 48
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = getelementptr i8, ptr %0, i32 56
  %6 = load ptr, ptr %5, align 8, !invariant.load !5
  %7 = getelementptr i8, ptr %6, i32 8
  %8 = load volatile i64, ptr %7, align 8
  %9 = icmp uge i64 %1, %8
  br i1 %9, label %10, label %11

10:                                               ; preds = %2
  call void @llvm.ubsantrap(i8 4) #2, !dbg !6  ; module offset 0x21
  unreachable

11:                                               ; preds = %2
  %12 = getelementptr i8, ptr %4, i64 %1
  %13 = getelementptr i8, ptr %12, i64 16
  %14 = load volatile i32, ptr %13, align 1, !dbg !6  ; module offset 0x21
  ret i32 %14, !dbg !6  ; module offset 0x21
}

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.ubsantrap(i8 immarg) #1

; "far"
; Function Attrs: nounwind
define hidden swiftcc i32 @f1(ptr swiftself %0, i64 %1) #0 !rotor.entry !7 {
  %3 = getelementptr i8, ptr %0, i32 48
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = add i64 %1, 67108864
  %6 = add i64 %5, 4
  %7 = icmp ult i64 %6, 67108868
  br i1 %7, label %8, label %9

8:                                                ; preds = %2
  call void @llvm.ubsantrap(i8 4) #2, !dbg !8  ; module offset 0x29
  unreachable

9:                                                ; preds = %2
  %10 = getelementptr i8, ptr %0, i32 56
  %11 = load ptr, ptr %10, align 8, !invariant.load !5
  %12 = getelementptr i8, ptr %11, i32 8
  %13 = load volatile i64, ptr %12, align 8
  %14 = icmp ugt i64 %6, %13
  br i1 %14, label %15, label %16

15:                                               ; preds = %9
  call void @llvm.ubsantrap(i8 4) #2, !dbg !8  ; module offset 0x29
  unreachable

16:                                               ; preds = %9
  %17 = getelementptr i8, ptr %4, i64 %5
  %18 = load volatile i32, ptr %17, align 1, !dbg !8  ; module offset 0x29
  ret i32 %18, !dbg !8  ; module offset 0x29
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #2 = { nomerge }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 30, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 33, scope: !4)
!7 = distinct !DILocation(line: 38, scope: !4)
!8 = distinct !DILocation(line: 41, scope: !4)
;;; STDOUT ;;)
