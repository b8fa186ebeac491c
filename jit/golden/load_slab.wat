;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --slab-memories
;; On a slab the end of each access is compared: with a constant if the memory has one size for ever, else with its size.
(module
  (memory 1 1)
  (memory $grows 1 2)
  (func (param i32) (result i32)
    (i32.load offset=16 (local.get 0))
    (i32.load $grows offset=16 (local.get 0))
    i32.add))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = getelementptr i8, ptr %0, i32 48
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = icmp ugt i32 %1, 65516
  br i1 %5, label %6, label %7

6:                                                ; preds = %2
  call void @llvm.ubsantrap(i8 4) #2, !dbg !6  ; module offset 0x24
  unreachable

7:                                                ; preds = %2
  %8 = zext i32 %1 to i64
  %9 = getelementptr i8, ptr %4, i64 %8
  %10 = getelementptr i8, ptr %9, i64 16
  %11 = load volatile i32, ptr %10, align 1, !dbg !6  ; module offset 0x24
  %12 = getelementptr i8, ptr %0, i32 64
  %13 = load ptr, ptr %12, align 8, !invariant.load !5
  %14 = add i64 %8, 16
  %15 = getelementptr i8, ptr %0, i32 72
  %16 = load ptr, ptr %15, align 8, !invariant.load !5
  %17 = getelementptr i8, ptr %16, i32 8
  %18 = load volatile i64, ptr %17, align 8
  %19 = add i64 %14, 4
  %20 = icmp ugt i64 %19, %18
  br i1 %20, label %21, label %22

21:                                               ; preds = %7
  call void @llvm.ubsantrap(i8 4) #2, !dbg !7  ; module offset 0x29
  unreachable

22:                                               ; preds = %7
  %23 = getelementptr i8, ptr %13, i64 %14
  %24 = load volatile i32, ptr %23, align 1, !dbg !7  ; module offset 0x29
  %25 = add i32 %11, %24, !dbg !7  ; module offset 0x29
  ret i32 %25
}

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.ubsantrap(i8 immarg) #1

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #2 = { nomerge }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 33, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 36, scope: !4)
!7 = distinct !DILocation(line: 41, scope: !4)
;;; STDOUT ;;)
