// Fuzzes the code file's parser: any bytes are an error or a CodeFile whose offsets lie within it.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "code/code_file.h"
#include "code/code_image.h"
#include "fuzz/heap_bound.h"
#include "wasm/decode_module.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rotor;
  fuzz::HeapBound bound("a code file", size, 1 << 10, 1 << 20);
  std::vector<uint64_t> aligned(size / 8 + 1);  // aligned as a mapping is
  if (size) std::memcpy(aligned.data(), data, size);
  auto file = code::parse_code_file_unchecked({reinterpret_cast<const uint8_t*>(aligned.data()), size}, "input");
  if (!file) return 0;
  for (const code::FunctionCode& function : file->functions) {
    code::module_offset_at(function, file->lines, function.end);
    if (function.end > file->text.size()) std::abort();
  }
  wasm::DecodeOptions options;
  options.bodies_elsewhere = true;
  (void)wasm::decode_module(file->module_bytes, options);
  return 0;
}
