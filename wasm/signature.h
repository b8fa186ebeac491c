// Signatures and alignments of opcodes.def as compile-time values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "rotor/value.h"

namespace rotor::wasm {

/// One row's signature: up to three operands, no result or one.
struct OpcodeSignature {
  std::array<char, 3> params{};
  uint8_t params_count = 0;
  char result = 0;  ///< 0: none
};

/// Returns whether an operand or the result is a float.
consteval bool has_float(const OpcodeSignature& signature) {
  auto is_float = [](char letter) { return letter == 'f' || letter == 'd'; };
  for (uint8_t i = 0; i < signature.params_count; ++i)
    if (is_float(signature.params[i])) return true;
  return is_float(signature.result);
}

consteval OpcodeSignature parse_signature(const char* text) {
  OpcodeSignature signature;
  for (; *text != '_'; ++text) signature.params[signature.params_count++] = *text;
  signature.result = text[1];
  return signature;
}

/// Returns the base-2 logarithm of the natural alignment: "mem2" -> 2.
consteval uint32_t natural_align_log2(const char* immediate) { return static_cast<uint32_t>(immediate[3] - '0'); }
/// Returns the number of lanes: "lane16", "mem0_lane16" -> 16.
consteval uint8_t lanes_of(const char* immediate) {
  uint32_t lanes = 0;
  for (; *immediate; ++immediate)
    lanes = *immediate >= '0' && *immediate <= '9' ? lanes * 10 + static_cast<uint32_t>(*immediate - '0') : 0;
  return static_cast<uint8_t>(lanes);
}

constexpr ValType type_of_letter(char letter) {
  switch (letter) {
    case 'i': return ValType::i32;
    case 'l': return ValType::i64;
    case 'f': return ValType::f32;
    case 'd': return ValType::f64;
    case 'v': return ValType::v128;
    default: return ValType();
  }
}

template <OpcodeSignature signature>
inline constexpr auto kParams = [] {
  std::array<ValType, signature.params_count> types;
  for (size_t i = 0; i < types.size(); ++i) types[i] = type_of_letter(signature.params[i]);
  return types;
}();

template <OpcodeSignature signature>
inline constexpr ValType kResult = type_of_letter(signature.result);

}  // namespace rotor::wasm
