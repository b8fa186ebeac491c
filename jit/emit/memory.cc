// Locals, globals, references, loads and stores, memory instructions.
//
// Sandbox. An access's address is base + index + offset. What keeps it in the memory is a property of the memory's type
// (MemoryCheck). A size that is read for a check can only be too small by the time of the access: memories never shrink
// while code runs, and never move.
//
// MemoryCheck::guard. The index is 32 bits, zero-extended here by hand: LLVM sign-extends GEP indices to 64 bits, and
// an index above 2^31 would reach below the memory. The reservation behind the base covers every index plus
// kGuardBytes, so a static offset up to that needs no check: what lies past the memory's size faults. Larger offsets
// are checked against the size.
//
// MemoryCheck::index. An index below the size plus an offset and an access within kGuardBytes stays in the reservation,
// which covers the largest size plus kGuardBytes, and what lies past the size faults. With larger offsets the end of
// the access is compared.
//
// MemoryCheck::end. The end of the access is compared: bytes behind the size are backed up to the system's next page.
//
// MemoryCheck::slab. The end of the access is compared: behind the memory lies another one. No other code can grow it,
// so if it declares equal least and greatest sizes, that is what the index is compared with.
//
// Loads and stores are volatile: a load that LLVM finds dead must still trap, and no store may move across a trap.
#include <utility>

#include "code/abi.h"
#include "code/run_page.h"
#include "jit/emit/function.h"

