;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --func caller --opt 1
;; No check of the type, and of a reference without null no check at all.
(module
  (type $t (func (param i64) (result i32)))
  (func $caller (param (ref $t)) (result i32) (call_ref $t (i64.const 5) (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "caller"
; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i64 %1) #0 !rotor.entry !3 {
  %3 = inttoptr i64 %1 to ptr
  %4 = getelementptr i8, ptr %3, i32 16
  %5 = load ptr, ptr %4, align 8, !invariant.load !5
  %6 = getelementptr i8, ptr %3, i32 8
  %7 = load ptr, ptr %6, align 8, !invariant.load !5
  %8 = call swiftcc i32 %7(ptr swiftself %5, i64 5) #1, !dbg !6  ; module offset 0x23
  ret i32 %8
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 30, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 35, scope: !4)
;;; STDOUT ;;)
