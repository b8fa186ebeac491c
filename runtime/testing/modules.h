// The small modules of the tests.
#pragma once

#include <cstdint>
#include <vector>

#include "wasm/testing/assemble.h"

namespace rotor::runtime::test {

inline const std::vector<uint8_t> kHost = wasm::test::assemble(R"(
(module
  (import "env" "add" (func $add (param i32 i32) (result i32)))
  (import "env" "fail" (func $fail))
  (import "env" "many"
    (func $many (param i32 f32 i64 f64 i32 i32 i32 i32 i32 f32 f64 f32 f64 f32 f64 f32 f64 i64 externref)
      (result i64)))
  (import "env" "three" (func $three (result f64 i32 f32)))
  (import "env" "six" (func $six (param i32) (result i32 i64 f32 f64 i32 i64)))
  (memory (export "mem") 1)
  (func (export "call_add") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))
  (func $outer (export "call_fail") (call $inner))
  (func $inner (call $fail))
  (func (export "call_many")
    (param i32 f32 i64 f64 i32 i32 i32 i32 i32 f32 f64 f32 f64 f32 f64 f32 f64 i64 externref) (result i64)
    (call $many (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)
      (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11) (local.get 12) (local.get 13)
      (local.get 14) (local.get 15) (local.get 16) (local.get 17) (local.get 18)))
  (func (export "call_three") (result f64 i32 f32) (call $three))
  (func (export "call_six") (param i32) (result i32 i64 f32 f64 i32 i64) (call $six (local.get 0)))
  (func (export "own_six") (param i64 f64) (result f64 i64 i32 f32 i64 f64)
    (local.get 1) (local.get 0) (i32.const -1) (f32.const 0.5) (i64.const 7) (f64.const 8))
  (func (export "is_null") (param externref) (result i32) (ref.is_null (local.get 0)))
  (func (export "self") (result funcref) (ref.func $outer))
  (export "reexported" (func $add)))
)");

inline const std::vector<uint8_t> kNested = wasm::test::assemble(R"(
(module
  (import "env" "again" (func $again (param i32)))
  (func $down (export "down") (param i32)
    (call $middle (local.get 0)))
  (func $middle (param i32)
    (if (i32.eqz (local.get 0)) (then unreachable))
    (call $again (i32.sub (local.get 0) (i32.const 1)))))
)");

