// A small guest that imports as wasm-bindgen's do.
#pragma once

#include <cstdint>
#include <vector>

#include "wasm/testing/assemble.h"

namespace rotor::wasm_bindgen {

inline const std::vector<uint8_t> kGuest = wasm::test::assemble_without_names(R"(
(module
  (import "wbg" "memory" (memory 1 100))
  (import "w" "__wbindgen_init_externref_table" (func $init))
  (import "w" "__wbindgen_is_undefined" (func $undef (param externref) (result i32)))
  (import "w" "__wbindgen_is_object" (func $obj (param externref) (result i32)))
  (import "w" "__wbg_crypto_0123456789abcdef" (func $crypto (param externref) (result externref)))
  (import "w" "__wbg_getRandomValues_0123456789abcdef" (func $random (param externref externref)))
  (import "w" "__wbg_newwithbyteoffsetandlength_0123456789abcdef"
    (func $view (param externref i32 i32) (result externref)))
  (import "w" "__wbg_new_0123456789abcdef" (func $nothing (result externref)))
  (import "w" "__wbindgen_throw" (func $throw (param i32 i32)))
  (table (export "refs") 1 externref)
  (data (i32.const 0) "oops")
  (func (export "__wbindgen_start") (param i32) (call $init))
  (func (export "undefined_at") (param i32) (result i32) (call $undef (table.get (local.get 0))))
  (func (export "object_at") (param i32) (result i32) (call $obj (table.get (local.get 0))))
  (func (export "null_at") (param i32) (result i32) (ref.is_null (table.get (local.get 0))))
  (func (export "random") (param i32 i32)
    (call $random (call $crypto (ref.null extern)) (call $view (ref.null extern) (local.get 0) (local.get 1))))
  (func (export "unstubbed") (drop (call $nothing)))
  (func (export "throw") (call $throw (i32.const 0) (i32.const 4))))
)");

}  // namespace rotor::wasm_bindgen
