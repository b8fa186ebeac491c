// Fuzzes the garbage-collected heap: any sequence of allocations, stores, collections and images leaves what a model of
// it says.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "memory/testing/heap_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string difference = rotor::memory::test::HeapModel({data, size}).run();
  if (difference.empty()) return 0;
  std::fprintf(stderr, "%s\n", difference.c_str());
  __builtin_trap();
}
