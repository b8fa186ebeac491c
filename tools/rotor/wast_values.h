// Values of scripts: arguments, and expected results.
#pragma once

#include <string>

#include "rotor/value.h"
#include "wasm/text/script.h"

namespace rotor::cli {

/// Thrown for a value of a type that needs a proposal which the engine lacks.
struct UnsupportedValue {
  std::string feature;
};

/// Makes a value of an argument. `(ref.extern N)` is the reference with bits N + 1. Throws UnsupportedValue.
Value argument(const wasm::text::ScriptValue& value);
/// Returns whether a result is as the script expects it. Throws UnsupportedValue.
bool matches(const wasm::text::ScriptValue& expected, const Value& actual);
/// Returns an expected value as text, for messages.
std::string expected_text(const wasm::text::ScriptValue& expected);

}  // namespace rotor::cli
