// Locals, globals, references, loads and stores, memory instructions.
//
// Sandbox. An access's address is base + index + offset. The index is 32 bits, zero-extended here by hand: LLVM
// sign-extends GEP indices to 64 bits, and an index above 2^31 would reach below the memory. The reservation behind the
// base covers every index plus kGuardBytes, so a static offset up to that needs no check: what lies past the memory's
// size faults. Larger offsets are checked against the size.
//
// Loads and stores are volatile: a load that LLVM finds dead must still trap, and no store may move across a trap.
#include "jit/emit_function.h"

namespace rotor::jit {

using Value = FunctionEmitter::Value;
using wasm::MemArg;
using wasm::Opcode;

Value FunctionEmitter::local_get(wasm::LocalIndex index, ValType type) {
  return b_.CreateLoad(module_.value_type(type), locals_[raw(index)]);
}

void FunctionEmitter::local_set(wasm::LocalIndex index, ValType, Value value) {
  b_.CreateStore(value, locals_[raw(index)]);
}

Value FunctionEmitter::global_get(wasm::GlobalIndex index, const GlobalType& type) {
  uint32_t imported = plan_.module.imported_globals;
  llvm::Type* value_type = module_.value_type(type.value);
  Value address = raw(index) < imported
                      ? invariant_load(module_.ptr, context_address(plan_.context.imported_global(raw(index))))
                      : context_address(plan_.context.global(raw(index) - imported));
  return type.is_mutable ? b_.CreateLoad(value_type, address) : invariant_load(value_type, address);
}

void FunctionEmitter::global_set(wasm::GlobalIndex index, const GlobalType&, Value value) {
  uint32_t imported = plan_.module.imported_globals;
  Value address = raw(index) < imported
                      ? invariant_load(module_.ptr, context_address(plan_.context.imported_global(raw(index))))
                      : context_address(plan_.context.global(raw(index) - imported));
  // Volatile: a global is seen after a trap, so its stores keep their place among what may trap.
  b_.CreateStore(value, address, /*isVolatile=*/true);
}

Value FunctionEmitter::ref_null(ValType) { return int64(0); }

Value FunctionEmitter::ref_as_non_null(ValType type, Value ref) {
  if (type.nullable()) trap_if(b_.CreateICmpEQ(ref, int64(0)), TrapKind::null_reference);
  return ref;
}

Value FunctionEmitter::ref_is_null(ValType, Value ref) { return from_bool(b_.CreateICmpEQ(ref, int64(0))); }

Value FunctionEmitter::ref_func(wasm::FuncIndex func) {
  return b_.CreatePtrToInt(context_address(plan_.context.func_ref(plan_.module, raw(func))), module_.i64);
}

Value FunctionEmitter::effective_address(const MemArg& mem, Value address) {
  // Both terms are below 2^32, so the sum does not wrap.
  Value index = b_.CreateZExt(address, module_.i64);
  return mem.offset ? b_.CreateAdd(index, int64(mem.offset)) : index;
}

Value FunctionEmitter::memory_bytes(uint32_t memory) {
  Value def = invariant_load(module_.ptr, context_address(plan_.context.memory(memory) + offsetof(ContextMemory, def)));
  auto* size =
      b_.CreateAlignedLoad(module_.i64, b_.CreateConstGEP1_32(module_.i8, def, offsetof(MemoryDef, size_bytes)),
                           llvm::Align(8), /*isVolatile=*/true);
  // Another thread may grow a shared memory meanwhile.
  size->setAtomic(llvm::AtomicOrdering::Monotonic);
  return size;
}

void FunctionEmitter::check_bounds(uint32_t memory, Value effective, uint32_t bytes) {
  // effective < 2^33: the sum does not wrap.
  trap_if(b_.CreateICmpUGT(b_.CreateAdd(effective, int64(bytes)), memory_bytes(memory)),
          TrapKind::out_of_bounds_memory);
}

Value FunctionEmitter::memory_base(uint32_t memory) {
  auto load_base = [&] {
    return invariant_load(module_.ptr, context_address(plan_.context.memory(memory) + offsetof(ContextMemory, base)));
  };
  if (memory != 0) return load_base();
  if (!memory_base_) {
    // Once a function, at its entry: every other place would have to load it again, or keep it as well.
    llvm::IRBuilderBase::InsertPointGuard guard(b_);
    b_.SetInsertPoint(entry_, entry_->begin());
    memory_base_ = load_base();
  }
  return memory_base_;
}

Value FunctionEmitter::access_pointer(const MemArg& mem, Value address, uint32_t bytes) {
  Value base = memory_base(raw(mem.memory));
  if (mem.offset > kGuardBytes - kMaxAccessBytes) {
    Value effective = effective_address(mem, address);
    check_bounds(raw(mem.memory), effective, bytes);
    return b_.CreateGEP(module_.i8, base, effective);
  }
  Value pointer = b_.CreateGEP(module_.i8, base, b_.CreateZExt(address, module_.i64));
  return mem.offset ? b_.CreateConstGEP1_64(module_.i8, pointer, mem.offset) : pointer;
}

FunctionEmitter::Access FunctionEmitter::access_of(Opcode op) {
  switch (op) {
    case Opcode::F32Load:
    case Opcode::F32Store: return {module_.f32, 4, false};
    case Opcode::F64Load:
    case Opcode::F64Store: return {module_.f64, 8, false};
    case Opcode::I64Load:
    case Opcode::I64Store: return {module_.i64, 8, false};
    case Opcode::I32Load:
    case Opcode::I32Store:
    case Opcode::I64Load32U:
    case Opcode::I64Store32: return {module_.i32, 4, false};
    case Opcode::I64Load32S: return {module_.i32, 4, true};
    case Opcode::I32Load16S:
    case Opcode::I64Load16S: return {module_.i16, 2, true};
    case Opcode::I32Load16U:
    case Opcode::I64Load16U:
    case Opcode::I32Store16:
    case Opcode::I64Store16: return {module_.i16, 2, false};
    case Opcode::I32Load8S:
    case Opcode::I64Load8S: return {module_.i8, 1, true};
    default: return {module_.i8, 1, false};
  }
}

Value FunctionEmitter::extend(Value loaded, const Access& access, llvm::Type* result) {
  if (loaded->getType() == result) return loaded;
  return access.sign ? b_.CreateSExt(loaded, result) : b_.CreateZExt(loaded, result);
}

Value FunctionEmitter::load(Opcode op, const MemArg& mem, Value address) {
  Access access = access_of(op);
  Value pointer = access_pointer(mem, address, access.bytes);
  llvm::LoadInst* value = mark(b_.CreateAlignedLoad(access.type, pointer, llvm::Align(1), /*isVolatile=*/true));
  bool wide = op == Opcode::I64Load8S || op == Opcode::I64Load8U || op == Opcode::I64Load16S ||
              op == Opcode::I64Load16U || op == Opcode::I64Load32S || op == Opcode::I64Load32U;
  if (access.type->isFloatingPointTy() || op == Opcode::I64Load) return value;
  return extend(value, access, wide ? module_.i64 : module_.i32);
}

void FunctionEmitter::store(Opcode op, const MemArg& mem, Value address, Value value) {
  Access access = access_of(op);
  Value pointer = access_pointer(mem, address, access.bytes);
  if (value->getType() != access.type) value = b_.CreateTrunc(value, access.type);
  mark(b_.CreateAlignedStore(value, pointer, llvm::Align(1), /*isVolatile=*/true));
}

Value FunctionEmitter::memory_size(wasm::MemoryIndex memory) {
  return b_.CreateTrunc(b_.CreateLShr(memory_bytes(raw(memory)), 16), module_.i32);
}

Value FunctionEmitter::memory_grow(wasm::MemoryIndex memory, Value delta) {
  return emit_libcall(Libcall::memory_grow, {int32(raw(memory)), delta});
}

void FunctionEmitter::memory_init(wasm::MemoryIndex memory, wasm::DataIndex segment, Value dst, Value src, Value size) {
  trap_if(to_bool(emit_libcall(Libcall::memory_init, {int32(raw(memory)), int32(raw(segment)), dst, src, size})),
          TrapKind::out_of_bounds_memory);
}

void FunctionEmitter::data_drop(wasm::DataIndex segment) { emit_libcall(Libcall::data_drop, {int32(raw(segment))}); }

void FunctionEmitter::memory_copy(wasm::MemoryIndex dst_memory, wasm::MemoryIndex src_memory, Value dst, Value src,
                                  Value size) {
  trap_if(to_bool(emit_libcall(Libcall::memory_copy, {int32(raw(dst_memory)), int32(raw(src_memory)), dst, src, size})),
          TrapKind::out_of_bounds_memory);
}

void FunctionEmitter::memory_fill(wasm::MemoryIndex memory, Value dst, Value byte, Value size) {
  trap_if(to_bool(emit_libcall(Libcall::memory_fill, {int32(raw(memory)), dst, byte, size})),
          TrapKind::out_of_bounds_memory);
}

}  // namespace rotor::jit
