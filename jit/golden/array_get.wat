;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --enable gc
;; Null has no elements, so the bound's compare is all; the reference is kept alive up to the address.
(module
  (type $t (array (mut i64)))
  (func $get (param (ref null $t) i32) (result i64) (array.get $t (local.get 0) (local.get 1))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "get"
; Function Attrs: nounwind
define hidden swiftcc i64 @f0(ptr swiftself %0, i64 %1, i32 %2) #0 !rotor.entry !3 {
  %4 = getelementptr i8, ptr %0, i32 40
  %5 = load ptr, ptr %4, align 8, !invariant.load !5
  %6 = getelementptr i8, ptr %5, i64 %1
  %7 = getelementptr i8, ptr %6, i32 4
  %8 = load i32, ptr %7, align 4
  %9 = icmp uge i32 %2, %8
  br i1 %9, label %10, label %12

10:                                               ; preds = %3
  %11 = icmp eq i64 %1, 0
  br i1 %11, label %18, label %19

12:                                               ; preds = %3
  %13 = zext i32 %2 to i64
  %14 = shl i64 %13, 3
  %15 = getelementptr i8, ptr %6, i32 8
  %16 = getelementptr i8, ptr %15, i64 %14
  call void asm sideeffect "", "X"(i64 %1) #2
  %17 = load i64, ptr %16, align 8
  ret i64 %17

18:                                               ; preds = %10
  call void @llvm.ubsantrap(i8 18) #3, !dbg !6  ; module offset 0x22
  unreachable

19:                                               ; preds = %10
  call void @llvm.ubsantrap(i8 20) #3, !dbg !6  ; module offset 0x22
  unreachable
}

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.ubsantrap(i8 immarg) #1

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #2 = { nounwind willreturn memory(inaccessiblemem: readwrite) }
attributes #3 = { nomerge }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 29, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 34, scope: !4)
;;; STDOUT ;;)
