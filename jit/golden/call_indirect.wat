;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; Three checks: in bounds, not null, of that type.
(module
  (table 4 funcref)
  (func $caller (param i32) (result i32)
    (call_indirect (param i64) (result i32) (i64.const 5) (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "caller"
; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i32 %1) #0 {
  %3 = call ptr @llvm.frameaddress.p0(i32 0)
  %4 = ptrtoint ptr %3 to i64
  %5 = load ptr, ptr %0, align 8
  %6 = load i64, ptr %5, align 8
  %7 = icmp ult i64 %4, %6
  br i1 %7, label %8, label %9

8:                                                ; preds = %2
  call void @llvm.ubsantrap(i8 12) #3, !dbg !3  ; module offset 0x23
  unreachable

9:                                                ; preds = %2
  %10 = getelementptr i8, ptr %0, i32 32
  %11 = load ptr, ptr %10, align 8, !invariant.load !5
  %12 = getelementptr i8, ptr %11, i32 8
  %13 = load i64, ptr %12, align 8
  %14 = zext i32 %1 to i64
  %15 = icmp uge i64 %14, %13
  br i1 %15, label %16, label %17

16:                                               ; preds = %9
  call void @llvm.ubsantrap(i8 6) #3, !dbg !6  ; module offset 0x28
  unreachable

17:                                               ; preds = %9
  %18 = load ptr, ptr %11, align 8, !invariant.load !5
  %19 = getelementptr i64, ptr %18, i64 %14
  %20 = load ptr, ptr %19, align 8
  %21 = icmp eq ptr %20, null
  br i1 %21, label %22, label %23

22:                                               ; preds = %17
  call void @llvm.ubsantrap(i8 7) #3, !dbg !6  ; module offset 0x28
  unreachable

23:                                               ; preds = %17
  %24 = load i64, ptr getelementptr (i8, ptr @rotor_run_page, i64 128), align 8
  %25 = load i64, ptr %20, align 8, !invariant.load !5
  %26 = icmp ne i64 %25, %24
  br i1 %26, label %27, label %28

27:                                               ; preds = %23
  call void @llvm.ubsantrap(i8 8) #3, !dbg !6  ; module offset 0x28
  unreachable

28:                                               ; preds = %23
  %29 = getelementptr i8, ptr %20, i32 16
  %30 = load ptr, ptr %29, align 8, !invariant.load !5
  %31 = getelementptr i8, ptr %20, i32 8
  %32 = load ptr, ptr %31, align 8, !invariant.load !5
  %33 = call swiftcc i32 %32(ptr swiftself %30, i64 5) #4, !dbg !6  ; module offset 0x28
  ret i32 %33
}

; Function Attrs: nocallback nofree nosync nounwind willreturn memory(none)
declare ptr @llvm.frameaddress.p0(i32 immarg) #1

; Function Attrs: cold noreturn nounwind memory(inaccessiblemem: write)
declare void @llvm.ubsantrap(i8 immarg) #2

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nocallback nofree nosync nounwind willreturn memory(none) }
attributes #2 = { cold noreturn nounwind memory(inaccessiblemem: write) }
attributes #3 = { nomerge }
attributes #4 = { nounwind }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 35, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 40, scope: !4)
;;; STDOUT ;;)
