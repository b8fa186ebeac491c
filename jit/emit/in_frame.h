// A function body to LLVM IR whose size is linear in the body's bytes, whatever they say: the sink for functions that
// would take too long or too much memory as jit/emit/function.h emits them (jit/cost.h decides).
//
// Locals and operands live in slots of the function's frame, an operand in the slot of its height on the stack. So
// there are no phis and no values that live from one instruction to another: a branch finds its operands where they
// have to be or moves them by a loop, and so do calls and returns of many values. What instructions do is
// FunctionEmitter's.
#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "code/abi.h"
#include "jit/emit/function.h"

namespace rotor::jit {

class FrameEmitter : private FunctionEmitter {
 public:
  /// An operand is its type only: its slot follows from its height on the stack.
  struct Value {
    llvm::Type* type = nullptr;
  };

  struct Control {
    FunctionEmitter::Control::Kind kind = FunctionEmitter::Control::Kind::block;
    wasm::BlockSignature type;
    uint32_t base = 0;                       ///< height of its first operand
    llvm::BasicBlock* target = nullptr;      ///< where a branch goes; created at the first one
    llvm::BasicBlock* else_block = nullptr;  ///< of an `if` whose second arm did not begin yet
    llvm::BasicBlock* edge = nullptr;        ///< where operands are moved from `edge_first` on the way to `target`
    uint32_t edge_first = 0;
    Try handling;
  };

  explicit FrameEmitter(ModuleEmitter& module) : FunctionEmitter(module, nullptr) {}
  /// Sets the most operands that are on the next function's stack at once.
  void set_operands(uint32_t operands) { max_operands_ = operands; }

  // The sink; wasm/body_sink.h says what each is told.
  void function_begin(Control& frame, wasm::FuncIndex func, const FuncType& type, std::span<const ValType> locals);
  void function_end();
  void at(uint64_t offset, uint32_t operands, wasm::Opcode op) {
    FunctionEmitter::at(offset, operands, op);
    height_ = operands;
  }

  void block(Control& control, const wasm::BlockSignature& type, std::span<const Value> params);
  void loop(Control& control, const wasm::BlockSignature& type, std::span<Value> params);
  void if_(Control& control, const wasm::BlockSignature& type, Value condition, std::span<const Value> params);
  void else_(Control& control, bool reachable, std::span<const Value> results, std::span<Value> params);
  void end(Control& control, bool reachable, std::span<const Value> fallthrough, std::span<Value> results);
  void br(Control& target, std::span<const Value> args);
  void br_if(Control& target, Value condition, std::span<const Value> args);
  void br_table(Value index, std::span<Control* const> targets, std::span<const Value> args);
  void return_(std::span<const Value> args) { br(*frame_, args); }
  void unreachable() { FunctionEmitter::unreachable(); }
  void try_table(Control& control, const wasm::BlockSignature& type, std::span<const Value> params,
                 std::span<const wasm::Catch<Control>> catches);
  void throw_(wasm::TagIndex tag, const FuncType& type, std::span<const Value> args);
  void throw_ref(ValType ref_type, Value ref) { FunctionEmitter::throw_ref(ref_type, top(0, ref)); }
  void try_(Control& control, const wasm::BlockSignature& type, std::span<const Value> params);
  void catch_(Control& control, bool reachable, std::span<const Value> results, wasm::TagIndex tag,
              const FuncType* type, std::span<Value> carried);
  void delegate(Control& control, Control* handler, bool reachable, std::span<const Value> fallthrough,
                std::span<Value> results);
  void rethrow(Control& control) { FunctionEmitter::rethrow(control.handling); }
  void call(wasm::FuncIndex func, const FuncType& type, std::span<const Value> args, std::span<Value> results);
  void call_indirect(wasm::TableIndex table, wasm::TypeIndex type_index, const FuncType& type, Value index,
                     std::span<const Value> args, std::span<Value> results);
  void call_ref(const FuncType& type, ValType ref_type, Value ref, std::span<const Value> args,
                std::span<Value> results);
  void return_call(wasm::FuncIndex func, const FuncType& type, std::span<const Value> args);
  void return_call_indirect(wasm::TableIndex table, wasm::TypeIndex type_index, const FuncType& type, Value index,
                            std::span<const Value> args);
  void return_call_ref(const FuncType& type, ValType ref_type, Value ref, std::span<const Value> args);
  void br_on_null(Control& target, ValType ref_type, Value ref, std::span<const Value> args);
  void br_on_non_null(Control& target, ValType ref_type, Value ref, std::span<const Value> args);

