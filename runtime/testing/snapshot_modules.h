// The modules of the tests of snapshots, without names.
#pragma once

#include <cstdint>
#include <vector>

#include "wasm/testing/assemble.h"

namespace rotor::runtime::test {

inline const std::vector<uint8_t> kState = wasm::test::assemble_without_names(R"(
(module
  (import "env" "ten" (func $ten (result i32)))
  (import "env" "host" (func $host (param i32) (result i32)))
  (memory (export "mem") 2 8)
  (table $t (export "t") 4 20 funcref)
  (table $x (export "x") 2 externref)
  (global $count (export "count") (mut i32) (i32.const 0))
  (global $f (export "f") (mut funcref) (ref.null func))
  (elem (table $t) (i32.const 0) func $one $ten)
  (elem $two_elem func $two)
  (data (i32.const 16) "hello")
  (data $later "later")
  (func $one (result i32) (i32.const 1))
  (func $two (export "two") (result i32) (i32.const 2))
  (func $bump (export "bump") (global.set $count (i32.add (global.get $count) (i32.const 1))))
  (start $bump)
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func $call (export "call") (param i32) (result i32) (call_indirect $t (result i32) (local.get 0)))
  (func (export "grow_table") (param i32) (result i32) (table.grow $t (ref.func $two) (local.get 0)))
  (func (export "set_f") (param i32) (global.set $f (table.get $t (local.get 0))))
  (func (export "call_f") (result i32) (table.set $t (i32.const 3) (global.get $f)) (call $call (i32.const 3)))
  (func (export "set_x") (param i32 externref) (table.set $x (local.get 0) (local.get 1)))
  (func (export "get_x") (param i32) (result externref) (table.get $x (local.get 0)))
  (func (export "init_data") (memory.init $later (i32.const 0) (i32.const 0) (i32.const 5)))
  (func (export "drop_data") (data.drop $later))
  (func (export "init_elem") (table.init $t $two_elem (i32.const 2) (i32.const 0) (i32.const 1)))
  (func (export "drop_elem") (elem.drop $two_elem))
  (func (export "call_host") (param i32) (result i32) (call $host (local.get 0))))
)");

inline const std::vector<uint8_t> kImports = wasm::test::assemble_without_names(R"(
(module
  (import "env" "table" (table 1 funcref))
  (import "env" "constant" (global i32))
  (import "env" "variable" (global (mut i32)))
  (import "env" "memory" (memory 1))
  (import "env" "f" (func $f))
  (export "f" (func $f)))
)");

inline const std::vector<uint8_t> kImportsMemoryAndFunc = wasm::test::assemble_without_names(R"(
(module
  (import "env" "next" (func $next (result i32)))
  (import "env" "memory" (memory 1 16))
  (func (export "run") (result i32) (call $next)))
)");

}  // namespace rotor::runtime::test
