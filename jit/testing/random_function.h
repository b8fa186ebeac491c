// Functions full of products of 64 bits made from halves, for jit/testing/wide_products.h.
#pragma once

#include <span>

#include "llvm/IR/Function.h"

namespace rotor::jit {

/// A valid function of words that returns words, without poison on any input. Any bytes will do: they choose among the
/// ways to write a product, to accumulate and to associate, among operators, branches and loops, and may bend one
/// constant, comparison or term so that an idiom is nearly one. No bytes are as good as zeros.
llvm::Function* random_function(llvm::Module& module, std::span<const uint8_t> bytes);

}  // namespace rotor::jit