  Value select(ValType type, Value condition, Value if_true, Value if_false) {
    return put(3, FunctionEmitter::select(type, top(0, condition), top(2, if_true), top(1, if_false)));
  }
  Value local_get(wasm::LocalIndex index, ValType type);
  void local_set(wasm::LocalIndex index, ValType type, Value value);
  Value global_get(wasm::GlobalIndex index, const GlobalType& type) {
    return put(0, FunctionEmitter::global_get(index, type));
  }
  void global_set(wasm::GlobalIndex index, const GlobalType& type, Value value) {
    FunctionEmitter::global_set(index, type, top(0, value));
  }
  Value ref_null(ValType type) { return put(0, FunctionEmitter::ref_null(type)); }
  Value ref_is_null(ValType type, Value ref) { return put(1, FunctionEmitter::ref_is_null(type, top(0, ref))); }
  Value ref_func(wasm::FuncIndex func) { return put(0, FunctionEmitter::ref_func(func)); }
  Value ref_as_non_null(ValType type, Value ref) { return put(1, FunctionEmitter::ref_as_non_null(type, top(0, ref))); }

  Value constant(ValType type, uint64_t bits) { return put(0, FunctionEmitter::constant(type, bits)); }
  Value numeric(wasm::NumericOp op, std::span<const Value> operands) {
    return put(operands.size(), FunctionEmitter::numeric(op, all(operands)));
  }
  void wide(wasm::WideOp op, std::span<const Value> operands, std::span<Value> results);

  Value load(wasm::LoadOp op, const wasm::MemArg& mem, Value address) {
    return put(1, FunctionEmitter::load(op, mem, top(0, address)));
  }
  void store(wasm::StoreOp op, const wasm::MemArg& mem, Value address, Value value) {
    FunctionEmitter::store(op, mem, top(1, address), top(0, value));
  }
  Value memory_size(wasm::MemoryIndex memory) { return put(0, FunctionEmitter::memory_size(memory)); }
  Value memory_grow(wasm::MemoryIndex memory, Value delta) {
    return put(1, FunctionEmitter::memory_grow(memory, top(0, delta)));
  }
  void memory_init(wasm::MemoryIndex memory, wasm::DataIndex segment, Value dst, Value src, Value size) {
    FunctionEmitter::memory_init(memory, segment, top(2, dst), top(1, src), top(0, size));
  }
  void data_drop(wasm::DataIndex segment) { FunctionEmitter::data_drop(segment); }
  void memory_copy(wasm::MemoryIndex dst_memory, wasm::MemoryIndex src_memory, Value dst, Value src, Value size) {
    FunctionEmitter::memory_copy(dst_memory, src_memory, top(2, dst), top(1, src), top(0, size));
  }
  void memory_fill(wasm::MemoryIndex memory, Value dst, Value byte, Value size) {
    FunctionEmitter::memory_fill(memory, top(2, dst), top(1, byte), top(0, size));
  }

  Value table_get(wasm::TableIndex table, ValType type, Value index) {
    return put(1, FunctionEmitter::table_get(table, type, top(0, index)));
  }
  void table_set(wasm::TableIndex table, ValType type, Value index, Value value) {
    FunctionEmitter::table_set(table, type, top(1, index), top(0, value));
  }
  Value table_size(wasm::TableIndex table) { return put(0, FunctionEmitter::table_size(table)); }
  Value table_grow(wasm::TableIndex table, ValType type, Value init, Value delta) {
    return put(2, FunctionEmitter::table_grow(table, type, top(1, init), top(0, delta)));
  }
  void table_fill(wasm::TableIndex table, ValType type, Value index, Value value, Value size) {
    FunctionEmitter::table_fill(table, type, top(2, index), top(1, value), top(0, size));
  }
  void table_init(wasm::TableIndex table, wasm::ElemIndex segment, Value dst, Value src, Value size) {
    FunctionEmitter::table_init(table, segment, top(2, dst), top(1, src), top(0, size));
  }
  void elem_drop(wasm::ElemIndex segment) { FunctionEmitter::elem_drop(segment); }
  void table_copy(wasm::TableIndex dst_table, wasm::TableIndex src_table, Value dst, Value src, Value size) {
    FunctionEmitter::table_copy(dst_table, src_table, top(2, dst), top(1, src), top(0, size));
  }

