// The characters that must not reach a terminal as they are (rotor/printable.h).
#pragma once

#include <cstddef>
#include <string_view>

#include "rotor/printable.h"

namespace rotor::wasm {

/// Returns the length in bytes of the character at the start of `text` if it must not be shown as it is, else 0. Pre:
/// `text` is not empty.
size_t unprintable_length(std::string_view text);

}  // namespace rotor::wasm
