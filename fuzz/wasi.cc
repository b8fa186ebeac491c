// Fuzzes WASI's calls on files and folders: what comes of them is what comes of the same calls on a model of a file
// system, and nothing outside of the guest's folder is touched. The first byte says which way of resolving paths is
// tried.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "hosts/wasi/testing/model.h"

using namespace rotor::wasi;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Resolution how = data[0] & 1 ? Resolution::walk : Resolution::automatic;
  const std::string difference = test::ModelRun(how).run({data + 1, size - 1});
  if (difference.empty()) return 0;
  std::fprintf(stderr, "%s\n", difference.c_str());
  __builtin_trap();
}
