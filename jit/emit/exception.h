// What emitters of both forms make of a try_table.
#pragma once

#include "jit/emit/function.h"

namespace rotor::jit {

template <class Label, class Branch>
void FunctionEmitter::begin_try(std::span<const wasm::Catch<Label>> catches, Branch branch) {
  llvm::IRBuilderBase::InsertPointGuard keep(b_);
  llvm::BasicBlock* clauses = new_block();
  b_.SetInsertPoint(clauses);
  Value thrown = thrown_address();
  Value tag = nullptr;
  for (const wasm::Catch<Label>& clause : catches) {
    llvm::BasicBlock* next = new_block();
    if (clause.type) {
      if (!tag)
        tag = b_.CreateLoad(module_.ptr, b_.CreateConstGEP1_32(module_.i8, thrown, offsetof(code::Thrown, tag)));
      llvm::BasicBlock* taken = new_block();
      Value own = invariant_load(module_.ptr, context_address(plan_.context.tag(raw(clause.tag))));
      b_.CreateCondBr(b_.CreateICmpEQ(tag, own), taken, next);
      b_.SetInsertPoint(taken);
    }
    // What stands behind a clause for all is dead, and emitted all the same: the decoder takes its labels for reached.
    branch(clause, thrown);
    b_.SetInsertPoint(next);
    // `thrown` and `tag` reach every block but those that nothing reaches.
  }
  if (handlers_.empty()) {
    emit_libcall(code::Libcall::throw_on, {});
    b_.CreateUnreachable();
  } else {
    b_.CreateBr(handlers_.back().clauses);
  }
  Handler& handler = handlers_.emplace_back(clauses);
  for (const wasm::Catch<Label>& clause : catches)
    handler.known.push_back({clause.tag, !clause.type, clause.takes_ref, clause.target});
}

}  // namespace rotor::jit
