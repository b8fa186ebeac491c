;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 0 --mode lazy
;; Entries and turns of loops count, and tell the runtime when the function has become hot.
(module
  (func $spin (param i32)
    (loop $l
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "spin"
; Function Attrs: nounwind
define hidden swiftcc void @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = load volatile i32, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  %4 = sext i32 %3 to i64
  %5 = sub i64 %4, 1
  %6 = icmp slt i64 %5, 0
  br i1 %6, label %7, label %9

7:                                                ; preds = %2
  %8 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 104), align 8
  call void %8(ptr %0, i32 0) #1, !dbg !3  ; module offset 0x17
  br label %11

9:                                                ; preds = %2
  %10 = trunc i64 %5 to i32
  store volatile i32 %10, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  br label %11

11:                                               ; preds = %9, %7
  br label %12

12:                                               ; preds = %12, %11
  %13 = phi i32 [ %1, %11 ], [ %16, %12 ]
  %14 = phi i64 [ 0, %11 ], [ %15, %12 ]
  %15 = add i64 %14, 1
  %16 = sub i32 %13, 1
  %17 = icmp ne i32 %16, 0
  br i1 %17, label %12, label %18

18:                                               ; preds = %12
  %19 = load volatile i32, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  %20 = sext i32 %19 to i64
  %21 = sub i64 %20, %15
  %22 = icmp slt i64 %21, 0
  br i1 %22, label %23, label %25

23:                                               ; preds = %18
  %24 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 104), align 8
  call void %24(ptr %0, i32 0) #1, !dbg !5  ; module offset 0x24
  br label %27

25:                                               ; preds = %18
  %26 = trunc i64 %21 to i32
  store volatile i32 %26, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  br label %27

27:                                               ; preds = %25, %23
  br label %28

28:                                               ; preds = %27
  ret void
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 23, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DILocation(line: 36, scope: !4)
;;; STDOUT ;;)
