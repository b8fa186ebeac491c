#include "wasm/text/cursor.h"

#include <span>

#include "rotor/printable.h"
#include "wasm/reader.h"
#include "wasm/text/keywords.h"
#include "wasm/text/number.h"

namespace rotor::wasm::text {
namespace {

/// Cuts long tokens: a message is one line.
std::string shorten(std::string_view text) {
  constexpr size_t kMost = 60;
  return printable(text, kMost);
}

}  // namespace

void Cursor::skip_parenthesis() {
  const Token& end = list_.tokens[peek().extent];
  seek(peek().extent + (end.kind == TokenKind::close));
}

std::string_view Cursor::id_name(const Token& token) {
  std::string_view name = text(token).substr(1);
  if (!name.starts_with('"')) return name;
  if (!token.escaped) return name.substr(1, name.size() - 2);
  decode_string(name, decoded_.emplace_back());
  return decoded_.back();
}

std::optional<std::string_view> Cursor::take_id() {
  if (!at(TokenKind::id)) return std::nullopt;
  return id_name(next());
}

std::string Cursor::expect_string() {
  std::string bytes;
  if (at(TokenKind::string)) {
    decode_string(text(next()), bytes);
  } else {
    unexpected("a string");
  }
  return bytes;
}

std::string Cursor::expect_name() {
  uint32_t begin = offset();
  std::string name = expect_string();
  if (!is_utf8(name)) fail(begin, "malformed UTF-8 encoding");
  return name;
}

uint64_t Cursor::expect_natural(uint64_t max, const char* type) {
  if (!at(TokenKind::natural)) {
    unexpected("a number");
    return 0;
  }
  auto value = parse_natural(text(peek()), max);
  if (!value) fail(offset(), std::string(type) + " constant out of range");
  next();
  return value.value_or(0);
}

void Cursor::fail(uint64_t offset, std::string message, ErrorKind kind) {
  if (!error_) error_ = Error(kind, std::move(message), offset);
  pos_ = static_cast<uint32_t>(list_.tokens.size() - 2);
}

void Cursor::unexpected(std::string_view wanted) {
  const Token& token = peek();
  std::string_view word = text(token);
  ErrorKind kind = ErrorKind::malformed;
  std::string message;
  switch (token.kind) {
    case TokenKind::end:
      if (list_.error.empty()) {
        message = "unexpected token: the text ends, expected " + std::string(wanted);
      } else {
        message = list_.error;
        kind = list_.error_kind;
      }
      break;
    case TokenKind::annotation: message = "misplaced @" + shorten(annotation_id(word)) + " annotation"; break;
    case TokenKind::reserved: message = "unknown operator " + shorten(word); break;
    case TokenKind::keyword:
      if (!is_known_word(word)) {
        message = "unknown operator " + shorten(word);
        break;
      }
      [[fallthrough]];
    default: message = "unexpected token " + shorten(word) + ", expected " + std::string(wanted);
  }
  fail(token.offset, std::move(message), kind);
}

bool is_utf8(std::string_view bytes) {
  return wasm::is_utf8(std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
}

std::string show_id(std::string_view name) {
  constexpr std::string_view kQuoted = " \"(),;[]{}\\";
  bool needs_quotes = false;
  std::string quoted;
  for (char c : name) {
    const uint8_t byte = static_cast<uint8_t>(c);
    needs_quotes |= byte < 0x20 || byte >= 0x7f || kQuoted.contains(c);
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return needs_quotes ? "$\"" + shorten(quoted) + "\"" : "$" + shorten(name);
}

}  // namespace rotor::wasm::text
