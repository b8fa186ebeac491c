// A function body to LLVM IR: the compiler's sink (wasm/body_sink.h). The methods are spread over the files
// jit/emit/*.cc by operator family.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "code/abi.h"
#include "code/run_page.h"
#include "jit/emit/module.h"
#include "jit/emit/simd.h"
#include "rotor/trap.h"
#include "wasm/body_sink.h"

namespace rotor::jit {

class FunctionEmitter;

/// Emits the body of a function in the place of a call of it.
class CallInliner {
 public:
  /// Emits the body at the insertion point of `caller`, which is where the call would be. Returns false if the function
  /// is to be called instead.
  virtual bool inline_call(FunctionEmitter& caller, wasm::FuncIndex func, std::span<llvm::Value* const> args,
                           std::span<llvm::Value*> results) = 0;

 protected:
  ~CallInliner() = default;
};

class FunctionEmitter {
 public:
  using Value = llvm::Value*;

  /// What a label has of the exceptions that its block catches.
  struct Try {
    uint32_t handler = 0;  ///< the place in handlers_, plus 1, while what the block catches is thrown in it
    // Of a `try` (legacy exceptions), whose clauses come after its body:
    llvm::BasicBlock* clauses = nullptr;  ///< where the clauses that come are tried; null: none can come
    /// In the clause at hand: up to here no code of a guest has run, so that Activation::thrown is what it took.
    llvm::Instruction* taken = nullptr;
    llvm::Value* exception = nullptr;  ///< the reference to that, once the clause needs one
  };

  struct Control {
    enum class Kind : uint8_t { function, block, loop, if_ } kind = Kind::block;
    wasm::BlockSignature type;
    /// The block that a branch goes to; created at the first branch (a loop's at its start).
    llvm::BasicBlock* target = nullptr;
    llvm::SmallVector<llvm::PHINode*, 2> phis;
    llvm::BasicBlock* else_block = nullptr;  ///< of an `if` whose second arm did not begin yet
    llvm::SmallVector<llvm::Value*, 2> else_params;
    Try handling;
  };

  /// `inliner` may be null, and must outlive it.
  FunctionEmitter(ModuleEmitter& module, CallInliner* inliner)
      : module_(module), plan_(module.plan), b_(module.builder), simd_(module), inliner_(inliner) {}
  /// Emits one function without control instructions at the insertion point of `caller`, in the place of a call: what
  /// traps in it traps at the call.
  FunctionEmitter(FunctionEmitter& caller, std::span<const Value> args, std::span<Value> results);
  ModuleEmitter& module() { return module_; }
  llvm::Function* function() { return function_; }
  uint32_t defined_func() const { return defined_func_; }

  // The sink; wasm/body_sink.h says what each is told.
  void function_begin(Control& frame, wasm::FuncIndex func, const FuncType& type, std::span<const ValType> locals);
  void function_end();
  void at(uint64_t offset, uint32_t) {
    if (inlined_) return;
    offset_ = offset;
    location_ = nullptr;
    if (plan_.locates_all) b_.SetCurrentDebugLocation(location());
  }

  void block(Control& control, const wasm::BlockSignature& type, std::span<const Value> params);
  void loop(Control& control, const wasm::BlockSignature& type, std::span<Value> params);
  void if_(Control& control, const wasm::BlockSignature& type, Value condition, std::span<const Value> params);
  void else_(Control& control, bool reachable, std::span<const Value> results, std::span<Value> params);
  void end(Control& control, bool reachable, std::span<const Value> fallthrough, std::span<Value> results);
  void br(Control& target, std::span<const Value> args);
  void br_if(Control& target, Value condition, std::span<const Value> args);
  void br_table(Value index, std::span<Control* const> targets, std::span<const Value> args);
  void return_(std::span<const Value> args);
  void unreachable();
  void try_table(Control& control, const wasm::BlockSignature& type, std::span<const Value> params,
                 std::span<const wasm::Catch<Control>> catches);
  void throw_(wasm::TagIndex tag, const FuncType& type, std::span<const Value> args);
  void throw_ref(ValType ref_type, Value ref);
  void try_(Control& control, const wasm::BlockSignature& type, std::span<const Value> params);
  void catch_(Control& control, bool reachable, std::span<const Value> results, wasm::TagIndex tag,
              const FuncType* type, std::span<Value> carried);
  void delegate(Control& control, Control* handler, bool reachable, std::span<const Value> fallthrough,
                std::span<Value> results);
  void rethrow(Control& control) { rethrow(control.handling); }
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

