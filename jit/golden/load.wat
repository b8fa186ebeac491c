;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 0
;; The guard does the bounds check: the index is zero-extended. Volatile, so that a load whose value nobody wants traps.
(module
  (memory 1)
  (func $load (param i32) (result i64)
    (drop (i32.load8_u (local.get 0)))
    (i64.load16_s offset=4 (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "load"
; Function Attrs: nounwind
define hidden swiftcc i64 @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = getelementptr i8, ptr %0, i32 48
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = zext i32 %1 to i64
  %6 = getelementptr i8, ptr %4, i64 %5
  %7 = load volatile i8, ptr %6, align 1, !dbg !6  ; module offset 0x20
  %8 = getelementptr i8, ptr %6, i64 4
  %9 = load volatile i16, ptr %8, align 1, !dbg !7  ; module offset 0x26
  %10 = sext i16 %9 to i64, !dbg !7  ; module offset 0x26
  ret i64 %10, !dbg !7  ; module offset 0x26
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 29, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 32, scope: !4)
!7 = distinct !DILocation(line: 38, scope: !4)
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "load"
; Function Attrs: nounwind
define hidden swiftcc i64 @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = getelementptr i8, ptr %0, i32 48
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = zext i32 %1 to i64
  %6 = getelementptr i8, ptr %4, i64 %5
  %7 = load volatile i8, ptr %6, align 1, !dbg !6  ; module offset 0x20
  %8 = zext i8 %7 to i32, !dbg !6  ; module offset 0x20
  %9 = zext i32 %1 to i64
  %10 = getelementptr i8, ptr %4, i64 %9
  %11 = getelementptr i8, ptr %10, i64 4
  %12 = load volatile i16, ptr %11, align 1, !dbg !7  ; module offset 0x26
  %13 = sext i16 %12 to i64, !dbg !7  ; module offset 0x26
  br label %14

14:                                               ; preds = %2
  ret i64 %13
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 29, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 32, scope: !4)
!7 = distinct !DILocation(line: 38, scope: !4)
;;; STDOUT ;;)
