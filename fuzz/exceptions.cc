// Fuzzes the unwinder: any bytes are a program of functions that throw across frames of two modules and of the host
// (runtime/testing/throwing_program.h), which has to do what a model of it says, however it is compiled.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "runtime/testing/throwing_program.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string difference = rotor::runtime::test::check_throwing_program({data, size}).difference;
  if (difference.empty()) return 0;
  std::fprintf(stderr, "%s\n", difference.c_str());
  std::abort();
}