  Value select(ValType type, Value condition, Value if_true, Value if_false);
  Value local_get(wasm::LocalIndex index, ValType type);
  void local_set(wasm::LocalIndex index, ValType type, Value value);
  Value global_get(wasm::GlobalIndex index, const GlobalType& type);
  void global_set(wasm::GlobalIndex index, const GlobalType& type, Value value);
  Value ref_null(ValType type);
  Value ref_is_null(ValType type, Value ref);
  Value ref_func(wasm::FuncIndex func);
  Value ref_as_non_null(ValType type, Value ref);

  Value constant(ValType type, uint64_t bits);
  Value numeric(wasm::NumericOp op, std::span<const Value> operands);
  void wide(wasm::WideOp op, std::span<const Value> operands, std::span<Value> results);

  Value load(wasm::LoadOp op, const wasm::MemArg& mem, Value address);
  void store(wasm::StoreOp op, const wasm::MemArg& mem, Value address, Value value);
  Value memory_size(wasm::MemoryIndex memory);
  Value memory_grow(wasm::MemoryIndex memory, Value delta);
  void memory_init(wasm::MemoryIndex memory, wasm::DataIndex segment, Value dst, Value src, Value size);
  void data_drop(wasm::DataIndex segment);
  void memory_copy(wasm::MemoryIndex dst_memory, wasm::MemoryIndex src_memory, Value dst, Value src, Value size);
  void memory_fill(wasm::MemoryIndex memory, Value dst, Value byte, Value size);

  Value table_get(wasm::TableIndex table, ValType type, Value index);
  void table_set(wasm::TableIndex table, ValType type, Value index, Value value);
  Value table_size(wasm::TableIndex table);
  Value table_grow(wasm::TableIndex table, ValType type, Value init, Value delta);
  void table_fill(wasm::TableIndex table, ValType type, Value index, Value value, Value size);
  void table_init(wasm::TableIndex table, wasm::ElemIndex segment, Value dst, Value src, Value size);
  void elem_drop(wasm::ElemIndex segment);
  void table_copy(wasm::TableIndex dst_table, wasm::TableIndex src_table, Value dst, Value src, Value size);

  Value struct_new(wasm::TypeIndex type, const wasm::StructType& structure, std::span<const Value> fields);
  Value struct_new_default(wasm::TypeIndex type, const wasm::StructType& structure);
  Value struct_get(wasm::TypeIndex type, const wasm::StructType& structure, uint32_t field, bool is_signed,
                   ValType ref_type, Value ref);
  void struct_set(wasm::TypeIndex type, const wasm::StructType& structure, uint32_t field, ValType ref_type, Value ref,
                  Value value);
  Value array_new(wasm::TypeIndex type, const wasm::ArrayType& array, Value init, Value length);
  Value array_new_default(wasm::TypeIndex type, const wasm::ArrayType& array, Value length);
  Value array_new_fixed(wasm::TypeIndex type, const wasm::ArrayType& array, std::span<const Value> elements);
  Value array_new_data(wasm::TypeIndex type, wasm::DataIndex segment, Value offset, Value length);
  Value array_new_elem(wasm::TypeIndex type, wasm::ElemIndex segment, Value offset, Value length);
  Value array_get(const wasm::ArrayType& array, bool is_signed, ValType ref_type, Value ref, Value index);
  void array_set(const wasm::ArrayType& array, ValType ref_type, Value ref, Value index, Value value);
  Value array_len(ValType ref_type, Value ref);
  void array_fill(const wasm::ArrayType& array, ValType ref_type, Value ref, Value index, Value value, Value size);
  void array_copy(const wasm::ArrayType& array, Value to, Value to_index, Value from, Value from_index, Value size);
  void array_init_data(const wasm::ArrayType& array, wasm::DataIndex segment, Value ref, Value index, Value offset,
                       Value size);
  void array_init_elem(const wasm::ArrayType& array, wasm::ElemIndex segment, Value ref, Value index, Value offset,
                       Value size);
  Value ref_eq(Value a, Value b);
  Value ref_i31(Value number);
  Value i31_get(bool is_signed, ValType ref_type, Value ref);
  Value ref_test(ValType from, ValType to, Value ref);
  Value ref_cast(ValType from, ValType to, Value ref);
  void br_on_cast(Control& target, ValType from, ValType to, std::span<const Value> args);
  void br_on_cast_fail(Control& target, ValType from, ValType to, std::span<const Value> args);
  Value any_convert_extern(Value ref);
  Value extern_convert_any(Value ref);

