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
  br label %4

4:                                                ; preds = %3
  %5 = load volatile i32, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  %6 = sext i32 %5 to i64
  %7 = sub i64 %6, 1
  %8 = icmp slt i64 %7, 0
  br i1 %8, label %9, label %11

9:                                                ; preds = %4
  %10 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 104), align 8
  call void %10(ptr %0, i32 0) #3, !dbg !3  ; module offset 0x17
  br label %13

11:                                               ; preds = %4
  %12 = trunc i64 %7 to i32
  store volatile i32 %12, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  br label %13

13:                                               ; preds = %11, %9
  br label %14

14:                                               ; preds = %14, %13
  %15 = phi i32 [ %1, %13 ], [ %18, %14 ]
  %16 = phi i64 [ 0, %13 ], [ %17, %14 ]
  %17 = add i64 %16, 1
  %18 = sub i32 %15, 1
  %19 = icmp ne i32 %18, 0
  br i1 %19, label %14, label %20

20:                                               ; preds = %14
  %21 = load volatile i32, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  %22 = sext i32 %21 to i64
  %23 = sub i64 %22, %17
  %24 = icmp slt i64 %23, 0
  br i1 %24, label %25, label %27

25:                                               ; preds = %20
  %26 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 104), align 8
  call void %26(ptr %0, i32 0) #3, !dbg !5  ; module offset 0x24
  br label %29

27:                                               ; preds = %20
  %28 = trunc i64 %23 to i32
  store volatile i32 %28, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  br label %29

29:                                               ; preds = %27, %25
  br label %30

30:                                               ; preds = %29
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
