// The small modules of the tests of tail calls and typed function references.
#pragma once

#include <cstdint>
#include <vector>

#include "wasm/testing/assemble.h"

namespace rotor::runtime::test {

inline const std::vector<uint8_t> kTails = wasm::test::assemble(R"(
(module $tails
  (import "env" "host" (func $host (param i32 i64 f64) (result i32 i64 f64 f32 i32)))
  (import "env" "fail" (func $fail (param i64)))
  (func $to_host (export "to_host") (param f64) (result i32 i64 f64 f32 i32)
    (return_call $host (i32.const 1) (i64.const 2) (local.get 0)))
  (func $outer_fail (export "outer_fail") (call $tail_fail))
  (func $tail_fail (return_call $fail (i64.const 3)))
  (func $spin (export "spin") (param i64) (return_call $spin2 (f64.const 0) (local.get 0)))
  (func $spin2 (param f64 i64) (return_call $spin3
    (i64.const 0) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6)))
  (func $spin3 (param i64 i64 i64 i64 i64 i64 i64) (return_call $spin (local.get 6)))
  (func $outer (export "outer") (call $middle (i32.const 0)))
  (func $middle (param i32) (return_call $inner (f32.const 1)))
  (func $inner (param f32) unreachable)
  (func $outer_far (export "outer_far") (call $middle_far))
  (func $middle_far (return_call $inner_far
    (i64.const 0) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6)))
  (func $inner_far (param i64 i64 i64 i64 i64 i64 i64) (call $inner (f32.const 0))))
)");

inline const std::vector<uint8_t> kRefs = wasm::test::assemble(R"(
(module $refs
  (type $unary (func (param i32) (result i32)))
  (type $apply (func (param (ref $unary) i32) (result i32)))
  (import "env" "pick" (func $pick (param i32) (result (ref $unary))))
  (import "env" "extern" (func $extern (result (ref extern))))
  (table (export "table") 2 10 (ref $unary) (ref.func $double))
  (table (export "nullable") 2 10 (ref null $unary))
  (global (export "global") (mut (ref $unary)) (ref.func $double))
  (func $double (export "double") (type $unary) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "triple") (type $unary) (i32.mul (local.get 0) (i32.const 3)))
  (func (export "binary") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "apply") (type $apply) (call_ref $unary (local.get 1) (local.get 0)))
  (func (export "maybe") (param (ref null $unary)) (result i32) (call_ref $unary (i32.const 7) (local.get 0)))
  (func (export "any") (param (ref func)) (result (ref func)) (local.get 0))
  (func (export "non_null_extern") (param (ref extern)) (result (ref extern)) (local.get 0))
  (func (export "get") (result (ref null $unary)) (table.get 0 (i32.const 1)))
  (func (export "picked") (param i32) (result i32) (call_ref $unary (i32.const 5) (call $pick (local.get 0))))
  (func (export "call_extern") (result (ref extern)) (call $extern))
  (func (export "call_global") (result i32) (call_ref $unary (i32.const 4) (global.get 0))))
)");

}  // namespace rotor::runtime::test
