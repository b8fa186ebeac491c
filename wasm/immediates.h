// The immediates that are more than one index or number: memory arguments and block types. BodyReader (body_reader.h)
// reads them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "wasm/types.h"

namespace rotor::wasm {

/// memarg: alignment as a power of two, static offset, memory.
struct MemArg {
  uint32_t align_log2 = 0;
  uint64_t offset = 0;
  MemoryIndex memory{0};
};

/// A block type, resolved.
struct BlockSignature {
  const ValType* params_data = nullptr;
  uint32_t params_count = 0;
  const ValType* results_data = nullptr;
  uint32_t results_count = 0;
  std::span<const ValType> params() const { return {params_data, params_count}; }
  std::span<const ValType> results() const { return {results_data, results_count}; }
};

}  // namespace rotor::wasm
