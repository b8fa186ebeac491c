;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --enable=custom-page-sizes
;; In pages of one byte the end of each access is compared.
(module
  (memory 1 (pagesize 1))
  (func (param i32) (result i32) (i32.load offset=16 (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = getelementptr i8, ptr %0, i32 48
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = zext i32 %1 to i64
  %6 = add i64 %5, 16
  %7 = getelementptr i8, ptr %0, i32 56
  %8 = load ptr, ptr %7, align 8, !invariant.load !5
  %9 = getelementptr i8, ptr %8, i32 8
  %10 = load volatile i64, ptr %9, align 8
  %11 = add i64 %6, 4
  %12 = icmp ugt i64 %11, %10
  br i1 %12, label %13, label %14

13:                                               ; preds = %2
  call void @llvm.ubsantrap(i8 4) #2, !dbg !6  ; module offset 0x21
  unreachable

14:                                               ; preds = %2
  %15 = getelementptr i8, ptr %4, i64 %6
  %16 = load volatile i32, ptr %15, align 1, !dbg !6  ; module offset 0x21
  ret i32 %16, !dbg !6  ; module offset 0x21
}

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.ubsantrap(i8 immarg) #1

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #2 = { nomerge }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 30, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 33, scope: !4)
;;; STDOUT ;;)
