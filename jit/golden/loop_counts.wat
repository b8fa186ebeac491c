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
  %6 = sub i32 %5, 1
  store volatile i32 %6, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  %7 = icmp slt i32 %6, 0
  br i1 %7, label %8, label %10

8:                                                ; preds = %4
  %9 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 104), align 8
  call void %9(ptr %0, i32 0) #3, !dbg !3  ; module offset 0x17
  br label %10

10:                                               ; preds = %8, %4
  br label %11

11:                                               ; preds = %18, %10
  %12 = phi i32 [ %1, %10 ], [ %19, %18 ]
  %13 = load volatile i32, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  %14 = sub i32 %13, 1
  store volatile i32 %14, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 4
  %15 = icmp slt i32 %14, 0
  br i1 %15, label %16, label %18

16:                                               ; preds = %11
  %17 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 104), align 8
  call void %17(ptr %0, i32 0) #3, !dbg !5  ; module offset 0x18
  br label %18

18:                                               ; preds = %16, %11
  %19 = sub i32 %12, 1
  %20 = icmp ne i32 %19, 0
  br i1 %20, label %11, label %21

21:                                               ; preds = %18
  br label %22

22:                                               ; preds = %21
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
!3 = !DILocation(line: 23, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !DILocation(line: 24, scope: !4)
;;; STDOUT ;;)
