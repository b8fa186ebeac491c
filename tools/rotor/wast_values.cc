#include "tools/rotor/wast_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace rotor::cli {
namespace {

using Abstract = HeapType::Abstract;
using wasm::text::LaneShape;
using wasm::text::NanPattern;
using wasm::text::ScriptValue;
using Kind = ScriptValue::Kind;

/// Returns whether the bits of a float, without its sign, are as the pattern says.
template <class Bits>
bool matches_float(NanPattern pattern, Bits expected, Bits actual) {
  if (pattern == NanPattern::none) return actual == expected;
  constexpr bool kIs32 = sizeof(Bits) == 4;
  constexpr Bits kQuiet = kIs32 ? Bits{0x7fc00000} : static_cast<Bits>(UINT64_C(0x7ff8000000000000));
  constexpr Bits kSign = Bits{1} << (sizeof(Bits) * 8 - 1);
  const Bits magnitude = actual & ~kSign;
  return pattern == NanPattern::canonical ? magnitude == kQuiet : (magnitude & kQuiet) == kQuiet;
}

template <class Bits>
bool matches_lanes(const ScriptValue& expected, const uint8_t* actual) {
  for (size_t lane = 0; lane < 16 / sizeof(Bits); ++lane) {
    Bits want, have;
    std::memcpy(&want, expected.bytes.data() + lane * sizeof(Bits), sizeof(Bits));
    std::memcpy(&have, actual + lane * sizeof(Bits), sizeof(Bits));
    if (!matches_float(expected.nan[lane], want, have)) return false;
  }
  return true;
}

/// Returns whether what a reference is to is of a heap type; a defined one in a script stands for any of its hierarchy.
bool is_of(const HeapType& heap, const Value& actual) {
  const ValType type = actual.type();
  if (heap.is_concrete()) return type.is_func_ref() || type.is_any_ref();
  switch (heap.abstract()) {
    case Abstract::func:
    case Abstract::nofunc: return type.is_func_ref();
    case Abstract::extern_:
    case Abstract::noextern: return type.is_extern_ref();
    case Abstract::exn:
    case Abstract::noexn: return type.is_exn_ref();
    default: break;
  }
  if (!type.is_any_ref()) return false;
  if (actual.is_null() || heap.abstract() == Abstract::any) return true;
  const Result<HeapType> dynamic = actual.dynamic_type();
  if (!dynamic || *dynamic == HeapType(Abstract::any)) return false;
  if (heap.abstract() == Abstract::eq) return true;
  if (!dynamic->is_concrete()) return *dynamic == heap;
  return heap.abstract() == (dynamic->kind() == HeapType::Kind::array ? Abstract::array : Abstract::struct_);
}

std::string scalar_text(const char* type, const ScriptValue& value) {
  if (value.nan[0] == NanPattern::canonical) return fmt::format("{} nan:canonical", type);
  if (value.nan[0] == NanPattern::arithmetic) return fmt::format("{} nan:arithmetic", type);
  return fmt::format("{} with bits {:#x}", type, value.bits());
}

std::string heap_text(const ScriptValue& value) {
  if (!value.heap) return {};
  // Returns the heap type in "(ref null func)", without what is around it.
  std::string text = to_string(ValType::ref(*value.heap, false));
  if (text.starts_with("(ref ")) return " " + text.substr(5, text.size() - 6);
  return " " + text;
}

}  // namespace

Value argument(const ScriptValue& value) {
  switch (value.kind) {
    case Kind::i32: return Value::from_bits(ValType::i32, value.bits());
    case Kind::i64: return Value::from_bits(ValType::i64, value.bits());
    case Kind::f32: return Value::from_bits(ValType::f32, value.bits());
    case Kind::f64: return Value::from_bits(ValType::f64, value.bits());
    case Kind::v128: return Value(V128{value.bytes});
    case Kind::ref_null: return Value::null(ValType::ref(value.heap.value_or(Abstract::extern_), true));
    case Kind::ref:
      if (value.payload && value.heap == HeapType(Abstract::extern_)) return Value(ExternRef{*value.payload + 1});
      throw UnsupportedValue{"references as arguments"};
    case Kind::ref_host: return Value::of_host(ExternRef{value.payload.value_or(0) + 1});
    case Kind::either: break;
  }
  throw UnsupportedValue{"such an argument"};
}

bool matches(const ScriptValue& expected, const Value& actual) {
  if (expected.kind == Kind::either)
    return std::ranges::any_of(expected.alternatives, [&](const ScriptValue& one) { return matches(one, actual); });
  const ValType type = actual.type();
  switch (expected.kind) {
    case Kind::i32: return type == ValType::i32 && static_cast<uint32_t>(actual.bits()) == expected.bits();
    case Kind::i64: return type == ValType::i64 && actual.bits() == expected.bits();
    case Kind::f32:
      return type == ValType::f32 && matches_float(expected.nan[0], static_cast<uint32_t>(expected.bits()),
                                                   static_cast<uint32_t>(actual.bits()));
    case Kind::f64: return type == ValType::f64 && matches_float(expected.nan[0], expected.bits(), actual.bits());
    case Kind::v128: {
      if (type != ValType::v128) return false;
      const auto bytes = actual.v128().bytes;
      if (expected.shape == LaneShape::f32x4) return matches_lanes<uint32_t>(expected, bytes.data());
      if (expected.shape == LaneShape::f64x2) return matches_lanes<uint64_t>(expected, bytes.data());
      return bytes == expected.bytes;
    }
    case Kind::ref_null: return type.is_ref() && actual.is_null() && (!expected.heap || is_of(*expected.heap, actual));
    case Kind::ref:
      if (!type.is_ref() || actual.is_null() || !is_of(*expected.heap, actual)) return false;
      return !expected.payload || actual.bits() == *expected.payload + 1;
    case Kind::ref_host: return actual.host_ref() == ExternRef{expected.payload.value_or(0) + 1};
    case Kind::either: break;
  }
  return false;
}

std::string expected_text(const ScriptValue& expected) {
  switch (expected.kind) {
    case Kind::i32: return fmt::format("i32 {}", static_cast<int32_t>(expected.bits()));
    case Kind::i64: return fmt::format("i64 {}", static_cast<int64_t>(expected.bits()));
    case Kind::f32: return scalar_text("f32", expected);
    case Kind::f64: return scalar_text("f64", expected);
    case Kind::v128: {
      std::string text = "v128 of bytes";
      for (uint8_t byte : expected.bytes) text += fmt::format(" {:02x}", byte);
      if (std::ranges::any_of(expected.nan, [](NanPattern nan) { return nan != NanPattern::none; }))
        text += ", some lanes any NaN of a pattern";
      return text;
    }
    case Kind::ref_null: return "ref.null" + heap_text(expected);
    case Kind::ref:
      return "a reference" + heap_text(expected) + (expected.payload ? fmt::format(" {}", *expected.payload) : "");
    case Kind::ref_host: return fmt::format("ref.host {}", expected.payload.value_or(0));
    case Kind::either: {
      std::string text = "either";
      for (const ScriptValue& one : expected.alternatives) text += " (" + expected_text(one) + ")";
      return text;
    }
  }
  return "?";
}

}  // namespace rotor::cli