  Value atomic_load(wasm::AtomicLoadOp op, const wasm::MemArg& mem, Value address);
  void atomic_store(wasm::AtomicStoreOp op, const wasm::MemArg& mem, Value address, Value value);
  Value atomic_rmw(wasm::AtomicRmwOp op, const wasm::MemArg& mem, Value address, Value value);
  Value atomic_cmpxchg(wasm::AtomicCmpxchgOp op, const wasm::MemArg& mem, Value address, Value expected,
                       Value replacement);
  Value atomic_wait_notify(wasm::AtomicWaitOp op, const wasm::MemArg& mem, std::span<const Value> operands);
  void atomic_fence();

  Value simd_constant(const V128& value) { return simd_.constant(value); }
  Value simd_load(wasm::SimdLoadOp op, const wasm::MemArg& mem, Value address);
  void simd_store(wasm::SimdStoreOp op, const wasm::MemArg& mem, Value address, Value value);
  Value simd_load_lane(wasm::SimdLoadLaneOp op, const wasm::MemArg& mem, uint8_t lane, Value address, Value vector);
  void simd_store_lane(wasm::SimdStoreLaneOp op, const wasm::MemArg& mem, uint8_t lane, Value address, Value vector);
  Value simd_shuffle(const std::array<uint8_t, 16>& lanes, Value a, Value b) { return simd_.shuffle(lanes, a, b); }
  Value simd_lane(wasm::SimdLaneOp op, uint8_t lane, std::span<const Value> operands) {
    return simd_.lane(op, lane, operands);
  }
  Value simd_numeric(wasm::SimdNumericOp op, std::span<const Value> operands) { return simd_.numeric(op, operands); }

 protected:
  // Small tools.
  llvm::ConstantInt* int32(uint32_t v) { return b_.getInt32(v); }
  llvm::ConstantInt* int64(uint64_t v) { return b_.getInt64(v); }
  llvm::BasicBlock* new_block() { return llvm::BasicBlock::Create(module_.context, "", function_); }
  Value context_address(uint32_t offset);
  /// Emits a load of something that never changes while the function runs.
  Value invariant_load(llvm::Type* type, Value address);
  /// Gives an instruction that may fault, or a call, the current module offset.
  template <class Inst>
  Inst* mark(Inst* inst) {
    inst->setDebugLoc(location());
    return inst;
  }
  llvm::DebugLoc location();
  /// Emits `i32 != 0`; takes the bit itself where the i32 is an extended comparison's result.
  Value to_bool(Value condition);
  Value from_bool(Value bit) { return b_.CreateZExt(bit, module_.i32); }

  // Traps.
  void trap(TrapKind kind);
  void trap_if(Value condition, TrapKind kind);

  // Control.
  llvm::BasicBlock* target_of(Control& control);
  void add_incoming(Control& control, std::span<const Value> args);
  /// Emits a branch to a label if `condition`, an i1, is true.
  void branch_if(Control& target, Value condition, std::span<const Value> args);
  /// Emits what stands at a loop's head beside its parameters: the count of turns and the check for an interrupt.
  void begin_turn();
  /// Begins a block for an instruction that LLVM's fast instruction selector does not know: that goes through a block
  /// from its end, and leaves all that is above such an instruction to the slow selector. It knows neither a swiftcc
  /// return nor a switch, so those get a block of their own.
  void begin_slow_block();
  void begin_inlined(const FuncType& type, std::span<const ValType> locals);
  /// Begins emitting `function`, which is to be the code of `func`.
  void begin_function(llvm::Function* function, wasm::FuncIndex func, const FuncType& type);
  void emit_return(std::span<const Value> results);
  void emit_count(Value turns);
  void emit_interrupt_check();

