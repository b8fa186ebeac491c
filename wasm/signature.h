// Signatures and alignments of opcodes.def as compile-time values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "rotor/value.h"

namespace rotor::wasm {

/// One row's signature: up to three operands, no result or one.
struct Signature {
  std::array<char, 3> params{};
  uint8_t params_count = 0;
  char result = 0;  ///< 0: none
};

consteval Signature parse_signature(const char* text) {
  Signature signature;
  for (; *text != '_'; ++text) signature.params[signature.params_count++] = *text;
  signature.result = text[1];
  return signature;
}

/// "mem2" -> 2.
consteval uint32_t natural_align_log2(const char* immediate) { return static_cast<uint32_t>(immediate[3] - '0'); }

constexpr ValType type_of_letter(char letter) {
  switch (letter) {
    case 'i': return ValType::i32;
    case 'l': return ValType::i64;
    case 'f': return ValType::f32;
    case 'd': return ValType::f64;
    default: return ValType();
  }
}

template <Signature signature>
inline constexpr auto kParams = [] {
  std::array<ValType, signature.params_count> types;
  for (size_t i = 0; i < types.size(); ++i) types[i] = type_of_letter(signature.params[i]);
  return types;
}();

template <Signature signature>
inline constexpr ValType kResult = type_of_letter(signature.result);

}  // namespace rotor::wasm
