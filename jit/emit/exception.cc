// Exceptions (code/abi.h, "Exceptions"). In the body of a try_table a call is an `invoke` of LLVM's, which costs
// nothing but that it ends a block. Its landing pad leads to the try_table's clauses, which compare tags, one after
// another, and to those of the try_table around it.
#include "jit/emit/exception.h"

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
  control.is_try = true;
  begin_try(catches, [&](const wasm::Catch<Control>& clause, Value thrown) {
    br(*clause.target, taken_operands(thrown, clause.type, clause.takes_ref));
  });
}

const FunctionEmitter::Clause* FunctionEmitter::clause_for(wasm::TagIndex tag) const {
  const uint32_t imported = plan_.module.imported_tags;
  for (const Handler& handler : llvm::reverse(handlers_))
    for (const Clause& clause : handler.known) {
      if (clause.for_all || clause.tag == tag) return clause.takes_ref ? nullptr : &clause;
      // What this instance defines is nobody else's, but two imports may be one tag.
      if (raw(tag) < imported && raw(clause.tag) < imported) return nullptr;
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

}  // namespace rotor::jit
