// Values as text: arguments of the command line, results on the screen.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "rotor/value.h"

namespace rotor::cli {

/// nullopt: the text is no value of that type. Numbers as in C; references: "null", or an integer for an externref.
std::optional<Value> parse_value(ValType type, const std::string& text);
/// Integers signed, floats as short as they read back, NaNs with their payload, "null", "extern N", "func".
std::string value_text(const Value& value);

}  // namespace rotor::cli
