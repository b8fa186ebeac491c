// Which functions are compiled together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "wasm/module.h"

namespace rotor::jit {

/// Defined functions [first, first + count), one LLVM module. All of them are huge or none is.
struct Batch {
  uint32_t first;
  uint32_t count;
  bool huge;
};

/// True for a function that LLVM's optimising code generator would take too long for: it is compiled as --opt 0 does at
/// every level. The decoder checks the body later.
bool is_huge(const wasm::FunctionBody& body, std::span<const uint8_t> bytes);

/// All functions of a module, at most `functions` (at least 1) a batch.
std::vector<Batch> make_batches(const wasm::Module& module, std::span<const uint8_t> bytes, uint32_t functions);

}  // namespace rotor::jit
