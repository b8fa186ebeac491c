;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --func caller --opt 0
;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --func caller --opt 1
;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --func caller --opt 1 --mode lazy
;; Tier 0 calls through slots, ahead of time code straight, tier 1 itself alone. The stack is checked before.
(module
  (func $caller (param i32)
    (call $caller (local.get 0))
    (call $callee (local.get 0)))
  (func $callee (param i32)))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "caller"
; Function Attrs: nounwind
define hidden swiftcc void @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 128), align 8
  call swiftcc void %3(ptr swiftself %0, i32 %1) #1, !dbg !5  ; module offset 0x1b
  %4 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 8
  call swiftcc void %4(ptr swiftself %0, i32 %1) #1, !dbg !6  ; module offset 0x1f
  br label %5

5:                                                ; preds = %2
  ret void
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 24, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DILocation(line: 27, scope: !4)
!6 = distinct !DILocation(line: 31, scope: !4)
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "caller"
; Function Attrs: nounwind
define hidden swiftcc void @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  call swiftcc void @f0(ptr swiftself %0, i32 %1) #1, !dbg !5  ; module offset 0x1b
  call swiftcc void @f1(ptr swiftself %0, i32 %1) #1, !dbg !6  ; module offset 0x1f
  ret void
}

; "callee"
; Function Attrs: nounwind
declare hidden swiftcc void @f1(ptr swiftself, i32) #1

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 24, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DILocation(line: 27, scope: !4)
!6 = distinct !DILocation(line: 31, scope: !4)
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "caller"
; Function Attrs: nounwind
define hidden swiftcc void @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  call swiftcc void @f0(ptr swiftself %0, i32 %1) #1, !dbg !5  ; module offset 0x1b
  %3 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 136), align 8
  call swiftcc void %3(ptr swiftself %0, i32 %1) #1, !dbg !6  ; module offset 0x1f
  ret void
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 24, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DILocation(line: 27, scope: !4)
!6 = distinct !DILocation(line: 31, scope: !4)
;;; STDOUT ;;)
