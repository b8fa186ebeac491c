// Evaluates constant expressions that make objects.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "code/abi.h"
#include "rotor/result.h"
#include "runtime/store/gc_heap.h"
#include "wasm/module.h"

namespace rotor::runtime {

/// Returns whether an expression has instructions that need the instance's heap.
bool needs_heap(const wasm::ConstExpr& expr);

/// What an expression may refer to.
struct ConstScope {
  GcHeap& heap;
  std::span<const CanonicalType* const> types;
  std::function<const code::GlobalCell&(uint32_t index)> global;
  std::function<const code::FuncRef*(uint32_t index)> function;
};
/// Returns the value of an expression of any kind. Errors: limit, io (there is no memory for an object).
Result<code::GlobalCell> evaluate_const(const ConstScope& scope, const wasm::ConstExpr& expr);

}  // namespace rotor::runtime
