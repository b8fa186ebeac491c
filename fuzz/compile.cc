// Fuzzes the whole way from bytes to machine code, at both levels. Nothing is run: fuzz/differential does that. A
// module that validates must compile, for what docs/decisions/compile-budget.md promises; what is wrong with one is
// told as a decoder tells it.
//
// An input that begins as no module does is a recipe for one that asks for much (jit/costly_modules_check.h).
#include <sanitizer/allocator_interface.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "jit/costly_modules_check.h"
#include "rotor/engine.h"
#include "rotor/module.h"

using namespace rotor;

namespace {

constexpr size_t kMaxModuleBytes = 128 << 10;

/// Heap in use and ever asked for, as the sanitizer sees it.
std::atomic<int64_t> used_bytes, peak_bytes, asked_bytes;

void on_malloc(const volatile void*, size_t size) {
  asked_bytes += static_cast<int64_t>(size);
  int64_t used = used_bytes += static_cast<int64_t>(size);
  for (int64_t peak = peak_bytes; used > peak && !peak_bytes.compare_exchange_weak(peak, used);) {
  }
}
void on_free(const volatile void* memory) {
  used_bytes -= static_cast<int64_t>(__sanitizer_get_allocated_size(const_cast<const void*>(memory)));
}

/// What compiling a module of so many bytes may take: memory at once as promised, and of all that is ever asked for,
/// which goes with the time, some times that.
struct Bounds {
  int64_t peak_bytes, asked_bytes;
};
Bounds bounds_of(OptLevel opt, size_t size) {
  int64_t a_byte = opt == OptLevel::o0 ? 4 << 10 : 16 << 10;
  int64_t peak = (100 << 20) + a_byte * static_cast<int64_t>(size);
  return {peak, 8 * peak};
}

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

Result<Module> compile_within_bounds(const Engine& engine, std::span<const uint8_t> bytes) {
  int64_t used_before = used_bytes, asked_before = asked_bytes;
  peak_bytes = used_before;
  auto compiled = Module::compile(engine, bytes);
  Bounds bounds = bounds_of(engine.config().opt, bytes.size());
  int64_t peak = peak_bytes - used_before, asked = asked_bytes - asked_before;
  if (peak > bounds.peak_bytes || asked > bounds.asked_bytes) {
    std::fprintf(stderr, "o%d: %zu bytes of a module took %lld at once, and %lld in all\n",
                 static_cast<int>(engine.config().opt), bytes.size(), static_cast<long long>(peak),
                 static_cast<long long>(asked));
    std::abort();
  }
  return compiled;
}

/// What the bytes may be refused for; anything else is a bug of the compiler's.
void expect_sound(const Error& error, size_t size) {
  bool refused = error.kind == ErrorKind::malformed || error.kind == ErrorKind::invalid ||
                 error.kind == ErrorKind::unsupported || error.kind == ErrorKind::limit;
  if (!refused || error.message.empty() || (error.offset && *error.offset > size)) std::abort();
}

/// The module that an input stands for.
std::vector<uint8_t> module_of(std::span<const uint8_t> input) {
  if (input.size() < 4 || input[0] == 0) return {input.begin(), input.end()};
  auto makers = jit::costly_modules();
  size_t index = input[0] % (makers.size() + 1);
  if (index == makers.size()) return jit::mixed_module(input.subspan(1));
  uint32_t size = 1 + (input[1] | uint32_t{input[2]} << 8) % (4 * makers[index].size);
  return makers[index].make(size);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Engine baseline = make_engine(OptLevel::o0);
  static const Engine optimising = make_engine(OptLevel::o1);
  std::vector<uint8_t> bytes = module_of({data, size});
  if (bytes.size() > kMaxModuleBytes) return 0;
  auto valid = Module::validate(baseline.config().features, bytes);
  auto at_o0 = compile_within_bounds(baseline, bytes);
  if (!at_o0) {
    expect_sound(at_o0.error(), bytes.size());
    // A limit of the compiler's own is no matter of validity.
    if (valid && at_o0.error().kind != ErrorKind::limit) std::abort();
    return 0;
  }
  if (!valid || !compile_within_bounds(optimising, bytes)) std::abort();
  return 0;
}
