;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; Three checks: in bounds, not null, of that type.
(module
  (table 4 funcref)
  (func $caller (param i32) (result i32)
    (call_indirect (param i64) (result i32) (i64.const 5) (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "caller"
; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = getelementptr i8, ptr %0, i32 48
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = getelementptr i8, ptr %4, i32 8
  %6 = load i64, ptr %5, align 8
  %7 = zext i32 %1 to i64
  %8 = icmp uge i64 %7, %6
  br i1 %8, label %9, label %10

9:                                                ; preds = %2
  call void @llvm.ubsantrap(i8 6) #2, !dbg !6  ; module offset 0x28
  unreachable

10:                                               ; preds = %2
  %11 = load ptr, ptr %4, align 8
  %12 = getelementptr i64, ptr %11, i64 %7
  %13 = load ptr, ptr %12, align 8
  %14 = icmp eq ptr %13, null
  br i1 %14, label %15, label %16

15:                                               ; preds = %10
  call void @llvm.ubsantrap(i8 7) #2, !dbg !6  ; module offset 0x28
  unreachable

16:                                               ; preds = %10
  %17 = load i64, ptr getelementptr (i8, ptr @rotor_run_page, i64 128), align 8
  %18 = load i64, ptr %13, align 8, !invariant.load !5
  %19 = icmp ne i64 %18, %17
  br i1 %19, label %20, label %21

20:                                               ; preds = %16
  call void @llvm.ubsantrap(i8 8) #2, !dbg !6  ; module offset 0x28
  unreachable

21:                                               ; preds = %16
  %22 = getelementptr i8, ptr %13, i32 16
  %23 = load ptr, ptr %22, align 8, !invariant.load !5
  %24 = getelementptr i8, ptr %13, i32 8
  %25 = load ptr, ptr %24, align 8, !invariant.load !5
  %26 = call swiftcc i32 %25(ptr swiftself %23, i64 5) #3, !dbg !6  ; module offset 0x28
  ret i32 %26
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
!3 = distinct !DILocation(line: 35, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 40, scope: !4)
;;; STDOUT ;;)
