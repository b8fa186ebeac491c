;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --func caller --opt 1
;; One check for null; a jump if the callee's context is the caller's.
(module
  (type $t (func (param i64)))
  (func $caller (param (ref null $t)) (return_call_ref $t (i64.const 5) (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.ubsantrap(i8 immarg) #0

; "caller"
; Function Attrs: nounwind
define hidden swiftcc void @u0.0(ptr swiftself %0, i64 %1, i64 %2, i64 %3, i64 %4, i64 %5, i64 %6, <4 x float> %7, <4 x float> %8, <4 x float> %9, <4 x float> %10, <4 x float> %11, <4 x float> %12, <4 x float> %13, <4 x float> %14) #1 !rotor.entry !3 {
  %16 = icmp eq i64 %1, 0
  br i1 %16, label %17, label %18

17:                                               ; preds = %15
  call void @llvm.ubsantrap(i8 15) #2, !dbg !5  ; module offset 0x21
  unreachable

18:                                               ; preds = %15
  %19 = inttoptr i64 %1 to ptr
  %20 = getelementptr i8, ptr %19, i32 16
  %21 = load ptr, ptr %20, align 8, !invariant.load !6
  %22 = getelementptr i8, ptr %19, i32 8
  %23 = load ptr, ptr %22, align 8, !invariant.load !6
  %24 = icmp eq ptr %21, %0
  br i1 %24, label %25, label %26

25:                                               ; preds = %18
  musttail call swiftcc void %23(ptr swiftself %0, i64 5, i64 poison, i64 poison, i64 poison, i64 poison, i64 poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison) #3, !dbg !5  ; module offset 0x21
  ret void

26:                                               ; preds = %18
  %27 = load ptr, ptr %0, align 8
  %28 = getelementptr i8, ptr %27, i32 8
  store ptr %23, ptr %28, align 8
  %29 = getelementptr i8, ptr %27, i32 16
  store ptr %21, ptr %29, align 8
  %30 = getelementptr i8, ptr %27, i32 24
  store i64 0, ptr %30, align 8
  %31 = getelementptr i8, ptr %27, i32 32
  store i64 0, ptr %31, align 8
  %32 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 152), align 8
  musttail call swiftcc void %32(ptr swiftself %0, i64 5, i64 poison, i64 poison, i64 poison, i64 poison, i64 poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison) #3, !dbg !5  ; module offset 0x21
  ret void
}

attributes #0 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #1 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #2 = { nomerge }
attributes #3 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 28, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = distinct !DILocation(line: 33, scope: !4)
!6 = !{}
;;; STDOUT ;;)
