// The helpers that compiled code calls: bodies of jit/libcalls.def.
#pragma once

#include <array>

#include "jit/abi.h"

namespace rotor::runtime {

/// Their addresses, in the order of jit::Libcall.
std::array<const void*, jit::kLibcallCount> libcall_addresses();

}  // namespace rotor::runtime
