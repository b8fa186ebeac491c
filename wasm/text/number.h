// Number tokens of the text format (spec section 6.3.1 and 6.3.2): their grammar, and their exact values.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rotor::wasm::text {

enum class NumberForm : uint8_t {
  none,
  natural,  ///< digits only
  integer,  ///< digits behind a sign
  real,     ///< with a point, an exponent, `inf` or `nan`
};

/// Returns which form of number a word is.
NumberForm number_form(std::string_view word);

/// Returns the value of a `natural`, or nullopt if it is above `max`.
std::optional<uint64_t> parse_natural(std::string_view word, uint64_t max);
/// Returns the two's complement of a `natural` or `integer` in `bits` (8 to 64) bits, or nullopt if it fits neither as
/// a signed nor as an unsigned number.
std::optional<uint64_t> parse_integer(std::string_view word, unsigned bits);
/// Return the IEEE bits of a number of any form, rounded to nearest, ties to even; nullopt if it rounds to infinity, or
/// the payload of a NaN does not fit.
std::optional<uint32_t> parse_f32(std::string_view word);
std::optional<uint64_t> parse_f64(std::string_view word);

}  // namespace rotor::wasm::text
