// The small modules of the benchmarks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wasm/testing/assemble.h"

namespace rotor::bench {

// Calls in both directions, and a trap.
// As CALLS in bench/instances/run.py.
inline const std::vector<uint8_t> kCalls = wasm::test::assemble(R"(
  (module
    (import "env" "f" (func $f (param i32) (result i32)))
    (import "env" "g" (func $g (param i32) (result i32)))
    (func (export "nop"))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "host_loop") (param $n i32) (result i32) (local $s i32)
      (loop $l
        (local.set $s (call $f (local.get $s)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $s))
    (func (export "data_loop") (param $n i32) (result i32) (local $s i32)
      (loop $l
        (local.set $s (call $g (local.get $s)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $s))
    (func (export "trap") unreachable))
)");

// One function, no memory.
inline const std::vector<uint8_t> kFunction = wasm::test::assemble(R"(
  (module (func (export "run") (result i32) (i32.const 42)))
)");

// One page of memory with a data segment.
inline const std::vector<uint8_t> kPage = wasm::test::assemble(R"(
  (module (memory 1) (data (i32.const 1024) "hello, world")
    (func (export "run") (result i32) (i32.load (i32.const 1024)))
    (func (export "dirty") (param $pages i32) (result i32)
      (loop $l
        (i32.store (i32.shl (local.get $pages) (i32.const 12)) (i32.const 1))
        (br_if $l (i32.ge_s (local.tee $pages (i32.sub (local.get $pages) (i32.const 1))) (i32.const 0))))
      (i32.const 1)))
)");

// Work that never leaves the guest: calls alone, and loops of few and of more instructions.
inline std::vector<uint8_t> kernels(std::string_view memory) {
  return wasm::test::assemble("(module (memory " + std::string(memory) + ")" + R"(
    (func $fib (export "fib") (param i32) (result i32)
      (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
        (then (local.get 0))
        (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                       (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
    (func (export "count") (param $n i32) (result i32) (local $x i32)
      (loop $again
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $x))
    (func (export "sum") (param $n i32) (result i32) (local $sum i32) (local $at i32)
      (loop $again
        (local.set $sum (i32.add (local.get $sum) (i32.load (i32.and (local.get $at) (i32.const 0xfffc)))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum))
    (func (export "sieve") (param $n i32) (result i32) (local $i i32) (local $j i32) (local $count i32)
      (memory.fill (i32.const 0) (i32.const 0) (local.get $n))
      (local.set $i (i32.const 2))
      (loop $outer
        (if (i32.eqz (i32.load8_u (local.get $i)))
          (then
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (local.set $j (i32.shl (local.get $i) (i32.const 1)))
            (block $done
              (loop $inner
                (br_if $done (i32.ge_u (local.get $j) (local.get $n)))
                (i32.store8 (local.get $j) (i32.const 1))
                (local.set $j (i32.add (local.get $j) (local.get $i)))
                (br $inner)))))
        (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
      (local.get $count)))
)");
}
inline const std::vector<uint8_t> kKernels = kernels("1");

// 32 MiB of memory: filled, and touched at scattered pages.
inline const std::vector<uint8_t> kWide = wasm::test::assemble(R"(
  (module
    (memory 512)
    (func (export "fill") (local $at i32)
      (loop $l
        (i32.store (local.get $at) (i32.or (local.get $at) (i32.const 1)))
        (br_if $l (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 33554432)))))
    (func (export "touch") (param $reads i32) (param $writes i32) (result i32) (local $at i32) (local $sum i32)
      (block $read
        (loop $l
          (br_if $read (i32.eqz (local.get $reads)))
          (local.set $at (i32.and (i32.add (local.get $at) (i32.const 0x9e37_9b10)) (i32.const 0x1ff_fffc)))
          (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $at))))
          (local.set $reads (i32.sub (local.get $reads) (i32.const 1)))
          (br $l)))
      (block $write
        (loop $l
          (br_if $write (i32.eqz (local.get $writes)))
          (local.set $at (i32.and (i32.add (local.get $at) (i32.const 0x9e37_9b10)) (i32.const 0x1ff_fffc)))
          (i32.store (local.get $at) (local.get $sum))
          (local.set $writes (i32.sub (local.get $writes) (i32.const 1)))
          (br $l)))
      (local.get $sum)))
)");

}  // namespace rotor::bench
