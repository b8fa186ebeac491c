#include "wasm/text/print_text.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

#include "wasm/printable.h"
#include "wasm/text/lexer.h"

namespace rotor::wasm::text {
namespace {

constexpr char kHex[] = "0123456789abcdef";

void append_escape(std::string& out, uint8_t byte) {
  out += '\\';
  out += kHex[byte >> 4];
  out += kHex[byte & 0xf];
}

void append_quoted(std::string& out, std::string_view utf8) {
  out += '"';
  for (size_t i = 0; i < utf8.size(); ++i) {
    uint8_t byte = static_cast<uint8_t>(utf8[i]);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += utf8[i];
    } else if (size_t length = (byte & 0xc0) == 0x80 ? 0 : unprintable_length(utf8.substr(i)); length > 0) {
      for (size_t end = i + length; i < end; ++i) append_escape(out, static_cast<uint8_t>(utf8[i]));
      --i;
    } else {
      out += utf8[i];
    }
  }
  out += '"';
}

template <class Float, class Bits>
void put_float(TextOut& out, Bits bits, unsigned mantissa_bits) {
  constexpr Bits kSign = Bits{1} << (sizeof(Bits) * 8 - 1);
  Bits mantissa = bits & ((Bits{1} << mantissa_bits) - 1);
  Bits exponent_mask = (kSign - 1) & ~((Bits{1} << mantissa_bits) - 1);
  if ((bits & exponent_mask) == exponent_mask) {
    if (bits & kSign) out.put('-');
    out.put(mantissa == 0 ? "inf" : "nan");
    if (mantissa != 0 && mantissa != Bits{1} << (mantissa_bits - 1)) {
      out.put(':');
      out.hex(mantissa);
    }
    return;
  }
  char digits[64];
  auto end = std::to_chars(digits, digits + sizeof digits, std::bit_cast<Float>(bits));
  out.put(std::string_view(digits, end.ptr));
}

}  // namespace

std::string id_of(std::string_view name) {
  std::string id = "$";
  if (std::ranges::all_of(name, is_id_character)) {
    id += name;
  } else {
    append_quoted(id, name);
  }
  return id;
}

void TextOut::natural(uint64_t number) {
  char digits[32];
  put(std::string_view(digits, std::to_chars(digits, digits + sizeof digits, number).ptr));
}

void TextOut::integer(int64_t number) {
  char digits[32];
  put(std::string_view(digits, std::to_chars(digits, digits + sizeof digits, number).ptr));
}

void TextOut::hex(uint64_t number) {
  char digits[32] = {'0', 'x'};
  put(std::string_view(digits, std::to_chars(digits + 2, digits + sizeof digits, number, 16).ptr));
}

void TextOut::f32(uint32_t bits) { put_float<float>(*this, bits, 23); }
void TextOut::f64(uint64_t bits) { put_float<double>(*this, bits, 52); }

void TextOut::name(std::string_view utf8) {
  std::string quoted;
  append_quoted(quoted, utf8);
  put(quoted);
}

void TextOut::data(std::span<const uint8_t> bytes) {
  std::string quoted = "\"";
  for (uint8_t byte : bytes) {
    if (byte == '"' || byte == '\\') {
      quoted += '\\';
      quoted += static_cast<char>(byte);
    } else if (byte < 0x20 || byte >= 0x7f) {
      append_escape(quoted, byte);
    } else {
      quoted += static_cast<char>(byte);
    }
  }
  quoted += '"';
  put(quoted);
}

void TextOut::line(uint32_t depth) {
  constexpr uint32_t kDeepest = 50;
  constexpr std::string_view kIndented =
      "\n                                                                                                    ";
  static_assert(kIndented.size() == 1 + 2 * kDeepest);
  put(kIndented.substr(0, 1 + 2 * std::min(depth, kDeepest)));
}

void TextOut::insert(size_t position, std::string_view text) {
  if (text.size() > limit_ - text_.size()) {
    over_ = true;
  } else {
    text_.insert(position, text);
  }
}

}  // namespace rotor::wasm::text