  Value struct_new(wasm::TypeIndex type, const wasm::StructType& structure, std::span<const Value> fields);
  Value struct_new_default(wasm::TypeIndex type, const wasm::StructType& structure) {
    return put(0, FunctionEmitter::struct_new_default(type, structure));
  }
  Value struct_get(wasm::TypeIndex type, const wasm::StructType& structure, uint32_t field, bool is_signed,
                   ValType ref_type, Value ref) {
    return put(1, FunctionEmitter::struct_get(type, structure, field, is_signed, ref_type, top(0, ref)));
  }
  void struct_set(wasm::TypeIndex type, const wasm::StructType& structure, uint32_t field, ValType ref_type, Value ref,
                  Value value) {
    FunctionEmitter::struct_set(type, structure, field, ref_type, top(1, ref), top(0, value));
  }
  Value array_new(wasm::TypeIndex type, const wasm::ArrayType& array, Value init, Value length) {
    return put(2, FunctionEmitter::array_new(type, array, top(1, init), top(0, length)));
  }
  Value array_new_default(wasm::TypeIndex type, const wasm::ArrayType& array, Value length) {
    return put(1, FunctionEmitter::array_new_default(type, array, top(0, length)));
  }
  Value array_new_fixed(wasm::TypeIndex type, const wasm::ArrayType& array, std::span<const Value> elements);
  Value array_new_data(wasm::TypeIndex type, wasm::DataIndex segment, Value offset, Value length) {
    return put(2, FunctionEmitter::array_new_data(type, segment, top(1, offset), top(0, length)));
  }
  Value array_new_elem(wasm::TypeIndex type, wasm::ElemIndex segment, Value offset, Value length) {
    return put(2, FunctionEmitter::array_new_elem(type, segment, top(1, offset), top(0, length)));
  }
  Value array_get(const wasm::ArrayType& array, bool is_signed, ValType ref_type, Value ref, Value index) {
    return put(2, FunctionEmitter::array_get(array, is_signed, ref_type, top(1, ref), top(0, index)));
  }
  void array_set(const wasm::ArrayType& array, ValType ref_type, Value ref, Value index, Value value) {
    FunctionEmitter::array_set(array, ref_type, top(2, ref), top(1, index), top(0, value));
  }
  Value array_len(ValType ref_type, Value ref) { return put(1, FunctionEmitter::array_len(ref_type, top(0, ref))); }
  void array_fill(const wasm::ArrayType& array, ValType ref_type, Value ref, Value index, Value value, Value size) {
    FunctionEmitter::array_fill(array, ref_type, top(3, ref), top(2, index), top(1, value), top(0, size));
  }
  void array_copy(const wasm::ArrayType& array, Value to, Value to_index, Value from, Value from_index, Value size) {
    FunctionEmitter::array_copy(array, top(4, to), top(3, to_index), top(2, from), top(1, from_index), top(0, size));
  }
  void array_init_data(const wasm::ArrayType& array, wasm::DataIndex segment, Value ref, Value index, Value offset,
                       Value size) {
    FunctionEmitter::array_init_data(array, segment, top(3, ref), top(2, index), top(1, offset), top(0, size));
  }
  void array_init_elem(const wasm::ArrayType& array, wasm::ElemIndex segment, Value ref, Value index, Value offset,
                       Value size) {
    FunctionEmitter::array_init_elem(array, segment, top(3, ref), top(2, index), top(1, offset), top(0, size));
  }
  Value ref_eq(Value a, Value b) { return put(2, FunctionEmitter::ref_eq(top(1, a), top(0, b))); }
  Value ref_i31(Value number) { return put(1, FunctionEmitter::ref_i31(top(0, number))); }
  Value i31_get(bool is_signed, ValType ref_type, Value ref) {
    return put(1, FunctionEmitter::i31_get(is_signed, ref_type, top(0, ref)));
  }
  Value ref_test(ValType from, ValType to, Value ref) {
    return put(1, FunctionEmitter::ref_test(from, to, top(0, ref)));
  }
  Value ref_cast(ValType from, ValType to, Value ref) {
    return put(1, FunctionEmitter::ref_cast(from, to, top(0, ref)));
  }
  void br_on_cast(Control& target, ValType from, ValType to, std::span<const Value> args) {
    branch_on(target, matches(from, to, top(0, args.back())), args);
  }
  void br_on_cast_fail(Control& target, ValType from, ValType to, std::span<const Value> args) {
    branch_on(target, b_.CreateNot(matches(from, to, top(0, args.back()))), args);
  }
  Value any_convert_extern(Value ref) { return put(1, FunctionEmitter::any_convert_extern(top(0, ref))); }
  Value extern_convert_any(Value ref) { return put(1, FunctionEmitter::extern_convert_any(top(0, ref))); }

