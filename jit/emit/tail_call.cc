// Tail calls (code/abi.h, "Tail calls"). LLVM guarantees one between functions of equal prototype only, unless they are
// of a calling convention whose callee pops its arguments, which does not link with swiftcc. So a function that makes a
// tail call is compiled with the uniform prototype, whose registers and stack words are those of its own type, and
// takes its callees to be of the same one, whatever they are: what they don't read is poison and costs nothing.
#include "code/abi.h"
#include "jit/emit/function.h"
#include "jit/passes/stack_check.h"

namespace rotor::jit {

using llvm::BasicBlock;
using Value = FunctionEmitter::Value;
using PlaceKind = code::ArgumentPlaces::Place::Kind;

namespace {
/// Indices of the uniform prototype's parameters; the context is the first.
constexpr unsigned kFirstGpr = 1;
constexpr unsigned kFirstXmm = kFirstGpr + code::ArgumentPlaces::kGprs;
constexpr unsigned kFirstStackWord = kFirstXmm + code::ArgumentPlaces::kXmms;
}  // namespace

Value FunctionEmitter::to_word(Value value) {
  llvm::Type* type = value->getType();
  if (type == module_.f64) return b_.CreateBitCast(value, module_.i64);
  if (type == module_.f32) value = b_.CreateBitCast(value, module_.i32);
  return b_.CreateZExt(value, module_.i64);  // nothing of an i64
}

Value FunctionEmitter::from_word(Value word, ValType type) {
  llvm::Type* wanted = module_.value_type(type);
  if (wanted == module_.f64) return b_.CreateBitCast(word, wanted);
  Value number = b_.CreateTrunc(word, wanted == module_.f32 ? module_.i32 : wanted);
  return wanted == module_.f32 ? b_.CreateBitCast(number, wanted) : number;
}

Value FunctionEmitter::to_xmm(Value value) {
  llvm::Type* type = value->getType();
  if (type->isVectorTy()) return b_.CreateBitCast(value, module_.xmm);
  auto* vector = llvm::FixedVectorType::get(type, type == module_.f32 ? 4 : 2);
  return b_.CreateBitCast(b_.CreateInsertElement(llvm::PoisonValue::get(vector), value, uint64_t{0}), module_.xmm);
}

Value FunctionEmitter::from_xmm(Value xmm, ValType type) {
  llvm::Type* wanted = module_.value_type(type);
  if (wanted->isVectorTy()) return b_.CreateBitCast(xmm, wanted);
  auto* vector = llvm::FixedVectorType::get(wanted, wanted == module_.f32 ? 4 : 2);
  return b_.CreateExtractElement(b_.CreateBitCast(xmm, vector), uint64_t{0});
}

/// Returns a parameter of the function, out of those of the uniform prototype.
Value FunctionEmitter::parameter(code::ArgumentPlaces::Place place, ValType type) {
  auto arg = [&](unsigned index) { return function_->getArg(index); };
  switch (place.kind) {
    case PlaceKind::gpr: return from_word(arg(kFirstGpr + place.index), type);
    case PlaceKind::xmm: return from_xmm(arg(kFirstXmm + place.index), type);
    case PlaceKind::stack: break;
  }
  if (type != ValType::v128) return from_word(arg(kFirstStackWord + place.index), type);
  Value both = llvm::PoisonValue::get(llvm::FixedVectorType::get(module_.i64, 2));
  for (unsigned i = 0; i < 2; ++i)
    both = b_.CreateInsertElement(both, arg(kFirstStackWord + place.index + i), uint64_t{i});
  return b_.CreateBitCast(both, module_.value_type(type));
}

/// Gives the function the uniform prototype. Its body has begun, and moves.
void FunctionEmitter::become_uniform() {
  if (uniform_) return;
  uniform_ = true;
  stack_words_ = code::ArgumentPlaces::stack_words(*type_);
  llvm::Function* typed = function_;
  function_ = module_.uniform_function(wasm::FuncIndex{defined_func_ + plan_.module.imported_funcs}, stack_words_);
  function_->setAttributes(function_->getAttributes().addFnAttributes(
      module_.context, llvm::AttrBuilder(module_.context, typed->getAttributes().getFnAttrs())));
  copy_stack_check(*typed, *function_);
  if (typed->hasPersonalityFn()) {
    function_->setPersonalityFn(typed->getPersonalityFn());
    typed->setPersonalityFn(nullptr);
  }
  function_->splice(function_->begin(), typed);

  llvm::IRBuilderBase::InsertPointGuard keep(b_);
  b_.SetInsertPoint(&function_->getEntryBlock(), function_->getEntryBlock().begin());
  context_ = function_->getArg(0);
  typed->getArg(0)->replaceAllUsesWith(context_);
  code::ArgumentPlaces places;
  for (unsigned i = 0; i < type_->params.size(); ++i) {
    ValType param = type_->params[i];
    typed->getArg(i + 1)->replaceAllUsesWith(parameter(places.next(param), param));
  }
  // A declaration is left for the callers that call the function by its type.
  if (typed->use_empty()) typed->eraseFromParent();
}

FunctionEmitter::UniformArgs FunctionEmitter::uniform_args(const FuncType& type, std::span<const Value> args) {
  UniformArgs uniform;
  uniform.registers.append(code::ArgumentPlaces::kGprs, llvm::PoisonValue::get(module_.i64));
  uniform.registers.append(code::ArgumentPlaces::kXmms, llvm::PoisonValue::get(module_.xmm));
  uniform.stack.append(code::ArgumentPlaces::stack_words(type), llvm::PoisonValue::get(module_.i64));
  code::ArgumentPlaces places;
  for (size_t i = 0; i < args.size(); ++i) {
    code::ArgumentPlaces::Place place = places.next(type.params[i]);
    if (place.kind == PlaceKind::gpr) {
      uniform.registers[place.index] = to_word(args[i]);
    } else if (place.kind == PlaceKind::xmm) {
      uniform.registers[code::ArgumentPlaces::kGprs + place.index] = to_xmm(args[i]);
    } else if (type.params[i] == ValType::v128) {
      Value both = b_.CreateBitCast(args[i], llvm::FixedVectorType::get(module_.i64, 2));
      for (unsigned k = 0; k < 2; ++k) uniform.stack[place.index + k] = b_.CreateExtractElement(both, uint64_t{k});
    } else {
      uniform.stack[place.index] = to_word(args[i]);
    }
  }
  return uniform;
}

void FunctionEmitter::begin_tail_call() {
  // A tail call counts as a call for the stack check: the check at the entry is also where a loop of tail calls is
  // stopped.
  become_uniform();
  if (turns_) emit_count(b_.CreateLoad(module_.i64, turns_));
  begin_slow_block();
}

/// Jumps to code of the same context. Pre: its stack words fit into the function's.
void FunctionEmitter::jump(Value code, const UniformArgs& args) {
  llvm::SmallVector<Value, 24> operands{context_};
  operands.append(args.registers);
  for (uint32_t i = 0; i < stack_words_; ++i)
    operands.push_back(i < args.stack.size() ? args.stack[i] : llvm::PoisonValue::get(module_.i64));
  // The frame is gone when the callee runs, so that no try_table of this function is around it.
  llvm::CallInst* call = mark(b_.CreateCall(function_->getFunctionType(), code, operands));
  call->addFnAttr(llvm::Attribute::NoUnwind);
  complete_call(*call);
  call->setTailCallKind(llvm::CallInst::TCK_MustTail);
  if (call->getType()->isVoidTy())
    b_.CreateRetVoid();
  else
    b_.CreateRet(call);
}

/// Jumps to any code, through rotor_tail_call.
void FunctionEmitter::jump_by_runtime(const FuncType& type, const Callee& callee, const UniformArgs& args) {
  if (!args.stack.empty()) {
    Value words = results_of(context_);
    for (size_t i = 0; i < args.stack.size(); ++i)
      b_.CreateStore(args.stack[i], b_.CreateConstGEP1_64(module_.i64, words, i));
  }
  jump_by_runtime(type, callee, args.registers, args.stack.size());
}

void FunctionEmitter::jump_by_runtime(const FuncType& type, const Callee& callee, std::span<const Value> registers,
                                      size_t stack_words) {
  Value activation = b_.CreateLoad(module_.ptr, context_address(offsetof(code::Context, activation)));
  auto store = [&](uint32_t offset, Value value) {
    b_.CreateStore(value,
                   b_.CreateConstGEP1_32(module_.i8, activation, uint32_t{offsetof(code::Activation, tail)} + offset));
  };
  uint64_t results = ModuleEmitter::results_in_registers(type) ? 0 : type.results.size() * code::kResultStride / 8;
  store(offsetof(code::TailCall, code), callee.code);
  store(offsetof(code::TailCall, context), callee.context);
  store(offsetof(code::TailCall, stack_words), int64(stack_words));
  store(offsetof(code::TailCall, result_words), int64(results));
  note_tail_call_words(*function_, stack_words);
  Value code = b_.CreateLoad(module_.ptr, module_.run_page(plan_.run_page.tail_call));
  jump(code, {llvm::SmallVector<Value, 24>(registers.begin(), registers.end()), {}});
}

void FunctionEmitter::return_call(wasm::FuncIndex func, const FuncType& type, std::span<const Value> args) {
  begin_tail_call();
  UniformArgs uniform = uniform_args(type, args);
  if (plan_.module.is_imported(func)) return jump_by_runtime(type, imported_callee(func), uniform);
  bool fits = uniform.stack.size() <= stack_words_;
  if (!is_direct(func)) {
    Value code = slot_code(func);
    return fits ? jump(code, uniform) : jump_by_runtime(type, {code, context_}, uniform);
  }
  if (fits) return jump(module_.uniform_function(func, stack_words_), uniform);
  jump_by_runtime(type, {module_.function(func), context_}, uniform);
}

void FunctionEmitter::return_call_indirect(wasm::TableIndex table, wasm::TypeIndex type_index, const FuncType& type,
                                           Value index, std::span<const Value> args) {
  tail_call_ref(type, indirect_ref(table, type_index, index), args);
}

void FunctionEmitter::return_call_ref(const FuncType& type, ValType ref_type, Value ref, std::span<const Value> args) {
  tail_call_ref(type, checked_ref(ref_type, ref), args);
}

void FunctionEmitter::tail_call_ref(const FuncType& type, Value ref, std::span<const Value> args) {
  Callee callee = callee_of(ref);
  begin_tail_call();
  UniformArgs uniform = uniform_args(type, args);
  if (uniform.stack.size() > stack_words_) return jump_by_runtime(type, callee, uniform);
  BasicBlock* near = new_block();
  BasicBlock* far = new_block();
  b_.CreateCondBr(b_.CreateICmpEQ(callee.context, context_), near, far);
  b_.SetInsertPoint(near);
  jump(callee.code, uniform);
  b_.SetInsertPoint(far);
  jump_by_runtime(type, callee, uniform);
}

}  // namespace rotor::jit
