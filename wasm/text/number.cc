#include "wasm/text/number.h"

#include <bit>
#include <charconv>
#include <limits>
#include <string>

namespace rotor::wasm::text {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
unsigned digit_value(char c) { return static_cast<unsigned>(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10); }

/// Moves `word` behind a run of digits, with each `_` between two of them. Returns false if there is no digit.
bool skip_digits(std::string_view& word, bool hex) {
  auto is = [hex](char c) { return hex ? is_hex_digit(c) : is_digit(c); };
  if (word.empty() || !is(word[0])) return false;
  size_t i = 1;
  while (i < word.size() && (is(word[i]) || (word[i] == '_' && i + 1 < word.size() && is(word[i + 1])))) ++i;
  word.remove_prefix(i);
  return true;
}

bool take_sign(std::string_view& word, bool& negative) {
  negative = word.starts_with('-');
  if (!negative && !word.starts_with('+')) return false;
  word.remove_prefix(1);
  return true;
}

bool take_hex_prefix(std::string_view& word) {
  if (!word.starts_with("0x")) return false;
  word.remove_prefix(2);
  return true;
}

/// Returns whether `word`, without sign, is a NaN with a payload.
bool is_nan_payload(std::string_view word) {
  if (!word.starts_with("nan:0x")) return false;
  word.remove_prefix(6);
  return skip_digits(word, true) && word.empty();
}

/// A floating-point type's layout.
template <class Bits>
struct Format;
template <>
struct Format<uint32_t> {
  using Float = float;
  static constexpr int mantissa_bits = 23;  ///< that are stored
  static constexpr int min_exponent = -126, max_exponent = 127;
};
template <>
struct Format<uint64_t> {
  using Float = double;
  static constexpr int mantissa_bits = 52;
  static constexpr int min_exponent = -1022, max_exponent = 1023;
};

/// Parses an exponent's digits; saturates far outside of what any format has, but far inside of int64_t.
int64_t parse_exponent(std::string_view digits) {
  constexpr int64_t kFar = int64_t{1} << 40;
  bool negative = false;
  take_sign(digits, negative);
  int64_t value = 0;
  for (char c : digits)
    if (c != '_' && value < kFar) value = value * 10 + (c - '0');
  return negative ? -value : value;
}

/// Rounds mantissa * 2^exponent, where `sticky` says that some bits below the mantissa are not 0. The mantissa has 64
/// bits.
template <class Bits>
std::optional<Bits> round_binary(uint64_t mantissa, int64_t exponent, bool sticky) {
  using F = Format<Bits>;
  if (mantissa == 0) return Bits{0};
  int shift = std::countl_zero(mantissa);
  mantissa <<= shift;
  exponent += 63 - shift;  // of the leading bit
  // The number of bits to drop: all but the stored ones and the leading one; more for a subnormal.
  int64_t drop = 63 - F::mantissa_bits;
  bool subnormal = exponent < F::min_exponent;
  if (subnormal) drop += F::min_exponent - exponent;
  if (drop > 64) return Bits{0};  // less than half of the least subnormal
  uint64_t kept = drop == 64 ? 0 : mantissa >> drop;
  uint64_t half = uint64_t{1} << (drop - 1);
  uint64_t rest = drop == 64 ? mantissa : mantissa & ((half << 1) - 1);
  if (rest > half || (rest == half && (sticky || (kept & 1)))) ++kept;
  // A carry out of the mantissa counts the exponent up, also from subnormal to normal.
  uint64_t biased = subnormal ? 0 : static_cast<uint64_t>(exponent + F::max_exponent) - 1;
  if (!subnormal && exponent > F::max_exponent) return std::nullopt;
  uint64_t bits = (biased << F::mantissa_bits) + kept;
  constexpr uint64_t kInfinity = uint64_t{2 * F::max_exponent + 1} << F::mantissa_bits;
  if (bits >= kInfinity) return std::nullopt;
  return static_cast<Bits>(bits);
}

template <class Bits>
std::optional<Bits> parse_hex_float(std::string_view digits) {
  uint64_t mantissa = 0;
  bool sticky = false;
  int64_t exponent = 0;
  bool after_point = false;
  size_t i = 0;
  for (; i < digits.size(); ++i) {
    char c = digits[i];
    if (c == '_') continue;
    if (c == '.') {
      after_point = true;
      continue;
    }
    if (c == 'p' || c == 'P') break;
    if (mantissa >> 60 == 0) {
      mantissa = mantissa << 4 | digit_value(c);
      if (after_point) exponent -= 4;
    } else {
      sticky |= c != '0';
      if (!after_point) exponent += 4;
    }
  }
  if (i < digits.size()) exponent += parse_exponent(digits.substr(i + 1));
  return round_binary<Bits>(mantissa, exponent, sticky);
}

/// Returns whether a decimal number that is out of a float's range is too large, rather than too small.
bool is_large_decimal(std::string_view digits) {
  int64_t magnitude = 0;  // of the first digit that is not 0
  bool after_point = false, found = false;
  for (size_t i = 0; i < digits.size(); ++i) {
    char c = digits[i];
    if (c == 'e' || c == 'E') {
      magnitude += parse_exponent(digits.substr(i + 1));
      break;
    }
    if (c == '.') {
      after_point = true;
    } else if (!found && c == '0') {
      magnitude -= after_point;
    } else {
      found = true;
      magnitude += !after_point;
    }
  }
  return magnitude > 0;
}

template <class Bits>
std::optional<Bits> parse_decimal_float(std::string_view word) {
  std::string digits;
  digits.reserve(word.size());
  for (char c : word)
    if (c != '_') digits.push_back(c);
  // from_chars takes no '+' in front, but one in the exponent; "1.e3" and "1." are fine.
  typename Format<Bits>::Float value = 0;
  auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (code == std::errc::result_out_of_range) {
    if (is_large_decimal(digits)) return std::nullopt;
    return Bits{0};
  }
  if (value == std::numeric_limits<typename Format<Bits>::Float>::infinity()) return std::nullopt;
  return std::bit_cast<Bits>(value);
}

template <class Bits>
std::optional<Bits> parse_magnitude(std::string_view word) {
  using F = Format<Bits>;
  constexpr Bits kInfinity = static_cast<Bits>(uint64_t{2 * F::max_exponent + 1} << F::mantissa_bits);
  if (word == "inf") return kInfinity;
  if (word == "nan") return static_cast<Bits>(kInfinity | Bits{1} << (F::mantissa_bits - 1));
  if (word.starts_with("nan:")) {
    auto payload = parse_natural(word.substr(4), (uint64_t{1} << F::mantissa_bits) - 1);
    if (!payload || *payload == 0) return std::nullopt;
    return static_cast<Bits>(kInfinity | *payload);
  }
  if (take_hex_prefix(word)) return parse_hex_float<Bits>(word);
  return parse_decimal_float<Bits>(word);
}

template <class Bits>
std::optional<Bits> parse_float(std::string_view word) {
  bool negative = false;
  take_sign(word, negative);
  auto bits = parse_magnitude<Bits>(word);
  if (bits && negative) *bits |= Bits{1} << (sizeof(Bits) * 8 - 1);
  return bits;
}

}  // namespace