  Value atomic_load(wasm::AtomicLoadOp op, const wasm::MemArg& mem, Value address) {
    return put(1, FunctionEmitter::atomic_load(op, mem, top(0, address)));
  }
  void atomic_store(wasm::AtomicStoreOp op, const wasm::MemArg& mem, Value address, Value value) {
    FunctionEmitter::atomic_store(op, mem, top(1, address), top(0, value));
  }
  Value atomic_rmw(wasm::AtomicRmwOp op, const wasm::MemArg& mem, Value address, Value value) {
    return put(2, FunctionEmitter::atomic_rmw(op, mem, top(1, address), top(0, value)));
  }
  Value atomic_cmpxchg(wasm::AtomicCmpxchgOp op, const wasm::MemArg& mem, Value address, Value expected,
                       Value replacement) {
    return put(3, FunctionEmitter::atomic_cmpxchg(op, mem, top(2, address), top(1, expected), top(0, replacement)));
  }
  Value atomic_wait_notify(wasm::AtomicWaitOp op, const wasm::MemArg& mem, std::span<const Value> operands) {
    return put(operands.size(), FunctionEmitter::atomic_wait_notify(op, mem, all(operands)));
  }
  void atomic_fence() { FunctionEmitter::atomic_fence(); }

  Value simd_constant(const V128& value) { return put(0, FunctionEmitter::simd_constant(value)); }
  Value simd_load(wasm::SimdLoadOp op, const wasm::MemArg& mem, Value address) {
    return put(1, FunctionEmitter::simd_load(op, mem, top(0, address)));
  }
  void simd_store(wasm::SimdStoreOp op, const wasm::MemArg& mem, Value address, Value value) {
    FunctionEmitter::simd_store(op, mem, top(1, address), top(0, value));
  }
  Value simd_load_lane(wasm::SimdLoadLaneOp op, const wasm::MemArg& mem, uint8_t lane, Value address, Value vector) {
    return put(2, FunctionEmitter::simd_load_lane(op, mem, lane, top(1, address), top(0, vector)));
  }
  void simd_store_lane(wasm::SimdStoreLaneOp op, const wasm::MemArg& mem, uint8_t lane, Value address, Value vector) {
    FunctionEmitter::simd_store_lane(op, mem, lane, top(1, address), top(0, vector));
  }
  Value simd_shuffle(const std::array<uint8_t, 16>& lanes, Value a, Value b) {
    return put(2, FunctionEmitter::simd_shuffle(lanes, top(1, a), top(0, b)));
  }
  Value simd_lane(wasm::SimdLaneOp op, uint8_t lane, std::span<const Value> operands) {
    return put(operands.size(), FunctionEmitter::simd_lane(op, lane, all(operands)));
  }
  Value simd_numeric(wasm::SimdNumericOp op, std::span<const Value> operands) {
    return put(operands.size(), FunctionEmitter::simd_numeric(op, all(operands)));
  }

 private:
  using Operands = llvm::SmallVector<llvm::Value*, 16>;

