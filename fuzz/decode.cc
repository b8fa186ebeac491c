// Fuzzes the code that gets untrusted bytes first: module decoder, body decoder, name section. The outcome is judged
// only by the sanitizers, the assertions and a few properties.
#include <cstddef>
#include <cstdint>
#include <span>

#include "fuzz/heap_bound.h"
#include "wasm/decode_module.h"
#include "wasm/names.h"

using namespace rotor;
using namespace rotor::wasm;

namespace {

void expect(bool property) {
  if (!property) __builtin_trap();
}

/// Checks that an error is of a kind that a decoder has, has a message, and points into the bytes.
void expect_sound(const Error& error, size_t size) {
  expect(error.kind == ErrorKind::malformed || error.kind == ErrorKind::invalid ||
         error.kind == ErrorKind::unsupported || error.kind == ErrorKind::limit);
  expect(!error.message.empty());
  expect(error.offset && *error.offset <= size);
}

/// Checks the ranges that later stages use unchecked.
void expect_in_bounds(const Module& module, size_t size) {
  for (const FunctionBody& body : module.bodies) expect(body.begin <= body.end && body.end <= size);
  for (const DataSegment& segment : module.data) expect(segment.begin <= size && segment.size <= size - segment.begin);
  for (const Section& section : module.sections) expect(section.begin <= section.end && section.end <= size);
  expect(module.declared_funcs.size() == module.funcs.size());
  expect(module.bodies.size() + module.imported_funcs == module.funcs.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // 50,000 locals of a function take 0.4 MB, whatever declares them, and three times that while their list grows.
  fuzz::HeapBound bound("decoding", size, 1 << 10, 2 << 20);
  std::span<const uint8_t> bytes(data, size);
  Features features;
  features.legacy_exceptions = features.custom_page_sizes = features.wide_arithmetic = true;
  auto module = decode_module(bytes, {.features = features, .bodies_elsewhere = false});
  if (!module) {
    expect_sound(module.error(), size);
    return 0;
  }
  expect_in_bounds(*module, size);
  decode_names(*module, bytes);
  if (auto valid = validate_bodies(*module, bytes, features); !valid) expect_sound(valid.error(), size);
  return 0;
}
