// SIMD loads and stores. Addresses and bounds are computed in jit/emit/memory.cc. Each is one volatile access of its
// whole width: it traps as a whole, and a store that traps has written nothing.
#include <utility>

#include "jit/emit/function.h"
#include "jit/emit/simd.h"
#include "wasm/signature.h"

namespace rotor::jit {

using Value = FunctionEmitter::Value;
using wasm::MemArg;
using wasm::SimdLoadOp;

namespace {

/// Returns the width of an access in bytes, from the table's immediate column (memN, memN_laneL: 2^N bytes).
uint32_t width_of(wasm::Opcode op) {
  switch (op) {
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
#define ROTOR_SIMD_BYTES(code, Name, text, immediate, signature, feature) \
  case wasm::Opcode::Name: return 1u << wasm::natural_align_log2(#immediate);
#define ROTOR_OP_SIMD_LOAD ROTOR_SIMD_BYTES
#define ROTOR_OP_SIMD_STORE ROTOR_SIMD_BYTES
#define ROTOR_OP_SIMD_LOAD_LANE ROTOR_SIMD_BYTES
#define ROTOR_OP_SIMD_STORE_LANE ROTOR_SIMD_BYTES
#include "wasm/opcodes.def"
#undef ROTOR_SIMD_BYTES
    default: std::unreachable();
  }
}

/// Returns the width of an access of one of the groups of SIMD accesses.
template <class GroupOp>
uint32_t simd_bytes(GroupOp op) {
  return width_of(static_cast<wasm::Opcode>(op));
}

/// Returns the shape with integer lanes of that many bytes.
Shape shape_of_bytes(uint32_t bytes) {
  return bytes == 1 ? Shape::i8x16 : bytes == 2 ? Shape::i16x8 : bytes == 4 ? Shape::i32x4 : Shape::i64x2;
}

}  // namespace

Value FunctionEmitter::load_bytes(const MemArg& mem, Value address, llvm::Type* type, uint32_t bytes) {
  return mark(b_.CreateAlignedLoad(type, access_pointer(mem, address, bytes), llvm::Align(1), /*isVolatile=*/true));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"

Value FunctionEmitter::simd_load(SimdLoadOp op, const MemArg& mem, Value address) {
  using enum wasm::SimdLoadOp;
  uint32_t bytes = simd_bytes(op);
  if (op == SimdLoadOp::V128Load) return load_bytes(mem, address, module_.v128, bytes);
  Value number = load_bytes(mem, address, b_.getIntNTy(bytes * 8), bytes);
  Shape shape = shape_of_bytes(bytes);
  auto first_lane = [&](Value others) { return b_.CreateInsertElement(others, number, uint64_t{0}); };
  // The half that was loaded becomes the lower half of a vector, whose upper half is not used.
  auto extended = [&](Shape from, bool is_signed) {
    Value half = simd_.whole(first_lane(llvm::PoisonValue::get(module_.v128)));
    return simd_.whole(simd_.extend(from, half, false, is_signed));
  };
  switch (op) {
    case V128Load: break;
    case V128Load8x8S: return extended(Shape::i8x16, true);
    case V128Load8x8U: return extended(Shape::i8x16, false);
    case V128Load16x4S: return extended(Shape::i16x8, true);
    case V128Load16x4U: return extended(Shape::i16x8, false);
    case V128Load32x2S: return extended(Shape::i32x4, true);
    case V128Load32x2U: return extended(Shape::i32x4, false);
    case V128Load32Zero:
    case V128Load64Zero: return simd_.whole(first_lane(llvm::Constant::getNullValue(simd_.type_of(shape))));
    case V128Load8Splat:
    case V128Load16Splat:
    case V128Load32Splat:
    case V128Load64Splat: return simd_.whole(simd_.splat(shape, number));
  }
  std::unreachable();
}

#pragma GCC diagnostic pop

void FunctionEmitter::simd_store(wasm::SimdStoreOp op, const MemArg& mem, Value address, Value value) {
  Value pointer = written_pointer(mem, address, simd_bytes(op));
  mark(b_.CreateAlignedStore(value, pointer, llvm::Align(1), /*isVolatile=*/true));
}

Value FunctionEmitter::simd_load_lane(wasm::SimdLoadLaneOp op, const MemArg& mem, uint8_t lane, Value address,
                                      Value vector) {
  uint32_t bytes = simd_bytes(op);
  Value number = load_bytes(mem, address, b_.getIntNTy(bytes * 8), bytes);
  return simd_.whole(b_.CreateInsertElement(simd_.as(shape_of_bytes(bytes), vector), number, uint64_t{lane}));
}

void FunctionEmitter::simd_store_lane(wasm::SimdStoreLaneOp op, const MemArg& mem, uint8_t lane, Value address,
                                      Value vector) {
  uint32_t bytes = simd_bytes(op);
  Value pointer = written_pointer(mem, address, bytes);
  Value number = b_.CreateExtractElement(simd_.as(shape_of_bytes(bytes), vector), uint64_t{lane});
  mark(b_.CreateAlignedStore(number, pointer, llvm::Align(1), /*isVolatile=*/true));
}

}  // namespace rotor::jit
