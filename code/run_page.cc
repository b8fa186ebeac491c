#include "code/run_page.h"

namespace rotor::code {

RunPageLayout::RunPageLayout(const wasm::Module& module) {
  const uint32_t defined = module.defined_funcs();
  libcalls = 0;
  constexpr auto kEarly = static_cast<uint32_t>(kFirstLateLibcall);
  lazy_entry = libcalls + kEarly * 8;
  types = lazy_entry + 8;
  slots = types + static_cast<uint32_t>(module.types.size()) * 8;
  counters = slots + defined * 8;
  tail_call = (counters + defined * 4 + 7) / 8 * 8;
  late_libcalls = tail_call + 8;
  displays = late_libcalls + (kLibcallCount - kEarly) * 8;
  size_bytes = displays + 8;
}

}  // namespace rotor::code
