// 64 x 64 -> 128 bit products, where wasm had to do without. wasm has no instruction that gives a product's high word,
// so compilers cut both factors in halves and multiply those four times; the terms of the high word then drift apart
// among the carries of whatever is accumulated. This pass finds them again, in any order, and makes i128 arithmetic of
// them: one multiplication instead of four, add and adc instead of compares.
//
// The idea is not to look for patterns but to calculate. Every value gets a form (jit/passes/wide_form.h): a polynomial
// that equals it, over other values x and their low parts lo_n(x). Three identities are all it takes:
//
//   x >> n                     =  (x - lo_n(x)) / 2^n
//   x << n                     =  2^n lo_(64-n)(x)
//   the carry out of w = x + y =  (x + y - w) / 2^64
//
// Multiply the halves of a and b out and add up what makes the high word in whatever association:
//
//   ah bh + (mid >> 32) + ((mid < p) << 32) + (lo < ll) + carries of what was accumulated
//
// and all low parts cancel: (a b + c - w) / 2^64 is left, where c was accumulated and w is the low word. It is an
// integer and 0 <= w < 2^64, so w need not be known: the value is (a b + c) >> 64. Constants are numbers throughout, so
// that a multiplication by one needs no case of its own, nor do squares, whose two middle terms are one.
//
// Forms are of two kinds. The exact one equals the value as an integer. It exists where bounds exclude that the
// operator wraps. The modular one equals it modulo 2^64; there addition, subtraction, shifts to the left and
// multiplication by constants need no bounds, and 2^(64-n) lo_n(x) is 2^(64-n) x. A carry needs exact forms, the result
// only a modular one. From the one to the other leads this: numbers below 2^64 that are congruent are equal. So a carry
// is known by what w is more than x, however w came about, and of low parts that are congruent there is one atom.
//
// How far to look. A form over the function's arguments would explode; one over the operands says nothing. A value is
// *open* if those that use it see its form instead of the value: halves, their products, sums in which low parts are
// left. When the last low part cancels it is *closed*: it is rewritten, and is an atom to its users. That keeps forms
// at three to eight terms.
//
// A rewrite is right whatever made us look: it stands only on a form that equals the value, and on bounds. It is
// evaluated beside what it replaces all the same (jit/passes/evaluate.h). What is not rewritten stays as it was, and
// what the rewritten ones no longer need is deleted. If no multiplication is saved, all stays as it was.
//
// jit/passes/halves.h comes first, jit/passes/wide_values.h is the algebra, and jit/passes/unroll.h sees to loops
// afterwards.
#pragma once

#include "llvm/IR/PassManager.h"

namespace rotor::jit {

/// Runs after mem2reg and common subexpressions, and before anything that reassociates. Asks for no analysis in
/// functions without halves that are multiplied.
struct WideProductsPass : llvm::PassInfoMixin<WideProductsPass> {
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
};

}  // namespace rotor::jit
