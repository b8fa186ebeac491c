;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1
;; A routine that multiplies is inlined. Its result's high word is loaded, as that may trap, but nobody waits for it; the
;; low word before it in memory can't trap then, and is not loaded.
(module
  (memory 1)
  (func $multi3 (param $p i32) (param $al i64) (param $ah i64) (param $bl i64) (param $bh i64)
    (local $ll i64) (local $t i64) (local $u i64)
    (local.set $ll (i64.mul (i64.and (local.get $al) (i64.const 0xffffffff))
                            (i64.and (local.get $bl) (i64.const 0xffffffff))))
    (local.set $t (i64.add (i64.mul (i64.shr_u (local.get $al) (i64.const 32))
                                    (i64.and (local.get $bl) (i64.const 0xffffffff)))
                           (i64.shr_u (local.get $ll) (i64.const 32))))
    (local.set $u (i64.add (i64.mul (i64.and (local.get $al) (i64.const 0xffffffff))
                                    (i64.shr_u (local.get $bl) (i64.const 32)))
                           (i64.and (local.get $t) (i64.const 0xffffffff))))
    (i64.store offset=8 (local.get $p)
      (i64.add (i64.add (i64.add (i64.mul (i64.shr_u (local.get $al) (i64.const 32))
                                          (i64.shr_u (local.get $bl) (i64.const 32)))
                                 (i64.shr_u (local.get $t) (i64.const 32)))
                        (i64.shr_u (local.get $u) (i64.const 32)))
               (i64.add (i64.mul (local.get $ah) (local.get $bl)) (i64.mul (local.get $al) (local.get $bh)))))
    (i64.store (local.get $p)
      (i64.or (i64.shl (local.get $u) (i64.const 32)) (i64.and (local.get $ll) (i64.const 0xffffffff)))))
  (func (export "product") (param $p i32) (param $a i64) (param $b i64) (result i64)
    (call $multi3 (i32.add (local.get $p) (i32.const 16)) (local.get $a) (i64.const 0) (local.get $b) (i64.const 0))
    (i64.xor (i64.load offset=24 (local.get $p)) (i64.load offset=16 (local.get $p)))))
(;; STDOUT ;;;
; ModuleID = 'batch'
source_filename = "batch"
target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
target triple = "x86_64-unknown-linux-gnu"

@rotor_run_page = external hidden global i8

; "multi3"
; Function Attrs: nounwind
define hidden swiftcc void @f0(ptr swiftself %0, i32 %1, i64 %2, i64 %3, i64 %4, i64 %5) #0 !rotor.entry !3 {
  %7 = getelementptr i8, ptr %0, i32 48
  %8 = load ptr, ptr %7, align 8, !invariant.load !5
  %9 = getelementptr i8, ptr %0, i32 32
  store volatile i8 1, ptr %9, align 1
  %10 = zext i64 %2 to i128
  %11 = zext i64 %4 to i128
  %12 = mul nuw i128 %11, %10
  %13 = lshr i128 %12, 64
  %14 = trunc i128 %13 to i64
  %15 = mul i64 %3, %4
  %16 = mul i64 %2, %5
  %17 = add i64 %15, %16
  %18 = add i64 %14, %17
  %19 = zext i32 %1 to i64
  %20 = getelementptr i8, ptr %8, i64 %19
  %21 = getelementptr i8, ptr %20, i64 8
  store volatile i64 %18, ptr %21, align 1, !dbg !6  ; module offset 0xa6
  %22 = trunc i128 %12 to i64
  store volatile i64 %22, ptr %20, align 1, !dbg !7  ; module offset 0xba
  ret void
}

; "product"
; Function Attrs: nounwind
define hidden swiftcc i64 @f1(ptr swiftself %0, i32 %1, i64 %2, i64 %3) #1 !rotor.entry !8 {
  %5 = getelementptr i8, ptr %0, i32 48
  %6 = load ptr, ptr %5, align 8, !invariant.load !5
  %7 = getelementptr i8, ptr %0, i32 32
  store volatile i8 1, ptr %7, align 1
  %8 = add i32 %1, 16
  %9 = zext i64 %2 to i128
  %10 = zext i64 %3 to i128
  %11 = mul nuw i128 %10, %9
  %12 = lshr i128 %11, 64
  %13 = trunc i128 %12 to i64
  %14 = zext i32 %8 to i64
  %15 = getelementptr i8, ptr %6, i64 %14
  %16 = getelementptr i8, ptr %15, i64 8
  store volatile i64 %13, ptr %16, align 1, !dbg !9  ; module offset 0xcd
  %17 = trunc i128 %11 to i64
  store volatile i64 %17, ptr %15, align 1, !dbg !9  ; module offset 0xcd
  %18 = zext i32 %1 to i64
  %19 = getelementptr i8, ptr %6, i64 %18
  %20 = getelementptr i8, ptr %19, i64 24
  %21 = load volatile i64, ptr %20, align 1, !dbg !10  ; module offset 0xd1
  %22 = xor i64 %13, %17
  ret i64 %22
}

attributes #0 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" }
attributes #1 = { nounwind "frame-pointer"="all" "probe-stack"="inline-asm" "rotor-inlined" }

!llvm.module.flags = !{!0}
!llvm.dbg.cu = !{!1}

!0 = !{i32 8, !"PIC Level", i32 2}
!1 = distinct !DICompileUnit(language: DW_LANG_C, file: !2, isOptimized: true, runtimeVersion: 0, emissionKind: NoDebug)
!2 = !DIFile(filename: "m", directory: "")
!3 = distinct !DILocation(line: 55, scope: !4)
!4 = distinct !DISubprogram(scope: !2, file: !2, spFlags: DISPFlagDefinition, unit: !1)
!5 = !{}
!6 = distinct !DILocation(line: 166, scope: !4)
!7 = distinct !DILocation(line: 186, scope: !4)
!8 = distinct !DILocation(line: 191, scope: !4)
!9 = distinct !DILocation(line: 205, scope: !4)
!10 = distinct !DILocation(line: 209, scope: !4)
;;; STDOUT ;;)
