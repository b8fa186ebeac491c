#include "code/stubs.h"

#include <cstring>
#include <span>

namespace rotor::code {

std::vector<uint8_t> Stubs::code(uint32_t defined_funcs, const RunPageLayout& run_page, uint64_t run_page_offset) {
  constexpr uint8_t kJmpMemory[] = {0xff, 0x25};
  constexpr uint8_t kCall[] = {0xe8};
  std::vector<uint8_t> text(stub(defined_funcs), 0xcc);
  // Puts an instruction that ends in a distance, counted from the instruction's end.
  auto put = [&](uint32_t at, std::span<const uint8_t> opcode, uint64_t target) {
    std::memcpy(&text[at], opcode.data(), opcode.size());
    auto end = at + static_cast<uint32_t>(opcode.size()) + 4;
    auto distance = static_cast<int32_t>(static_cast<int64_t>(target) - end);
    std::memcpy(&text[end - 4], &distance, sizeof distance);
  };
  put(0, kJmpMemory, run_page_offset + run_page.lazy_entry);
  for (uint32_t i = 0; i < defined_funcs; ++i) {
    put(stub(i), kJmpMemory, run_page_offset + run_page.slot(i));
    put(lazy(i), kCall, 0);
  }
  return text;
}

}  // namespace rotor::code
