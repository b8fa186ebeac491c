// Opcodes and features, generated from opcodes.def and features.def.
#pragma once

#include <cstdint>

namespace rotor::wasm {

enum class Opcode : uint32_t {
#define ROTOR_OP(code, Name, text, immediate, signature, feature) Name = code,
#include "wasm/opcodes.def"
};

enum class Feature : uint8_t {
#define ROTOR_FEATURE(name, text, state) name,
#include "wasm/features.def"
};
inline constexpr uint32_t kFeatureCount = 0
#define ROTOR_FEATURE(name, text, state) +1
#include "wasm/features.def"
    ;

/// The text format's word ("i32.add"); nullptr for a code that is not in the table.
const char* opcode_text(Opcode op);
/// The proposal's name ("bulk-memory").
const char* feature_text(Feature feature);

}  // namespace rotor::wasm
