// What a user of the body decoder provides. The decoder reads a function body once, types it, and tells a sink
// about each instruction that can be reached, with typed operands. The compiler is a sink; EmptySink is validation
// only, and the reference for the interface.
//
// Rules:
// - A `Value` is what the sink attaches to each operand. Spans of values are windows of the operand stack, valid only
//   during the call; out-spans are to be filled by the sink, one value a type.
// - Code after an unconditional branch is validated but causes no event, up to the `else_` or `end` of its block.
//   If nothing reaches the end of a block, `end` is told so (`reachable` false and no branch was taken to it), and the
//   code after it causes no event either.
// - Labels are the sink's `Control` objects, which live on the decoder's control stack. They are default-constructed
//   and passed first to exactly one of function_begin, block, loop, if_, try_table, try_.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "wasm/immediates.h"
#include "wasm/module.h"
#include "wasm/opcodes.h"

namespace rotor::wasm {

/// A clause of a try_table. An exception branches to `target` with what it carries, if `tag` is its own, and a
/// reference to itself.
template <class Control>
struct Catch {
  TagIndex tag;          ///< if it is not for all
  const FuncType* type;  ///< of the tag; null: it is for all exceptions, and takes nothing of what they carry
  bool takes_ref;        ///< the label takes the reference, too, as its last operand
  Control* target;
};

struct EmptySink {
  struct Value {};
  struct Control {};

  /// Called before everything else. `locals`: the types of all locals, parameters first.
  void function_begin(Control& frame, FuncIndex func, const FuncType& type, std::span<const ValType> locals) {}
  /// Called after the final `end`.
  void function_end() {}
  /// Called before each reachable instruction with its byte offset in the module, the number of operands on the stack
  /// and its opcode. (At an `else` or `end` that only branches reach, the number is meaningless.)
  void at(uint64_t offset, uint32_t operands, Opcode op) {}

  // Structured control. `type` is the block's type.
  void block(Control& control, const BlockSignature& type, std::span<const Value> params) {}
  /// `params` come in as the values on entry and go out as the values inside the loop (phis).
  void loop(Control& control, const BlockSignature& type, std::span<Value> params) {}
  void if_(Control& control, const BlockSignature& type, Value condition, std::span<const Value> params) {}
  /// Ends an if's first arm, which falls through with `results` if `reachable`. Out: `params`, the second arm's
  /// parameters.
  void else_(Control& control, bool reachable, std::span<const Value> results, std::span<Value> params) {}
  /// Ends a block, loop, if or the function; if `reachable`, the code before the end falls through with `fallthrough`.
  /// Out: `results`, the values after the block. For an `if` without `else` the sink itself adds the path past it. For
  /// the function's frame, `results` is empty: falling through returns.
  void end(Control& control, bool reachable, std::span<const Value> fallthrough, std::span<Value> results) {}
  /// Branches to a label; if that is a loop's, `args` are its parameters.
  void br(Control& target, std::span<const Value> args) {}
  void br_if(Control& target, Value condition, std::span<const Value> args) {}
  /// The last target is the default. All targets get the same `args`.
  void br_table(Value index, std::span<Control* const> targets, std::span<const Value> args) {}
  void return_(std::span<const Value> args) {}
  void unreachable() {}
  /// Begins a block whose body's exceptions go to the first clause that takes them. The targets are labels around it.
  void try_table(Control& control, const BlockSignature& type, std::span<const Value> params,
                 std::span<const Catch<Control>> catches) {}
  void throw_(TagIndex tag, const FuncType& type, std::span<const Value> args) {}
  /// Traps if `ref` is null, which `ref_type` says whether it may be.
  void throw_ref(ValType ref_type, Value ref) {}
  // Exceptions of before 3.0. What the body of a `try` throws goes to the first of its clauses that takes it, which
  // follow the body, and from a clause, as from a `try` without one, outwards.
  void try_(Control& control, const BlockSignature& type, std::span<const Value> params) {}
  /// Ends a try's body or one of its clauses, which falls through with `results` if `reachable`, and begins a clause
  /// for exceptions of `tag`; null `type`: for all, the last one. Out: `carried`, what the exception carries.
  void catch_(Control& control, bool reachable, std::span<const Value> results, TagIndex tag, const FuncType* type,
              std::span<Value> carried) {}
  /// Ends a `try` without clauses, like `end`. What its body throws goes to the clauses of another one around it
  /// whose body this is in; null `handler`: out of the function.
  void delegate(Control& control, Control* handler, bool reachable, std::span<const Value> fallthrough,
                std::span<Value> results) {}
  /// Throws the exception that the clause at hand of a `try` took.
  void rethrow(Control& control) {}
  void call(FuncIndex func, const FuncType& type, std::span<const Value> args, std::span<Value> results) {}
  void call_indirect(TableIndex table, TypeIndex type_index, const FuncType& type, Value index,
                     std::span<const Value> args, std::span<Value> results) {}
  /// `ref`: a reference to a function of `type`; `ref_type` says whether it may be null.
  void call_ref(const FuncType& type, ValType ref_type, Value ref, std::span<const Value> args,
                std::span<Value> results) {}
  /// Tail calls: the callee's results are the function's, whose frame is gone by then.
  void return_call(FuncIndex func, const FuncType& type, std::span<const Value> args) {}
  void return_call_indirect(TableIndex table, TypeIndex type_index, const FuncType& type, Value index,
                            std::span<const Value> args) {}
  void return_call_ref(const FuncType& type, ValType ref_type, Value ref, std::span<const Value> args) {}
  /// Branches if `ref` is null or, for br_on_non_null, if it is not; there `ref` is also the last of `args`.
  void br_on_null(Control& target, ValType ref_type, Value ref, std::span<const Value> args) {}
  void br_on_non_null(Control& target, ValType ref_type, Value ref, std::span<const Value> args) {}

