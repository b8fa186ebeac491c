// Opcodes, generated from opcodes.def.
#pragma once

#include <cstdint>

namespace rotor::wasm {

enum class Opcode : uint32_t {
#define ROTOR_OP(code, Name, text, immediate, signature, feature) Name = code,
#include "wasm/opcodes.def"
};

/// Returns the text format's word ("i32.add"); nullptr for a code that is not in the table.
const char* opcode_text(Opcode op);

}  // namespace rotor::wasm
