// Fuzzes the whole way from bytes to machine code, at both levels. Nothing is run: fuzz/differential does that. A
// module that validates must compile; what is wrong with one is told as a decoder tells it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "rotor/engine.h"
#include "rotor/module.h"

using namespace rotor;

namespace {

// LLVM's time grows faster than a module: larger ones find nothing that these don't.
constexpr size_t kMaxModuleBytes = 16 << 10;

Engine make_engine(OptLevel opt) {
  Config config;
  config.opt = opt;
  config.compile_workers = 1;
  config.features.custom_page_sizes = true;
  config.features.wide_arithmetic = true;
  auto engine = Engine::create(config);
  if (!engine) std::abort();
  return *engine;
}

/// What the bytes may be refused for; anything else is a bug of the compiler's.
void expect_sound(const Error& error, size_t size) {
  bool refused = error.kind == ErrorKind::malformed || error.kind == ErrorKind::invalid ||
                 error.kind == ErrorKind::unsupported || error.kind == ErrorKind::limit;
  if (!refused || error.message.empty() || (error.offset && *error.offset > size)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Engine baseline = make_engine(OptLevel::o0);
  static const Engine optimising = make_engine(OptLevel::o1);
  if (size > kMaxModuleBytes) return 0;
  std::span<const uint8_t> bytes(data, size);
  auto valid = Module::validate(baseline.config().features, bytes);
  auto at_o0 = Module::compile(baseline, bytes);
  if (!at_o0) {
    expect_sound(at_o0.error(), size);
    // A limit of the compiler's own is no matter of validity.
    if (valid && at_o0.error().kind != ErrorKind::limit) std::abort();
    return 0;
  }
  if (!valid || !Module::compile(optimising, bytes)) std::abort();
  return 0;
}