  // Parametric, variables, references.
  Value select(ValType type, Value condition, Value if_true, Value if_false) { return {}; }
  Value local_get(LocalIndex index, ValType type) { return {}; }
  /// Called for local.tee, too, whose result is the operand itself.
  void local_set(LocalIndex index, ValType type, Value value) {}
  Value global_get(GlobalIndex index, const GlobalType& type) { return {}; }
  void global_set(GlobalIndex index, const GlobalType& type, Value value) {}
  Value ref_null(ValType type) { return {}; }
  Value ref_is_null(ValType type, Value ref) { return {}; }
  Value ref_func(FuncIndex func) { return {}; }
  /// Traps if it is null.
  Value ref_as_non_null(ValType type, Value ref) { return {}; }

  // Numbers. `bits`: the constant, zero-extended.
  Value constant(ValType type, uint64_t bits) { return {}; }
  /// Any instruction of the NUMERIC group; one or two operands.
  Value numeric(NumericOp op, std::span<const Value> operands) { return {}; }
  /// i64.add128 and sub128 (operands: low and high half of each), mul_wide_s and mul_wide_u (two numbers). `results`:
  /// out, low and high half.
  void wide(WideOp op, std::span<const Value> operands, std::span<Value> results) {}

  // Memory. `mem` holds index, offset and alignment.
  Value load(LoadOp op, const MemArg& mem, Value address) { return {}; }
  void store(StoreOp op, const MemArg& mem, Value address, Value value) {}
  Value memory_size(MemoryIndex memory) { return {}; }
  Value memory_grow(MemoryIndex memory, Value delta) { return {}; }
  void memory_init(MemoryIndex memory, DataIndex segment, Value dst, Value src, Value size) {}
  void data_drop(DataIndex segment) {}
  void memory_copy(MemoryIndex dst_memory, MemoryIndex src_memory, Value dst, Value src, Value size) {}
  void memory_fill(MemoryIndex memory, Value dst, Value byte, Value size) {}

  // Tables.
  Value table_get(TableIndex table, ValType type, Value index) { return {}; }
  void table_set(TableIndex table, ValType type, Value index, Value value) {}
  Value table_size(TableIndex table) { return {}; }
  Value table_grow(TableIndex table, ValType type, Value init, Value delta) { return {}; }
  void table_fill(TableIndex table, ValType type, Value index, Value value, Value size) {}
  void table_init(TableIndex table, ElemIndex segment, Value dst, Value src, Value size) {}
  void elem_drop(ElemIndex segment) {}
  void table_copy(TableIndex dst_table, TableIndex src_table, Value dst, Value src, Value size) {}

