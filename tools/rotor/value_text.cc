#include "tools/rotor/value_text.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace rotor::cli {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Takes a sign off. Returns whether it was a minus.
bool take_sign(std::string_view& text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  return is_negative;
}

/// Returns digits without the single underscores that the text format allows between them.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
    } else if (i == 0 || i + 1 == text.size() || !is_hex_digit(text[i - 1]) || !is_hex_digit(text[i + 1])) {
      return std::nullopt;
    }
  }
  return out;
}

/// Parses decimal digits, or hexadecimal ones after 0x.
std::optional<uint64_t> parse_natural(std::string_view text) {
  const bool is_hex = text.starts_with("0x") || text.starts_with("0X");
  std::optional<std::string> digits = without_underscores(is_hex ? text.substr(2) : text);
  if (!digits) return std::nullopt;
  uint64_t value = 0;
  const char* end = digits->data() + digits->size();
  auto [at, failed] = std::from_chars(digits->data(), end, value, is_hex ? 16 : 10);
  return failed == std::errc() && at == end ? std::optional(value) : std::nullopt;
}

/// Parses all of the text as an integer of that many bits, signed or unsigned, and returns its bits.
std::optional<uint64_t> parse_integer(std::string_view text, unsigned bits) {
  const bool is_negative = take_sign(text);
  const std::optional<uint64_t> magnitude = parse_natural(text);
  const uint64_t mask = UINT64_MAX >> (64 - bits);
  if (!magnitude || *magnitude > (is_negative ? (mask >> 1) + 1 : mask)) return std::nullopt;
  return (is_negative ? -*magnitude : *magnitude) & mask;
}

template <class T>
using BitsOf = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;

/// The bit that makes a NaN quiet, which is all of the payload of the processor's own NaNs.
template <class T>
constexpr BitsOf<T> kQuietBit = BitsOf<T>{1} << (std::numeric_limits<T>::digits - 2);

template <class T>
std::optional<T> parse_float(std::string_view text) {
  const T sign = take_sign(text) ? T{-1} : T{1};
  auto nan = [&](BitsOf<T> payload) {
    const auto bits = std::bit_cast<BitsOf<T>>(std::copysign(std::numeric_limits<T>::infinity(), sign));
    return std::bit_cast<T>(bits | payload);
  };
  if (text == "inf" || text == "infinity") return std::copysign(std::numeric_limits<T>::infinity(), sign);
  if (text == "nan") return nan(kQuietBit<T>);
  if (text.starts_with("nan:0x")) {
    const std::optional<uint64_t> payload = parse_natural(text.substr(4));
    if (!payload || *payload == 0 || *payload >= 2 * uint64_t{kQuietBit<T>}) return std::nullopt;
    return nan(static_cast<BitsOf<T>>(*payload));
  }
  const std::optional<std::string> digits = without_underscores(text);
  if (!digits || digits->empty() || (!is_digit(digits->front()) && digits->front() != '.')) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  T value;
  if constexpr (sizeof(T) == 4)
    value = std::strtof(digits->c_str(), &end);
  else
    value = std::strtod(digits->c_str(), &end);
  if (*end || end == digits->c_str() || std::isinf(value)) return std::nullopt;
  return std::copysign(value, sign);
}

template <class T>
std::string float_text(T value) {
  if (!std::isnan(value)) return fmt::format("{}", value);
  const BitsOf<T> payload = std::bit_cast<BitsOf<T>>(value) & (kQuietBit<T> * 2 - 1);
  const char* sign = std::signbit(value) ? "-" : "";
  return payload == kQuietBit<T> ? fmt::format("{}nan", sign) : fmt::format("{}nan:0x{:x}", sign, payload);
}

/// Parses lanes until the end of the text, each after a separator. Returns nullopt if there are too few, too many, or
/// they are no such numbers.
template <class Lane, class Parse>
std::optional<V128> parse_lanes(std::string_view text, Parse parse) {
  std::array<Lane, 16 / sizeof(Lane)> lanes{};
  for (Lane& lane : lanes) {
    if (text.empty()) return std::nullopt;
    text.remove_prefix(1);  // the separator
    const size_t end = std::min(text.find_first_of(" ,"), text.size());
    const auto value = parse(text.substr(0, end));
    if (!value) return std::nullopt;
    lane = static_cast<Lane>(*value);
    text.remove_prefix(end);
  }
  return text.empty() ? std::optional(V128::of<Lane>(lanes)) : std::nullopt;
}

