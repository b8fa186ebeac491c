;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --enable gc
;; To a final type by the object's own, to another by the entry of its depth; from any, what is no object reads as null.
(module
  (type $a (sub (struct (field i32))))
  (type $b (sub final $a (struct (field i32) (field i32))))
  (func $final (param (ref $a)) (result (ref $b)) (ref.cast (ref $b) (local.get 0)))
  (func $open (param anyref) (result i32) (ref.test (ref null $a) (local.get 0)))
  (func $kind (param eqref) (result i32) (ref.test (ref struct) (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "final"
; Function Attrs: nounwind
define hidden swiftcc i64 @f0(ptr swiftself %0, i64 %1) #0 !rotor.entry !3 {
  %3 = load i64, ptr getelementptr (i8, ptr @rotor_run_page, i64 128), align 8, !invariant.load !5
  %4 = trunc i64 %3 to i32
  %5 = getelementptr i8, ptr %0, i32 40
  %6 = load ptr, ptr %5, align 8, !invariant.load !5
  %7 = getelementptr i8, ptr %6, i64 %1
  %8 = load i32, ptr %7, align 4
  %9 = icmp eq i32 %8, %4
  %10 = xor i1 %9, true
  br i1 %10, label %11, label %12

11:                                               ; preds = %2
  call void @llvm.ubsantrap(i8 21) #2, !dbg !6  ; module offset 0x38
  unreachable

12:                                               ; preds = %2
  ret i64 %1
}

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.ubsantrap(i8 immarg) #1

; "open"
; Function Attrs: nounwind
define hidden swiftcc i32 @f1(ptr swiftself %0, i64 %1) #0 !rotor.entry !7 {
  %3 = icmp eq i64 %1, 0
  %4 = load i64, ptr getelementptr (i8, ptr @rotor_run_page, i64 120), align 8, !invariant.load !5
  %5 = trunc i64 %4 to i32
  %6 = and i64 %1, 7
  %7 = icmp ne i64 %6, 0
  %8 = select i1 %7, i64 0, i64 %1
  %9 = getelementptr i8, ptr %0, i32 40
  %10 = load ptr, ptr %9, align 8, !invariant.load !5
  %11 = getelementptr i8, ptr %10, i64 %8
  %12 = load i32, ptr %11, align 4
  %13 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 336), align 8, !invariant.load !5
  %14 = zext i32 %12 to i64
  %15 = mul i64 %14, 32
  %16 = getelementptr i8, ptr %13, i64 %15
  %17 = load i32, ptr %16, align 4
  %18 = icmp eq i32 %17, %5
  %19 = or i1 %3, %18
  %20 = zext i1 %19 to i32
  ret i32 %20
}

; "kind"
; Function Attrs: nounwind
define hidden swiftcc i32 @f2(ptr swiftself %0, i64 %1) #0 !rotor.entry !8 {
  %3 = and i64 %1, 7
  %4 = icmp ne i64 %3, 0
  %5 = select i1 %4, i64 0, i64 %1
  %6 = getelementptr i8, ptr %0, i32 40
  %7 = load ptr, ptr %6, align 8, !invariant.load !5
  %8 = getelementptr i8, ptr %7, i64 %5
  %9 = load i32, ptr %8, align 4
  %10 = and i32 %9, 3
  %11 = icmp eq i32 %10, 1
  %12 = zext i1 %11 to i32
  ret i32 %12
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #2 = { nomerge }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 53, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 56, scope: !4)
!7 = distinct !DILocation(line: 61, scope: !4)
!8 = distinct !DILocation(line: 69, scope: !4)
;;; STDOUT ;;)
