;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --func caller --opt 1
;; No check of the type, and of a reference without null no check at all.
(module
  (type $t (func (param i64) (result i32)))
  (func $caller (param (ref $t)) (result i32) (call_ref $t (i64.const 5) (local.get 0))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "caller"
; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i64 %1) #0 {
  %3 = call ptr @llvm.frameaddress.p0(i32 0)
  %4 = ptrtoint ptr %3 to i64
  %5 = load ptr, ptr %0, align 8
  %6 = load i64, ptr %5, align 8
  %7 = icmp ult i64 %4, %6
  br i1 %7, label %8, label %9

8:                                                ; preds = %2
  call void @llvm.ubsantrap(i8 12) #3, !dbg !3  ; module offset 0x1e
  unreachable

9:                                                ; preds = %2
  %10 = inttoptr i64 %1 to ptr
  %11 = getelementptr i8, ptr %10, i32 16
  %12 = load ptr, ptr %11, align 8, !invariant.load !5
  %13 = getelementptr i8, ptr %10, i32 8
  %14 = load ptr, ptr %13, align 8, !invariant.load !5
  %15 = call swiftcc i32 %14(ptr swiftself %12, i64 5) #4, !dbg !6  ; module offset 0x23
  ret i32 %15
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
!3 = distinct !DILocation(line: 30, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 35, scope: !4)
;;; STDOUT ;;)
