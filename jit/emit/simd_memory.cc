// SIMD loads and stores. Addresses and bounds are computed in jit/emit/memory.cc. Each is one volatile access of its
// whole width: it traps as a whole, and a store that traps has written nothing.
#include "jit/emit/function.h"
#include "jit/emit/simd.h"

namespace rotor::jit {

using Value = FunctionEmitter::Value;
using wasm::MemArg;
using wasm::Opcode;

namespace {

/// Returns the width of an access in bytes, from the table's immediate column (memN, memN_laneL: 2^N bytes).
uint32_t simd_bytes(Opcode op) {
  switch (op) {
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
#define ROTOR_SIMD_BYTES(code, Name, text, immediate, signature, feature) \
  case Opcode::Name: return 1u << (#immediate[3] - '0');
#define ROTOR_OP_SIMD_LOAD ROTOR_SIMD_BYTES
#define ROTOR_OP_SIMD_STORE ROTOR_SIMD_BYTES
#define ROTOR_OP_SIMD_LOAD_LANE ROTOR_SIMD_BYTES
#define ROTOR_OP_SIMD_STORE_LANE ROTOR_SIMD_BYTES
#include "wasm/opcodes.def"
#undef ROTOR_SIMD_BYTES
    default: return 0;
  }
}

/// Returns the shape with integer lanes of that many bytes.
Shape shape_of_bytes(uint32_t bytes) {
  return bytes == 1 ? Shape::i8x16 : bytes == 2 ? Shape::i16x8 : bytes == 4 ? Shape::i32x4 : Shape::i64x2;
}

}  // namespace

Value FunctionEmitter::load_bytes(const MemArg& mem, Value address, llvm::Type* type, uint32_t bytes) {
  return mark(b_.CreateAlignedLoad(type, access_pointer(mem, address, bytes), llvm::Align(1), /*isVolatile=*/true));
}

Value FunctionEmitter::simd_load(Opcode op, const MemArg& mem, Value address) {
  uint32_t bytes = simd_bytes(op);
  if (op == Opcode::V128Load) return load_bytes(mem, address, module_.v128, bytes);
  Value number = load_bytes(mem, address, b_.getIntNTy(bytes * 8), bytes);
  auto first_lane = [&](Value others) { return b_.CreateInsertElement(others, number, uint64_t{0}); };
  // The half that was loaded becomes the lower half of a vector, whose upper half is not used.
  auto half = [&] { return simd_.whole(first_lane(llvm::PoisonValue::get(module_.v128))); };
  switch (op) {
    case Opcode::V128Load8x8S: return simd_.whole(simd_.extend(Shape::i8x16, half(), false, true));
    case Opcode::V128Load8x8U: return simd_.whole(simd_.extend(Shape::i8x16, half(), false, false));
    case Opcode::V128Load16x4S: return simd_.whole(simd_.extend(Shape::i16x8, half(), false, true));
    case Opcode::V128Load16x4U: return simd_.whole(simd_.extend(Shape::i16x8, half(), false, false));
    case Opcode::V128Load32x2S: return simd_.whole(simd_.extend(Shape::i32x4, half(), false, true));
    case Opcode::V128Load32x2U: return simd_.whole(simd_.extend(Shape::i32x4, half(), false, false));
    case Opcode::V128Load32Zero:
    case Opcode::V128Load64Zero:
      return simd_.whole(first_lane(llvm::Constant::getNullValue(simd_.type_of(shape_of_bytes(bytes)))));
    default: return simd_.whole(simd_.splat(shape_of_bytes(bytes), number));
  }
}

void FunctionEmitter::simd_store(Opcode op, const MemArg& mem, Value address, Value value) {
  Value pointer = access_pointer(mem, address, simd_bytes(op));
  mark(b_.CreateAlignedStore(value, pointer, llvm::Align(1), /*isVolatile=*/true));
}

Value FunctionEmitter::simd_load_lane(Opcode op, const MemArg& mem, uint8_t lane, Value address, Value vector) {
  uint32_t bytes = simd_bytes(op);
  Value number = load_bytes(mem, address, b_.getIntNTy(bytes * 8), bytes);
  return simd_.whole(b_.CreateInsertElement(simd_.as(shape_of_bytes(bytes), vector), number, uint64_t{lane}));
}

void FunctionEmitter::simd_store_lane(Opcode op, const MemArg& mem, uint8_t lane, Value address, Value vector) {
  uint32_t bytes = simd_bytes(op);
  Value pointer = access_pointer(mem, address, bytes);
  Value number = b_.CreateExtractElement(simd_.as(shape_of_bytes(bytes), vector), uint64_t{lane});
  mark(b_.CreateAlignedStore(number, pointer, llvm::Align(1), /*isVolatile=*/true));
}

}  // namespace rotor::jit
