// Exceptions (code/abi.h, "Exceptions"). In the body of a try_table a call is an `invoke` of LLVM's, which costs
// nothing but that it ends a block. Its landing pad leads to the try_table's clauses, which compare tags, one after
// another, and to those of the try_table around it. The clauses of a `try` (legacy exceptions) come when its body has
// been emitted, one after another, and each has code of its own.
#include "jit/emit/exception.h"

#include <utility>

#include "llvm/IR/Intrinsics.h"

namespace rotor::jit {

using llvm::BasicBlock;
using Value = FunctionEmitter::Value;

/// Returns the address of Activation::thrown. Groups merge in calls, so it is asked for anew.
Value FunctionEmitter::thrown_address() {
  Value activation = b_.CreateLoad(module_.ptr, context_address(offsetof(code::Context, activation)));
  return b_.CreateConstGEP1_32(module_.i8, activation, offsetof(code::Activation, thrown));
}

Value FunctionEmitter::payload_of(Value thrown) {
  return b_.CreateLoad(module_.ptr, b_.CreateConstGEP1_32(module_.i8, thrown, offsetof(code::Thrown, payload)));
}

/// Loads what a clause passes on to its label.
llvm::SmallVector<Value, 4> FunctionEmitter::taken_operands(Value thrown, const FuncType* type, bool takes_ref) {
  llvm::SmallVector<Value, 4> operands;
  if (type && !type->params.empty()) {
    Value payload = payload_of(thrown);
    for (size_t i = 0; i < type->params.size(); ++i)
      operands.push_back(b_.CreateAlignedLoad(module_.value_type(type->params[i]),
                                              b_.CreateConstGEP1_64(module_.i8, payload, i * code::kResultStride),
                                              llvm::Align(8)));
  }
  if (takes_ref) operands.push_back(emit_libcall(code::Libcall::take_exception, {}));
  return operands;
}

void FunctionEmitter::try_table(Control& control, const wasm::BlockSignature& type, std::span<const Value>,
                                std::span<const wasm::Catch<Control>> catches) {
  control.kind = Control::Kind::block;
  control.type = type;
  begin_try(control.handling, catches, [&](const wasm::Catch<Control>& clause, Value thrown) {
    br(*clause.target, taken_operands(thrown, clause.type, clause.takes_ref));
  });
}

const FunctionEmitter::Clause* FunctionEmitter::clause_for(wasm::TagIndex tag) const {
  const uint32_t imported = plan_.module.imported_tags;
  for (const Handler& handler : llvm::reverse(handlers_)) {
    if (handler.is_legacy) return nullptr;
    for (const Clause& clause : handler.known) {
      if (clause.for_all || clause.tag == tag) return clause.takes_ref ? nullptr : &clause;
      // What this instance defines is nobody else's, but two imports may be one tag.
      if (raw(tag) < imported && raw(clause.tag) < imported) return nullptr;
    }
  }
  return nullptr;
}

void FunctionEmitter::throw_(wasm::TagIndex tag, const FuncType& type, std::span<const Value> args) {
  if (const Clause* clause = clause_for(tag))
    return br(*static_cast<Control*>(clause->target), clause->for_all ? std::span<const Value>() : args);
  if (!type.params.empty()) {
    Value payload = results_of(context_);
    for (size_t i = 0; i < args.size(); ++i)
      b_.CreateAlignedStore(args[i], b_.CreateConstGEP1_64(module_.i8, payload, i * code::kResultStride),
                            llvm::Align(8));
  }
  emit_throw(code::Libcall::throw_new, {int32(raw(tag))});
}

void FunctionEmitter::throw_ref(ValType ref_type, Value ref) {
  if (ref_type.nullable()) trap_if(b_.CreateICmpEQ(ref, int64(0)), TrapKind::null_exception_reference);
  emit_throw(code::Libcall::throw_ref, {ref});
}

llvm::InvokeInst* FunctionEmitter::emit_invoke(llvm::FunctionType* prototype, Value code,
                                               std::span<const Value> operands) {
  Handler& handler = handlers_.back();
  if (!handler.pad) {
    handler.pad = new_block();
    llvm::IRBuilderBase::InsertPointGuard keep(b_);
    b_.SetInsertPoint(handler.pad);
    llvm::LandingPadInst* pad = b_.CreateLandingPad(llvm::StructType::get(module_.ptr, module_.i32), 0);
    pad->setCleanup(true);
    b_.CreateBr(handler.clauses);
    function_->setPersonalityFn(module_.personality());
  }
  // That a function does not throw is said of all of them, for the sake of calls. LLVM would make one of this.
  if (auto* known = llvm::dyn_cast<llvm::Function>(code)) known->removeFnAttr(llvm::Attribute::NoUnwind);
  begin_slow_block();
  BasicBlock* next = new_block();
  llvm::InvokeInst* invoke =
      mark(b_.CreateInvoke(prototype, code, next, handler.pad, llvm::ArrayRef(operands.data(), operands.size())));
  b_.SetInsertPoint(next);
  return invoke;
}

void FunctionEmitter::emit_throw(code::Libcall call, std::initializer_list<Value> args) {
  if (handlers_.empty()) {
    emit_libcall(call, args);
  } else {
    Helper callee = helper(call, args);
    emit_invoke(callee.type, callee.code, callee.operands);
  }
  b_.CreateUnreachable();
}

Value FunctionEmitter::thrown_tag(Value thrown) {
  return b_.CreateLoad(module_.ptr, b_.CreateConstGEP1_32(module_.i8, thrown, offsetof(code::Thrown, tag)));
}

void FunctionEmitter::require_tag(Value tag, wasm::TagIndex own, BasicBlock* next) {
  BasicBlock* taken = new_block();
  Value own_tag = invariant_load(module_.ptr, context_address(plan_.context.tag(raw(own))));
  b_.CreateCondBr(b_.CreateICmpEQ(tag, own_tag), taken, next);
  b_.SetInsertPoint(taken);
}

void FunctionEmitter::pass_on(BasicBlock* clauses) {
  if (clauses) {
    b_.CreateBr(clauses);
  } else {
    emit_libcall(code::Libcall::throw_on, {});
    b_.CreateUnreachable();
  }
}

// Legacy exceptions.

void FunctionEmitter::begin_legacy_try(Try& handling) {
  handling.clauses = new_block();
  handlers_.emplace_back(handling.clauses, /*is_legacy=*/true);
  handling.handler = static_cast<uint32_t>(handlers_.size());
}

void FunctionEmitter::begin_clause(Try& handling, wasm::TagIndex tag, const FuncType* type) {
  if (std::exchange(handling.handler, 0)) handlers_.pop_back();
  b_.SetInsertPoint(std::exchange(handling.clauses, nullptr));
  handling.exception = nullptr;
  if (!type) return;
  handling.clauses = new_block();
  require_tag(thrown_tag(thrown_address()), tag, handling.clauses);
}

void FunctionEmitter::begin_clause_body(Try& handling) {
  BasicBlock* body = new_block();
  handling.taken = b_.CreateBr(body);
  b_.SetInsertPoint(body);
}

void FunctionEmitter::delegate(Try& handling, const Try* handler) {
  llvm::IRBuilderBase::InsertPointGuard keep(b_);
  b_.SetInsertPoint(std::exchange(handling.clauses, nullptr));
  pass_on(handler ? handlers_[handler->handler - 1].clauses : nullptr);
}

void FunctionEmitter::end_try(Try& handling) {
  if (std::exchange(handling.handler, 0)) handlers_.pop_back();
  if (!handling.clauses) return;
  llvm::IRBuilderBase::InsertPointGuard keep(b_);
  b_.SetInsertPoint(std::exchange(handling.clauses, nullptr));
  pass_on(innermost_clauses());
}

void FunctionEmitter::rethrow(Try& handling) {
  if (!handling.exception) {
    llvm::IRBuilderBase::InsertPointGuard keep(b_);
    b_.SetInsertPoint(handling.taken);
    handling.exception = emit_libcall(code::Libcall::take_exception, {});
  }
  emit_throw(code::Libcall::throw_ref, {handling.exception});
}

void FunctionEmitter::try_(Control& control, const wasm::BlockSignature& type, std::span<const Value> params) {
  block(control, type, params);
  begin_legacy_try(control.handling);
}

void FunctionEmitter::catch_(Control& control, bool reachable, std::span<const Value> results, wasm::TagIndex tag,
                             const FuncType* type, std::span<Value> carried) {
  if (reachable) br(control, results);
  begin_clause(control.handling, tag, type);
  std::ranges::copy(taken_operands(thrown_address(), type, /*takes_ref=*/false), carried.begin());
  begin_clause_body(control.handling);
}

void FunctionEmitter::delegate(Control& control, Control* handler, bool reachable, std::span<const Value> fallthrough,
                               std::span<Value> results) {
  delegate(control.handling, handler ? &handler->handling : nullptr);
  end(control, reachable, fallthrough, results);
}

}  // namespace rotor::jit
