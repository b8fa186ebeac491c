// Values of the spec suite's JSON: arguments, and what results are compared with.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "rotor/value.h"

namespace rotor::cli {

/// Thrown by the reader of scripts: the file is not what wasm-tools writes. Caught where a file is run.
struct BadScript {
  std::string what;
};
/// Thrown for a value of a type that needs a proposal.
struct UnsupportedValue {
  std::string feature;
};

/// An argument. `ref.extern n` is the reference with bits n + 1. Throws BadScript, UnsupportedValue.
Value argument(const nlohmann::json& json);
/// Whether a result is as the script expects it. Throws BadScript, UnsupportedValue.
bool matches(const nlohmann::json& expected, const Value& actual);
/// For messages.
std::string expected_text(const nlohmann::json& expected);

}  // namespace rotor::cli
