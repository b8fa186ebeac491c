// Opcodes, generated from opcodes.def.
#pragma once

#include <cstdint>
#include <type_traits>

namespace rotor::wasm {

enum class Opcode : uint32_t {
#define ROTOR_OP(code, Name, text, immediate, signature, feature) Name = code,
#include "wasm/opcodes.def"
};

// The groups of the table that a sink is told about by their opcode, each a type of its own. A `switch` over one names
// all of its rows and has no default, under `#pragma GCC diagnostic error "-Wswitch"`: a row without a case does not
// compile (cmake/check_dispatch.py).
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
#define ROTOR_ROW(code, Name, text, immediate, signature, feature) Name = code,
enum class NumericOp : uint32_t {
#define ROTOR_OP_NUMERIC ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class WideOp : uint32_t {
#define ROTOR_OP_WIDE ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class LoadOp : uint32_t {
#define ROTOR_OP_LOAD ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class StoreOp : uint32_t {
#define ROTOR_OP_STORE ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class AtomicWaitOp : uint32_t {
#define ROTOR_OP_ATOMIC_WAIT ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class AtomicLoadOp : uint32_t {
#define ROTOR_OP_ATOMIC_LOAD ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class AtomicStoreOp : uint32_t {
#define ROTOR_OP_ATOMIC_STORE ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class AtomicRmwOp : uint32_t {
#define ROTOR_OP_ATOMIC_RMW ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class AtomicCmpxchgOp : uint32_t {
#define ROTOR_OP_ATOMIC_CMPXCHG ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class SimdLoadOp : uint32_t {
#define ROTOR_OP_SIMD_LOAD ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class SimdStoreOp : uint32_t {
#define ROTOR_OP_SIMD_STORE ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class SimdLoadLaneOp : uint32_t {
#define ROTOR_OP_SIMD_LOAD_LANE ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class SimdStoreLaneOp : uint32_t {
#define ROTOR_OP_SIMD_STORE_LANE ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class SimdLaneOp : uint32_t {
#define ROTOR_OP_SIMD_LANE ROTOR_ROW
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
enum class SimdNumericOp : uint32_t {
#define ROTOR_OP_SIMD_NUMERIC ROTOR_ROW
#include "wasm/opcodes.def"
};
#undef ROTOR_ROW

/// An opcode as a type, by which functions are overloaded: one for each.
template <Opcode op>
using IsOpcode = std::integral_constant<Opcode, op>;

/// Returns the text format's word ("i32.add"); nullptr for a code that is not in the table.
const char* opcode_text(Opcode op);
/// Returns the text format's word of an instruction of a group.
template <class GroupOp>
const char* opcode_text(GroupOp op) {
  return opcode_text(static_cast<Opcode>(op));
}

}  // namespace rotor::wasm
