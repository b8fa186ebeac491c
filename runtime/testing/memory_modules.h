// Modules with memories of every type.
#pragma once

#include <cstdint>
#include <vector>

#include "wasm/testing/assemble.h"

namespace rotor::runtime::test {

inline const std::vector<uint8_t> kSeveralMemories = wasm::test::assemble(R"(
(module
  (memory $a (export "a") 1 4)
  (memory $b (export "b") i64 1)
  (memory $c (export "c") 5 100000 (pagesize 1))
  (memory $d (export "d") i64 0 0x1000000000000)
  (table (export "t") i64 2 0xffffffffffffffff funcref)
  (func (export "load_a") (param i32) (result i64) (i64.load $a (local.get 0)))
  (func (export "store_a") (param i32 i64) (i64.store $a (local.get 0) (local.get 1)))
  (func (export "load_b") (param i64) (result i64) (i64.load $b (local.get 0)))
  (func (export "store_b") (param i64 i64) (i64.store $b (local.get 0) (local.get 1)))
  (func (export "load_far") (param i64) (result i64) (i64.load $b offset=0x100000008 (local.get 0)))
  (func (export "grow_b") (param i64) (result i64) (memory.grow $b (local.get 0)))
  (func (export "load_c") (param i32) (result i32) (i32.load8_u $c (local.get 0)))
  (func (export "store_c") (param i32 i32) (i32.store8 $c (local.get 0) (local.get 1)))
  (func (export "grow_c") (param i32) (result i32) (memory.grow $c (local.get 0)))
  (func (export "grow_d") (param i64) (result i64) (memory.grow $d (local.get 0))))
)");

inline const std::vector<uint8_t> kByteMemoryUser = wasm::test::assemble(R"(
(module (import "m" "memory" (memory i64 1 4 (pagesize 1))))
)");

}  // namespace rotor::runtime::test
