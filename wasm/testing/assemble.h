// Modules of tests in the text format, so that a reader sees what they are. A test that uses it links rotor_text.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "rotor/wat.h"

namespace rotor::wasm::test {

/// Returns a module's bytes. Text that is no module ends the test program.
inline std::vector<uint8_t> assemble(std::string_view text, const WatOptions& options) {
  Result<std::vector<uint8_t>> bytes = wat_to_wasm(text, options);
  if (!bytes) {
    std::fprintf(stderr, "%s\n", render_text_error("a test's module", text, bytes.error()).c_str());
    std::abort();
  }
  return std::move(*bytes);
}

/// The text's `$names` stand in a name section.
inline std::vector<uint8_t> assemble(std::string_view text) { return assemble(text, {.names = true}); }

/// The text's `$names` are for the reader only.
inline std::vector<uint8_t> assemble_without_names(std::string_view text) { return assemble(text, {.names = false}); }

}  // namespace rotor::wasm::test
