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
define hidden swiftcc i32 @f0(ptr swiftself %0, i32 %1) #0 {
  br label %3

3:                                                ; preds = %2
  br label %4

4:                                                ; preds = %3
  switch i32 %1, label %5 [
    i32 0, label %7
    i32 2, label %7
  ]

5:                                                ; preds = %4
  %6 = phi i32 [ 9, %4 ]
  br label %11

7:                                                ; preds = %4, %4
  %8 = phi i32 [ 9, %4 ], [ 9, %4 ]
  %9 = add i32 %8, 1
  br label %10

10:                                               ; preds = %7
  ret i32 %9

11:                                               ; preds = %5
  ret i32 %6
}

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(none)
declare ptr @llvm.frameaddress.p0(i32 immarg) #1

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.trap() #2

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nocallback nofree nosync nounwind willreturn memory(none) }
attributes #2 = { cold noreturn nounwind memory(inaccessiblemem: write) }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
;;; STDOUT ;;)
