// A fuzzing target's view of jit/passes/wide_products.h: bytes become a function, which the pass must leave equal.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace rotor::jit {

struct WideProductsReport {
  std::string error;  ///< with the IR of both functions; empty if nothing differs
  bool rewritten = false;
  unsigned multiplications_before = 0;
  unsigned multiplications = 0;
};

/// Makes the function that the bytes say (jit/testing/random_function.h), runs the pass on it after what runs before it
/// in the pipeline and once more alone, and compares what they give on corners and on `inputs` random inputs.
WideProductsReport check_wide_products(std::span<const uint8_t> bytes, unsigned inputs);

}  // namespace rotor::jit
