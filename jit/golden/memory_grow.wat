;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; A helper of the runtime does it, with the C calling convention. The base stays: it is loaded once.
(module
  (memory 1)
  (func $grow (param i32) (result i32)
    (drop (memory.grow (i32.const 1)))
    (i32.add (i32.load (local.get 0)) (memory.size))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "grow"
; Function Attrs: nounwind
define hidden swiftcc i32 @f0(ptr swiftself %0, i32 %1) #0 {
  %3 = call ptr @llvm.frameaddress.p0(i32 0)
  %4 = ptrtoint ptr %3 to i64
  %5 = load ptr, ptr %0, align 8
  %6 = load i64, ptr %5, align 8
  %7 = icmp ult i64 %4, %6
  br i1 %7, label %8, label %9

8:                                                ; preds = %2
  call void @llvm.ubsantrap(i8 12) #3, !dbg !3  ; module offset 0x1d
  unreachable

9:                                                ; preds = %2
  %10 = getelementptr i8, ptr %0, i32 32
  %11 = load ptr, ptr %10, align 8, !invariant.load !5
  %12 = load ptr, ptr @rotor_run_page, align 8
  %13 = call i64 %12(ptr %0, i32 0, i64 1) #4, !dbg !6  ; module offset 0x20
  %14 = zext i32 %1 to i64
  %15 = getelementptr i8, ptr %11, i64 %14
  %16 = load volatile i32, ptr %15, align 1, !dbg !7  ; module offset 0x25
  %17 = getelementptr i8, ptr %0, i32 40
  %18 = load ptr, ptr %17, align 8, !invariant.load !5
  %19 = getelementptr i8, ptr %18, i32 8
  %20 = load atomic volatile i64, ptr %19 monotonic, align 8
  %21 = lshr i64 %20, 16
  %22 = trunc i64 %21 to i32
  %23 = add i32 %16, %22, !dbg !7  ; module offset 0x25
  ret i32 %23
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
!3 = distinct !DILocation(line: 29, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 32, scope: !4)
!7 = distinct !DILocation(line: 37, scope: !4)
;;; STDOUT ;;)
