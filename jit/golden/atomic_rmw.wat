;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; Misaligned traps; sequentially consistent.
(module
  (memory 1 1 shared)
  (func $add (param i32 i32) (result i32) (i32.atomic.rmw16.add_u offset=2 (local.get 0) (local.get 1))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "add"
; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i32 %1, i32 %2) #0 !rotor.entry !3 {
  %4 = getelementptr i8, ptr %0, i32 48
  %5 = load ptr, ptr %4, align 8, !invariant.load !5
  %6 = getelementptr i8, ptr %0, i32 32
  store volatile i8 1, ptr %6, align 1
  %7 = zext i32 %1 to i64
  %8 = add i64 %7, 2
  %9 = and i64 %8, 1
  %10 = icmp ne i64 %9, 0
  br i1 %10, label %11, label %12

11:                                               ; preds = %3
  call void @llvm.ubsantrap(i8 10) #2, !dbg !6  ; module offset 0x24
  unreachable

12:                                               ; preds = %3
  %13 = getelementptr i8, ptr %5, i64 %7
  %14 = getelementptr i8, ptr %13, i64 2
  %15 = trunc i32 %2 to i16
  %16 = atomicrmw volatile add ptr %14, i16 %15 seq_cst, align 2, !dbg !6  ; module offset 0x24
  %17 = zext i16 %16 to i32
  ret i32 %17
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
!3 = distinct !DILocation(line: 31, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 36, scope: !4)
;;; STDOUT ;;)
