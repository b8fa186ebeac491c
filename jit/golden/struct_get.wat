;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --enable gc
;; Null is asked for; a packed field is extended, and a reference of 32 bits, too; a function is found by its number.
(module
  (type $f (func))
  (type $t (struct (field i16) (field (ref null any)) (field (ref null $f))))
  (func $packed (param (ref null $t)) (result i32) (struct.get_s $t 0 (local.get 0)))
  (func $reference (param (ref $t)) (result anyref) (struct.get $t 1 (local.get 0)))
  (func $function (param (ref $t)) (result (ref null $f)) (struct.get $t 2 (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "packed"
; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i64 %1) #0 !rotor.entry !3 {
  %3 = icmp eq i64 %1, 0
  br i1 %3, label %4, label %5

4:                                                ; preds = %2
  call void @llvm.ubsantrap(i8 17) #2, !dbg !5  ; module offset 0x37
  unreachable

5:                                                ; preds = %2
  %6 = getelementptr i8, ptr %0, i32 40
  %7 = load ptr, ptr %6, align 8, !invariant.load !6
  %8 = getelementptr i8, ptr %7, i64 %1
  %9 = getelementptr i8, ptr %8, i32 8
  %10 = load i16, ptr %9, align 2
  %11 = sext i16 %10 to i32
  ret i32 %11
}

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.ubsantrap(i8 immarg) #1

; "reference"
; Function Attrs: nounwind
define hidden swiftcc i64 @f1(ptr swiftself %0, i64 %1) #0 !rotor.entry !7 {
  %3 = getelementptr i8, ptr %0, i32 40
  %4 = load ptr, ptr %3, align 8, !invariant.load !6
  %5 = getelementptr i8, ptr %4, i64 %1
  %6 = getelementptr i8, ptr %5, i32 12
  %7 = load i32, ptr %6, align 4
  %8 = zext i32 %7 to i64
  ret i64 %8
}

; "function"
; Function Attrs: nounwind
define hidden swiftcc i64 @f2(ptr swiftself %0, i64 %1) #0 !rotor.entry !8 {
  %3 = getelementptr i8, ptr %0, i32 40
  %4 = load ptr, ptr %3, align 8, !invariant.load !6
  %5 = getelementptr i8, ptr %4, i64 %1
  %6 = getelementptr i8, ptr %5, i32 16
  %7 = load i32, ptr %6, align 4
  %8 = load ptr, ptr %0, align 8
  %9 = getelementptr i8, ptr %8, i32 64
  %10 = load ptr, ptr %9, align 8
  %11 = zext i32 %7 to i64
  %12 = getelementptr i64, ptr %10, i64 %11
  %13 = load i64, ptr %12, align 8
  ret i64 %13
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #2 = { nomerge }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 52, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DILocation(line: 55, scope: !4)
!6 = !{}
!7 = distinct !DILocation(line: 61, scope: !4)
!8 = distinct !DILocation(line: 70, scope: !4)
;;; STDOUT ;;)
