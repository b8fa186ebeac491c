// A small guest that imports as wasm-bindgen's do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rotor::wasm_bindgen {

// (module
//   (import "wbg" "memory" (memory 1 100))
//   (import "w" "__wbindgen_init_externref_table" (func $init))
//   (import "w" "__wbindgen_is_undefined" (func $undef (param externref) (result i32)))
//   (import "w" "__wbindgen_is_object" (func $obj (param externref) (result i32)))
//   (import "w" "__wbg_crypto_0123456789abcdef" (func $crypto (param externref) (result externref)))
//   (import "w" "__wbg_getRandomValues_0123456789abcdef" (func $random (param externref externref)))
//   (import "w" "__wbg_newwithbyteoffsetandlength_0123456789abcdef" (func $view (param externref i32 i32) (result
//   externref))) (import "w" "__wbg_new_0123456789abcdef" (func $nothing (result externref))) (import "w"
//   "__wbindgen_throw" (func $throw (param i32 i32))) (table (export "refs") 1 externref) (data (i32.const 0) "oops")
//   (func (export "__wbindgen_start") (param i32) (call $init))
//   (func (export "undefined_at") (param i32) (result i32) (call $undef (table.get (local.get 0))))
//   (func (export "object_at") (param i32) (result i32) (call $obj (table.get (local.get 0))))
//   (func (export "null_at") (param i32) (result i32) (ref.is_null (table.get (local.get 0))))
//   (func (export "random") (param i32 i32)
//     (call $random (call $crypto (ref.null extern)) (call $view (ref.null extern) (local.get 0) (local.get 1))))
//   (func (export "unstubbed") (drop (call $nothing)))
//   (func (export "throw") (call $throw (i32.const 0) (i32.const 4))))
inline constexpr char kGuest[] =
    "0061736d01000000012c0960000060016f017f60016f016f60026f6f0060036f7f7f016f6000016f60027f7f0060017f0060017f017f"
    "02a0020903776267066d656d6f72790201016401771f5f5f7762696e6467656e5f696e69745f65787465726e7265665f7461626c6500"
    "000177175f5f7762696e6467656e5f69735f756e646566696e656400010177145f5f7762696e6467656e5f69735f6f626a6563740001"
    "01771d5f5f7762675f63727970746f5f3031323334353637383961626364656600020177265f5f7762675f67657452616e646f6d5661"
    "6c7565735f3031323334353637383961626364656600030177315f5f7762675f6e657777697468627974656f6666736574616e646c65"
    "6e6774685f30313233343536373839616263646566000401771a5f5f7762675f6e65775f303132333435363738396162636465660005"
    "0177105f5f7762696e6467656e5f7468726f770006030807070808080600000404016f0001075d0804726566730100105f5f7762696e"
    "6467656e5f737461727400080c756e646566696e65645f61740009096f626a6563745f6174000a076e756c6c5f6174000b0672616e64"
    "6f6d000c09756e73747562626564000d057468726f77000e0a4007040010000b08002000250010010b08002000250010020b07002000"
    "2500d10b1000d06f1003d06f20002001100510040b050010061a0b08004100410410070b0b0a010041000b046f6f7073";

inline std::vector<uint8_t> from_hex(std::string_view hex) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

}  // namespace rotor::wasm_bindgen
