// Fuzzes the pass that recovers products of 128 bits: any bytes are a function (jit/testing/random_function.h), whose
// results the pass must leave equal. At exit it prints how much of what it saw was rewritten.
#include <cstdio>
#include <cstdlib>

#include "jit/testing/wide_products.h"

using namespace rotor;

namespace {

struct Totals {
  unsigned long functions = 0, rewritten = 0, before = 0, left = 0;

  ~Totals() {
    if (functions)
      std::fprintf(stderr, "%lu functions, %lu rewritten (%lu %%), %lu of %lu multiplications left\n", functions,
                   rewritten, rewritten * 100 / functions, left, before);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Totals totals;
  constexpr unsigned kInputs = 24;
  jit::WideProductsReport report = jit::check_wide_products({data, size}, kInputs);
  if (!report.error.empty()) {
    std::fprintf(stderr, "%s\n", report.error.c_str());
    std::abort();
  }
  ++totals.functions;
  totals.rewritten += report.rewritten;
  totals.before += report.multiplications_before;
  totals.left += report.multiplications;
  return 0;
}
