// Atomics (threads proposal). All are sequentially consistent; a misaligned address traps before the access.
#include <string_view>
#include <utility>

#include "jit/emit/function.h"

#include "code/abi.h"
#include "code/run_page.h"
#include "wasm/signature.h"

namespace rotor::jit {

using llvm::AtomicOrdering;
using Value = FunctionEmitter::Value;
using wasm::AtomicWaitOp;
using wasm::MemArg;
using wasm::Opcode;

namespace {

// What the table's columns say of an atomic.
using Rmw = llvm::AtomicRMWInst;

/// Returns an access's width in bytes, from the immediate's kind (memN: 2^N bytes); a fence has none.
consteval uint32_t width_of(std::string_view immediate) {
  return immediate.starts_with("mem") ? 1u << wasm::natural_align_log2(immediate.data()) : 0;
}

/// Returns whether an instruction's result is an i64.
consteval bool returns_i64(const char* signature) { return wasm::parse_signature(signature).result == 'l'; }

/// Returns what an instruction like "i64.atomic.rmw8.add_u" does; BAD_BINOP if it is none of these.
consteval Rmw::BinOp operation_of(std::string_view text) {
  text.remove_prefix(text.rfind('.') + 1);
  text = text.substr(0, text.find('_'));
  return text == "add"    ? Rmw::Add
         : text == "sub"  ? Rmw::Sub
         : text == "and"  ? Rmw::And
         : text == "or"   ? Rmw::Or
         : text == "xor"  ? Rmw::Xor
         : text == "xchg" ? Rmw::Xchg
                          : Rmw::BAD_BINOP;
}

struct AtomicAccess {
  uint32_t bytes = 0;
  bool is_i64 = false;
  Rmw::BinOp operation = Rmw::BAD_BINOP;
};

AtomicAccess atomic_access_of(Opcode op) {
  switch (op) {
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
#define ROTOR_ATOMIC(code, Name, text, immediate, signature, feature) \
  case Opcode::Name: return {width_of(#immediate), returns_i64(#signature)};
#define ROTOR_OP_ATOMIC_WAIT ROTOR_ATOMIC
#define ROTOR_OP_ATOMIC_LOAD ROTOR_ATOMIC
#define ROTOR_OP_ATOMIC_STORE ROTOR_ATOMIC
#define ROTOR_OP_ATOMIC_CMPXCHG ROTOR_ATOMIC
#define ROTOR_OP_ATOMIC_RMW(code, Name, text, immediate, signature, feature) \
  case Opcode::Name:                                                         \
    static_assert(operation_of(text) != Rmw::BAD_BINOP, text);               \
    return {width_of(#immediate), returns_i64(#signature), operation_of(text)};
#include "wasm/opcodes.def"
#undef ROTOR_ATOMIC
    default: std::unreachable();
  }
}

/// Returns the access of an instruction of one of the groups of atomics.
template <class GroupOp>
AtomicAccess atomic_access_of(GroupOp op) {
  return atomic_access_of(static_cast<Opcode>(op));
}

}  // namespace

void FunctionEmitter::check_alignment(Value effective, uint32_t bytes) {
  if (bytes == 1) return;
  trap_if(b_.CreateICmpNE(b_.CreateAnd(effective, int64(bytes - 1)), int64(0)), TrapKind::unaligned_atomic);
}

Value FunctionEmitter::atomic_pointer(const MemArg& mem, Value address, uint32_t bytes, Effect effect) {
  check_alignment(effective_address(mem, address), bytes);
  return effect == Effect::writes ? written_pointer(mem, address, bytes) : access_pointer(mem, address, bytes);
}

Value FunctionEmitter::atomic_load(wasm::AtomicLoadOp op, const MemArg& mem, Value address) {
  auto [bytes, is_i64, operation] = atomic_access_of(op);
  Value pointer = atomic_pointer(mem, address, bytes, Effect::reads);
  auto* load = mark(b_.CreateAlignedLoad(b_.getIntNTy(bytes * 8), pointer, llvm::Align(bytes), /*isVolatile=*/true));
  load->setAtomic(AtomicOrdering::SequentiallyConsistent);
  return b_.CreateZExt(load, is_i64 ? module_.i64 : module_.i32);
}

void FunctionEmitter::atomic_store(wasm::AtomicStoreOp op, const MemArg& mem, Value address, Value value) {
  uint32_t bytes = atomic_access_of(op).bytes;
  Value pointer = atomic_pointer(mem, address, bytes, Effect::writes);
  auto* store = mark(b_.CreateAlignedStore(b_.CreateTrunc(value, b_.getIntNTy(bytes * 8)), pointer, llvm::Align(bytes),
                                           /*isVolatile=*/true));
  store->setAtomic(AtomicOrdering::SequentiallyConsistent);
}

Value FunctionEmitter::atomic_rmw(wasm::AtomicRmwOp op, const MemArg& mem, Value address, Value value) {
  auto [bytes, is_i64, operation] = atomic_access_of(op);
  Value pointer = atomic_pointer(mem, address, bytes, Effect::writes);
  auto* rmw = mark(b_.CreateAtomicRMW(operation, pointer, b_.CreateTrunc(value, b_.getIntNTy(bytes * 8)),
                                      llvm::MaybeAlign(bytes), AtomicOrdering::SequentiallyConsistent));
  rmw->setVolatile(true);
  return b_.CreateZExt(rmw, value->getType());
}

Value FunctionEmitter::atomic_cmpxchg(wasm::AtomicCmpxchgOp op, const MemArg& mem, Value address, Value expected,
                                      Value replacement) {
  uint32_t bytes = atomic_access_of(op).bytes;
  Value pointer = atomic_pointer(mem, address, bytes, Effect::writes);
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

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"

Value FunctionEmitter::atomic_wait_notify(AtomicWaitOp op, const MemArg& mem, std::span<const Value> v) {
  using enum wasm::AtomicWaitOp;
  uint32_t bytes = atomic_access_of(op).bytes;
  Value effective = effective_address(mem, v[0]);
  Value memory = int32(raw(mem.memory));
  check_alignment(effective, bytes);
  check_end(mem, effective, bytes);
  bool shared = plan_.module.memories[raw(mem.memory)].shared;
  auto wait = [&](code::Libcall libcall) -> Value {
    if (!shared) {
      trap_if(b_.getTrue(), TrapKind::expected_shared_memory);
      return int32(0);
    }
    Value outcome = emit_libcall(libcall, {memory, effective, v[1], v[2]});
    trap_if(b_.CreateICmpEQ(outcome, int32(code::kWaitInterrupted)), TrapKind::interrupted);
    return outcome;
  };
  switch (op) {
    case MemoryAtomicNotify: return emit_libcall(code::Libcall::atomic_notify, {memory, effective, v[1]});
    case MemoryAtomicWait32: return wait(code::Libcall::atomic_wait32);
    case MemoryAtomicWait64: return wait(code::Libcall::atomic_wait64);
    case AtomicFence: break;  // is told as atomic_fence
  }
  std::unreachable();
}

#pragma GCC diagnostic pop

void FunctionEmitter::atomic_fence() { b_.CreateFence(AtomicOrdering::SequentiallyConsistent); }

}  // namespace rotor::jit
