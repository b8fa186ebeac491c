;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; A helper of the runtime does it, with the C calling convention. The base stays: it is loaded once.
(module
  (memory 1)
  (func $grow (param i32) (result i32)
    (drop (memory.grow (i32.const 1)))
    (i32.add (i32.load (local.get 0)) (memory.size))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "grow"
; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = getelementptr i8, ptr %0, i32 48
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = load ptr, ptr @rotor_run_page, align 8
  %6 = call i64 %5(ptr %0, i32 0, i64 1) #1, !dbg !6  ; module offset 0x20
  %7 = zext i32 %1 to i64
  %8 = getelementptr i8, ptr %4, i64 %7
  %9 = load volatile i32, ptr %8, align 1, !dbg !7  ; module offset 0x25
  %10 = getelementptr i8, ptr %0, i32 56
  %11 = load ptr, ptr %10, align 8, !invariant.load !5
  %12 = getelementptr i8, ptr %11, i32 8
  %13 = load atomic volatile i64, ptr %12 monotonic, align 8
  %14 = lshr i64 %13, 16
  %15 = trunc i64 %14 to i32
  %16 = add i32 %9, %15, !dbg !7  ; module offset 0x25
  ret i32 %16
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 29, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 32, scope: !4)
!7 = distinct !DILocation(line: 37, scope: !4)
;;; STDOUT ;;)