namespace rotor::jit {

using Value = FunctionEmitter::Value;
using wasm::LoadOp;
using wasm::MemArg;
using wasm::StoreOp;

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
  // Volatile: a global can be read after a trap, so its stores keep their place among what may trap.
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

Value FunctionEmitter::index64(Value index) {
  return index->getType() == module_.i64 ? index : b_.CreateZExt(index, module_.i64);
}

Value FunctionEmitter::index_result(bool is64, Value number) {
  return is64 ? number : b_.CreateTrunc(number, module_.i32);
}

Value FunctionEmitter::effective_address(const MemArg& mem, Value address) {
  // With a 32-bit index both terms are below 2^32, and the sum does not wrap. With a 64-bit one it may: see check_end.
  Value index = index64(address);
  return mem.offset ? b_.CreateAdd(index, int64(mem.offset)) : index;
}

std::optional<uint64_t> FunctionEmitter::constant_bytes(uint32_t memory) const {
  const MemoryType& type = plan_.module.memories[memory];
  if (check_of(memory) != code::MemoryCheck::slab || type.limits.min != type.limits.max) return std::nullopt;
  return type.limits.min << type.page_size_log2;
}

Value FunctionEmitter::memory_bytes(uint32_t memory) {
  Value def =
      invariant_load(module_.ptr, context_address(plan_.context.memory(memory) + offsetof(code::ContextMemory, def)));
  // Volatile: another thread may grow a shared memory meanwhile.
  auto* size =
      b_.CreateAlignedLoad(module_.i64, b_.CreateConstGEP1_32(module_.i8, def, offsetof(code::MemoryDef, size_bytes)),
                           llvm::Align(8), /*isVolatile=*/true);
  // It is atomic only where not every access reads the size: the fast instruction selector knows no atomic loads, and
  // an aligned load is whole anyway.
  if (check_of(memory) == code::MemoryCheck::guard) size->setAtomic(llvm::AtomicOrdering::Monotonic);
  return size;
}

void FunctionEmitter::check_end(const MemArg& mem, Value effective, uint32_t bytes) {
  uint32_t memory = raw(mem.memory);
  TrapKind kind = TrapKind::out_of_bounds_memory;
  if (mem.offset > code::kMaxMemoryBytes) {
    // The offset alone exceeds kMaxMemoryBytes: no memory is that large.
    trap_if(b_.getTrue(), kind);
    return;
  }
  if (plan_.module.memories[memory].is64) {
    // The sum of index, offset and width takes 65 bits. If it wraps, what is left is below what was added to the index,
    // and may well be below the size.
    Value end = b_.CreateAdd(effective, int64(bytes));
    trap_if(b_.CreateICmpULT(end, int64(mem.offset + bytes)), kind);
    trap_if(b_.CreateICmpUGT(end, memory_bytes(memory)), kind);
    return;
  }
  // effective < 2^33: the sum does not wrap.
  trap_if(b_.CreateICmpUGT(b_.CreateAdd(effective, int64(bytes)), memory_bytes(memory)), kind);
}

void FunctionEmitter::check_constant_end(const MemArg& mem, Value index, uint32_t bytes, uint64_t size) {
  // No sum wraps: where offset and width do not fit, no index does.
  const bool fits = mem.offset <= size && bytes <= size - mem.offset;
  Value last = llvm::ConstantInt::get(index->getType(), fits ? size - mem.offset - bytes : 0);
  trap_if(fits ? b_.CreateICmpUGT(index, last) : b_.getTrue(), TrapKind::out_of_bounds_memory);
}

Value FunctionEmitter::memory_base(uint32_t memory) {
  auto load_base = [&] {
    return invariant_load(module_.ptr,
                          context_address(plan_.context.memory(memory) + offsetof(code::ContextMemory, base)));
  };
  if (memory != 0) return load_base();
  if (!memory_base_) {
    // The base is loaded once a function, at its entry: every other place would have to load it again, or keep it as
    // well.
    llvm::IRBuilderBase::InsertPointGuard guard(b_);
    b_.SetInsertPoint(entry_, entry_->begin());
    memory_base_ = load_base();
  }
  return memory_base_;
}

Value FunctionEmitter::access_pointer(const MemArg& mem, Value address, uint32_t bytes) {
  uint32_t memory = raw(mem.memory);
  Value base = memory_base(memory);
  code::MemoryCheck check = check_of(memory);
  const auto constant = constant_bytes(memory);
  if (constant) {
    check_constant_end(mem, address, bytes, *constant);
  } else if (check == code::MemoryCheck::end || check == code::MemoryCheck::slab ||
             mem.offset > code::kGuardBytes - code::kMaxAccessBytes) {
    Value effective = effective_address(mem, address);
    check_end(mem, effective, bytes);
    return b_.CreateGEP(module_.i8, base, effective);
  }
  Value index = index64(address);
  if (check == code::MemoryCheck::index)
    trap_if(b_.CreateICmpUGE(index, memory_bytes(memory)), TrapKind::out_of_bounds_memory);
  Value pointer = b_.CreateGEP(module_.i8, base, index);
  return mem.offset ? b_.CreateConstGEP1_64(module_.i8, pointer, mem.offset) : pointer;
}

void FunctionEmitter::note_writes() {
  // One store for all that is inlined.
  if (inlined_) return inlined_->caller.note_writes();
  if (std::exchange(notes_writes_, true)) return;
  llvm::IRBuilderBase::InsertPointGuard guard(b_);
  b_.SetInsertPoint(entry_, entry_->begin());
  // Volatile, so that no store to the memory comes before it.
  b_.CreateStore(b_.getInt8(1), context_address(offsetof(code::Context, may_have_written)), /*isVolatile=*/true);
}

Value FunctionEmitter::written_pointer(const MemArg& mem, Value address, uint32_t bytes) {
  // An imported memory always counts as written: its owner is another instance, or the host.
  if (raw(mem.memory) >= plan_.module.imported_memories) note_writes();
  return access_pointer(mem, address, bytes);
}

namespace {

/// Returns the bytes that a scalar takes in memory.
uint32_t bytes_of(llvm::Type* type) { return static_cast<uint32_t>(type->getPrimitiveSizeInBits() / 8); }

}  // namespace

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"

FunctionEmitter::Access FunctionEmitter::access_of(LoadOp op) {
  using enum wasm::LoadOp;
  switch (op) {
    case I32Load: return {module_.i32, module_.i32};
    case I64Load: return {module_.i64, module_.i64};
    case F32Load: return {module_.f32, module_.f32};
    case F64Load: return {module_.f64, module_.f64};
    case I32Load8S: return {module_.i8, module_.i32, true};
    case I32Load8U: return {module_.i8, module_.i32};
    case I32Load16S: return {module_.i16, module_.i32, true};
    case I32Load16U: return {module_.i16, module_.i32};
    case I64Load8S: return {module_.i8, module_.i64, true};
    case I64Load8U: return {module_.i8, module_.i64};
    case I64Load16S: return {module_.i16, module_.i64, true};
    case I64Load16U: return {module_.i16, module_.i64};
    case I64Load32S: return {module_.i32, module_.i64, true};
    case I64Load32U: return {module_.i32, module_.i64};
  }
  std::unreachable();
}

llvm::Type* FunctionEmitter::stored_type(StoreOp op) {
  using enum wasm::StoreOp;
  switch (op) {
    case F32Store: return module_.f32;
    case F64Store: return module_.f64;
    case I64Store: return module_.i64;
    case I32Store:
    case I64Store32: return module_.i32;
    case I32Store16:
    case I64Store16: return module_.i16;
    case I32Store8:
    case I64Store8: return module_.i8;
  }
  std::unreachable();
}

#pragma GCC diagnostic pop

Value FunctionEmitter::load(LoadOp op, const MemArg& mem, Value address) {
  Access access = access_of(op);
  Value pointer = access_pointer(mem, address, bytes_of(access.type));
  llvm::LoadInst* value = mark(b_.CreateAlignedLoad(access.type, pointer, llvm::Align(1), /*isVolatile=*/true));
  if (access.type == access.result) return value;
  return access.sign ? b_.CreateSExt(value, access.result) : b_.CreateZExt(value, access.result);
}

void FunctionEmitter::store(StoreOp op, const MemArg& mem, Value address, Value value) {
  llvm::Type* type = stored_type(op);
  Value pointer = written_pointer(mem, address, bytes_of(type));
  if (value->getType() != type) value = b_.CreateTrunc(value, type);
  mark(b_.CreateAlignedStore(value, pointer, llvm::Align(1), /*isVolatile=*/true));
}

Value FunctionEmitter::memory_size(wasm::MemoryIndex memory) {
  const MemoryType& type = plan_.module.memories[raw(memory)];
  Value bytes = memory_bytes(raw(memory));
  return index_result(type.is64, type.page_size_log2 ? b_.CreateLShr(bytes, type.page_size_log2) : bytes);
}

Value FunctionEmitter::memory_grow(wasm::MemoryIndex memory, Value delta) {
  Value old_pages = emit_libcall(code::Libcall::memory_grow, {int32(raw(memory)), index64(delta)});
  pay_for_growth(delta, old_pages);
  return index_result(plan_.module.memories[raw(memory)].is64, old_pages);
}

void FunctionEmitter::memory_init(wasm::MemoryIndex memory, wasm::DataIndex segment, Value dst, Value src, Value size) {
  pay_for(size);
  trap_if(to_bool(emit_libcall(code::Libcall::memory_init,
                               {int32(raw(memory)), int32(raw(segment)), index64(dst), index64(src), index64(size)})),
          TrapKind::out_of_bounds_memory);
}

void FunctionEmitter::data_drop(wasm::DataIndex segment) {
  emit_libcall(code::Libcall::data_drop, {int32(raw(segment))});
}

void FunctionEmitter::memory_copy(wasm::MemoryIndex dst_memory, wasm::MemoryIndex src_memory, Value dst, Value src,
                                  Value size) {
  pay_for(size);
  trap_if(to_bool(emit_libcall(code::Libcall::memory_copy, {int32(raw(dst_memory)), int32(raw(src_memory)),
                                                            index64(dst), index64(src), index64(size)})),
          TrapKind::out_of_bounds_memory);
}

void FunctionEmitter::memory_fill(wasm::MemoryIndex memory, Value dst, Value byte, Value size) {
  pay_for(size);
  trap_if(to_bool(emit_libcall(code::Libcall::memory_fill, {int32(raw(memory)), index64(dst), byte, index64(size)})),
          TrapKind::out_of_bounds_memory);
}

}  // namespace rotor::jit
