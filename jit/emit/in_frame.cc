#include "jit/emit/in_frame.h"

#include "code/abi.h"
#include "jit/emit/exception.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Intrinsics.h"

namespace rotor::jit {

using llvm::BasicBlock;
using wasm::BlockSignature;
using Kind = FunctionEmitter::Control::Kind;
using PlaceKind = code::ArgumentPlaces::Place::Kind;

namespace {

/// The most values that an instruction moves one by one; more are moved by a loop.
constexpr size_t kFewValues = 8;
/// Offset of the caller's stack words from the frame pointer: they lie behind the saved frame pointer and the return
/// address.
constexpr uint64_t kWordsFromFrame = 16;

bool is_few(const FuncType& type) { return type.params.size() <= kFewValues; }

}  // namespace

FrameEmitter::Operands FrameEmitter::operands_at(uint32_t height, std::span<const Value> operands) {
  Operands values;
  for (uint32_t i = 0; i < operands.size(); ++i) values.push_back(b_.CreateLoad(operands[i].type, slot(height + i)));
  return values;
}

void FrameEmitter::set_types(std::span<const ValType> types, std::span<Value> values) {
  for (size_t i = 0; i < values.size(); ++i) values[i].type = module_.value_type(types[i]);
}

template <class Body>
void FrameEmitter::repeat(uint64_t count, Body body) {
  BasicBlock* from = b_.GetInsertBlock();
  BasicBlock* again = new_block();
  BasicBlock* next = new_block();
  b_.CreateBr(again);
  b_.SetInsertPoint(again);
  llvm::PHINode* i = b_.CreatePHI(module_.i64, 2);
  i->addIncoming(int64(0), from);
  body(i);
  auto* following = b_.CreateAdd(i, int64(1));
  i->addIncoming(following, again);
  b_.CreateCondBr(b_.CreateICmpEQ(following, int64(count)), next, again);
  b_.SetInsertPoint(next);
}

void FrameEmitter::copy(llvm::Value* to, llvm::Value* from, uint64_t count, uint32_t unit_bytes) {
  llvm::Type* unit = unit_bytes == 8 ? static_cast<llvm::Type*>(module_.i64) : module_.v128;
  auto copy_one = [&](llvm::Value* to_unit, llvm::Value* from_unit) {
    b_.CreateAlignedStore(b_.CreateAlignedLoad(unit, from_unit, llvm::Align(8)), to_unit, llvm::Align(8));
  };
  if (count <= kFewValues) {
    for (uint64_t i = 0; i < count; ++i)
      copy_one(b_.CreateConstGEP1_64(unit, to, i), b_.CreateConstGEP1_64(unit, from, i));
    return;
  }
  repeat(count, [&](llvm::Value* i) { copy_one(b_.CreateGEP(unit, to, i), b_.CreateGEP(unit, from, i)); });
}

void FrameEmitter::clear(llvm::Value* to, uint64_t slots) {
  auto* zero = llvm::Constant::getNullValue(module_.v128);
  if (slots <= kFewValues) {
    for (uint64_t i = 0; i < slots; ++i) b_.CreateStore(zero, b_.CreateConstGEP1_64(module_.v128, to, i));
    return;
  }
  repeat(slots, [&](llvm::Value* i) { b_.CreateStore(zero, b_.CreateGEP(module_.v128, to, i)); });
}

// The frame.

void FrameEmitter::function_begin(Control& frame, wasm::FuncIndex func, const FuncType& type,
                                  std::span<const ValType> locals) {
  frame.kind = Kind::function;
  frame.type.results_data = type.results.data();
  frame.type.results_count = static_cast<uint32_t>(type.results.size());
  frame_ = &frame;
  // A function with many parameters takes those in registers as the uniform prototype has them, and finds the stack
  // words by its frame pointer: so it needs no stack words in its prototype where it makes a tail call.
  begin_function(is_few(type) ? module_.function(func) : module_.uniform_function(func, 0), func, type);
  uniform_ = !is_few(type);
  stack_words_ = 0;
  height_ = 0;
  area_ = nullptr;
  area_bytes_ = 0;
  locals_count_ = static_cast<uint32_t>(locals.size());
  uint64_t slots = uint64_t{locals_count_} + max_operands_;
  slots_ = b_.CreateAlloca(module_.v128, int64(slots));
  slots_->setAlignment(llvm::Align(kSlotBytes));
  entry_ = b_.GetInsertBlock();
  if (is_few(type)) {
    for (uint32_t i = 0; i < type.params.size(); ++i) b_.CreateStore(function_->getArg(i + 1), local_slot(i));
  } else {
    unpack_params(type);
  }
  auto params = static_cast<uint32_t>(type.params.size());
  clear(local_slot(params), locals_count_ - params);
  begin_metering(locals_count_ - params);
  if (plan_.instrumented) emit_count(int64(1));
}

void FrameEmitter::function_end() {
  end_segment();
  if (area_) area_->setOperand(0, int64(area_bytes_));
}

// Control.

BasicBlock* FrameEmitter::target_of(Control& control) {
  if (!control.target) control.target = new_block();
  return control.target;
}

BasicBlock* FrameEmitter::edge_to(Control& target, uint32_t first, size_t count) {
  if (!moves(target, first, count)) return target_of(target);
  if (target.edge && target.edge_first == first) return target.edge;
  target.edge = new_block();
  target.edge_first = first;
  llvm::IRBuilderBase::InsertPointGuard keep(b_);
  b_.SetInsertPoint(target.edge);
  copy(slot(target.base), slot(first), count, kSlotBytes);
  b_.CreateBr(target_of(target));
  return target.edge;
}

void FrameEmitter::block(Control& control, const BlockSignature& type, std::span<const Value> params) {
  control.kind = Kind::block;
  control.type = type;
  control.base = height_ - static_cast<uint32_t>(params.size());
}

void FrameEmitter::try_table(Control& control, const BlockSignature& type, std::span<const Value> params,
                             std::span<const wasm::Catch<Control>> catches) {
  block(control, type, params);
  begin_try(control.handling, catches, [&](const wasm::Catch<Control>& clause, llvm::Value* thrown) {
    const size_t taken = clause.type ? clause.type->params.size() : 0;
    if (taken) copy(slot(clause.target->base), payload_of(thrown), taken, kSlotBytes);
    if (clause.takes_ref)
      b_.CreateStore(emit_libcall(code::Libcall::take_exception, {}),
                     slot(clause.target->base + static_cast<uint32_t>(taken)));
    b_.CreateBr(target_of(*clause.target));
  });
}

void FrameEmitter::throw_(wasm::TagIndex tag, const FuncType&, std::span<const Value> args) {
  if (const Clause* clause = clause_for(tag))
    return br(*static_cast<Control*>(clause->target), clause->for_all ? std::span<const Value>() : args);
  copy(results_of(context_), slot(height_ - static_cast<uint32_t>(args.size())), args.size(), code::kResultStride);
  emit_throw(code::Libcall::throw_new, {int32(raw(tag))});
}

void FrameEmitter::try_(Control& control, const BlockSignature& type, std::span<const Value> params) {
  block(control, type, params);
  begin_legacy_try(control.handling);
}

void FrameEmitter::catch_(Control& control, bool reachable, std::span<const Value>, wasm::TagIndex tag,
                          const FuncType* type, std::span<Value> carried) {
  if (reachable) b_.CreateBr(target_of(control));
  begin_clause(control.handling, tag, type);
  if (!carried.empty()) {
    copy(slot(control.base), payload_of(thrown_address()), carried.size(), kSlotBytes);
    set_types(type->params, carried);
  }
  begin_clause_body(control.handling);
}

void FrameEmitter::delegate(Control& control, Control* handler, bool reachable, std::span<const Value> fallthrough,
                            std::span<Value> results) {
  FunctionEmitter::delegate(control.handling, handler ? &handler->handling : nullptr);
  end(control, reachable, fallthrough, results);
}

void FrameEmitter::loop(Control& control, const BlockSignature& type, std::span<Value> params) {
  block(control, type, params);
  control.kind = Kind::loop;
  BasicBlock* head = target_of(control);
  b_.CreateBr(head);
  b_.SetInsertPoint(head);
  begin_turn();
}

void FrameEmitter::if_(Control& control, const BlockSignature& type, Value condition, std::span<const Value> params) {
  llvm::Value* taken = to_bool(top(0, condition));
  control.kind = Kind::if_;
  control.type = type;
  control.base = height_ - 1 - static_cast<uint32_t>(params.size());
  BasicBlock* then_block = new_block();
  control.else_block = new_block();
  b_.CreateCondBr(taken, then_block, control.else_block);
  b_.SetInsertPoint(then_block);
}

void FrameEmitter::else_(Control& control, bool reachable, std::span<const Value>, std::span<Value> params) {
  if (reachable) b_.CreateBr(target_of(control));
  b_.SetInsertPoint(control.else_block);
  control.else_block = nullptr;
  // The parameters' slots have not been written on the way here.
  set_types(control.type.params(), params);
}

void FrameEmitter::end(Control& control, bool reachable, std::span<const Value>, std::span<Value> results) {
  set_types(control.type.results(), results);
  end_try(control.handling);
  if (control.kind == Kind::loop) return;
  if (control.else_block) {  // an `if` without `else`: its parameters are its results
    if (reachable) b_.CreateBr(target_of(control));
    b_.SetInsertPoint(control.else_block);
    reachable = true;
  }
  if (control.target) {
    if (reachable) b_.CreateBr(target_of(control));
    b_.SetInsertPoint(control.target);
    reachable = true;
  }
  if (reachable && control.kind == Kind::function) emit_return_from_slots();
}

void FrameEmitter::br(Control& target, std::span<const Value> args) {
  b_.CreateBr(edge_to(target, height_ - static_cast<uint32_t>(args.size()), args.size()));
}

void FrameEmitter::branch_if(Control& target, llvm::Value* condition, uint32_t first, size_t count) {
  BasicBlock* next = new_block();
  b_.CreateCondBr(condition, edge_to(target, first, count), next);
  b_.SetInsertPoint(next);
}

void FrameEmitter::br_if(Control& target, Value condition, std::span<const Value> args) {
  branch_if(target, to_bool(top(0, condition)), height_ - 1 - static_cast<uint32_t>(args.size()), args.size());
}

void FrameEmitter::br_on_null(Control& target, ValType, Value ref, std::span<const Value> args) {
  branch_if(target, b_.CreateICmpEQ(top(0, ref), int64(0)), height_ - 1 - static_cast<uint32_t>(args.size()),
            args.size());
}

void FrameEmitter::br_on_non_null(Control& target, ValType, Value ref, std::span<const Value> args) {
  branch_on(target, b_.CreateICmpNE(top(0, ref), int64(0)), args);
}

FrameEmitter::Value FrameEmitter::struct_new(wasm::TypeIndex type, const wasm::StructType& structure,
                                             std::span<const Value> fields) {
  llvm::Value* ref = allocate_structure(type);
  const code::StructureLayout& layout = plan_.structures[raw(type)];
  // One after another: they may be thousands.
  const auto count = static_cast<uint32_t>(fields.size());
  for (uint32_t i = 0; i < count; ++i)
    store_field(structure.fields[i], object_address(ref, layout.offsets[i]), top(count - 1 - i, fields[i]));
  return put(count, ref);
}

FrameEmitter::Value FrameEmitter::array_new_fixed(wasm::TypeIndex type, const wasm::ArrayType& array,
                                                  std::span<const Value> elements) {
  const auto count = static_cast<uint32_t>(elements.size());
  llvm::Value* ref = allocate_array(type, array, int32(count));
  const uint32_t log2 = element_log2(array);
  llvm::Value* first = object_address(ref, code::kArrayElementsAt);
  if (count > kFewElements) {
    repeat(count, [&](llvm::Value* i) {
      llvm::Value* from = b_.CreateGEP(module_.i8, slot(height_ - count), b_.CreateMul(i, int64(kSlotBytes)));
      llvm::Value* to = b_.CreateGEP(module_.i8, first, b_.CreateShl(i, log2));
      store_field(array.element, to, b_.CreateLoad(elements[0].type, from));
    });
  } else {
    for (uint32_t i = 0; i < count; ++i)
      store_field(array.element, b_.CreateConstGEP1_32(module_.i8, first, i << log2), top(count - 1 - i, elements[i]));
  }
  return put(count, ref);
}

void FrameEmitter::br_table(Value index, std::span<Control* const> targets, std::span<const Value> args) {
  uint32_t first = height_ - 1 - static_cast<uint32_t>(args.size());
  llvm::Value* taken = top(0, index);
  begin_slow_block();
  auto edge = [&](size_t i) { return edge_to(*targets[i], first, args.size()); };
  size_t cases = targets.size() - 1;
  llvm::SwitchInst* table = b_.CreateSwitch(taken, edge(cases), static_cast<unsigned>(cases));
  for (size_t i = 0; i < cases; ++i)
    if (targets[i] != targets[cases]) table->addCase(int32(static_cast<uint32_t>(i)), edge(i));
}

void FrameEmitter::emit_return_from_slots() {
  if (turns_) emit_count(b_.CreateLoad(module_.i64, turns_));
  if (ModuleEmitter::results_in_registers(*type_)) {
    begin_slow_block();
    llvm::SmallVector<llvm::Value*, code::kMaxRegisterResults> results;
    for (uint32_t i = 0; i < type_->results.size(); ++i)
      results.push_back(b_.CreateLoad(module_.value_type(type_->results[i]), slot(i)));
    if (results.size() <= 1) {
      results.empty() ? b_.CreateRetVoid() : b_.CreateRet(results[0]);
    } else {
      b_.CreateAggregateRet(results.data(), static_cast<unsigned>(results.size()));
    }
    return;
  }
  copy(results_of(context_), slot(0), type_->results.size(), code::kResultStride);
  begin_slow_block();
  b_.CreateRetVoid();
}

// Variables and numbers.

FrameEmitter::Value FrameEmitter::local_get(wasm::LocalIndex index, ValType type) {
  return put(0, b_.CreateLoad(module_.value_type(type), local_slot(raw(index))));
}

void FrameEmitter::local_set(wasm::LocalIndex index, ValType, Value value) {
  b_.CreateStore(top(0, value), local_slot(raw(index)));
}

void FrameEmitter::wide(wasm::WideOp op, std::span<const Value> operands, std::span<Value> results) {
  llvm::Value* halves[2];
  FunctionEmitter::wide(op, all(operands), halves);
  auto first = height_ - static_cast<uint32_t>(operands.size());
  for (uint32_t i = 0; i < 2; ++i) {
    b_.CreateStore(halves[i], slot(first + i));
    results[i].type = module_.i64;
  }
}

// Calls.

const FrameEmitter::Packing& FrameEmitter::packing_of(const FuncType& type) {
  auto [known, fresh] = packings_.try_emplace(&type);
  Packing& packing = known->second;
  if (!fresh) return packing;
  std::vector<code::ArgumentPlaces::Place> all_places;
  code::ArgumentPlaces places;
  packing = {.stack_words = 0, .gprs = 0, .xmms = 0, .offsets = nullptr};
  for (ValType param : type.params) {
    all_places.push_back(places.next(param));
    packing.gprs += all_places.back().kind == PlaceKind::gpr;
    packing.xmms += all_places.back().kind == PlaceKind::xmm;
  }
  packing.stack_words = places.stack_words();
  std::vector<uint16_t> offsets;
  for (const code::ArgumentPlaces::Place& place : all_places) switch (place.kind) {
      case PlaceKind::stack: offsets.push_back(static_cast<uint16_t>(place.index * 8)); break;
      case PlaceKind::gpr: offsets.push_back(static_cast<uint16_t>(gprs_offset(packing) + place.index * 8)); break;
      case PlaceKind::xmm: offsets.push_back(static_cast<uint16_t>(xmms_offset(packing) + place.index * 16)); break;
    }
  llvm::Constant* table = llvm::ConstantDataArray::get(module_.context, offsets);
  packing.offsets = new llvm::GlobalVariable(*module_.llvm_module, table->getType(), /*isConstant=*/true,
                                             llvm::GlobalValue::InternalLinkage, table, "p");
  packing.offsets->setDSOLocal(true);
  return packing;
}

llvm::Value* FrameEmitter::area(const Packing& packing) {
  area_bytes_ = std::max(area_bytes_, area_bytes(packing));
  if (!area_) {
    BasicBlock& entry = function_->getEntryBlock();
    llvm::IRBuilder<> at_entry(&entry, entry.begin());
    area_ = at_entry.CreateAlloca(module_.i8, int64(0));
    area_->setAlignment(llvm::Align(16));
  }
  return area_;
}

llvm::Value* FrameEmitter::packed_offset(const Packing& packing, llvm::Value* param) {
  auto* offset = b_.CreateLoad(module_.i16, b_.CreateGEP(module_.i16, packing.offsets, param));
  return b_.CreateGEP(module_.i8, area_, b_.CreateZExt(offset, module_.i64));
}

void FrameEmitter::unpack_params(const FuncType& type) {
  const Packing& packing = packing_of(type);
  llvm::Value* packed = area(packing);
  llvm::Value* frame = b_.CreateIntrinsic(llvm::Intrinsic::frameaddress, {module_.ptr}, {int32(0)});
  copy(packed, b_.CreateConstGEP1_64(module_.i8, frame, kWordsFromFrame), packing.stack_words, 8);
  auto place = [&](uint32_t offset) { return b_.CreateConstGEP1_64(module_.i8, packed, offset); };
  for (uint32_t i = 0; i < packing.gprs; ++i)
    b_.CreateStore(function_->getArg(1 + i), place(gprs_offset(packing) + i * 8));
  for (uint32_t i = 0; i < packing.xmms; ++i)
    b_.CreateAlignedStore(function_->getArg(1 + code::ArgumentPlaces::kGprs + i), place(xmms_offset(packing) + i * 16),
                          llvm::Align(8));
  repeat(type.params.size(), [&](llvm::Value* i) {
    auto* value = b_.CreateAlignedLoad(module_.v128, packed_offset(packing, i), llvm::Align(8));
    b_.CreateStore(value, b_.CreateGEP(module_.v128, slots_, i));
  });
}

llvm::SmallVector<llvm::Value*, 24> FrameEmitter::pack(const Packing& packing, const FuncType& type, uint32_t first,
                                                       llvm::Value*& words) {
  words = area(packing);
  llvm::Value* from = slot(first);
  // Within each kind the copies go upwards: what a copy writes behind its own place is overwritten by a later copy, or
  // belongs to nobody.
  repeat(type.params.size(), [&](llvm::Value* i) {
    auto* value = b_.CreateLoad(module_.v128, b_.CreateGEP(module_.v128, from, i));
    b_.CreateAlignedStore(value, packed_offset(packing, i), llvm::Align(8));
  });
  llvm::SmallVector<llvm::Value*, 24> registers;
  auto place = [&](uint32_t offset) { return b_.CreateConstGEP1_64(module_.i8, words, offset); };
  for (uint32_t i = 0; i < code::ArgumentPlaces::kGprs; ++i)
    registers.push_back(i < packing.gprs
                            ? static_cast<llvm::Value*>(b_.CreateLoad(module_.i64, place(gprs_offset(packing) + i * 8)))
                            : llvm::PoisonValue::get(module_.i64));
  for (uint32_t i = 0; i < code::ArgumentPlaces::kXmms; ++i)
    registers.push_back(i < packing.xmms ? static_cast<llvm::Value*>(b_.CreateAlignedLoad(
                                               module_.xmm, place(xmms_offset(packing) + i * 16), llvm::Align(8)))
                                         : llvm::PoisonValue::get(module_.xmm));
  return registers;
}

void FrameEmitter::emit_call_at(const FuncType& type, const Callee& callee, uint32_t first, std::span<const Value> args,
                                std::span<Value> results) {
  llvm::CallBase* call;
  if (is_few(type)) {
    Operands operands = operands_at(first, args);
    operands.insert(operands.begin(), callee.context);
    call = emit_call(module_.function_type(type), callee.code, operands);
  } else {
    const Packing& packing = packing_of(type);
    llvm::Value* words = nullptr;
    auto operands = pack(packing, type, first, words);
    operands.insert(operands.begin(), callee.context);
    auto* prototype = module_.packed_type(module_.function_type(type)->getReturnType(), packing.stack_words != 0);
    if (packing.stack_words != 0) operands.push_back(words);
    begin_slow_block();
    call = emit_call(prototype, callee.code, operands);
    if (packing.stack_words != 0) module_.pass_words(*call, packing.stack_words);
  }
  set_types(type.results, results);
  if (!ModuleEmitter::results_in_registers(type)) {
    copy(slot(first), results_of(callee.context), results.size(), code::kResultStride);
  } else if (results.size() == 1) {
    b_.CreateStore(call, slot(first));
  } else {
    for (uint32_t i = 0; i < results.size(); ++i) b_.CreateStore(b_.CreateExtractValue(call, i), slot(first + i));
  }
}

void FrameEmitter::call(wasm::FuncIndex func, const FuncType& type, std::span<const Value> args,
                        std::span<Value> results) {
  uint32_t first = height_ - static_cast<uint32_t>(args.size());
  Callee callee;
  if (plan_.module.is_imported(func))
    callee = imported_callee(func);
  else if (!is_direct(func))
    callee = {slot_code(func), context_};
  else
    callee = {is_few(type) ? module_.function(func) : module_.packed_function(func), context_};
  emit_call_at(type, callee, first, args, results);
}

void FrameEmitter::call_indirect(wasm::TableIndex table, wasm::TypeIndex type_index, const FuncType& type, Value index,
                                 std::span<const Value> args, std::span<Value> results) {
  Callee callee = callee_of(indirect_ref(table, type_index, top(0, index)));
  emit_call_at(type, callee, height_ - 1 - static_cast<uint32_t>(args.size()), args, results);
}

void FrameEmitter::call_ref(const FuncType& type, ValType ref_type, Value ref, std::span<const Value> args,
                            std::span<Value> results) {
  Callee callee = callee_of(checked_ref(ref_type, top(0, ref)));
  emit_call_at(type, callee, height_ - 1 - static_cast<uint32_t>(args.size()), args, results);
}

void FrameEmitter::tail_call_packed(const FuncType& type, const Callee& callee, uint32_t first) {
  const Packing& packing = packing_of(type);
  llvm::Value* words = nullptr;
  auto registers = pack(packing, type, first, words);
  copy(results_of(context_), words, packing.stack_words, 8);
  begin_slow_block();
  jump_by_runtime(type, callee, registers, packing.stack_words);
}

void FrameEmitter::return_call(wasm::FuncIndex func, const FuncType& type, std::span<const Value> args) {
  if (is_few(type)) return FunctionEmitter::return_call(func, type, all(args));
  uint32_t first = height_ - static_cast<uint32_t>(args.size());
  begin_tail_call();  // first: it may replace context_
  Callee callee;
  if (plan_.module.is_imported(func))
    callee = imported_callee(func);
  else
    callee = {is_direct(func) ? static_cast<llvm::Value*>(module_.packed_function(func)) : slot_code(func), context_};
  tail_call_packed(type, callee, first);
}

void FrameEmitter::return_call_indirect(wasm::TableIndex table, wasm::TypeIndex type_index, const FuncType& type,
                                        Value index, std::span<const Value> args) {
  llvm::Value* ref = indirect_ref(table, type_index, top(0, index));
  uint32_t first = height_ - 1 - static_cast<uint32_t>(args.size());
  if (is_few(type)) return tail_call_ref(type, ref, operands_at(first, args));
  begin_tail_call();
  tail_call_packed(type, callee_of(ref), first);
}

void FrameEmitter::return_call_ref(const FuncType& type, ValType ref_type, Value ref, std::span<const Value> args) {
  llvm::Value* callee = checked_ref(ref_type, top(0, ref));
  uint32_t first = height_ - 1 - static_cast<uint32_t>(args.size());
  if (is_few(type)) return tail_call_ref(type, callee, operands_at(first, args));
  begin_tail_call();
  tail_call_packed(type, callee_of(callee), first);
}

}  // namespace rotor::jit
