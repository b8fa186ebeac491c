// Atomics (threads proposal). All are sequentially consistent; a misaligned address traps before the access.
#include "jit/emit/function.h"

#include "code/abi.h"
#include "code/run_page.h"

namespace rotor::jit {

using llvm::AtomicOrdering;
using Value = FunctionEmitter::Value;
using wasm::MemArg;
using wasm::Opcode;

namespace {

/// Returns the width of an atomic's access in bytes, from the table's immediate column (memN: 2^N bytes).
uint32_t atomic_bytes(Opcode op) {
  constexpr uint32_t mem0 = 1, mem1 = 2, mem2 = 4, mem3 = 8, fence = 0;
  switch (op) {
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
#define ROTOR_ATOMIC_BYTES(code, Name, text, immediate, signature, feature) \
  case Opcode::Name: return immediate;
#define ROTOR_OP_ATOMIC_WAIT ROTOR_ATOMIC_BYTES
#define ROTOR_OP_ATOMIC_LOAD ROTOR_ATOMIC_BYTES
#define ROTOR_OP_ATOMIC_STORE ROTOR_ATOMIC_BYTES
#define ROTOR_OP_ATOMIC_RMW ROTOR_ATOMIC_BYTES
#define ROTOR_OP_ATOMIC_CMPXCHG ROTOR_ATOMIC_BYTES
#include "wasm/opcodes.def"
#undef ROTOR_ATOMIC_BYTES
    default: return 0;
  }
}

/// Returns whether it is an i64 form, from the code's place in its group of seven (i32, i64, i32 8, i32 16, i64 8, i64
/// 16, i64 32).
bool is_i64(Opcode op) {
  uint32_t place = (static_cast<uint32_t>(op) - static_cast<uint32_t>(Opcode::I32AtomicLoad)) % 7;
  return place == 1 || place >= 4;
}

llvm::AtomicRMWInst::BinOp rmw_operation(Opcode op) {
  using Op = llvm::AtomicRMWInst;
  constexpr Op::BinOp kOps[] = {Op::Add, Op::Sub, Op::And, Op::Or, Op::Xor, Op::Xchg};
  return kOps[(static_cast<uint32_t>(op) - static_cast<uint32_t>(Opcode::I32AtomicRmwAdd)) / 7];
}

}  // namespace

void FunctionEmitter::check_alignment(Value effective, uint32_t bytes) {
  if (bytes == 1) return;
  trap_if(b_.CreateICmpNE(b_.CreateAnd(effective, int64(bytes - 1)), int64(0)), TrapKind::unaligned_atomic);
}

Value FunctionEmitter::atomic_pointer(const MemArg& mem, Value address, uint32_t bytes) {
  check_alignment(effective_address(mem, address), bytes);
  return access_pointer(mem, address, bytes);
}

Value FunctionEmitter::atomic_load(Opcode op, const MemArg& mem, Value address) {
  uint32_t bytes = atomic_bytes(op);
  Value pointer = atomic_pointer(mem, address, bytes);
  auto* load = mark(b_.CreateAlignedLoad(b_.getIntNTy(bytes * 8), pointer, llvm::Align(bytes), /*isVolatile=*/true));
  load->setAtomic(AtomicOrdering::SequentiallyConsistent);
  return b_.CreateZExt(load, is_i64(op) ? module_.i64 : module_.i32);
}

void FunctionEmitter::atomic_store(Opcode op, const MemArg& mem, Value address, Value value) {
  uint32_t bytes = atomic_bytes(op);
  Value pointer = atomic_pointer(mem, address, bytes);
  auto* store = mark(b_.CreateAlignedStore(b_.CreateTrunc(value, b_.getIntNTy(bytes * 8)), pointer, llvm::Align(bytes),
                                           /*isVolatile=*/true));
  store->setAtomic(AtomicOrdering::SequentiallyConsistent);
}

Value FunctionEmitter::atomic_rmw(Opcode op, const MemArg& mem, Value address, Value value) {
  uint32_t bytes = atomic_bytes(op);
  Value pointer = atomic_pointer(mem, address, bytes);
  auto* rmw = mark(b_.CreateAtomicRMW(rmw_operation(op), pointer, b_.CreateTrunc(value, b_.getIntNTy(bytes * 8)),
                                      llvm::MaybeAlign(bytes), AtomicOrdering::SequentiallyConsistent));
  rmw->setVolatile(true);
  return b_.CreateZExt(rmw, value->getType());
}

Value FunctionEmitter::atomic_cmpxchg(Opcode op, const MemArg& mem, Value address, Value expected, Value replacement) {
  uint32_t bytes = atomic_bytes(op);
  Value pointer = atomic_pointer(mem, address, bytes);
  llvm::IntegerType* narrow = b_.getIntNTy(bytes * 8);
  llvm::Type* wide = expected->getType();
  // `expected` is wrapped to the access's width, as the proposal's tests have it.
  Value narrow_expected = b_.CreateTrunc(expected, narrow);
  Value narrow_replacement = b_.CreateTrunc(replacement, narrow);
  auto* exchange =
      mark(b_.CreateAtomicCmpXchg(pointer, narrow_expected, narrow_replacement, llvm::MaybeAlign(bytes),
                                  AtomicOrdering::SequentiallyConsistent, AtomicOrdering::SequentiallyConsistent));
  exchange->setVolatile(true);
  return b_.CreateZExt(b_.CreateExtractValue(exchange, 0), wide);
}

Value FunctionEmitter::atomic_wait_notify(Opcode op, const MemArg& mem, std::span<const Value> v) {
  uint32_t bytes = atomic_bytes(op);
  Value effective = effective_address(mem, v[0]);
  Value memory = int32(raw(mem.memory));
  check_alignment(effective, bytes);
  check_end(mem, effective, bytes);
  if (op == Opcode::MemoryAtomicNotify) return emit_libcall(code::Libcall::atomic_notify, {memory, effective, v[1]});
  if (!plan_.module.memories[raw(mem.memory)].shared) {
    trap_if(b_.getTrue(), TrapKind::expected_shared_memory);
    return int32(0);
  }
  Value outcome =
      emit_libcall(op == Opcode::MemoryAtomicWait32 ? code::Libcall::atomic_wait32 : code::Libcall::atomic_wait64,
                   {memory, effective, v[1], v[2]});
  trap_if(b_.CreateICmpEQ(outcome, int32(code::kWaitInterrupted)), TrapKind::interrupted);
  return outcome;
}

void FunctionEmitter::atomic_fence() { b_.CreateFence(AtomicOrdering::SequentiallyConsistent); }

}  // namespace rotor::jit