  // Calls.
  struct Callee {
    Value code;
    Value context;
  };
  /// Loads the address of a function's code from its slot.
  Value slot_code(wasm::FuncIndex func);
  bool is_direct(wasm::FuncIndex func) const;
  Callee imported_callee(wasm::FuncIndex func);
  /// Loads the callee from a `const FuncRef*`, which is not null.
  Callee callee_of(Value ref);
  /// Returns the checked `const FuncRef*` of a call_indirect.
  Value indirect_ref(wasm::TableIndex table, wasm::TypeIndex type_index, Value index);
  /// Returns the `const FuncRef*` of a call_ref, checked for null where its type allows that.
  Value checked_ref(ValType ref_type, Value ref);
  /// Emits a call by the contract (code/abi.h), of any prototype. `operands` begins with the callee's context. What the
  /// callee throws goes to the innermost try_table.
  llvm::CallBase* emit_call(llvm::FunctionType* prototype, Value code, std::span<const Value> operands);
  /// Gives a call what the contract asks for.
  void complete_call(llvm::CallBase& call);
  void emit_call(const FuncType& type, Value code, Value callee_context, std::span<const Value> args,
                 std::span<Value> results);
  /// Returns the address where a function with that context left its results, if they are too many for registers.
  Value results_of(Value callee_context);
  Value emit_libcall(code::Libcall call, std::initializer_list<Value> args);

  // Exceptions (jit/emit/exception.cc).
  struct Clause {
    wasm::TagIndex tag;
    bool for_all;
    bool takes_ref;
    void* target;  ///< the emitter's Control
  };
  /// A try_table or `try` whose body is being emitted.
  struct Handler {
    llvm::BasicBlock* clauses;  ///< finds the clause for Activation::thrown, or has it go on outwards
    bool is_legacy = false;     ///< a `try`: its clauses are not known yet
    llvm::BasicBlock* pad =
        nullptr;  ///< where calls of the body go on that an exception leaves; made for the first one
    llvm::SmallVector<Clause, 2> known;
  };
  /// Returns the clause that takes what is thrown here, if that is known without a look at tags and it takes no
  /// reference: then the throw is a branch to its label. Else null.
  const Clause* clause_for(wasm::TagIndex tag) const;
  /// Begins a try_table: emits its clauses. `branch(clause, thrown)` emits the branch to a clause's label,
  /// with what it takes of the code::Thrown at that address.
  template <class Label, class Branch>
  void begin_try(Try& handling, std::span<const wasm::Catch<Label>> catches, Branch branch);
  void begin_legacy_try(Try& handling);
  /// Ends the body of a `try` or one of its clauses, and begins a clause, for all exceptions if there is no `type`.
  void begin_clause(Try& handling, wasm::TagIndex tag, const FuncType* type);
  /// Begins the code of that clause, which has loaded what it takes.
  void begin_clause_body(Try& handling);
  /// Ends the body of a `try` whose exceptions go to the clauses of `handler`, or out of the function if it is null.
  void delegate(Try& handling, const Try* handler);
  /// Ends what catches exceptions, if anything does.
  void end_try(Try& handling);
  void rethrow(Try& handling);
  /// Has what is thrown go on to these clauses; null: to the function's callers.
  void pass_on(llvm::BasicBlock* clauses);
  llvm::BasicBlock* innermost_clauses() const { return handlers_.empty() ? nullptr : handlers_.back().clauses; }
  Value thrown_tag(Value thrown);
  /// Goes on where the tag of what is thrown is `own`; branches to `next` where it is another.
  void require_tag(Value tag, wasm::TagIndex own, llvm::BasicBlock* next);
  Value thrown_address();
  Value payload_of(Value thrown);
  llvm::SmallVector<Value, 4> taken_operands(Value thrown, const FuncType* type, bool takes_ref);
  /// Emits a call of `code`, which may throw, in the body of a try_table.
  llvm::InvokeInst* emit_invoke(llvm::FunctionType* prototype, Value code, std::span<const Value> operands);
  /// Emits a call of a helper that throws, at which the code ends.
  void emit_throw(code::Libcall call, std::initializer_list<Value> args);
  /// A helper as LLVM has it: what to call, and with what.
  struct Helper {
    llvm::FunctionType* type;
    Value code;
    llvm::SmallVector<Value, 8> operands;
  };
  Helper helper(code::Libcall call, std::initializer_list<Value> args);

