// Function frame, structured control, calls, traps.
#include <algorithm>

#include "code/abi.h"
#include "code/run_page.h"
#include "jit/emit/function.h"
#include "jit/passes/stack_check.h"
#include "jit/passes/trap_kinds.h"
#include "llvm/IR/Intrinsics.h"

namespace rotor::jit {

using llvm::BasicBlock;
using wasm::BlockSignature;

FunctionEmitter::FunctionEmitter(FunctionEmitter& caller, std::span<const Value> args, std::span<Value> results)
    : module_(caller.module_),
      plan_(caller.plan_),
      b_(caller.b_),
      simd_(caller.module_),
      inlined_({caller, args, results}),
      function_(caller.function_),
      context_(caller.context_),
      entry_(caller.entry_),
      memory_base_(caller.memory_base_),
      offset_(caller.offset_),
      location_(caller.location_) {}

void FunctionEmitter::begin_inlined(const FuncType& type, std::span<const ValType> locals) {
  begin_metering(locals.size() - type.params.size());
  for (size_t i = 0; i < locals.size(); ++i) {
    llvm::Type* local_type = module_.value_type(locals[i]);
    {
      llvm::IRBuilderBase::InsertPointGuard guard(b_);
      BasicBlock& entry = function_->getEntryBlock();
      b_.SetInsertPoint(&entry, entry.begin());
      locals_.push_back(b_.CreateAlloca(local_type));
    }
    b_.CreateStore(i < type.params.size() ? inlined_->args[i] : llvm::Constant::getNullValue(local_type), locals_[i]);
  }
}

void FunctionEmitter::begin_function(llvm::Function* function, wasm::FuncIndex func, const FuncType& type) {
  type_ = &type;
  memory_base_ = nullptr;
  notes_writes_ = false;
  turns_ = nullptr;
  uniform_ = false;
  handlers_.clear();
  function_ = function;
  // Return addresses are found by walking frame pointers.
  function_->addFnAttr("frame-pointer", "all");
  function_->addFnAttr("probe-stack", "inline-asm");
  defined_func_ = raw(func) - plan_.module.imported_funcs;
  go_to(plan_.module.bodies[defined_func_].begin);
  set_entry_location(*function_, location());

  context_ = function_->getArg(0);
  b_.SetInsertPoint(new_block());
  b_.SetCurrentDebugLocation(llvm::DebugLoc());
}

void FunctionEmitter::function_begin(Control& frame, wasm::FuncIndex func, const FuncType& type,
                                     std::span<const ValType> locals) {
  frame.kind = Control::Kind::function;
  frame.type.results_data = type.results.data();
  frame.type.results_count = static_cast<uint32_t>(type.results.size());
  if (inlined_) return begin_inlined(type, locals);
  begin_function(module_.function(func), func, type);
  locals_.clear();
  for (ValType local : locals) locals_.push_back(b_.CreateAlloca(module_.value_type(local)));
  for (size_t i = 0; i < locals.size(); ++i) {
    bool is_param = i < type.params.size();
    b_.CreateStore(is_param ? static_cast<Value>(function_->getArg(static_cast<unsigned>(i + 1)))
                            : llvm::Constant::getNullValue(module_.value_type(locals[i])),
                   locals_[i]);
  }
  entry_ = b_.GetInsertBlock();
  begin_metering(locals.size() - type.params.size());
  if (plan_.instrumented) emit_count(int64(1));
}

void FunctionEmitter::function_end() {
  end_segment();
  if (inlined_) inlined_->caller.memory_base_ = memory_base_;
}

/// Takes `turns` off the function's counter, and has it compiled again if nothing is left. Emitted at entries, and
/// where a function with loops returns: a running loop goes on as it is, and counts in a register. A counter in memory
/// would hold it up: 1.9 ns a turn instead of 0.6.
void FunctionEmitter::emit_count(Value turns) {
  // Volatile: all threads and instances use this counter at once, and a count that gets lost does not matter.
  Value counter = module_.run_page(plan_.run_page.counter(defined_func_));
  Value left = b_.CreateSub(b_.CreateSExt(b_.CreateLoad(module_.i32, counter, true), module_.i64), turns);
  BasicBlock* hot = new_block();
  BasicBlock* cold = new_block();
  BasicBlock* next = new_block();
  b_.CreateCondBr(b_.CreateICmpSLT(left, int64(0)), hot, cold);
  b_.SetInsertPoint(hot);
  emit_libcall(code::Libcall::tier_up, {int32(defined_func_)});
  b_.CreateBr(next);
  b_.SetInsertPoint(cold);
  b_.CreateStore(b_.CreateTrunc(left, module_.i32), counter, true);
  b_.CreateBr(next);
  b_.SetInsertPoint(next);
}

/// Emits the check at a loop's head. Function entries need none: they compare with the same limit.
void FunctionEmitter::emit_interrupt_check() {
  // LLVM may hoist this load out of a loop without calls: groups merge in calls only.
  Value activation = b_.CreateLoad(module_.ptr, context_address(offsetof(code::Context, activation)));
  // Volatile, since other threads write it; not atomic, which the fast instruction selector does not know. It is
  // compared for equality with kInterruptLimit, not with the frame's address: a leaf may lie below the limit.
  Value limit = b_.CreateLoad(module_.i64, activation, /*isVolatile=*/true);
  trap_if(b_.CreateICmpEQ(limit, int64(code::kInterruptLimit)), TrapKind::interrupted);
}

llvm::DebugLoc FunctionEmitter::location() {
  if (!location_)
    location_ = llvm::DILocation::getDistinct(module_.context, static_cast<unsigned>(offset_), 0, module_.scope);
  return location_;
}

FunctionEmitter::Value FunctionEmitter::context_address(uint32_t offset) {
  return b_.CreateConstGEP1_32(module_.i8, context_, offset);
}

FunctionEmitter::Value FunctionEmitter::invariant_load(llvm::Type* type, Value address) {
  auto* load = b_.CreateLoad(type, address);
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(module_.context, {}));
  return load;
}

