// The guest of rotation_bench.cc: objects, state of any size, a trap, and calls that say when they run and when they
// have touched their pages.
#pragma once

#include <cstdint>
#include <vector>

#include "wasm/testing/assemble.h"

namespace rotor::bench {

inline const std::vector<uint8_t> kRotationGuest = wasm::test::assemble(R"(
  (module
    (import "env" "mark" (func $mark))
    (import "env" "done" (func $done))
    (memory (export "memory") 1 1024)
    (global $bump (mut i32) (i32.const 1024))
    (func $make (export "make") (param $v i32) (result i32) (local $h i32)
      (local.set $h (global.get $bump))
      (global.set $bump (i32.add (local.get $h) (i32.const 16)))
      (i32.store (local.get $h) (local.get $v))
      (local.get $h))
    (func (export "get") (param $h i32) (result i32) (i32.load (local.get $h)))
    (func (export "add") (param $h i32) (param $x i32) (result i32)
      (i32.store (local.get $h) (i32.add (i32.load (local.get $h)) (local.get $x)))
      (i32.load (local.get $h)))
    (func (export "plus") (param $a i32) (param $b i32) (result i32) (i32.add (local.get $a) (local.get $b)))
    (func (export "fill") (param $pages i32) (result i32) (local $p i32) (local $end i32)
      (local.set $p (i32.mul (memory.size) (i32.const 65536)))
      (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then unreachable))
      (local.set $end (i32.mul (memory.size) (i32.const 65536)))
      (block $done (loop $next
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (i32.store (local.get $p) (i32.or (local.get $p) (i32.const 1)))
        (local.set $p (i32.add (local.get $p) (i32.const 8)))
        (br $next)))
      (memory.size))
    (func (export "boom") unreachable)
    (func (export "touch") (param $h i32) (param $reads i32) (param $writes i32) (result i32) (local $p i32) (local $sum i32)
      (call $mark)
      (local.set $p (i32.const 65536))
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $reads)))
        (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $p))))
        (local.set $p (i32.add (local.get $p) (i32.const 1056768)))
        (local.set $reads (i32.sub (local.get $reads) (i32.const 1)))
        (br $next)))
      (local.set $p (i32.const 131072))
      (block $done2 (loop $next2
        (br_if $done2 (i32.eqz (local.get $writes)))
        (i32.store (local.get $p) (local.get $sum))
        (local.set $p (i32.add (local.get $p) (i32.const 1056768)))
        (local.set $writes (i32.sub (local.get $writes) (i32.const 1)))
        (br $next2)))
      (local.set $sum (i32.load (local.get $h)))
      (call $done)
      (local.get $sum))
    ;; 64 reads at random places of 32 MiB, and a page of memory that is lost, written whole.
    (func (export "request") (param $h i32) (result i32) (local $i i32) (local $x i32) (local $sum i32) (local $p i32)
      (call $mark)
      (local.set $x (i32.const 12345))
      (loop $next
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (local.set $sum (i32.add (local.get $sum) (i32.load (i32.and (local.get $x) (i32.const 0x1fffffc)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (i32.const 64))))
      (local.set $p (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
      (local.set $i (i32.const 0))
      (loop $write
        (i32.store (i32.add (local.get $p) (local.get $i)) (local.get $sum))
        (local.set $i (i32.add (local.get $i) (i32.const 8)))
        (br_if $write (i32.lt_u (local.get $i) (i32.const 65536))))
      (local.set $sum (i32.load (local.get $h)))
      (call $done)
      (local.get $sum))
  )
)");

}  // namespace rotor::bench