std::optional<V128> parse_v128(std::string_view text) {
  const size_t shape_end = text.find_first_of(" :");
  if (shape_end == text.npos) return std::nullopt;
  const std::string_view shape = text.substr(0, shape_end), lanes = text.substr(shape_end);
  auto integer = [](unsigned bits) { return [bits](std::string_view lane) { return parse_integer(lane, bits); }; };
  if (shape == "i8x16") return parse_lanes<uint8_t>(lanes, integer(8));
  if (shape == "i16x8") return parse_lanes<uint16_t>(lanes, integer(16));
  if (shape == "i32x4") return parse_lanes<uint32_t>(lanes, integer(32));
  if (shape == "i64x2") return parse_lanes<uint64_t>(lanes, integer(64));
  if (shape == "f32x4") return parse_lanes<float>(lanes, parse_float<float>);
  if (shape == "f64x2") return parse_lanes<double>(lanes, parse_float<double>);
  return std::nullopt;
}

std::optional<Value> parse_ref(ValType type, std::string_view text) {
  if (text == "null") return Value::null(type);
  if (!type.is_extern_ref()) return std::nullopt;
  constexpr std::string_view kExtern = "extern ";
  if (text.starts_with(kExtern)) text.remove_prefix(kExtern.size());
  if (auto value = parse_natural(text); value && *value != UINT64_MAX) return Value(ExternRef{*value + 1});
  return std::nullopt;
}

template <class T>
std::optional<Value> to_value(const std::optional<T>& number) {
  return number ? std::optional(Value(*number)) : std::nullopt;
}

}  // namespace

std::optional<Value> parse_value(ValType type, std::string_view text) {
  switch (type.kind()) {
    case ValType::Kind::i32:
    case ValType::Kind::i64:
      if (auto bits = parse_integer(text, type.kind() == ValType::Kind::i32 ? 32 : 64))
        return Value::from_bits(type, *bits);
      return std::nullopt;
    case ValType::Kind::f32: return to_value(parse_float<float>(text));
    case ValType::Kind::f64: return to_value(parse_float<double>(text));
    case ValType::Kind::v128: return to_value(parse_v128(text));
    case ValType::Kind::ref: return parse_ref(type, text);
    default: return std::nullopt;
  }
}

std::string how_to_write(ValType type) {
  switch (type.kind()) {
    case ValType::Kind::i32:
    case ValType::Kind::i64: return "7, -7 or 0x7f";
    case ValType::Kind::f32:
    case ValType::Kind::f64: return "1.5, -2e3, 0x1p-3, inf, nan or nan:0x200000";
    case ValType::Kind::v128: return "i32x4 1 2 3 4 (or i8x16, i16x8, i64x2, f32x4, f64x2)";
    default: return type.is_extern_ref() ? "null or extern 5" : "null";
  }
}

size_t lanes_of_shape(std::string_view shape) {
  struct Shape {
    std::string_view name;
    size_t lanes;
  };
  static constexpr Shape kShapes[] = {{"i8x16", 16}, {"i16x8", 8}, {"i32x4", 4},
                                      {"i64x2", 2},  {"f32x4", 4}, {"f64x2", 2}};
  for (const Shape& known : kShapes)
    if (known.name == shape) return known.lanes;
  return 0;
}

std::string value_text(const Value& value) {
  switch (value.type().kind()) {
    case ValType::Kind::i32: return fmt::format("{}", value.i32());
    case ValType::Kind::i64: return fmt::format("{}", value.i64());
    case ValType::Kind::f32: return float_text(std::bit_cast<float>(static_cast<uint32_t>(value.bits())));
    case ValType::Kind::f64: return float_text(std::bit_cast<double>(value.bits()));
    case ValType::Kind::v128: return to_string(value.v128());
    default: break;
  }
  if (value.is_null()) return "null";
  if (value.type().is_exn_ref()) return "exn";
  if (value.is_i31()) return fmt::format("i31 {}", value.i31());
  if (const auto host = value.host_ref()) return fmt::format("host {}", host->bits - 1);
  if (value.type().is_any_ref()) {
    const Result<HeapType> type = value.dynamic_type();
    return type && type->kind() == HeapType::Kind::array ? "array" : "struct";
  }
  return value.type().is_extern_ref() ? fmt::format("extern {}", value.bits() - 1) : "func";
}

}  // namespace rotor::cli
