#include "code/code_image.h"

#include <fmt/format.h>

#include <algorithm>

#include "code/run_page.h"
#include "code/stubs.h"

namespace rotor::code {

Result<RegionLayout> tiered_region(const wasm::Module& module, uint64_t code_limit_bytes) {
  uint64_t functions = module.bodies.size();
  RegionLayout region;
  region.run_page_bytes = round_up_to_page(RunPageLayout(module).size_bytes);
  region.text_bytes = round_up_to_page(Stubs::stub(static_cast<uint32_t>(functions)));
  // RIP-relative displacements have 31 bits.
  uint64_t room = std::min<uint64_t>(code_limit_bytes, INT32_MAX - kCodePageBytes);
  if (region.text_bytes + region.run_page_bytes > room)
    return fail(ErrorKind::limit, fmt::format("{} functions are too many for the limit code_limit_bytes of {}",
                                              functions, code_limit_bytes));
  if (functions == 0) return region;
  // The region takes all the room that there may be: it is address space, which costs nothing, and a body's code can be
  // any number of times its size (a call of 2 bytes may move 1,000 values).
  auto round_down = [](uint64_t bytes) { return bytes / kCodePageBytes * kCodePageBytes; };
  room -= region.run_page_bytes;
  region.rodata_bytes = round_down(std::min(room / 4, room - region.text_bytes));
  region.text_bytes = round_down(room - region.rodata_bytes);
  return region;
}

uint64_t module_offset_at(const FunctionCode& function, std::span<const uint8_t> lines, uint32_t code_offset) {
  size_t at = function.lines_begin, end = std::min<size_t>(function.lines_end, lines.size());
  auto uleb = [&] {
    uint64_t v = 0;
    for (unsigned shift = 0; at < end; shift += 7) {
      uint8_t byte = lines[at++];
      if (shift < 64) v |= uint64_t{byte & 0x7fu} << shift;
      if (!(byte & 0x80)) break;
    }
    return v;
  };
  uint64_t address = function.begin, offset = 0, found = 0;
  while (at < end) {
    address += uleb();
    uint64_t delta = uleb();
    offset += (delta >> 1) ^ (~(delta & 1) + 1);
    if (address > code_offset) break;
    found = offset;
  }
  return found;
}

}  // namespace rotor::code