FunctionEmitter::Value FunctionEmitter::to_bool(Value condition) {
  if (auto* extension = llvm::dyn_cast<llvm::ZExtInst>(condition))
    if (extension->getSrcTy() == module_.i1) return extension->getOperand(0);
  return b_.CreateICmpNE(condition, int32(0));
}

void FunctionEmitter::trap(TrapKind kind) {
  if (plan_.fast_selection) {
    auto* call = b_.CreateIntrinsic(llvm::Intrinsic::trap, {}, llvm::ArrayRef<llvm::Value*>());
    call->setDebugLoc(llvm::DILocation::getDistinct(module_.context, static_cast<unsigned>(offset_), trap_column(kind),
                                                    module_.scope));
    b_.CreateUnreachable();
    return;
  }
  auto* call = mark(b_.CreateIntrinsic(llvm::Intrinsic::ubsantrap, {}, {b_.getInt8(static_cast<uint8_t>(kind))}));
  // Without NoMerge, LLVM folds the trap sites of one kind together, and the backtrace names the wrong instruction.
  call->addFnAttr(llvm::Attribute::NoMerge);
  b_.CreateUnreachable();
}

void FunctionEmitter::trap_if(Value condition, TrapKind kind) {
  BasicBlock* bad = new_block();
  BasicBlock* good = new_block();
  b_.CreateCondBr(condition, bad, good);
  b_.SetInsertPoint(bad);
  trap(kind);
  b_.SetInsertPoint(good);
}

void FunctionEmitter::unreachable() { trap(TrapKind::unreachable); }

BasicBlock* FunctionEmitter::target_of(Control& control) {
  if (control.target) return control.target;
  control.target = BasicBlock::Create(module_.context, "", function_);
  llvm::IRBuilder<> at_target(control.target);
  for (ValType type : control.type.results()) control.phis.push_back(at_target.CreatePHI(module_.value_type(type), 2));
  return control.target;
}

void FunctionEmitter::add_incoming(Control& control, std::span<const Value> args) {
  for (size_t i = 0; i < args.size(); ++i) control.phis[i]->addIncoming(args[i], b_.GetInsertBlock());
}

void FunctionEmitter::block(Control& control, const BlockSignature& type, std::span<const Value>) {
  control.kind = Control::Kind::block;
  control.type = type;
}

void FunctionEmitter::loop(Control& control, const BlockSignature& type, std::span<Value> params) {
  control.kind = Control::Kind::loop;
  control.type = type;
  control.target = new_block();
  BasicBlock* from = b_.GetInsertBlock();
  b_.CreateBr(control.target);
  b_.SetInsertPoint(control.target);
  for (size_t i = 0; i < params.size(); ++i) {
    llvm::PHINode* phi = b_.CreatePHI(params[i]->getType(), 2);
    phi->addIncoming(params[i], from);
    control.phis.push_back(phi);
    params[i] = phi;
  }
  begin_turn();
}

