// The code file's parser: any bytes are an error or a CodeFile whose offsets lie within it.
#include <cstdint>
#include <cstdlib>

#include "jit/code.h"
#include "wasm/decode_module.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rotor;
  auto file = jit::parse_code_file({data, size}, "input", jit::ChecksumCheck::off);
  if (!file) return 0;
  for (uint32_t i = 0; i < file->image.entries.size(); ++i) {
    jit::module_offset_at(file->image, i, file->image.ends[i]);
    if (file->image.ends[i] > file->image.text_bytes) std::abort();
  }
  wasm::DecodeOptions options;
  options.bodies_elsewhere = true;
  (void)wasm::decode_module(file->module_bytes, options);
  return 0;
}
