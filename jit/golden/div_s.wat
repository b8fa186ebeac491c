;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; Two traps, each at the offset of the instruction.
(module
  (func $div (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "div"
; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i32 %1, i32 %2) #0 !rotor.entry !3 {
  %4 = icmp eq i32 %2, 0
  br i1 %4, label %5, label %6

5:                                                ; preds = %3
  call void @llvm.ubsantrap(i8 1) #2, !dbg !5  ; module offset 0x1e
  unreachable

6:                                                ; preds = %3
  %7 = icmp eq i32 %2, -1
  %8 = icmp eq i32 %1, -2147483648
  %9 = and i1 %8, %7
  br i1 %9, label %10, label %11

10:                                               ; preds = %6
  call void @llvm.ubsantrap(i8 2) #2, !dbg !5  ; module offset 0x1e
  unreachable

11:                                               ; preds = %6
  %12 = sdiv i32 %1, %2
  ret i32 %12
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
!3 = distinct !DILocation(line: 25, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DILocation(line: 30, scope: !4)
;;; STDOUT ;;)
