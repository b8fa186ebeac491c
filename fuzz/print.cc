// Fuzzes the printer of the text format: what it prints of any bytes must parse, and be printed again as it was; what
// the parser made of it must come back byte for byte.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fuzz/heap_bound.h"
#include "rotor/wat.h"

using namespace rotor;

namespace {

void expect(bool property) {
  if (!property) __builtin_trap();
}

void expect_sound(const Error& error, size_t size) {
  expect(error.kind == ErrorKind::malformed || error.kind == ErrorKind::unsupported || error.kind == ErrorKind::limit);
  expect(!error.message.empty() && !error.message.contains('\n'));
  expect(error.offset && *error.offset <= size);
}

void check(std::span<const uint8_t> bytes, const WatPrintOptions& options) {
  auto text = wasm_to_wat(bytes, options);
  if (!text) return expect_sound(text.error(), bytes.size());
  auto module = wat_to_wasm(*text, {.names = true});
  expect(module.has_value());
  auto again = wasm_to_wat(*module, options);
  // The limit of a text's length depends on the module's length, which may have become shorter.
  if (!again) return expect(again.error().kind == ErrorKind::limit);
  // Hints that fit no branch stay a section, and may fit one where the code has become shorter.
  if (*again != *text && text->contains("(@custom \"metadata.code.branch_hint\"")) return;
  expect(*again == *text);
  auto same = wat_to_wasm(*again, {.names = true});
  expect(same && *same == *module);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::HeapBound bound("printing", size, 64 << 10, 1 << 20);
  std::span<const uint8_t> bytes(data, size);
  check(bytes, {});
  check(bytes, {.names = false, .custom_sections = false});
  return 0;
}