  // Structs and arrays. `is_signed`: how a packed field or element is extended; false for others. `ref_type` says
  // whether the reference may be null, at which all of these trap.
  Value struct_new(TypeIndex type, const StructType& structure, std::span<const Value> fields) { return {}; }
  Value struct_new_default(TypeIndex type, const StructType& structure) { return {}; }
  Value struct_get(TypeIndex type, const StructType& structure, uint32_t field, bool is_signed, ValType ref_type,
                   Value ref) {
    return {};
  }
  void struct_set(TypeIndex type, const StructType& structure, uint32_t field, ValType ref_type, Value ref,
                  Value value) {}
  Value array_new(TypeIndex type, const ArrayType& array, Value init, Value length) { return {}; }
  Value array_new_default(TypeIndex type, const ArrayType& array, Value length) { return {}; }
  Value array_new_fixed(TypeIndex type, const ArrayType& array, std::span<const Value> elements) { return {}; }
  Value array_new_data(TypeIndex type, DataIndex segment, Value offset, Value length) { return {}; }
  Value array_new_elem(TypeIndex type, ElemIndex segment, Value offset, Value length) { return {}; }
  Value array_get(const ArrayType& array, bool is_signed, ValType ref_type, Value ref, Value index) { return {}; }
  void array_set(const ArrayType& array, ValType ref_type, Value ref, Value index, Value value) {}
  Value array_len(ValType ref_type, Value ref) { return {}; }
  void array_fill(const ArrayType& array, ValType ref_type, Value ref, Value index, Value value, Value size) {}
  /// `array`: the type that is copied to, of the same size as the other's.
  void array_copy(const ArrayType& array, Value to, Value to_index, Value from, Value from_index, Value size) {}
  void array_init_data(const ArrayType& array, DataIndex segment, Value ref, Value index, Value offset, Value size) {}
  void array_init_elem(const ArrayType& array, ElemIndex segment, Value ref, Value index, Value offset, Value size) {}
  Value ref_eq(Value a, Value b) { return {}; }
  Value ref_i31(Value number) { return {}; }
  Value i31_get(bool is_signed, ValType ref_type, Value ref) { return {}; }

  // Casts. `from` is what the reference is known to be. Where a cast fails ref_cast traps; the other two branch if it
  // succeeds or fails, with the reference as the last of `args`.
  Value ref_test(ValType from, ValType to, Value ref) { return {}; }
  Value ref_cast(ValType from, ValType to, Value ref) { return {}; }
  void br_on_cast(Control& target, ValType from, ValType to, std::span<const Value> args) {}
  void br_on_cast_fail(Control& target, ValType from, ValType to, std::span<const Value> args) {}
  /// Convert between a reference of the host's and one of the guest's; null stays null.
  Value any_convert_extern(Value ref) { return {}; }
  Value extern_convert_any(Value ref) { return {}; }

  // Atomics.
  Value atomic_load(AtomicLoadOp op, const MemArg& mem, Value address) { return {}; }
  void atomic_store(AtomicStoreOp op, const MemArg& mem, Value address, Value value) {}
  Value atomic_rmw(AtomicRmwOp op, const MemArg& mem, Value address, Value value) { return {}; }
  Value atomic_cmpxchg(AtomicCmpxchgOp op, const MemArg& mem, Value address, Value expected, Value replacement) {
    return {};
  }
  /// memory.atomic.notify (operands: address, count), wait32 and wait64 (address, expected, timeout in ns).
  Value atomic_wait_notify(AtomicWaitOp op, const MemArg& mem, std::span<const Value> operands) { return {}; }
  void atomic_fence() {}

  // SIMD: the groups of opcodes.def. Lane indices are in range.
  Value simd_constant(const V128& value) { return {}; }
  Value simd_load(SimdLoadOp op, const MemArg& mem, Value address) { return {}; }
  void simd_store(SimdStoreOp op, const MemArg& mem, Value address, Value value) {}
  /// Loads one lane; the result is `vector` with that lane replaced.
  Value simd_load_lane(SimdLoadLaneOp op, const MemArg& mem, uint8_t lane, Value address, Value vector) { return {}; }
  void simd_store_lane(SimdStoreLaneOp op, const MemArg& mem, uint8_t lane, Value address, Value vector) {}
  /// `lanes` says, for each byte of the result, which of the 32 bytes of `a` and `b` it is.
  Value simd_shuffle(const std::array<uint8_t, 16>& lanes, Value a, Value b) { return {}; }
  /// extract_lane (operand: vector) and replace_lane (vector, number).
  Value simd_lane(SimdLaneOp op, uint8_t lane, std::span<const Value> operands) { return {}; }
  /// Any instruction of the SIMD_NUMERIC group; one to three operands.
  Value simd_numeric(SimdNumericOp op, std::span<const Value> operands) { return {}; }
};

}  // namespace rotor::wasm
