#include "tools/rotor/value_text.h"

#include <fmt/format.h>

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace rotor::cli {
namespace {

/// All of the text as an integer of that many bits, signed or unsigned.
std::optional<uint64_t> parse_integer(const std::string& text, int bits) {
  if (text.empty() || std::isspace(static_cast<unsigned char>(text[0]))) return std::nullopt;
  bool is_negative = text[0] == '-';
  char* end = nullptr;
  errno = 0;
  uint64_t value =
      is_negative ? static_cast<uint64_t>(std::strtoll(text.c_str(), &end, 0)) : std::strtoull(text.c_str(), &end, 0);
  if (errno || *end || end == text.c_str()) return std::nullopt;
  if (bits == 64) return value;
  if (is_negative ? static_cast<int64_t>(value) < INT32_MIN : value > UINT32_MAX) return std::nullopt;
  return static_cast<uint32_t>(value);
}

template <class T>
std::optional<T> parse_float(const std::string& text) {
  if (text.empty() || std::isspace(static_cast<unsigned char>(text[0]))) return std::nullopt;
  char* end = nullptr;
  T value;
  if constexpr (sizeof(T) == 4)
    value = std::strtof(text.c_str(), &end);
  else
    value = std::strtod(text.c_str(), &end);
  if (*end || end == text.c_str()) return std::nullopt;
  return value;
}

template <class T, class Bits>
std::string float_text(T value, Bits bits, Bits quiet_bit) {
  if (!std::isnan(value)) return fmt::format("{}", value);
  Bits payload = bits & (quiet_bit * 2 - 1);
  const char* sign = std::signbit(value) ? "-" : "";
  return payload == quiet_bit ? fmt::format("{}nan", sign) : fmt::format("{}nan:0x{:x}", sign, payload);
}

}  // namespace

std::optional<Value> parse_value(ValType type, const std::string& text) {
  switch (type.kind()) {
    case ValType::Kind::i32:
      if (auto value = parse_integer(text, 32)) return Value::from_bits(type, *value);
      return std::nullopt;
    case ValType::Kind::i64:
      if (auto value = parse_integer(text, 64)) return Value::from_bits(type, *value);
      return std::nullopt;
    case ValType::Kind::f32:
      if (auto value = parse_float<float>(text)) return Value(*value);
      return std::nullopt;
    case ValType::Kind::f64:
      if (auto value = parse_float<double>(text)) return Value(*value);
      return std::nullopt;
    case ValType::Kind::ref:
      if (text == "null") return Value::null(type);
      if (!type.is_extern_ref()) return std::nullopt;
      if (auto value = parse_integer(text, 64); value && *value != UINT64_MAX) return Value(ExternRef{*value + 1});
      return std::nullopt;
    default: return std::nullopt;
  }
}

std::string value_text(const Value& value) {
  switch (value.type().kind()) {
    case ValType::Kind::i32: return fmt::format("{}", value.i32());
    case ValType::Kind::i64: return fmt::format("{}", value.i64());
    case ValType::Kind::f32: return float_text(value.f32(), static_cast<uint32_t>(value.bits()), UINT32_C(1) << 22);
    case ValType::Kind::f64: return float_text(value.f64(), value.bits(), UINT64_C(1) << 51);
    case ValType::Kind::v128: return to_string(value.v128());
    default: break;
  }
  if (value.is_null()) return "null";
  return value.type().is_extern_ref() ? fmt::format("extern {}", value.bits() - 1) : "func";
}

}  // namespace rotor::cli