  llvm::Value* local_slot(uint32_t index) { return b_.CreateConstGEP1_64(module_.i8, slots_, index * kSlotBytes); }
  llvm::Value* slot(uint32_t height) { return local_slot(locals_count_ + height); }
  /// Loads an operand, counted from the top of the stack as it was before the instruction.
  llvm::Value* top(uint32_t depth, Value operand) { return b_.CreateLoad(operand.type, slot(height_ - 1 - depth)); }
  /// Loads `operands`, the first of which has this height.
  Operands operands_at(uint32_t height, std::span<const Value> operands);
  Operands all(std::span<const Value> operands) {
    return operands_at(height_ - static_cast<uint32_t>(operands.size()), operands);
  }
  /// Stores the result of an instruction in the place of its topmost operands.
  Value put(size_t operands, llvm::Value* result) {
    b_.CreateStore(result, slot(height_ - static_cast<uint32_t>(operands)));
    return {result->getType()};
  }
  void set_types(std::span<const ValType> types, std::span<Value> values);

  /// Copies `count` units of `unit_bytes`, upwards: the places may overlap if `to` is not above `from`.
  void copy(llvm::Value* to, llvm::Value* from, uint64_t count, uint32_t unit_bytes);
  void clear(llvm::Value* to, uint64_t slots);
  /// Emits `body(i)` for i from 0 to below `count`, as a loop.
  template <class Body>
  void repeat(uint64_t count, Body body);

  // Control.
  llvm::BasicBlock* target_of(Control& control);
  /// Returns the block for branches to a label with `count` operands, the first at height `first`. All such branches
  /// share the code that moves the operands.
  llvm::BasicBlock* edge_to(Control& target, uint32_t first, size_t count);
  /// Returns whether operands that begin at height `first` have to be moved.
  static bool moves(const Control& target, uint32_t first, size_t count) { return count != 0 && target.base != first; }
  void branch_if(Control& target, llvm::Value* condition, uint32_t first, size_t count);
  /// Does so with the topmost operands.
  void branch_on(Control& target, llvm::Value* condition, std::span<const Value> args) {
    branch_if(target, condition, height_ - static_cast<uint32_t>(args.size()), args.size());
  }
  void emit_return_from_slots();

  // Calls of many values. Arguments are packed by a loop to where registers are loaded from, and the stack words
  // passed as one block of memory.
  struct Packing {
    uint32_t stack_words;
    uint32_t gprs, xmms;            ///< registers of each kind that are used
    llvm::GlobalVariable* offsets;  ///< each parameter's offset in the area, as uint16_t
  };
  static constexpr uint32_t kSlotBytes = code::kResultStride;
  static constexpr uint32_t kFewElements = 16;  ///< of an array, that are stored without a loop
  static constexpr uint32_t gprs_offset(const Packing& packing) {
    // Each value is copied with 16 bytes: the last one of a kind reaches behind its own.
    return packing.stack_words * 8 + 16;
  }
  static constexpr uint32_t xmms_offset(const Packing& packing) {
    return gprs_offset(packing) + code::ArgumentPlaces::kGprs * 8 + 8;
  }
  static constexpr uint32_t area_bytes(const Packing& packing) {
    return xmms_offset(packing) + code::ArgumentPlaces::kXmms * 16;
  }
  const Packing& packing_of(const FuncType& type);
  llvm::Value* area(const Packing& packing);
  llvm::Value* packed_offset(const Packing& packing, llvm::Value* param);
  void unpack_params(const FuncType& type);
  /// Packs the arguments of a call, the first at height `first`: returns those in registers; `words` gets the area with
  /// the stack words.
  llvm::SmallVector<llvm::Value*, 24> pack(const Packing& packing, const FuncType& type, uint32_t first,
                                           llvm::Value*& words);
  /// Emits a call whose arguments begin at height `first`. Where they are many, a callee that is named has the packed
  /// prototype.
  void emit_call_at(const FuncType& type, const Callee& callee, uint32_t first, std::span<const Value> args,
                    std::span<Value> results);
  /// Pre: begin_tail_call().
  void tail_call_packed(const FuncType& type, const Callee& callee, uint32_t first);

  uint32_t max_operands_ = 0;
  uint32_t height_ = 0;
  uint32_t locals_count_ = 0;
  Control* frame_ = nullptr;
  llvm::AllocaInst* slots_ = nullptr;
  llvm::AllocaInst* area_ = nullptr;  ///< once one was needed
  uint32_t area_bytes_ = 0;
  std::unordered_map<const FuncType*, Packing> packings_;
};

}  // namespace rotor::jit
