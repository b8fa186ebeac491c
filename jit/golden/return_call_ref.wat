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

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(none)
declare ptr @llvm.frameaddress.p0(i32 immarg) #0

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.ubsantrap(i8 immarg) #1

; "caller"
; Function Attrs: nounwind
define hidden swiftcc void @u0.0(ptr swiftself %0, i64 %1, i64 %2, i64 %3, i64 %4, i64 %5, i64 %6, <4 x float> %7, <4 x float> %8, <4 x float> %9, <4 x float> %10, <4 x float> %11, <4 x float> %12, <4 x float> %13, <4 x float> %14) #2 {
  %16 = call ptr @llvm.frameaddress.p0(i32 0)
  %17 = ptrtoint ptr %16 to i64
  %18 = load ptr, ptr %0, align 8
  %19 = load i64, ptr %18, align 8
  %20 = icmp ult i64 %17, %19
  br i1 %20, label %21, label %22

21:                                               ; preds = %15
  call void @llvm.ubsantrap(i8 12) #3, !dbg !3  ; module offset 0x1c
  unreachable

22:                                               ; preds = %15
  %23 = icmp eq i64 %1, 0
  br i1 %23, label %24, label %25

24:                                               ; preds = %22
  call void @llvm.ubsantrap(i8 15) #3, !dbg !5  ; module offset 0x21
  unreachable

25:                                               ; preds = %22
  %26 = inttoptr i64 %1 to ptr
  %27 = getelementptr i8, ptr %26, i32 16
  %28 = load ptr, ptr %27, align 8, !invariant.load !6
  %29 = getelementptr i8, ptr %26, i32 8
  %30 = load ptr, ptr %29, align 8, !invariant.load !6
  %31 = icmp eq ptr %28, %0
  br i1 %31, label %32, label %33

32:                                               ; preds = %25
  musttail call swiftcc void %30(ptr swiftself %0, i64 5, i64 poison, i64 poison, i64 poison, i64 poison, i64 poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison) #4, !dbg !5  ; module offset 0x21
  ret void

33:                                               ; preds = %25
  %34 = getelementptr i8, ptr %18, i32 8
  store ptr %30, ptr %34, align 8
  %35 = getelementptr i8, ptr %18, i32 16
  store ptr %28, ptr %35, align 8
  %36 = getelementptr i8, ptr %18, i32 24
  store i64 0, ptr %36, align 8
  %37 = getelementptr i8, ptr %18, i32 32
  store i64 0, ptr %37, align 8
  %38 = load ptr, ptr getelementptr (i8, ptr @rotor_run_page, i64 152), align 8
  musttail call swiftcc void %38(ptr swiftself %0, i64 5, i64 poison, i64 poison, i64 poison, i64 poison, i64 poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison, <4 x float> poison) #4, !dbg !5  ; module offset 0x21
  ret void
}

attributes #0 = { nocallback nofree nosync nounwind willreturn memory(none) }
attributes #1 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #2 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #3 = { nomerge }
attributes #4 = { nounwind }

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
