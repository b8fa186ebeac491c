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
define hidden swiftcc void @f0(ptr swiftself %0, i32 %1) #0 {
  br label %3

3:                                                ; preds = %2
  %4 = load volatile i32, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  %5 = sext i32 %4 to i64
  %6 = sub i64 %5, 1
  %7 = icmp slt i64 %6, 0
  br i1 %7, label %8, label %10

8:                                                ; preds = %3
  %9 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 104), align 8
  call void %9(ptr %0, i32 0) #3, !dbg !3  ; module offset 0x17
  br label %12

10:                                               ; preds = %3
  %11 = trunc i64 %6 to i32
  store volatile i32 %11, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  br label %12

12:                                               ; preds = %10, %8
  br label %13

13:                                               ; preds = %13, %12
  %14 = phi i32 [ %1, %12 ], [ %17, %13 ]
  %15 = phi i64 [ 0, %12 ], [ %16, %13 ]
  %16 = add i64 %15, 1
  %17 = sub i32 %14, 1
  %18 = icmp ne i32 %17, 0
  br i1 %18, label %13, label %19

19:                                               ; preds = %13
  %20 = load volatile i32, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  %21 = sext i32 %20 to i64
  %22 = sub i64 %21, %16
  %23 = icmp slt i64 %22, 0
  br i1 %23, label %24, label %26

24:                                               ; preds = %19
  %25 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 104), align 8
  call void %25(ptr %0, i32 0) #3, !dbg !5  ; module offset 0x24
  br label %28

26:                                               ; preds = %19
  %27 = trunc i64 %22 to i32
  store volatile i32 %27, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  br label %28

28:                                               ; preds = %26, %24
  br label %29

29:                                               ; preds = %28
  ret void
}

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(none)
declare ptr @llvm.frameaddress.p0(i32 immarg) #1

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.trap() #2

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nocallback nofree nosync nounwind willreturn memory(none) }
attributes #2 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #3 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 23, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DILocation(line: 36, scope: !4)
;;; STDOUT ;;)
