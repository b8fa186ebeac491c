// What must not reach a terminal as it is (rotor/printable.h).
#pragma once

#include <cstddef>
#include <string_view>

#include "rotor/printable.h"

namespace rotor::wasm {

/// The length in bytes of what `text` begins with, if that is not to be shown as it is; 0: it may be. Pre: not empty.
size_t unprintable_length(std::string_view text);

}  // namespace rotor::wasm
