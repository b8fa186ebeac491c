// The name section (spec appendix, "Custom Sections"). Read only when a name is asked for: it can be larger than the
// code.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "wasm/keyed_hash.h"
#include "wasm/module.h"

namespace rotor::wasm {

struct Names {
  std::string module;
  KeyedMap<uint32_t, std::string> functions;
};

/// Reads the name section. A damaged one is no error (spec: "must not invalidate the module"): what could be read is
/// returned.
Names decode_names(const Module& module, std::span<const uint8_t> bytes);
/// Returns the names to show to people: those of the name section, and for a function that it does not name, the name
/// of the function's first export.
Names decode_display_names(const Module& module, std::span<const uint8_t> bytes);

}  // namespace rotor::wasm
