#include "wasm/text/lexer.h"

#include <array>
#include <cstddef>
#include <span>

#include "wasm/reader.h"
#include "wasm/text/binary_codes.h"
#include "wasm/text/number.h"

namespace rotor::wasm::text {
namespace {

enum class CharClass : uint8_t { illegal, space, id, mark, open, close, quote, semicolon };

constexpr std::array<CharClass, 256> kClasses = [] {
  std::array<CharClass, 256> classes{};
  auto set = [&](std::string_view chars, CharClass value) {
    for (char c : chars) classes[static_cast<uint8_t>(c)] = value;
  };
  set(" \t\n\r", CharClass::space);
  for (char c = '0'; c <= '9'; ++c) classes[static_cast<uint8_t>(c)] = CharClass::id;
  for (char c = 'a'; c <= 'z'; ++c) classes[static_cast<uint8_t>(c)] = CharClass::id;
  for (char c = 'A'; c <= 'Z'; ++c) classes[static_cast<uint8_t>(c)] = CharClass::id;
  set("!#$%&'*+-./:<=>?@\\^_`|~", CharClass::id);
  set(",[]{}", CharClass::mark);
  set("(", CharClass::open);
  set(")", CharClass::close);
  set("\"", CharClass::quote);
  set(";", CharClass::semicolon);
  return classes;
}();

CharClass class_of(char c) { return kClasses[static_cast<uint8_t>(c)]; }

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
unsigned hex_value(char c) {
  if (c <= '9') return static_cast<unsigned>(c - '0');
  return static_cast<unsigned>((c | 0x20) - 'a') + 10;
}

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

bool is_known_annotation(std::string_view id) {
  return id == "custom" || id == "name" || id == kBranchHint || id == kDataCount;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) { out_.source = source; }
  TokenList run();

 private:
  bool fail(size_t offset, const char* message, ErrorKind kind = ErrorKind::malformed) {
    error_offset_ = offset;
    out_.error = message;
    out_.error_kind = kind;
    return false;
  }
  char at(size_t pos) const { return pos < out_.source.size() ? out_.source[pos] : '\0'; }
  void add(TokenKind kind, size_t begin, bool escaped = false) {
    if (skipping_ > 0) return;
    out_.tokens.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(pos_ - begin), kind, escaped});
  }
  void add_open(TokenKind kind, size_t begin) {
    if (skipping_ > 0) {
      ++skipping_;
      return;
    }
    opens_.push_back(static_cast<uint32_t>(out_.tokens.size()));
    out_.tokens.push_back({static_cast<uint32_t>(begin), 0, kind, false});
  }

  // Each of these reads the token that begins at pos_, and returns false on an error.
  bool lex_one();
  bool lex_block_comment();
  bool lex_open();
  bool lex_annotation();
  bool lex_word();
  bool lex_close();
  /// Scans the string that begins at `pos`, which is moved behind the closing quote.
  bool scan_string(size_t& pos, bool& escaped);
  bool scan_escape(size_t& pos);
  bool scan_unicode_escape(size_t& pos);
  bool classify_word(size_t begin, bool quoted, bool lone_string, bool escaped);
  bool add_id(size_t begin, bool escaped);
  void finish();

  TokenList out_;
  size_t pos_ = 0;
  std::vector<uint32_t> opens_;
  /// How many parentheses are open inside of an annotation that is left out, its own included.
  uint32_t skipping_ = 0;
  size_t skipped_offset_ = 0;
  size_t error_offset_ = 0;
};

TokenList Lexer::run() {
  std::string_view source = out_.source;
  if (source.size() > kMaxSourceBytes) {
    fail(0, "source text too long", ErrorKind::limit);
  } else if (!is_utf8(bytes_of(source))) {
    // `good` becomes the end of the longest prefix that is well-formed UTF-8.
    size_t good = 0;
    for (size_t length; good < source.size(); good += length) {
      length = 1;
      while (length <= 4 && !is_utf8(bytes_of(source.substr(good, length)))) ++length;
      if (length > 4) break;
    }
    fail(good, "malformed UTF-8 encoding");
  } else {
    out_.tokens.reserve(source.size() / 5 + 4);
    while (pos_ < source.size() && out_.tokens.size() < kMaxTokens && lex_one()) {
    }
    if (pos_ < source.size() && out_.error.empty()) fail(pos_, "source text has too many tokens", ErrorKind::limit);
    if (out_.error.empty() && skipping_ > 0) fail(skipped_offset_, "unclosed annotation");
  }
  finish();
  return std::move(out_);
}

void Lexer::finish() {
  bool is_error = !out_.error.empty();
  uint32_t end = static_cast<uint32_t>(is_error ? error_offset_ : out_.source.size());
  for (uint32_t open : opens_) {
    if (!is_error && out_.tokens[open].kind == TokenKind::annotation) {
      end = out_.tokens[open].offset;
      out_.error = "unclosed annotation";
    }
    out_.tokens[open].extent = static_cast<uint32_t>(out_.tokens.size());
  }
  for (int i = 0; i < 2; ++i) out_.tokens.push_back({end, 0, TokenKind::end, false});
}

