// Structures, arrays and casts (code/gc_layout.h has what they are in memory). A reference below `any` is an i64 whose
// upper half is zero, so that an object's address is the heap's base plus it.
#include "code/gc_layout.h"
#include "code/run_page.h"
#include "jit/emit/function.h"
#include "llvm/IR/InlineAsm.h"
#include "wasm/subtypes.h"

namespace rotor::jit {

using code::Libcall;
using code::Storage;
using llvm::BasicBlock;
using memory::HeapAllocator;
using memory::HeapHeader;
using memory::HeapRun;
using Value = FunctionEmitter::Value;
using wasm::ArrayType;
using wasm::FieldType;
using wasm::StructType;
using wasm::TypeIndex;
using Abstract = HeapType::Abstract;

/// Returns the address of the heap's first byte, which never changes while an instance lives.
Value FunctionEmitter::heap_base() {
  return invariant_load(module_.ptr, context_address(offsetof(code::Context, heap)));
}

Value FunctionEmitter::object_address(Value ref, uint32_t offset) {
  return b_.CreateConstGEP1_32(module_.i8, b_.CreateGEP(module_.i8, heap_base(), ref), offset);
}

uint32_t FunctionEmitter::element_log2(const ArrayType& array) const {
  return code::storage_log2(code::storage_of(plan_.module, array.element));
}

llvm::Type* FunctionEmitter::field_type(const FieldType& field) {
  switch (code::storage_of(plan_.module, field)) {
    case Storage::i8: return module_.i8;
    case Storage::i16: return module_.i16;
    case Storage::reference:
    case Storage::function: return module_.i32;
    default: return module_.value_type(field.type);
  }
}

Value FunctionEmitter::load_field(const FieldType& field, bool is_signed, Value address) {
  llvm::Type* type = field_type(field);
  llvm::Type* result = module_.value_type(wasm::unpacked(field));
  const auto align = std::min<uint64_t>(type->getPrimitiveSizeInBits() / 8, 8);
  Value value = b_.CreateAlignedLoad(type, address, llvm::Align(align));
  if (is_function(field)) {
    Value activation = b_.CreateLoad(module_.ptr, context_address(offsetof(code::Context, activation)));
    Value functions = b_.CreateLoad(
        module_.ptr, b_.CreateConstGEP1_32(module_.i8, activation, offsetof(code::Activation, functions)));
    return b_.CreateLoad(module_.i64, b_.CreateGEP(module_.i64, functions, b_.CreateZExt(value, module_.i64)));
  }
  if (type == result) return value;
  return is_signed ? b_.CreateSExt(value, result) : b_.CreateZExt(value, result);
}

bool FunctionEmitter::is_function(const FieldType& field) const {
  return code::storage_of(plan_.module, field) == Storage::function;
}

/// Returns what a field or element keeps of a value.
Value FunctionEmitter::kept(const FieldType& field, Value value) {
  return is_function(field) ? emit_libcall(Libcall::gc_function_number, {value}) : value;
}

void FunctionEmitter::store_field(const FieldType& field, Value address, Value value) {
  llvm::Type* type = field_type(field);
  const auto align = std::min<uint64_t>(type->getPrimitiveSizeInBits() / 8, 8);
  value = kept(field, value);
  if (value->getType() != type) value = b_.CreateTrunc(value, type);
  // Volatile, as all stores whose effect can be seen after a trap.
  b_.CreateAlignedStore(value, address, llvm::Align(align), /*isVolatile=*/true);
}

void FunctionEmitter::check_not_null(ValType ref_type, Value ref, TrapKind kind) {
  if (ref_type.nullable()) trap_if(b_.CreateICmpEQ(ref, int64(0)), kind);
}

/// Returns the number that the engine gave a type, which stands in the run page where function types have their id.
Value FunctionEmitter::type_number(TypeIndex type) {
  return invariant_load(module_.i64, module_.run_page(plan_.run_page.type(raw(type))));
}

/// Emits the allocation of an object that fits into a cell: the next one of its size class, or, where the run of those
/// is used up, a call of the runtime (`slowly`). `slow`: the block for that call, if something branches there already.
Value FunctionEmitter::take_cell(Value run, Value cell_bytes, llvm::function_ref<Value()> header, BasicBlock* slow,
                                 llvm::function_ref<Value()> slowly) {
  // Volatile: the runtime moves the run, and a load must not come before a call that does.
  Value cell = b_.CreateLoad(module_.i32, run, /*isVolatile=*/true);
  Value end = b_.CreateLoad(module_.i32, b_.CreateConstGEP1_32(module_.i8, run, offsetof(HeapRun, end)), true);
  Value next = b_.CreateAdd(cell, cell_bytes);
  BasicBlock* fast = new_block();
  if (slow)
    slow->moveAfter(fast);
  else
    slow = new_block();
  BasicBlock* done = new_block();
  b_.CreateCondBr(b_.CreateICmpUGT(next, end), slow, fast);
  b_.SetInsertPoint(fast);
  b_.CreateStore(next, run, /*isVolatile=*/true);
  Value taken = b_.CreateZExt(cell, module_.i64);
  b_.CreateStore(header(), b_.CreateGEP(module_.i8, heap_base(), taken), /*isVolatile=*/true);
  b_.CreateBr(done);
  b_.SetInsertPoint(slow);
  Value made = slowly();
  BasicBlock* after = b_.GetInsertBlock();
  b_.CreateBr(done);
  b_.SetInsertPoint(done);
  llvm::PHINode* ref = b_.CreatePHI(module_.i64, 2);
  ref->addIncoming(taken, fast);
  ref->addIncoming(made, after);
  return ref;
}

/// Emits the allocation of an object whose size is constant.
Value FunctionEmitter::take_cell(uint64_t bytes, llvm::function_ref<Value()> header,
                                 llvm::function_ref<Value()> slowly) {
  if (bytes > memory::kMostCellBytes) return slowly();
  const uint32_t size_class = memory::heap_class_of(static_cast<uint32_t>(bytes));
  const uint32_t run = memory::kHeapAllocatorAt + offsetof(HeapAllocator, runs) + size_class * sizeof(HeapRun);
  return take_cell(b_.CreateConstGEP1_32(module_.i8, heap_base(), run), int32(memory::kHeapClassBytes[size_class]),
                   header, nullptr, slowly);
}

Value FunctionEmitter::allocate_structure(TypeIndex type) {
  // The header is the number, and a length of 0.
  return take_cell(
      plan_.structures[raw(type)].bytes, [&] { return type_number(type); },
      [&] { return emit_libcall(Libcall::gc_new, {int32(raw(type))}); });
}

Value FunctionEmitter::allocate_array(TypeIndex type, const ArrayType& array, Value length) {
  const uint32_t log2 = element_log2(array);
  auto slowly = [&] { return emit_libcall(Libcall::gc_new_array, {int32(raw(type)), length}); };
  const auto* constant = llvm::dyn_cast<llvm::ConstantInt>(length);
  // Where compiling has to be fast, the look-up of a class is not worth its code.
  if (!constant && plan_.fast_selection) return slowly();
  auto header = [&] { return b_.CreateOr(type_number(type), b_.CreateShl(b_.CreateZExt(length, module_.i64), 32)); };
  if (constant) return take_cell(memory::kHeapHeaderBytes + (constant->getZExtValue() << log2), header, slowly);
  BasicBlock* tabled = new_block();
  BasicBlock* slow = new_block();
  // Longer ones, for which the size might wrap, are the runtime's.
  const uint32_t most = (memory::kMostTabledBytes - memory::kHeapHeaderBytes) >> log2;
  b_.CreateCondBr(b_.CreateICmpULE(length, int32(most)), tabled, slow);
  b_.SetInsertPoint(tabled);
  Value bytes = b_.CreateAdd(b_.CreateShl(length, log2), int32(memory::kHeapHeaderBytes + 7));
  Value row = b_.CreateGEP(module_.i8, heap_base(), b_.CreateZExt(b_.CreateLShr(bytes, 3), module_.i64));
  auto look_up = [&](size_t table) {
    Value at = b_.CreateConstGEP1_32(module_.i8, row, static_cast<uint32_t>(memory::kHeapAllocatorAt + table));
    return b_.CreateZExt(invariant_load(module_.i8, at), module_.i32);
  };
  Value size_class = b_.CreateZExt(look_up(offsetof(HeapAllocator, class_of)), module_.i64);
  Value cell_bytes = b_.CreateShl(look_up(offsetof(HeapAllocator, cell_of)), 3);
  Value runs = b_.CreateConstGEP1_32(module_.i8, heap_base(), memory::kHeapAllocatorAt + offsetof(HeapAllocator, runs));
  static_assert(sizeof(HeapRun) == 8);
  return take_cell(b_.CreateGEP(module_.i64, runs, size_class), cell_bytes, header, slow, slowly);
}

Value FunctionEmitter::struct_new(TypeIndex type, const StructType& structure, std::span<const Value> fields) {
  Value ref = allocate_structure(type);
  const code::StructureLayout& layout = plan_.structures[raw(type)];
  for (size_t i = 0; i < fields.size(); ++i)
    store_field(structure.fields[i], object_address(ref, layout.offsets[i]), fields[i]);
  return ref;
}

Value FunctionEmitter::struct_new_default(TypeIndex type, const StructType&) { return allocate_structure(type); }

Value FunctionEmitter::struct_get(TypeIndex type, const StructType& structure, uint32_t field, bool is_signed,
                                  ValType ref_type, Value ref) {
  check_not_null(ref_type, ref, TrapKind::null_structure_reference);
  return load_field(structure.fields[field], is_signed,
                    object_address(ref, plan_.structures[raw(type)].offsets[field]));
}

void FunctionEmitter::struct_set(TypeIndex type, const StructType& structure, uint32_t field, ValType ref_type,
                                 Value ref, Value value) {
  check_not_null(ref_type, ref, TrapKind::null_structure_reference);
  store_field(structure.fields[field], object_address(ref, plan_.structures[raw(type)].offsets[field]), value);
}

Value FunctionEmitter::array_new_default(TypeIndex type, const ArrayType& array, Value length) {
  return allocate_array(type, array, length);
}

Value FunctionEmitter::array_new(TypeIndex type, const ArrayType& array, Value init, Value length) {
  Value ref = array_new_default(type, array, length);
  fill(array, ref, int32(0), init, length);
  return ref;
}

Value FunctionEmitter::array_new_fixed(TypeIndex type, const ArrayType& array, std::span<const Value> elements) {
  Value ref = array_new_default(type, array, int32(static_cast<uint32_t>(elements.size())));
  const uint32_t log2 = element_log2(array);
  for (uint32_t i = 0; i < elements.size(); ++i)
    store_field(array.element, object_address(ref, code::kArrayElementsAt + (i << log2)), elements[i]);
  return ref;
}

Value FunctionEmitter::array_new_data(TypeIndex type, wasm::DataIndex segment, Value offset, Value length) {
  Value ref = emit_libcall(Libcall::gc_new_data, {int32(raw(type)), int32(raw(segment)), offset, length});
  trap_if(b_.CreateICmpEQ(ref, int64(0)), TrapKind::out_of_bounds_memory);
  return ref;
}

Value FunctionEmitter::array_new_elem(TypeIndex type, wasm::ElemIndex segment, Value offset, Value length) {
  Value ref = emit_libcall(Libcall::gc_new_elem, {int32(raw(type)), int32(raw(segment)), offset, length});
  trap_if(b_.CreateICmpEQ(ref, int64(0)), TrapKind::out_of_bounds_table);
  return ref;
}

Value FunctionEmitter::array_length(Value ref) {
  return b_.CreateLoad(module_.i32, object_address(ref, offsetof(HeapHeader, length)));
}

/// Traps if `bad`, with a kind of its own if the array is null, which has no elements.
void FunctionEmitter::trap_at_array(Value bad, ValType ref_type, Value ref) {
  BasicBlock* trapping = new_block();
  BasicBlock* good = new_block();
  b_.CreateCondBr(bad, trapping, good);
  b_.SetInsertPoint(trapping);
  check_not_null(ref_type, ref, TrapKind::null_array_reference);
  trap(TrapKind::out_of_bounds_array);
  b_.SetInsertPoint(good);
}

Value FunctionEmitter::element_address(const ArrayType& array, ValType ref_type, Value ref, Value index) {
  trap_at_array(b_.CreateICmpUGE(index, array_length(ref)), ref_type, ref);
  const uint32_t log2 = element_log2(array);
  Value at = b_.CreateShl(b_.CreateZExt(index, module_.i64), log2);
  Value address = b_.CreateGEP(module_.i8, object_address(ref, code::kArrayElementsAt), at);
  keep_alive(ref);
  return address;
}

/// Keeps a reference as it is up to here. LLVM may turn a loop's accesses into a pointer that runs from far outside the
/// array, and forget the array's own: the collector would not know the one, and needs the other.
void FunctionEmitter::keep_alive(Value ref) {
  if (plan_.fast_selection) return;  // that makes no such pointers
  auto* type = llvm::FunctionType::get(module_.void_type, {module_.i64}, false);
  auto* call = b_.CreateCall(llvm::InlineAsm::get(type, "", "X", /*hasSideEffects=*/true), {ref});
  call->addFnAttr(llvm::Attribute::NoUnwind);
  call->addFnAttr(llvm::Attribute::WillReturn);
  call->addFnAttr(llvm::Attribute::getWithMemoryEffects(module_.context, llvm::MemoryEffects::inaccessibleMemOnly()));
}

Value FunctionEmitter::array_get(const ArrayType& array, bool is_signed, ValType ref_type, Value ref, Value index) {
  return load_field(array.element, is_signed, element_address(array, ref_type, ref, index));
}

void FunctionEmitter::array_set(const ArrayType& array, ValType ref_type, Value ref, Value index, Value value) {
  store_field(array.element, element_address(array, ref_type, ref, index), value);
}

Value FunctionEmitter::array_len(ValType ref_type, Value ref) {
  check_not_null(ref_type, ref, TrapKind::null_array_reference);
  return array_length(ref);
}

/// Emits the filling of elements that are there.
void FunctionEmitter::fill(const ArrayType& array, Value ref, Value index, Value value, Value size) {
  const uint32_t log2 = element_log2(array);
  value = kept(array.element, value);
  Value low = value;
  Value high = int64(0);
  if (value->getType() == module_.v128) {
    low = b_.CreateExtractElement(value, uint64_t{0});
    high = b_.CreateExtractElement(value, uint64_t{1});
  } else {
    if (!value->getType()->isIntegerTy())
      low = b_.CreateBitCast(value, value->getType() == module_.f32 ? module_.i32 : module_.i64);
    if (low->getType() != module_.i64) low = b_.CreateZExt(low, module_.i64);
  }
  emit_libcall(Libcall::gc_fill, {int32(log2), ref, index, low, high, size});
}

/// Traps unless the elements from `index` on are there.
void FunctionEmitter::check_elements(ValType ref_type, Value ref, Value index, Value size) {
  check_not_null(ref_type, ref, TrapKind::null_array_reference);
  Value end = b_.CreateAdd(b_.CreateZExt(index, module_.i64), b_.CreateZExt(size, module_.i64));
  trap_if(b_.CreateICmpUGT(end, b_.CreateZExt(array_length(ref), module_.i64)), TrapKind::out_of_bounds_array);
}

void FunctionEmitter::array_fill(const ArrayType& array, ValType ref_type, Value ref, Value index, Value value,
                                 Value size) {
  check_elements(ref_type, ref, index, size);
  fill(array, ref, index, value, size);
}

void FunctionEmitter::array_copy(const ArrayType& array, Value to, Value to_index, Value from, Value from_index,
                                 Value size) {
  const ValType arrayref = ValType::ref(Abstract::array, /*nullable=*/true);
  check_not_null(arrayref, to, TrapKind::null_array_reference);
  check_not_null(arrayref, from, TrapKind::null_array_reference);
  check_elements(arrayref.non_null(), to, to_index, size);
  check_elements(arrayref.non_null(), from, from_index, size);
  const uint32_t log2 = element_log2(array);
  emit_libcall(Libcall::gc_copy, {int32(log2), to, to_index, from, from_index, size});
}

/// Emits the filling of elements from a segment, by a helper that returns whether the segment is too short.
void FunctionEmitter::init_elements(Libcall call, TrapKind too_short, const ArrayType& array, uint32_t segment,
                                    Value ref, Value index, Value offset, Value size) {
  check_elements(ValType::ref(Abstract::array, /*nullable=*/true), ref, index, size);
  Value log2 = int32(element_log2(array));
  trap_if(to_bool(emit_libcall(call, {log2, int32(segment), ref, index, offset, size})), too_short);
}

void FunctionEmitter::array_init_data(const ArrayType& array, wasm::DataIndex segment, Value ref, Value index,
                                      Value offset, Value size) {
  init_elements(Libcall::gc_init_data, TrapKind::out_of_bounds_memory, array, raw(segment), ref, index, offset, size);
}

void FunctionEmitter::array_init_elem(const ArrayType& array, wasm::ElemIndex segment, Value ref, Value index,
                                      Value offset, Value size) {
  init_elements(Libcall::gc_init_elem, TrapKind::out_of_bounds_table, array, raw(segment), ref, index, offset, size);
}

Value FunctionEmitter::ref_eq(Value a, Value b) { return from_bool(b_.CreateICmpEQ(a, b)); }

Value FunctionEmitter::ref_i31(Value number) {
  return b_.CreateZExt(b_.CreateOr(b_.CreateShl(number, 1), int32(1)), module_.i64);
}

Value FunctionEmitter::i31_get(bool is_signed, ValType ref_type, Value ref) {
  check_not_null(ref_type, ref, TrapKind::null_i31_reference);
  Value word = b_.CreateTrunc(ref, module_.i32);
  return is_signed ? b_.CreateAShr(word, 1) : b_.CreateLShr(word, 1);
}

/// Returns the number of an object's type; 0 for null and for references that are no objects.
Value FunctionEmitter::type_of_object(ValType from, Value ref) {
  const bool is_object =
      from.heap() == HeapType(Abstract::struct_) || from.heap() == HeapType(Abstract::array) || from.is_concrete_ref();
  if (!is_object) {
    Value is_value = b_.CreateICmpNE(b_.CreateAnd(ref, int64(7)), int64(0));
    ref = b_.CreateSelect(is_value, int64(0), ref);
  }
  return b_.CreateLoad(module_.i32, object_address(ref, offsetof(HeapHeader, type)));
}

/// Returns whether what is not null is of an abstract type.
Value FunctionEmitter::is_abstract(ValType from, Abstract to, Value ref) {
  switch (to) {
    case Abstract::i31: return b_.CreateTrunc(ref, module_.i1);
    case Abstract::eq: {
      // Of objects only boxes, of an even number, are not.
      Value is_i31 = b_.CreateTrunc(ref, module_.i1);
      return b_.CreateOr(is_i31, b_.CreateTrunc(type_of_object(from, ref), module_.i1));
    }
    case Abstract::struct_:
    case Abstract::array: {
      const uint32_t kind = to == Abstract::array ? code::kArrayKind : code::kStructureKind;
      return b_.CreateICmpEQ(b_.CreateAnd(type_of_object(from, ref), code::kKindMask), int32(kind));
    }
    case Abstract::none:
    case Abstract::nofunc:
    case Abstract::noextern:
    case Abstract::noexn: return b_.getFalse();
    default: return b_.getTrue();
  }
}

/// Returns whether what is not null is of a defined type.
Value FunctionEmitter::is_defined(ValType from, TypeIndex to, Value ref) {
  const wasm::SubType& type = plan_.module.types[raw(to)];
  const bool is_function = plan_.module.is_func_type(to);
  // What is deeper down than a display reaches is asked for by a call.
  if (!type.is_final && type.depth >= code::kDisplayDepth)
    return to_bool(emit_libcall(Libcall::gc_is_subtype, {int32(raw(to)), ref}));
  Value wanted = type_number(to);
  if (is_function) {
    Value function = b_.CreateIntToPtr(ref, module_.ptr);
    Value actual = b_.CreateConstGEP1_32(module_.i8, function, offsetof(code::FuncRef, type));
    return is_function_type(invariant_load(module_.i64, actual), to, wanted);
  }
  Value number = b_.CreateTrunc(wanted, module_.i32);
  Value actual = type_of_object(from, ref);
  if (type.is_final) return b_.CreateICmpEQ(actual, number);
  Value displays = invariant_load(module_.ptr, module_.run_page(plan_.run_page.displays));
  Value row = b_.CreateMul(b_.CreateZExt(actual, module_.i64), int64(code::kDisplayRowBytes));
  Value entry = b_.CreateConstGEP1_32(module_.i8, b_.CreateGEP(module_.i8, displays, row), type.depth * 4);
  return b_.CreateICmpEQ(b_.CreateLoad(module_.i32, entry), number);
}

/// Returns whether a function's type, given as code::FuncRef has it, is `to` or below it. Pre: displays reach there.
Value FunctionEmitter::is_function_type(Value actual, TypeIndex to, Value wanted) {
  const wasm::SubType& type = plan_.module.types[raw(to)];
  if (type.is_final) return b_.CreateICmpEQ(actual, wanted);
  Value display = b_.CreateIntToPtr(actual, module_.ptr);
  Value entry = b_.CreateConstGEP1_32(module_.i8, display, type.depth * 8);
  return b_.CreateICmpEQ(invariant_load(module_.i64, entry), wanted);
}

/// Returns whether a reference that is known to be a `from` is a `to`.
Value FunctionEmitter::matches(ValType from, ValType to, Value ref) {
  // All that is known is enough, but for null.
  const bool always = wasm::matches(plan_.module, from.non_null(), to.non_null());
  Value is_null = b_.CreateICmpEQ(ref, int64(0));
  if (always) return to.nullable() || !from.nullable() ? b_.getTrue() : b_.CreateNot(is_null);
  auto of_type = [&]() -> Value {
    if (to.heap().is_concrete()) return is_defined(from, TypeIndex(to.heap().type_index()), ref);
    return is_abstract(from, to.heap().abstract(), ref);
  };
  const bool is_function = wasm::top_of(plan_.module, to.heap()) == Abstract::func;
  const bool asks = to.heap().is_concrete();  // by what null must not be looked through, or a call
  if (!from.nullable() || !(is_function && asks)) {
    // Null is of no type, as its header says.
    Value is = of_type();
    return to.nullable() && from.nullable() ? b_.CreateOr(is_null, is) : is;
  }
  BasicBlock* before = b_.GetInsertBlock();
  BasicBlock* some = new_block();
  BasicBlock* done = new_block();
  b_.CreateCondBr(is_null, done, some);
  b_.SetInsertPoint(some);
  Value is = of_type();
  BasicBlock* after = b_.GetInsertBlock();
  b_.CreateBr(done);
  b_.SetInsertPoint(done);
  llvm::PHINode* result = b_.CreatePHI(module_.i1, 2);
  result->addIncoming(b_.getInt1(to.nullable()), before);
  result->addIncoming(is, after);
  return result;
}

Value FunctionEmitter::ref_test(ValType from, ValType to, Value ref) { return from_bool(matches(from, to, ref)); }

Value FunctionEmitter::ref_cast(ValType from, ValType to, Value ref) {
  Value fits = matches(from, to, ref);
  if (!llvm::isa<llvm::ConstantInt>(fits) || llvm::cast<llvm::ConstantInt>(fits)->isZero())
    trap_if(b_.CreateNot(fits), TrapKind::cast_failure);
  return ref;
}

void FunctionEmitter::br_on_cast(Control& target, ValType from, ValType to, std::span<const Value> args) {
  branch_if(target, matches(from, to, args.back()), args);
}

void FunctionEmitter::br_on_cast_fail(Control& target, ValType from, ValType to, std::span<const Value> args) {
  branch_if(target, b_.CreateNot(matches(from, to, args.back())), args);
}

Value FunctionEmitter::any_convert_extern(Value ref) { return emit_libcall(Libcall::any_convert_extern, {ref}); }
Value FunctionEmitter::extern_convert_any(Value ref) { return emit_libcall(Libcall::extern_convert_any, {ref}); }

}  // namespace rotor::jit