  // Tail calls.
  /// Arguments as the uniform prototype has them: one for every register, and the stack words.
  struct UniformArgs {
    llvm::SmallVector<Value, 24> registers;
    llvm::SmallVector<Value, 8> stack;
  };
  void become_uniform();
  UniformArgs uniform_args(const FuncType& type, std::span<const Value> args);
  /// Convert a value to a whole register or stack word(s), and back.
  Value to_word(Value value);
  Value to_xmm(Value value);
  Value from_word(Value word, ValType type);
  Value from_xmm(Value xmm, ValType type);
  Value parameter(code::ArgumentPlaces::Place place, ValType type);
  void begin_tail_call();
  void jump(Value code, const UniformArgs& args);
  void jump_by_runtime(const FuncType& type, const Callee& callee, const UniformArgs& args);
  /// Does the same where the stack words are already where rotor_tail_call looks for them.
  void jump_by_runtime(const FuncType& type, const Callee& callee, std::span<const Value> registers,
                       size_t stack_words);
  void tail_call_ref(const FuncType& type, Value ref, std::span<const Value> args);

  // Memory.
  /// What a load reads, and how that becomes the result.
  struct Access {
    llvm::Type* type;
    llvm::Type* result;
    bool sign = false;
  };
  Access access_of(wasm::LoadOp op);
  llvm::Type* stored_type(wasm::StoreOp op);
  /// Returns an address, index or number of pages or elements, zero-extended if it has 32 bits.
  Value index64(Value index);
  /// Converts a number that fits in an index to the type of one.
  Value index_result(bool is64, Value number);
  /// Returns index + offset; for a 64-bit memory, modulo 2^64.
  Value effective_address(const wasm::MemArg& mem, Value address);
  /// Returns the address of an access, checked where the guard does not do that.
  Value access_pointer(const wasm::MemArg& mem, Value address, uint32_t bytes);
  /// Does the same for an access that writes.
  Value written_pointer(const wasm::MemArg& mem, Value address, uint32_t bytes);
  /// Has the function say at its entry that it may write a memory (Context::may_have_written).
  void note_writes();
  code::MemoryCheck check_of(uint32_t memory) const { return plan_.checks[memory]; }
  Value memory_bytes(uint32_t memory);
  Value memory_base(uint32_t memory);
  /// Returns the size of a memory that has the same as long as it lives; nullopt if that is not known.
  std::optional<uint64_t> constant_bytes(uint32_t memory) const;
  /// Traps unless all `bytes` at index + offset lie in a memory of `size` bytes.
  void check_constant_end(const wasm::MemArg& mem, Value index, uint32_t bytes, uint64_t size);
  /// Traps unless all `bytes` at the effective address lie in the memory, and it did not wrap.
  void check_end(const wasm::MemArg& mem, Value effective, uint32_t bytes);
  void check_alignment(Value effective, uint32_t bytes);
  Value load_bytes(const wasm::MemArg& mem, Value address, llvm::Type* type, uint32_t bytes);
  /// What an atomic instruction does to memory.
  enum class Effect : uint8_t { reads, writes };
  Value atomic_pointer(const wasm::MemArg& mem, Value address, uint32_t bytes, Effect effect);

  // Tables.
  Value table_def(uint32_t table);
  Value table_slot(wasm::TableIndex table, Value index, TrapKind kind);

