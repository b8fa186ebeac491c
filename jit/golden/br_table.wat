;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 0
;; A switch; targets that the default goes to are left out, and the value reaches each block once an edge.
(module
  (func $pick (param i32) (result i32)
    (block $b (result i32)
      (block $a (result i32)
        (br_table $a $b $a $b (i32.const 9) (local.get 0)))
      (return (i32.add (i32.const 1))))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "pick"
; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  br label %3

3:                                                ; preds = %2
  switch i32 %1, label %4 [
    i32 0, label %6
    i32 2, label %6
  ]

4:                                                ; preds = %3
  %5 = phi i32 [ 9, %3 ]
  br label %10

6:                                                ; preds = %3, %3
  %7 = phi i32 [ 9, %3 ], [ 9, %3 ]
  %8 = add i32 %7, 1
  br label %9

9:                                                ; preds = %6
  ret i32 %8

10:                                               ; preds = %4
  ret i32 %5
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 24, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
;;; STDOUT ;;)
