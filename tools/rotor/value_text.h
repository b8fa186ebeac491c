// Values as text: arguments of the command line, results on the screen.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "rotor/value.h"

namespace rotor::cli {

/// Parses a value; returns nullopt if the text is no value of that type. Numbers are those of the text format: decimal,
/// or hexadecimal after 0x, floats also "inf", "nan" and "nan:0x…" (a NaN's payload). Vectors: a shape and its lanes,
/// "i32x4 1 2 3 4" or "i32x4:1,2,3,4". References: "null", or for an externref "extern N" or N. All that value_text
/// prints is read, except functions.
std::optional<Value> parse_value(ValType type, std::string_view text);
/// Returns examples of how a value of that type is written, for messages.
std::string how_to_write(ValType type);
/// Returns how many lanes a vector of that shape has ("i32x4"); 0: it is no shape.
size_t lanes_of_shape(std::string_view shape);
/// Prints a value: integers signed, floats as short as they read back, NaNs with their payload, vectors as "i32x4" and
/// four lanes in hexadecimal, "null", "extern N", "func".
std::string value_text(const Value& value);

}  // namespace rotor::cli
