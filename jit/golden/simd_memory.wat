;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; One volatile access of the whole width, of any alignment, whose address the guard checks.
(module
  (memory 1)
  (func $splat (param i32) (result v128) (v128.load16_splat offset=4 (local.get 0)))
  (func $extend (param i32) (result v128) (v128.load8x8_s (local.get 0)))
  (func $store (param i32 v128) (v128.store (local.get 0) (local.get 1)))
  (func $store_lane (param i32 v128) (v128.store32_lane offset=0xffffffff 3 (local.get 0) (local.get 1))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "splat"
; Function Attrs: nounwind
define hidden swiftcc <2 x i64> @f0(ptr swiftself %0, i32 %1) #0 !rotor.entry !3 {
  %3 = getelementptr i8, ptr %0, i32 48
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = zext i32 %1 to i64
  %6 = getelementptr i8, ptr %4, i64 %5
  %7 = getelementptr i8, ptr %6, i64 4
  %8 = load volatile i16, ptr %7, align 1, !dbg !6  ; module offset 0x28
  %9 = insertelement <8 x i16> poison, i16 %8, i64 0, !dbg !6  ; module offset 0x28
  %10 = shufflevector <8 x i16> %9, <8 x i16> poison, <8 x i32> zeroinitializer, !dbg !6  ; module offset 0x28
  %11 = bitcast <8 x i16> %10 to <2 x i64>, !dbg !6  ; module offset 0x28
  ret <2 x i64> %11, !dbg !6  ; module offset 0x28
}

; "extend"
; Function Attrs: nounwind
define hidden swiftcc <2 x i64> @f1(ptr swiftself %0, i32 %1) #0 !rotor.entry !7 {
  %3 = getelementptr i8, ptr %0, i32 48
  %4 = load ptr, ptr %3, align 8, !invariant.load !5
  %5 = zext i32 %1 to i64
  %6 = getelementptr i8, ptr %4, i64 %5
  %7 = load volatile i64, ptr %6, align 1, !dbg !8  ; module offset 0x31
  %8 = insertelement <2 x i64> poison, i64 %7, i64 0, !dbg !8  ; module offset 0x31
  %9 = bitcast <2 x i64> %8 to <16 x i8>, !dbg !8  ; module offset 0x31
  %10 = shufflevector <16 x i8> %9, <16 x i8> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>, !dbg !8  ; module offset 0x31
  %11 = sext <8 x i8> %10 to <8 x i16>, !dbg !8  ; module offset 0x31
  %12 = bitcast <8 x i16> %11 to <2 x i64>, !dbg !8  ; module offset 0x31
  ret <2 x i64> %12, !dbg !8  ; module offset 0x31
}

; "store"
; Function Attrs: nounwind
define hidden swiftcc void @f2(ptr swiftself %0, i32 %1, <2 x i64> %2) #0 !rotor.entry !9 {
  %4 = getelementptr i8, ptr %0, i32 48
  %5 = load ptr, ptr %4, align 8, !invariant.load !5
  %6 = getelementptr i8, ptr %0, i32 32
  store volatile i8 1, ptr %6, align 1
  %7 = zext i32 %1 to i64
  %8 = getelementptr i8, ptr %5, i64 %7
  store volatile <2 x i64> %2, ptr %8, align 1, !dbg !10  ; module offset 0x3c
  ret void
}

; "store_lane"
; Function Attrs: nounwind
define hidden swiftcc void @f3(ptr swiftself %0, i32 %1, <2 x i64> %2) #0 !rotor.entry !11 {
  %4 = getelementptr i8, ptr %0, i32 48
  %5 = load ptr, ptr %4, align 8, !invariant.load !5
  %6 = getelementptr i8, ptr %0, i32 32
  store volatile i8 1, ptr %6, align 1
  %7 = zext i32 %1 to i64
  %8 = add i64 %7, 4294967295
  %9 = getelementptr i8, ptr %0, i32 56
  %10 = load ptr, ptr %9, align 8, !invariant.load !5
  %11 = getelementptr i8, ptr %10, i32 8
  %12 = load atomic volatile i64, ptr %11 monotonic, align 8
  %13 = add i64 %8, 4
  %14 = icmp ugt i64 %13, %12
  br i1 %14, label %15, label %16

15:                                               ; preds = %3
  call void @llvm.ubsantrap(i8 4) #2, !dbg !12  ; module offset 0x47
  unreachable

16:                                               ; preds = %3
  %17 = getelementptr i8, ptr %5, i64 %8
  %18 = bitcast <2 x i64> %2 to <4 x i32>
  %19 = extractelement <4 x i32> %18, i64 3
  store volatile i32 %19, ptr %17, align 1, !dbg !12  ; module offset 0x47
  ret void
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
!3 = distinct !DILocation(line: 37, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 40, scope: !4)
!7 = distinct !DILocation(line: 46, scope: !4)
!8 = distinct !DILocation(line: 49, scope: !4)
!9 = distinct !DILocation(line: 55, scope: !4)
!10 = distinct !DILocation(line: 60, scope: !4)
!11 = distinct !DILocation(line: 66, scope: !4)
!12 = distinct !DILocation(line: 71, scope: !4)
;;; STDOUT ;;)
