// Modules with vectors.
#pragma once

#include <cstdint>
#include <vector>

#include "wasm/testing/assemble.h"

namespace rotor::runtime::test {

inline const std::vector<uint8_t> kVectors = wasm::test::assemble_without_names(R"(
(module
  (import "env" "add" (func $add (param v128 v128) (result v128)))
  (import "env" "mixed" (func $mixed
    (param v128 i32 f32 v128 v128 i64 v128 v128 v128 f64 v128 i32 v128 v128 i32 i32 i32 v128 f64 v128)
    (result v128 i32 v128 i64 v128 f32)))
  (import "env" "two" (func $two (param v128) (result v128 f64)))
  (import "env" "vector" (global $imported (mut v128)))
  (func (export "same") (param v128) (result v128) local.get 0)
  (func (export "call_add") (param v128 v128) (result v128) local.get 0 local.get 1 call $add)
  (func (export "call_mixed")
    (param v128 i32 f32 v128 v128 i64 v128 v128 v128 f64 v128 i32 v128 v128 i32 i32 i32 v128 f64 v128)
    (result v128 i32 v128 i64 v128 f32)
    local.get 0 local.get 1 local.get 2 local.get 3 local.get 4 local.get 5 local.get 6 local.get 7 local.get 8
    local.get 9 local.get 10 local.get 11 local.get 12 local.get 13 local.get 14 local.get 15 local.get 16
    local.get 17 local.get 18 local.get 19 call $mixed)
  (func (export "call_two") (param v128) (result f64 v128) (local v128 f64)
    local.get 0 call $two local.set 2 local.set 1 local.get 2 local.get 1)
  (func (export "swap") (param i32 v128 f64) (result f64 v128 i32) local.get 2 local.get 1 local.get 0)
  (func (export "reexported") (param v128) (result v128)
    local.get 0 global.get $imported i32x4.add global.set $imported
    global.get $imported)
  (global $own (export "own") (mut v128) (v128.const i32x4 1 2 3 4))
  (global (export "fixed") v128 (v128.const i64x2 -1 7))
  (global $after (export "after") (mut i32) (i32.const 99))
  (func (export "bump") global.get $own (v128.const i32x4 1 1 1 1) i32x4.add global.set $own)
)
)");

inline const std::vector<uint8_t> kRelaxed = wasm::test::assemble(R"(
(module
  (func (export "madd") (param v128 v128 v128) (result v128) local.get 0 local.get 1 local.get 2 f32x4.relaxed_madd)
  (func (export "dot") (param v128 v128) (result v128) local.get 0 local.get 1 i16x8.relaxed_dot_i8x16_i7x16_s)
  (func (export "swizzle") (param v128 v128) (result v128) local.get 0 local.get 1 i8x16.relaxed_swizzle)
  (func (export "trunc") (param v128) (result v128) local.get 0 i32x4.relaxed_trunc_f32x4_s)
  (func (export "select") (param v128 v128 v128) (result v128)
    local.get 0 local.get 1 local.get 2 i32x4.relaxed_laneselect)
  (func (export "min") (param v128 v128) (result v128) local.get 0 local.get 1 f32x4.relaxed_min)
  (func (export "q15") (param v128 v128) (result v128) local.get 0 local.get 1 i16x8.relaxed_q15mulr_s)
  (func (export "add") (param f32 f32) (result f32) local.get 0 local.get 1 f32.add)
  (func (export "sqrt") (param f64) (result f64) local.get 0 f64.sqrt)
  (func (export "promote") (param f32) (result f64) local.get 0 f64.promote_f32)
  (func (export "vadd") (param v128 v128) (result v128) local.get 0 local.get 1 f32x4.add)
  (func (export "demote") (param v128) (result v128) local.get 0 f32x4.demote_f64x2_zero))
)");

}  // namespace rotor::runtime::test
