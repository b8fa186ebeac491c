// What emitters of both forms make of a try_table.
#pragma once

#include "jit/emit/function.h"

namespace rotor::jit {

template <class Label, class Branch>
void FunctionEmitter::begin_try(Try& handling, std::span<const wasm::Catch<Label>> catches, Branch branch) {
  llvm::IRBuilderBase::InsertPointGuard keep(b_);
  llvm::BasicBlock* clauses = new_block();
  b_.SetInsertPoint(clauses);
  Value thrown = thrown_address();
  Value tag = nullptr;
  for (const wasm::Catch<Label>& clause : catches) {
    llvm::BasicBlock* next = new_block();
    if (clause.type) {
      if (!tag) tag = thrown_tag(thrown);
      require_tag(tag, clause.tag, next);
    }
    // What stands behind a clause for all is dead, and emitted all the same: the decoder takes its labels for reached.
    branch(clause, thrown);
    b_.SetInsertPoint(next);
    // `thrown` and `tag` reach every block but those that nothing reaches.
  }
  pass_on(innermost_clauses());
  Handler& handler = handlers_.emplace_back(clauses);
  for (const wasm::Catch<Label>& clause : catches)
    handler.known.push_back({clause.tag, !clause.type, clause.takes_ref, clause.target});
  handling.handler = static_cast<uint32_t>(handlers_.size());
}

}  // namespace rotor::jit
