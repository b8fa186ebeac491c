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

/// What a word is as a number.
NumberForm number_form(std::string_view word);

/// The value of a `natural`; nullopt: over `max`.
std::optional<uint64_t> parse_natural(std::string_view word, uint64_t max);
/// The two's complement of a `natural` or `integer` in `bits` (8 to 64) bits, either reading of them; nullopt: it does
/// not fit.
std::optional<uint64_t> parse_integer(std::string_view word, unsigned bits);
/// The IEEE bits of a number of any form, rounded to nearest, ties to even; nullopt: it rounds to infinity, or the
/// payload of a NaN does not fit.
std::optional<uint32_t> parse_f32(std::string_view word);
std::optional<uint64_t> parse_f64(std::string_view word);

}  // namespace rotor::wasm::text