inline const std::vector<uint8_t> kTraps = wasm::test::assemble(R"(
(module
  (type $v (func))
  (memory (export "mem") 1 2)
  (table $t (export "table") 3 funcref)
  (table $e 2 externref)
  (elem (table $t) (i32.const 0) func $takes_i32)
  (elem $seg func $nothing)
  (data $data "abc")
  (global $g (export "g") (mut i32) (i32.const 0))
  (func $takes_i32 (param i32))
  (func $nothing)
  (func (export "unreachable") unreachable)
  (func (export "div_s") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "rem64") (param i64 i64) (result i64) (i64.rem_u (local.get 0) (local.get 1)))
  (func (export "trunc") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "load_far") (param i32) (result i64) (i64.load offset=4294967295 (local.get 0)))
  (func (export "store") (param i32) (i32.store8 offset=3 (local.get 0) (i32.const 1)))
  (func (export "dropped_load") (param i32) (drop (i32.load (local.get 0))))
  (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 5) (local.get 1)))
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init") (param i32 i32 i32) (memory.init $data (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop_data") (data.drop $data))
  (func (export "table_get") (param i32) (result funcref) (table.get $t (local.get 0)))
  (func (export "table_init") (param i32 i32 i32) (table.init $t $seg (local.get 0) (local.get 1) (local.get 2)))
  (func (export "table_copy") (param i32 i32 i32) (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
  (func (export "table_fill") (param i32 externref i32) (table.fill $e (local.get 0) (local.get 1) (local.get 2)))
  (func (export "table_grow") (param externref i32) (result i32) (table.grow $e (local.get 0) (local.get 1)))
  (func (export "table_at") (param i32) (result externref) (table.get $e (local.get 0)))
  (func (export "indirect") (param i32) (call_indirect $t (type $v) (local.get 0)))
  (func (export "rmw") (param i32) (result i32) (i32.atomic.rmw.add (local.get 0) (i32.const 1)))
  (func (export "wait") (result i32) (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "set_then_trap") (global.set $g (i32.const 1)) unreachable)
  (func $recurse (export "recurse") (param i32) (result i32)
    (i32.add (call $recurse (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func $nop (export "nop")))
)");

inline const std::vector<uint8_t> kProvider = wasm::test::assemble(R"(
(module
  (memory (export "mem") 1)
  (table (export "table") 4 funcref)
  (global $n (export "n") (mut i32) (i32.const 0))
  (func $next (export "next") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (global.get $n))
  (elem (i32.const 0) func $next))
)");

inline const std::vector<uint8_t> kFuncUser = wasm::test::assemble(R"(
(module
  (import "p" "next" (func $next (result i32)))
  (func (export "run") (result i32) (call $next))
  (export "again" (func $next)))
)");

inline const std::vector<uint8_t> kTableUser = wasm::test::assemble(R"(
(module
  (import "p" "table" (table 4 funcref))
  (elem (i32.const 1) func $seven)
  (func $seven (result i32) (i32.const 7))
  (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))
)");

inline const std::vector<uint8_t> kGlobalUser = wasm::test::assemble(R"(
(module
  (import "p" "n" (global $n (mut i32)))
  (func (export "add") (param i32) (global.set $n (i32.add (global.get $n) (local.get 0)))))
)");

inline const std::vector<uint8_t> kStartTrap = wasm::test::assemble(R"(
(module
  (import "p" "mem" (memory 1))
  (import "p" "table" (table 4 funcref))
  (data (i32.const 16) "written")
  (elem (i32.const 2) func $nine)
  (func $nine (result i32) (i32.const 9))
  (func $start unreachable)
  (start $start))
)");

inline const std::vector<uint8_t> kSegmentTrap = wasm::test::assemble(R"(
(module
  (import "p" "table" (table 4 funcref))
  (elem (i32.const 3) func $eight)
  (elem (i32.const 4) func $eight)
  (func $eight (result i32) (i32.const 8)))
)");

inline const std::vector<uint8_t> kMemoryUser = wasm::test::assemble(R"(
(module
  (import "env" "memory" (memory 1 4))
  (func (export "poke") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "peek") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size)))
)");

inline const std::vector<uint8_t> kShared = wasm::test::assemble(R"(
(module
  (import "env" "memory" (memory 1 4 shared))
  (func (export "wait") (param i32 i32 i64) (result i32)
    (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "wait64") (param i32 i64 i64) (result i32)
    (memory.atomic.wait64 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "notify") (param i32 i32) (result i32) (memory.atomic.notify (local.get 0) (local.get 1)))
  (func (export "store") (param i32 i32) (i32.atomic.store (local.get 0) (local.get 1)))
  (func (export "add") (param i32 i32) (result i32)
    (loop
      (drop (i32.atomic.rmw.add (local.get 0) (i32.const 1)))
      (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
    (i32.atomic.load (local.get 0)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
)");

inline const std::vector<uint8_t> kCallsHost = wasm::test::assemble(R"(
(module
  (import "env" "f" (func $f))
  (func (export "run") (result i32) (call $f) (i32.const 5))
  (func (export "other") (result i32) (i32.const 6)))
)");

inline const std::vector<uint8_t> kFuncRefs = wasm::test::assemble(R"(
(module
  (import "env" "pick" (func $pick (result funcref)))
  (table $t (export "table") 2 funcref)
  (func (export "put") (param i32 funcref) (table.set $t (local.get 0) (local.get 1)))
  (func (export "pick_and_call") (result i32)
    (table.set $t (i32.const 0) (call $pick))
    (call_indirect $t (result i32) (i32.const 0)))
  (func (export "call") (param i32) (result i32) (call_indirect $t (result i32) (local.get 0))))
)");

inline const std::vector<uint8_t> kInterrupt = wasm::test::assemble(R"(
(module
  (import "env" "f" (func $f))
  (import "env" "pick" (func $pick (result funcref)))
  (func $spin (export "spin") (call $f) (loop $forever (br $forever)))
  (func (export "spin_and_call") (loop $forever (call $f) (br $forever)))
  (func (export "spin_and_count") (local $n i64)
    (call $f)
    (loop $outer
      (local.set $n (i64.const 0))
      (loop $inner
        (br_if $inner (i64.lt_u (local.tee $n (i64.add (local.get $n) (i64.const 1))) (i64.const 1000))))
      (br $outer)))
  (func (export "pick_and_spin") (drop (call $pick)) (call $f) (loop $forever (br $forever)))
  (func $fib (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "recurse") (result i32) (call $f) (call $fib (i32.const 90)))
  (func $deep (export "deep") (param i32) (result i32)
    (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func (export "call") (call $f))
  (func (export "call_then_sum") (param $n i32) (result i32) (local $sum i32)
    (call $f)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "leaf") (result i32) (i32.const 7)))
)");

inline const std::vector<uint8_t> kStartSpin = wasm::test::assemble(R"(
(module (func $start (loop $forever (br $forever))) (start $start))
)");

inline const std::vector<uint8_t> kSpinUser = wasm::test::assemble(R"(
(module
  (import "p" "spin" (func $spin))
  (func (export "run") (call $spin)))
)");

// Loads that are folded into what uses them.
inline const std::vector<uint8_t> kFolded = wasm::test::assemble(R"(
(module
  (memory 1)
  (func (export "sum") (param $p i32) (param $n i32) (result i32) (local $s i32)
    (loop $l
      (local.set $s (i32.add (local.get $s) (i32.load offset=4 (local.get $p))))
      (local.set $p (i32.add (local.get $p) (i32.const 4)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s))
  (func (export "less") (param $p i32) (result i32)
    (if (result i32) (i64.lt_u (i64.load (local.get $p)) (i64.const 7)) (then (i32.const 1)) (else (i32.const 2))))
  (func (export "half") (param $p i32) (result f64) (f64.mul (f64.load (local.get $p)) (f64.const 0.5)))
  (func (export "flag") (param $p i32) (result i32)
    (select (i32.const 3) (i32.const 4) (i32.load8_u (local.get $p)))))
)");

}  // namespace rotor::runtime::test