void FunctionEmitter::begin_turn() {
  if (plan_.instrumented) {
    if (!turns_) {
      BasicBlock& entry = function_->getEntryBlock();
      llvm::IRBuilder<> at_entry(&entry, entry.begin());
      turns_ = at_entry.CreateAlloca(module_.i64);
      at_entry.CreateStore(int64(0), turns_);
    }
    b_.CreateStore(b_.CreateAdd(b_.CreateLoad(module_.i64, turns_), int64(1)), turns_);
  }
  if (plan_.interruptible) emit_interrupt_check();
}

void FunctionEmitter::if_(Control& control, const BlockSignature& type, Value condition,
                          std::span<const Value> params) {
  control.kind = Control::Kind::if_;
  control.type = type;
  control.else_params.assign(params.begin(), params.end());
  BasicBlock* then_block = new_block();
  control.else_block = new_block();
  b_.CreateCondBr(to_bool(condition), then_block, control.else_block);
  b_.SetInsertPoint(then_block);
}

void FunctionEmitter::else_(Control& control, bool reachable, std::span<const Value> results, std::span<Value> params) {
  if (reachable) br(control, results);
  b_.SetInsertPoint(control.else_block);
  control.else_block = nullptr;
  for (size_t i = 0; i < params.size(); ++i) params[i] = control.else_params[i];
}

void FunctionEmitter::end(Control& control, bool reachable, std::span<const Value> fallthrough,
                          std::span<Value> results) {
  end_try(control.handling);
  if (control.kind == Control::Kind::loop) {
    // Branches to a loop go to its start: its end is reached by falling through alone.
    for (size_t i = 0; i < results.size() && reachable; ++i) results[i] = fallthrough[i];
    return;
  }
  if (control.else_block) {  // an `if` without `else`: its parameters are its results
    if (reachable) br(control, fallthrough);
    b_.SetInsertPoint(control.else_block);
    br(control, control.else_params);
    reachable = false;
  }
  if (control.target) {
    if (reachable) br(control, fallthrough);
    b_.SetInsertPoint(control.target);
    if (control.kind == Control::Kind::function) {
      llvm::SmallVector<Value, 4> values(control.phis.begin(), control.phis.end());
      emit_return(values);
      return;
    }
    for (size_t i = 0; i < results.size(); ++i) results[i] = control.phis[i];
  } else if (reachable) {
    if (control.kind == Control::Kind::function) return emit_return(fallthrough);
    for (size_t i = 0; i < results.size(); ++i) results[i] = fallthrough[i];
  }
}

void FunctionEmitter::br(Control& target, std::span<const Value> args) {
  BasicBlock* block = target_of(target);
  add_incoming(target, args);
  b_.CreateBr(block);
}

void FunctionEmitter::br_if(Control& target, Value condition, std::span<const Value> args) {
  branch_if(target, to_bool(condition), args);
}

void FunctionEmitter::br_on_null(Control& target, ValType, Value ref, std::span<const Value> args) {
  branch_if(target, b_.CreateICmpEQ(ref, int64(0)), args);
}

void FunctionEmitter::br_on_non_null(Control& target, ValType, Value ref, std::span<const Value> args) {
  branch_if(target, b_.CreateICmpNE(ref, int64(0)), args);
}

void FunctionEmitter::branch_if(Control& target, Value condition, std::span<const Value> args) {
  BasicBlock* block = target_of(target);
  add_incoming(target, args);
  BasicBlock* next = new_block();
  b_.CreateCondBr(condition, block, next);
  b_.SetInsertPoint(next);
}

void FunctionEmitter::br_table(Value index, std::span<Control* const> targets, std::span<const Value> args) {
  begin_slow_block();
  size_t cases = targets.size() - 1;
  BasicBlock* fallback = target_of(*targets[cases]);
  add_incoming(*targets[cases], args);
  llvm::SwitchInst* table = b_.CreateSwitch(index, fallback, static_cast<unsigned>(cases));
  for (size_t i = 0; i < cases; ++i) {
    if (targets[i] == targets[cases]) continue;  // the default already goes there
    table->addCase(int32(static_cast<uint32_t>(i)), target_of(*targets[i]));
    add_incoming(*targets[i], args);  // a phi needs one entry per edge
  }
}

