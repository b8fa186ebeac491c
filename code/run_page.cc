#include "code/run_page.h"

namespace rotor::code {

RunPageLayout::RunPageLayout(const wasm::Module& module) {
  const uint32_t defined = module.defined_funcs();
  libcalls = 0;
  lazy_entry = libcalls + kLibcallCount * 8;
  types = lazy_entry + 8;
  slots = types + static_cast<uint32_t>(module.types.size()) * 8;
  counters = slots + defined * 8;
  tail_call = (counters + defined * 4 + 7) / 8 * 8;
  size_bytes = tail_call + 8;
}

}  // namespace rotor::code
