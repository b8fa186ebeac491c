// What of a heap is not in its region, in terms of its only instance.
#pragma once

#include <cstdint>
#include <vector>

#include "memory/heap_layout.h"

namespace rotor::runtime {

struct GcHeapState {
  /// By number (GcHeap::function_number): the function's place in the instance's context.
  std::vector<uint64_t> functions;
  std::vector<memory::HeapRef> internals;  ///< objects that have an external reference, by its number; 0: free
  uint64_t limit_bytes = 0;
  uint64_t reserved_bytes = 0;  ///< of address space
};

}  // namespace rotor::runtime
