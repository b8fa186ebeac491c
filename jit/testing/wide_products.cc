#include "jit/testing/wide_products.h"

#include "jit/testing/random_function.h"
#include "jit/testing/rewrite.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"

namespace rotor::jit {

WideProductsReport check_wide_products(std::span<const uint8_t> bytes, unsigned inputs) {
  llvm::LLVMContext context;
  llvm::Module module("check", context);
  llvm::Function& function = *random_function(module, bytes);
  if (llvm::verifyFunction(function)) return {.error = "the random function is invalid"};
  RewriteReport alone = check_rewrite(function, Before::nothing, inputs);
  if (!alone.error.empty()) return {.error = "alone: " + alone.error};
  RewriteReport piped = check_rewrite(function, Before::pipeline, inputs);
  return {piped.error, piped.rewritten, piped.multiplications_before, piped.multiplications};
}

}  // namespace rotor::jit