bool Lexer::lex_one() {
  char c = out_.source[pos_];
  switch (class_of(c)) {
    case CharClass::space: ++pos_; return true;
    case CharClass::id:
    case CharClass::quote: return lex_word();
    case CharClass::open: return lex_open();
    case CharClass::close: return lex_close();
    case CharClass::semicolon:
      if (at(pos_ + 1) == ';') {
        size_t end = out_.source.find_first_of("\n\r", pos_);
        pos_ = end == std::string_view::npos ? out_.source.size() : end;
        return true;
      }
      [[fallthrough]];
    case CharClass::mark:
      ++pos_;
      add(TokenKind::reserved, pos_ - 1);
      return true;
    case CharClass::illegal: return fail(pos_, "illegal character");
  }
  return fail(pos_, "illegal character");
}

bool Lexer::lex_open() {
  size_t begin = pos_;
  if (at(pos_ + 1) == ';') return lex_block_comment();
  if (at(pos_ + 1) == '@') return lex_annotation();
  ++pos_;
  add_open(TokenKind::open, begin);
  return true;
}

bool Lexer::lex_close() {
  if (skipping_ > 0) {
    ++pos_;
    --skipping_;
    return true;
  }
  size_t begin = pos_++;
  if (opens_.empty()) return fail(begin, "unexpected token )");
  out_.tokens[opens_.back()].extent = static_cast<uint32_t>(out_.tokens.size());
  opens_.pop_back();
  add(TokenKind::close, begin);
  return true;
}

bool Lexer::lex_block_comment() {
  size_t begin = pos_;
  size_t depth = 0;
  do {
    pos_ = out_.source.find_first_of("(;", pos_);
    if (pos_ == std::string_view::npos) return fail(begin, "unclosed comment");
    if (out_.source[pos_] == '(' && at(pos_ + 1) == ';') {
      ++depth;
      pos_ += 2;
    } else if (out_.source[pos_] == ';' && at(pos_ + 1) == ')') {
      --depth;
      pos_ += 2;
    } else {
      ++pos_;
    }
  } while (depth > 0);
  return true;
}

bool Lexer::lex_annotation() {
  size_t begin = pos_;
  if (skipping_ > 0) {
    // Inside an annotation any token may stand, also a `(@` that begins no annotation.
    ++pos_;
    ++skipping_;
    return true;
  }
  pos_ += 2;
  if (at(pos_) == '"') {
    bool escaped = false;
    size_t end = pos_;
    if (!scan_string(end, escaped)) return fail(begin, "empty annotation id");
    pos_ = end;
  } else {
    while (pos_ < out_.source.size() && class_of(out_.source[pos_]) == CharClass::id) ++pos_;
  }
  std::string id = annotation_id(out_.source.substr(begin, pos_ - begin));
  if (id.empty()) return fail(begin, "empty annotation id");
  if (!is_utf8(bytes_of(id))) return fail(begin, "malformed UTF-8 encoding");
  if (is_known_annotation(id)) {
    add_open(TokenKind::annotation, begin);
  } else {
    skipping_ = 1;
    skipped_offset_ = begin;
  }
  return true;
}

bool Lexer::lex_word() {
  size_t begin = pos_;
  bool quoted = false;
  bool escaped = false;
  size_t first_string_end = 0;
  while (pos_ < out_.source.size()) {
    CharClass next = class_of(out_.source[pos_]);
    if (next == CharClass::id) {
      ++pos_;
    } else if (next == CharClass::quote) {
      bool is_id = pos_ == begin + 1 && out_.source[begin] == '$';
      quoted = true;
      if (!scan_string(pos_, escaped)) return is_id ? fail(begin, "empty identifier") : false;
      if (first_string_end == 0) first_string_end = pos_;
    } else {
      break;
    }
  }
  return classify_word(begin, quoted, first_string_end == pos_, escaped);
}

bool Lexer::classify_word(size_t begin, bool quoted, bool lone_string, bool escaped) {
  if (skipping_ > 0) return true;
  std::string_view source = out_.source;
  std::string_view word = source.substr(begin, pos_ - begin);
  if (quoted) {
    if (lone_string && word[0] == '"') {
      add(TokenKind::string, begin, escaped);
      return true;
    }
    if (lone_string && word.starts_with("$\"")) return add_id(begin, escaped);
    add(TokenKind::reserved, begin);
    return true;
  }
  if (word[0] == '$') return word.size() == 1 ? fail(begin, "empty identifier") : add_id(begin, false);
  TokenKind kind = TokenKind::reserved;
  switch (number_form(word)) {
    case NumberForm::natural: kind = TokenKind::natural; break;
    case NumberForm::integer: kind = TokenKind::integer; break;
    case NumberForm::real: kind = TokenKind::real; break;
    case NumberForm::none:
      if (word[0] >= 'a' && word[0] <= 'z') kind = TokenKind::keyword;
      break;
  }
  add(kind, begin);
  return true;
}