NumberForm number_form(std::string_view word) {
  bool negative = false;
  bool is_signed = take_sign(word, negative);
  if (word == "inf" || word == "nan" || is_nan_payload(word)) return NumberForm::real;
  bool hex = take_hex_prefix(word);
  if (!skip_digits(word, hex)) return NumberForm::none;
  if (word.empty()) return is_signed ? NumberForm::integer : NumberForm::natural;
  if (word[0] == '.') {
    word.remove_prefix(1);
    skip_digits(word, hex);
  }
  if (!word.empty() && (word[0] | 0x20) == (hex ? 'p' : 'e')) {
    word.remove_prefix(1);
    take_sign(word, negative);
    if (!skip_digits(word, false)) return NumberForm::none;
  }
  return word.empty() ? NumberForm::real : NumberForm::none;
}

std::optional<uint64_t> parse_natural(std::string_view word, uint64_t max) {
  const unsigned base = take_hex_prefix(word) ? 16 : 10;
  uint64_t value = 0;
  for (char c : word) {
    if (c == '_') continue;
    unsigned digit = digit_value(c);
    if (value > (UINT64_MAX - digit) / base) return std::nullopt;
    value = value * base + digit;
  }
  if (value > max) return std::nullopt;
  return value;
}

std::optional<uint64_t> parse_integer(std::string_view word, unsigned bits) {
  const uint64_t mask = bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
  bool negative = false;
  bool is_signed = take_sign(word, negative);
  if (!is_signed || !negative) return parse_natural(word, mask);
  auto magnitude = parse_natural(word, uint64_t{1} << (bits - 1));
  if (!magnitude) return std::nullopt;
  return (uint64_t{0} - *magnitude) & mask;
}

std::optional<uint32_t> parse_f32(std::string_view word) { return parse_float<uint32_t>(word); }
std::optional<uint64_t> parse_f64(std::string_view word) { return parse_float<uint64_t>(word); }

}  // namespace rotor::wasm::text