  // Structures, arrays and casts (jit/emit/gc.cc).
  Value heap_base();
  /// Returns an address in the object that a reference is to.
  Value object_address(Value ref, uint32_t offset);
  /// Returns the type that a field or element has in memory.
  llvm::Type* field_type(const wasm::FieldType& field);
  Value load_field(const wasm::FieldType& field, bool is_signed, Value address);
  void store_field(const wasm::FieldType& field, Value address, Value value);
  bool is_function(const wasm::FieldType& field) const;
  Value kept(const wasm::FieldType& field, Value value);
  void check_not_null(ValType ref_type, Value ref, TrapKind kind);
  Value type_number(wasm::TypeIndex type);
  Value take_cell(Value run, Value cell_bytes, llvm::function_ref<Value()> header, llvm::BasicBlock* slow,
                  llvm::function_ref<Value()> slowly);
  Value take_cell(uint64_t bytes, llvm::function_ref<Value()> header, llvm::function_ref<Value()> slowly);
  Value allocate_structure(wasm::TypeIndex type);
  Value allocate_array(wasm::TypeIndex type, const wasm::ArrayType& array, Value length);
  Value array_length(Value ref);
  void trap_at_array(Value bad, ValType ref_type, Value ref);
  /// Returns the address of an element; traps if it is not there.
  Value element_address(const wasm::ArrayType& array, ValType ref_type, Value ref, Value index);
  void keep_alive(Value ref);
  void fill(const wasm::ArrayType& array, Value ref, Value index, Value value, Value size);
  void check_elements(ValType ref_type, Value ref, Value index, Value size);
  void init_elements(code::Libcall call, TrapKind too_short, const wasm::ArrayType& array, uint32_t segment, Value ref,
                     Value index, Value offset, Value size);
  /// Returns the logarithm of an element's bytes.
  uint32_t element_log2(const wasm::ArrayType& array) const;
  Value type_of_object(ValType from, Value ref);
  Value is_abstract(ValType from, HeapType::Abstract to, Value ref);
  Value is_defined(ValType from, wasm::TypeIndex to, Value ref);
  Value is_function_type(Value actual, wasm::TypeIndex to, Value wanted);
  Value matches(ValType from, ValType to, Value ref);

  // Numbers.
  Value divide(bool is_signed, Value a, Value b);
  Value remainder(bool is_signed, Value a, Value b);
  /// Converts a float to an integer; traps if it does not fit, or saturates.
  Value truncate(Value a, llvm::IntegerType* type, bool is_signed);
  Value truncate_saturating(Value a, llvm::IntegerType* type, bool is_signed);
  Value minimum(Value a, Value b, bool want_max);
  Value unary_intrinsic(unsigned id, Value a);
  Value compare_int(unsigned predicate, Value a, Value b);
  Value compare_float(unsigned predicate, Value a, Value b);
  Value shift_count(Value a, Value count);

  ModuleEmitter& module_;
  const ModulePlan& plan_;
  llvm::IRBuilder<>& b_;
  SimdEmitter simd_;
  CallInliner* const inliner_ = nullptr;
  /// What a function that is emitted in the place of a call knows of that call.
  struct Inlined {
    FunctionEmitter& caller;
    std::span<const Value> args;
    std::span<Value> results;
  };
  const std::optional<Inlined> inlined_;
  const FuncType* type_ = nullptr;
  llvm::Function* function_ = nullptr;
  llvm::Value* context_ = nullptr;
  /// The block where parameters are stored; what is loaded once per function is loaded at its beginning.
  llvm::BasicBlock* entry_ = nullptr;
  llvm::Value* memory_base_ = nullptr;  ///< of memory 0, once loaded
  bool notes_writes_ = false;           ///< note_writes was called
  std::vector<llvm::AllocaInst*> locals_;
  std::vector<Handler> handlers_;  ///< around the current instruction, the innermost last
  uint64_t offset_ = 0;
  llvm::DebugLoc location_;
  uint32_t defined_func_ = 0;
  bool uniform_ = false;      ///< function_ is of the uniform prototype: it makes tail calls
  uint32_t stack_words_ = 0;  ///< of the parameters, if so
  /// Turns of all loops that are not yet taken off the counter; null until a loop begins.
  llvm::AllocaInst* turns_ = nullptr;
};

}  // namespace rotor::jit
