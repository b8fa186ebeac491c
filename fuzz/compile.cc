// Fuzzes the whole way from bytes to machine code, at both levels. Nothing is run: fuzz/differential does that. A
// module that validates must compile, within what docs/decisions/compile-budget.md promises; an invalid one must give
// the errors of a decoder.
//
// An input that begins as no module does is a recipe for one that asks for much (jit/testing/costly_modules.h).
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "fuzz/heap_bound.h"
#include "jit/testing/costly_modules.h"
#include "rotor/engine.h"
#include "rotor/module.h"

using namespace rotor;

namespace {

constexpr size_t kMaxModuleBytes = 128 << 10;

Engine make_engine(OptLevel opt) {
  Config config;
  config.mode = CompileMode::aot;
  config.opt = opt;
  config.compile_workers = 1;
  config.features.legacy_exceptions = true;
  config.features.custom_page_sizes = true;
  config.features.wide_arithmetic = true;
  auto engine = Engine::create(config);
  if (!engine) std::abort();
  return *engine;
}

/// Compiles within the promised memory: so many bytes for each byte of the module, plus a constant.
Result<Module> compile_within_bounds(const Engine& engine, std::span<const uint8_t> bytes) {
  const bool fast = engine.config().opt == OptLevel::o0;
  fuzz::HeapBound bound(fast ? "o0" : "o1", bytes.size(), fast ? 10 << 10 : 16 << 10, 100 << 20);
  return Module::compile(engine, bytes);
}

/// Checks that an error is one that bytes may be refused with; any other is a bug of the compiler.
void expect_sound(const Error& error, size_t size) {
  bool refused = error.kind == ErrorKind::malformed || error.kind == ErrorKind::invalid ||
                 error.kind == ErrorKind::unsupported || error.kind == ErrorKind::limit;
  if (!refused || error.message.empty() || (error.offset && *error.offset > size)) std::abort();
}

/// Returns the module that an input stands for.
std::vector<uint8_t> module_of(std::span<const uint8_t> input) {
  if (input.size() < 4 || input[0] == 0) return {input.begin(), input.end()};
  auto makers = jit::costly_modules();
  size_t index = input[0] % (makers.size() + 1);
  if (index == makers.size()) return jit::mixed_module(input.subspan(1));
  uint32_t size = 1 + (input[1] | uint32_t{input[2]} << 8) % (4 * makers[index].size);
  return makers[index].make(size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Engine baseline = make_engine(OptLevel::o0);
  static const Engine optimising = make_engine(OptLevel::o1);
  std::vector<uint8_t> bytes = module_of({data, size});
  if (bytes.size() > kMaxModuleBytes) return 0;
  auto valid = Module::validate(baseline.config().features, bytes);
  auto at_o0 = compile_within_bounds(baseline, bytes);
  if (!at_o0) {
    expect_sound(at_o0.error(), bytes.size());
    // A limit of the compiler does not make a module invalid.
    if (valid && at_o0.error().kind != ErrorKind::limit) std::abort();
    return 0;
  }
  if (!valid || !compile_within_bounds(optimising, bytes)) std::abort();
  return 0;
}
