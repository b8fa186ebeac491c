// The helpers that compiled code calls: bodies of code/libcalls.def.
#pragma once

#include <array>

#include "code/run_page.h"

namespace rotor::runtime {

/// Returns their addresses, in the order of code::Libcall.
std::array<const void*, code::kLibcallCount> libcall_addresses();

}  // namespace rotor::runtime
