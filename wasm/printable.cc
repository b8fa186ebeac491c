#include "wasm/printable.h"

#include <charconv>
#include <cstdint>
#include <iterator>

namespace rotor {
namespace wasm {
namespace {

struct Character {
  uint32_t code = 0;
  size_t length = 0;  ///< in bytes; 0: no UTF-8
};

/// Returns the first character of a text. Pre: `text` is not empty.
Character first_of(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < length) return {};
  uint32_t code = byte(0) & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[length] || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return {};
  return {code, length};
}

/// Ranges of characters without a shape of their own, ascending.
constexpr uint32_t kUnprintable[][2] = {
    {0x00, 0x1f},        // controls
    {0x7f, 0x9f},        // DEL and more controls
    {0xad, 0xad},        // soft hyphen
    {0x61c, 0x61c},      // a mark of direction
    {0x180e, 0x180e},    // of no width
    {0x200b, 0x200f},    // of no width, marks of direction
    {0x2028, 0x202e},    // line ends, marks of direction
    {0x2060, 0x206f},    // of no width, marks of direction
    {0xfeff, 0xfeff},    // byte order mark
    {0xfff0, 0xfffb},    // annotation
    {0xe0000, 0xe0fff},  // tags
};

bool is_printable(uint32_t code) {
  if (code >= 0x20 && code < 0x7f) return true;
  for (const auto& [first, last] : kUnprintable)
    if (code >= first && code <= last) return false;
  return (code & 0xfffe) != 0xfffe;  // no characters at all
}

void append_hex(std::string& out, uint32_t number) {
  char digits[8];
  out.append(digits, std::to_chars(digits, std::end(digits), number, 16).ptr);
}

void append_escape(std::string& out, std::string_view bytes, Character character) {
  if (character.length == 0) {
    out += "\\x";
    append_hex(out, static_cast<uint8_t>(bytes[0]));
  } else if (character.code == '\n') {
    out += "\\n";
  } else if (character.code == '\r') {
    out += "\\r";
  } else if (character.code == '\t') {
    out += "\\t";
  } else {
    out += "\\u{";
    append_hex(out, character.code);
    out += '}';
  }
}

}  // namespace

size_t unprintable_length(std::string_view text) {
  const Character character = first_of(text);
  if (character.length == 0) return 1;
  return is_printable(character.code) ? 0 : character.length;
}

}  // namespace wasm

std::string printable(std::string_view text, size_t max_bytes) {
  constexpr std::string_view kEllipsis = "…";
  std::string out;
  size_t cut = 0;  // where an ellipsis still fits
  while (!text.empty()) {
    const wasm::Character character = wasm::first_of(text);
    const size_t length = character.length ? character.length : 1;
    if (out.size() + kEllipsis.size() <= max_bytes) cut = out.size();
    if (character.length != 0 && wasm::is_printable(character.code))
      out += text.substr(0, length);
    else
      wasm::append_escape(out, text, character);
    if (out.size() > max_bytes) {
      out.resize(cut);
      out += kEllipsis;
      return out;
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string printable_lines(std::string_view text) {
  std::string out;
  for (size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1))
    (out += printable(text.substr(0, end))) += '\n';
  return out + printable(text);
}

std::string printable_name(std::string_view name) { return printable(name, kShownNameBytes); }

}  // namespace rotor
