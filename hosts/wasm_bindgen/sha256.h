// SHA-256 (FIPS 180-4), for comparing results with a trace's digests.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace rotor::wasm_bindgen {

std::array<uint8_t, 32> sha256(std::span<const uint8_t> bytes);
/// Returns the bytes as lower-case hex digits.
std::string to_hex(std::span<const uint8_t> bytes);

}  // namespace rotor::wasm_bindgen
