// Fuzzes WASI's calls on files and folders: what comes of them is what comes of the same calls on a model of a file
// system, and nothing outside of the guest's folder is touched. The first byte says whether that is in memory, or which
// way of resolving paths is tried.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "hosts/wasi/testing/model.h"

using namespace rotor::wasi;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool has_openat2 = Builder().resolution(Resolution::openat2).build().has_value();
  const test::Keeper keepers[] = {has_openat2 ? test::Keeper::openat2 : test::Keeper::walk, test::Keeper::walk,
                                  test::Keeper::memory};
  const std::string difference = test::ModelRun(keepers[data[0] % 3]).run({data + 1, size - 1});
  if (difference.empty()) return 0;
  std::fprintf(stderr, "%s\n", difference.c_str());
  __builtin_trap();
}