bool Lexer::add_id(size_t begin, bool escaped) {
  if (at(begin + 1) == '"') {
    std::string name;
    decode_string(out_.source.substr(begin + 1, pos_ - begin - 1), name);
    if (name.empty()) return fail(begin, "empty identifier");
    if (!is_utf8(bytes_of(name))) return fail(begin, "malformed UTF-8 encoding");
  }
  add(TokenKind::id, begin, escaped);
  return true;
}

bool Lexer::scan_string(size_t& pos, bool& escaped) {
  size_t begin = pos++;
  while (pos < out_.source.size()) {
    char c = out_.source[pos];
    if (c == '"') {
      ++pos;
      return true;
    }
    if (c == '\n') break;
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) return fail(pos, "illegal control character in string literal");
    ++pos;
    if (c == '\\') {
      escaped = true;
      if (!scan_escape(pos)) return false;
    }
  }
  return fail(begin, "unclosed string literal");
}

bool Lexer::scan_escape(size_t& pos) {
  switch (char c = at(pos)) {
    case 't':
    case 'n':
    case 'r':
    case '"':
    case '\'':
    case '\\': ++pos; return true;
    case 'u': return scan_unicode_escape(pos);
    default:
      if (!is_hex(c) || !is_hex(at(pos + 1))) return fail(pos - 1, "illegal escape");
      pos += 2;
      return true;
  }
}

bool Lexer::scan_unicode_escape(size_t& pos) {
  size_t begin = pos - 1;
  if (at(++pos) != '{') return fail(begin, "illegal escape");
  uint32_t value = 0;
  bool after_digit = false;
  for (++pos; at(pos) != '}'; ++pos) {
    char c = at(pos);
    if (c == '_' && after_digit) {
      after_digit = false;
      continue;
    }
    if (!is_hex(c)) return fail(begin, "illegal escape");
    after_digit = true;
    value = value << 4 | hex_value(c);
    if (value > 0x10ffff) return fail(begin, "illegal escape");
  }
  if (!after_digit || (value >= 0xd800 && value < 0xe000)) return fail(begin, "illegal escape");
  ++pos;
  return true;
}

void append_utf8(uint32_t code, std::string& out) {
  auto add = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xc0 | code >> 6);
    add(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    add(0xe0 | code >> 12);
    add(0x80 | (code >> 6 & 0x3f));
    add(0x80 | (code & 0x3f));
  } else {
    add(0xf0 | code >> 18);
    add(0x80 | (code >> 12 & 0x3f));
    add(0x80 | (code >> 6 & 0x3f));
    add(0x80 | (code & 0x3f));
  }
}

}  // namespace

std::string_view TokenList::text(const Token& token) const {
  switch (token.kind) {
    case TokenKind::open:
    case TokenKind::close: return source.substr(token.offset, 1);
    case TokenKind::end: return {};
    case TokenKind::annotation: {
      // The token's extent is its partner, so the id is scanned again: a string up to the first quote that no backslash
      // escapes.
      size_t end = token.offset + 2;
      if (source[end] == '"') {
        for (++end; source[end] != '"'; ++end)
          if (source[end] == '\\') ++end;
        ++end;
      } else {
        while (end < source.size() && class_of(source[end]) == CharClass::id) ++end;
      }
      return source.substr(token.offset, end - token.offset);
    }
    default: return source.substr(token.offset, token.extent);
  }
}

bool is_id_character(char c) { return class_of(c) == CharClass::id; }

TokenList lex(std::string_view source) { return Lexer(source).run(); }

void decode_string(std::string_view quoted, std::string& out) {
  std::string_view body = quoted.substr(1, quoted.size() - 2);
  for (size_t i = 0; i < body.size();) {
    size_t plain = body.find('\\', i);
    out.append(body.substr(i, plain - i));
    if (plain == std::string_view::npos) return;
    char c = body[plain + 1];
    i = plain + 2;
    switch (c) {
      case 't': out.push_back('\t'); break;
      case 'n': out.push_back('\n'); break;
      case 'r': out.push_back('\r'); break;
      case '"':
      case '\'':
      case '\\': out.push_back(c); break;
      case 'u': {
        uint32_t code = 0;
        for (++i; body[i] != '}'; ++i)
          if (body[i] != '_') code = code << 4 | hex_value(body[i]);
        ++i;
        append_utf8(code, out);
        break;
      }
      default: out.push_back(static_cast<char>(hex_value(c) << 4 | hex_value(body[plain + 2]))); ++i;
    }
  }
}

std::string annotation_id(std::string_view text) {
  text.remove_prefix(2);
  if (!text.starts_with('"')) return std::string(text);
  std::string id;
  decode_string(text, id);
  return id;
}

}  // namespace rotor::wasm::text