void FunctionEmitter::return_(std::span<const Value> args) { emit_return(args); }

void FunctionEmitter::begin_slow_block() {
  if (!plan_.fast_selection) return;
  BasicBlock* block = new_block();
  b_.CreateBr(block);
  b_.SetInsertPoint(block);
}

void FunctionEmitter::emit_return(std::span<const Value> results) {
  if (inlined_) {
    std::ranges::copy(results, inlined_->results.begin());
    return;
  }
  if (turns_) emit_count(b_.CreateLoad(module_.i64, turns_));
  begin_slow_block();
  if (!ModuleEmitter::results_in_registers(*type_)) {
    Value buffer = results_of(context_);
    for (size_t i = 0; i < results.size(); ++i)
      b_.CreateAlignedStore(results[i], b_.CreateConstGEP1_64(module_.i8, buffer, i * code::kResultStride),
                            llvm::Align(8));
    b_.CreateRetVoid();
  } else if (results.empty()) {
    b_.CreateRetVoid();
  } else if (results.size() == 1) {
    b_.CreateRet(results[0]);
  } else {
    Value aggregate = llvm::PoisonValue::get(function_->getReturnType());
    for (unsigned i = 0; i < results.size(); ++i) aggregate = b_.CreateInsertValue(aggregate, results[i], i);
    b_.CreateRet(aggregate);
  }
}

llvm::CallBase* FunctionEmitter::emit_call(llvm::FunctionType* prototype, Value code, std::span<const Value> operands) {
  llvm::CallBase* call = nullptr;
  if (handlers_.empty()) {
    call = mark(b_.CreateCall(prototype, code, llvm::ArrayRef(operands.data(), operands.size())));
    call->addFnAttr(llvm::Attribute::NoUnwind);
  } else {
    call = emit_invoke(prototype, code, operands);
  }
  complete_call(*call);
  return call;
}

void FunctionEmitter::complete_call(llvm::CallBase& call) {
  call.setCallingConv(llvm::CallingConv::Swift);
  call.addParamAttr(0, llvm::Attribute::SwiftSelf);
}

FunctionEmitter::Value FunctionEmitter::results_of(Value callee_context) {
  return invariant_load(module_.ptr,
                        b_.CreateConstGEP1_32(module_.i8, callee_context, offsetof(code::Context, results)));
}

void FunctionEmitter::emit_call(const FuncType& type, Value code, Value callee_context, std::span<const Value> args,
                                std::span<Value> results) {
  llvm::SmallVector<Value, 16> operands{callee_context};
  operands.append(args.begin(), args.end());
  llvm::CallBase* call = emit_call(module_.function_type(type), code, operands);
  if (!ModuleEmitter::results_in_registers(type)) {
    Value buffer = results_of(callee_context);
    for (size_t i = 0; i < results.size(); ++i)
      results[i] =
          b_.CreateAlignedLoad(module_.value_type(type.results[i]),
                               b_.CreateConstGEP1_64(module_.i8, buffer, i * code::kResultStride), llvm::Align(8));
  } else if (results.size() == 1) {
    results[0] = call;
  } else {
    for (unsigned i = 0; i < results.size(); ++i) results[i] = b_.CreateExtractValue(call, i);
  }
}

bool FunctionEmitter::is_direct(wasm::FuncIndex func) const {
  return plan_.calls == Calls::direct ||
         (plan_.calls == Calls::self && raw(func) == defined_func_ + plan_.module.imported_funcs);
}

FunctionEmitter::Value FunctionEmitter::slot_code(wasm::FuncIndex func) {
  uint32_t slot = plan_.run_page.slot(raw(func) - plan_.module.imported_funcs);
  return b_.CreateLoad(module_.ptr, module_.run_page(slot));
}

FunctionEmitter::Callee FunctionEmitter::imported_callee(wasm::FuncIndex func) {
  uint32_t slot = plan_.context.imported_func(raw(func));
  Value code = invariant_load(module_.ptr, context_address(slot + offsetof(code::FuncRef, code)));
  return {code, invariant_load(module_.ptr, context_address(slot + offsetof(code::FuncRef, context)))};
}

FunctionEmitter::Callee FunctionEmitter::callee_of(Value ref) {
  auto member = [&](uint32_t offset) {
    return invariant_load(module_.ptr, b_.CreateConstGEP1_32(module_.i8, ref, offset));
  };
  Value context = member(offsetof(code::FuncRef, context));
  return {member(offsetof(code::FuncRef, code)), context};
}

