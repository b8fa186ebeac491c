#include "tools/rotor/wast_values.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

namespace rotor::cli {
namespace {

using Json = nlohmann::json;

const std::string& string_at(const Json& json, const char* key) {
  if (!json.is_object() || !json.contains(key) || !json[key].is_string())
    throw BadScript{fmt::format("a value without \"{}\"", key)};
  return json[key].get_ref<const std::string&>();
}

/// The feature that a type of value needs; empty: none that is missing.
std::string feature_of(const std::string& type) {
  if (type == "exnref" || type == "nullexnref") return "exceptions";
  for (const char* gc : {"anyref", "eqref", "i31ref", "structref", "arrayref", "nullref"})
    if (type == gc) return "gc";
  return {};
}

uint64_t bits_of(const std::string& text) {
  char* end = nullptr;
  // Written as unsigned or as signed decimals.
  uint64_t bits = text.starts_with('-') ? static_cast<uint64_t>(std::strtoll(text.c_str(), &end, 10))
                                        : std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || *end) throw BadScript{"no number: \"" + text + "\""};
  return bits;
}

ValType number_type(const std::string& type) {
  if (type == "i32") return ValType::i32;
  if (type == "i64") return ValType::i64;
  if (type == "f32") return ValType::f32;
  if (type == "f64") return ValType::f64;
  throw BadScript{"a value of type \"" + type + "\""};
}

bool is_32_bits(ValType type) { return type == ValType::i32 || type == ValType::f32; }

bool matches_nan(const std::string& pattern, const Value& actual) {
  bool is_32 = is_32_bits(actual.type());
  uint64_t quiet = is_32 ? UINT64_C(0x7fc00000) : UINT64_C(0x7ff8000000000000);
  uint64_t sign = is_32 ? UINT64_C(1) << 31 : UINT64_C(1) << 63;
  uint64_t bits = actual.bits() & ~sign;
  if (is_32) bits &= UINT32_MAX;
  if (pattern == "nan:canonical") return bits == quiet;
  if (pattern == "nan:arithmetic") return (bits & quiet) == quiet;
  throw BadScript{"no pattern of NaNs: \"" + pattern + "\""};
}

bool matches_ref(const std::string& type, const Json& expected, const Value& actual) {
  if (!actual.type().is_ref()) return false;
  if (type == "refnull" || type.starts_with("null")) return actual.is_null();
  if (type == "funcref" && !actual.type().is_func_ref()) return false;
  if (type == "externref" && !actual.type().is_extern_ref()) return false;
  if (!expected.contains("value")) return !actual.is_null();
  const std::string& value = string_at(expected, "value");
  if (value == "null") return actual.is_null();
  return type == "externref" && actual.bits() == bits_of(value) + 1;
}

/// A v128 is lanes of `lane_type`, as strings.
struct Lanes {
  ValType type;  ///< i32 also for narrower ones
  uint32_t bits;
  std::vector<std::string> values;
};
Lanes lanes_of(const Json& json) {
  const std::string& name = string_at(json, "lane_type");
  Lanes lanes;
  lanes.bits = name == "i8" ? 8 : name == "i16" ? 16 : name == "i32" || name == "f32" ? 32 : 64;
  lanes.type = lanes.bits < 32 ? ValType::i32 : number_type(name);
  if (!json.contains("value") || !json["value"].is_array()) throw BadScript{"a v128 without lanes"};
  for (const Json& lane : json["value"]) {
    if (!lane.is_string()) throw BadScript{"a lane that is no string"};
    lanes.values.push_back(lane.get<std::string>());
  }
  if (lanes.values.size() != 128 / lanes.bits) throw BadScript{"a v128 of the wrong number of lanes"};
  return lanes;
}

V128 vector_of(const Lanes& lanes) {
  V128 vector;
  for (size_t i = 0; i < lanes.values.size(); ++i) {
    uint64_t bits = bits_of(lanes.values[i]);
    std::memcpy(&vector.bytes[i * lanes.bits / 8], &bits, lanes.bits / 8);
  }
  return vector;
}

bool matches_vector(const Lanes& expected, const V128& actual) {
  for (size_t i = 0; i < expected.values.size(); ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, &actual.bytes[i * expected.bits / 8], expected.bits / 8);
    const std::string& text = expected.values[i];
    if (text.starts_with("nan:")) {
      if (!matches_nan(text, Value::from_bits(expected.type, bits))) return false;
    } else if (uint64_t shift = 64 - expected.bits; bits_of(text) << shift != bits << shift) {
      return false;
    }
  }
  return true;
}

bool is_ref(const std::string& type) { return type == "refnull" || type.ends_with("ref"); }

}  // namespace

Value argument(const Json& json) {
  const std::string& type = string_at(json, "type");
  if (std::string feature = feature_of(type); !feature.empty()) throw UnsupportedValue{feature};
  if (type == "v128") return Value(vector_of(lanes_of(json)));
  const std::string& text = string_at(json, "value");
  if (type == "externref")
    return text == "null" ? Value::null(ValType::externref) : Value(ExternRef{bits_of(text) + 1});
  if (type == "funcref" && text == "null") return Value::null(ValType::funcref);
  ValType number = number_type(type);
  uint64_t bits = bits_of(text);
  return Value::from_bits(number, is_32_bits(number) ? static_cast<uint32_t>(bits) : bits);
}

bool matches(const Json& expected, const Value& actual) {
  const std::string& type = string_at(expected, "type");
  if (type == "either") {
    if (!expected.contains("values") || !expected["values"].is_array()) throw BadScript{"either without values"};
    for (const Json& one : expected["values"])
      if (matches(one, actual)) return true;
    return false;
  }
  if (std::string feature = feature_of(type); !feature.empty()) throw UnsupportedValue{feature};
  if (is_ref(type)) return matches_ref(type, expected, actual);
  if (type == "v128") return actual.type() == ValType::v128 && matches_vector(lanes_of(expected), actual.v128());
  if (actual.type() != number_type(type)) return false;
  const std::string& text = string_at(expected, "value");
  if (text.starts_with("nan:")) return matches_nan(text, actual);
  uint64_t bits = bits_of(text);
  if (!is_32_bits(actual.type())) return bits == actual.bits();
  return static_cast<uint32_t>(bits) == static_cast<uint32_t>(actual.bits());
}

std::string expected_text(const Json& expected) {
  if (!expected.is_object() || !expected.contains("type")) return expected.dump();
  std::string text = expected["type"].get<std::string>();
  if (!expected.contains("value") || !expected["value"].is_string()) return text == "either" ? expected.dump() : text;
  const std::string& value = expected["value"].get_ref<const std::string&>();
  if ((text == "f32" || text == "f64") && !value.starts_with("nan"))
    return fmt::format("{} with bits {:#x}", text, bits_of(value));
  return fmt::format("{} {}", text, value);
}

}  // namespace rotor::cli