FunctionEmitter::Value FunctionEmitter::indirect_ref(wasm::TableIndex table, wasm::TypeIndex type_index, Value index) {
  Value slot = table_slot(table, index, TrapKind::undefined_element);
  Value ref = b_.CreateLoad(module_.ptr, slot);
  trap_if(b_.CreateIsNull(ref), TrapKind::uninitialized_element);
  Value wanted = b_.CreateLoad(module_.i64, module_.run_page(plan_.run_page.type(raw(type_index))));
  Value actual = invariant_load(module_.i64, b_.CreateConstGEP1_32(module_.i8, ref, offsetof(code::FuncRef, type)));
  const wasm::SubType& type = plan_.module.types[raw(type_index)];
  if (type.is_final) {
    trap_if(b_.CreateICmpNE(actual, wanted), TrapKind::indirect_call_type_mismatch);
    return ref;
  }
  Value fits = type.depth < code::kDisplayDepth
                   ? is_function_type(actual, type_index, wanted)
                   : to_bool(emit_libcall(code::Libcall::gc_is_subtype,
                                          {int32(raw(type_index)), b_.CreatePtrToInt(ref, module_.i64)}));
  trap_if(b_.CreateNot(fits), TrapKind::indirect_call_type_mismatch);
  return ref;
}

FunctionEmitter::Value FunctionEmitter::checked_ref(ValType ref_type, Value ref) {
  if (ref_type.nullable()) trap_if(b_.CreateICmpEQ(ref, int64(0)), TrapKind::null_function_reference);
  return b_.CreateIntToPtr(ref, module_.ptr);
}

void FunctionEmitter::call(wasm::FuncIndex func, const FuncType& type, std::span<const Value> args,
                           std::span<Value> results) {
  if (plan_.module.is_imported(func)) {
    Callee callee = imported_callee(func);
    return emit_call(type, callee.code, callee.context, args, results);
  }
  if (inliner_ && inliner_->inline_call(*this, func, args, results)) return;
  Value code = is_direct(func) ? static_cast<Value>(module_.function(func)) : slot_code(func);
  emit_call(type, code, context_, args, results);
}

void FunctionEmitter::call_indirect(wasm::TableIndex table, wasm::TypeIndex type_index, const FuncType& type,
                                    Value index, std::span<const Value> args, std::span<Value> results) {
  Callee callee = callee_of(indirect_ref(table, type_index, index));
  emit_call(type, callee.code, callee.context, args, results);
}

void FunctionEmitter::call_ref(const FuncType& type, ValType ref_type, Value ref, std::span<const Value> args,
                               std::span<Value> results) {
  Callee callee = callee_of(checked_ref(ref_type, ref));
  emit_call(type, callee.code, callee.context, args, results);
}

FunctionEmitter::Helper FunctionEmitter::helper(code::Libcall call, std::initializer_list<Value> args) {
  struct Form {
    const char* result;
    const char* params;
  };
  static constexpr Form kForms[] = {
#define ROTOR_LIBCALL(Name, result, params) {#result, #params},
#include "code/libcalls.def"
  };
  auto type_of = [&](char letter) -> llvm::Type* {
    switch (letter) {
      case 'v': return module_.void_type;
      case 'i': return module_.i32;
      case 'l': return module_.i64;
      default: return module_.ptr;
    }
  };
  const Form& form = kForms[static_cast<size_t>(call)];
  llvm::SmallVector<llvm::Type*, 8> params;
  for (const char* p = form.params; *p; ++p) params.push_back(type_of(*p));
  llvm::SmallVector<Value, 8> operands{context_};
  operands.append(args.begin(), args.end());
  Value code = b_.CreateLoad(module_.ptr, module_.run_page(plan_.run_page.libcall(call)));
  return {llvm::FunctionType::get(type_of(form.result[0]), params, false), code, std::move(operands)};
}

FunctionEmitter::Value FunctionEmitter::emit_libcall(code::Libcall call, std::initializer_list<Value> args) {
  Helper callee = helper(call, args);
  llvm::CallInst* result = mark(b_.CreateCall(callee.type, callee.code, callee.operands));
  result->addFnAttr(llvm::Attribute::NoUnwind);
  return result;
}

}  // namespace rotor::jit
