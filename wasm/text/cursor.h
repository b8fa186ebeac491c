// Walks a token list. The first error sticks: from then on only the end is seen, so that every loop of a parser ends
// and callers need not ask after each step.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "rotor/result.h"
#include "wasm/text/lexer.h"

namespace rotor::wasm::text {

class Cursor {
 public:
  explicit Cursor(const TokenList& list, uint32_t begin = 0) : list_(list), pos_(begin) {}

  // The tokens ahead.
  const Token& peek(uint32_t ahead = 0) const { return list_.tokens[pos_ + ahead]; }
  const Token& token(uint32_t position) const { return list_.tokens[position]; }
  std::string_view text(const Token& token) const { return list_.text(token); }
  uint32_t offset() const { return peek().offset; }
  bool at(TokenKind kind) const { return peek().kind == kind; }
  bool at_keyword(std::string_view word) const { return at(TokenKind::keyword) && text(peek()) == word; }
  /// Returns whether `(word` is next.
  bool at_open(std::string_view word) const {
    return at(TokenKind::open) && peek(1).kind == TokenKind::keyword && text(peek(1)) == word;
  }
  /// Returns whether `(@id` is next.
  bool at_annotation(std::string_view id) const {
    return at(TokenKind::annotation) && annotation_id(text(peek())) == id;
  }
  bool at_index() const { return at(TokenKind::natural) || at(TokenKind::id); }

  // Moving on.
  uint32_t position() const { return pos_; }
  void seek(uint32_t position) {
    if (!error_) pos_ = position;
  }
  Token next() {
    Token token = peek();
    if (token.kind != TokenKind::end) ++pos_;
    return token;
  }
  /// Moves behind the `)` that closes the parenthesis that is next.
  void skip_parenthesis();
  bool take(TokenKind kind) { return at(kind) && advance(1); }
  bool take_keyword(std::string_view word) { return at_keyword(word) && advance(1); }
  bool take_open(std::string_view word) { return at_open(word) && advance(2); }
  void expect_close() {
    if (!take(TokenKind::close)) unexpected(")");
  }
  void expect_open(std::string_view word) {
    if (!take_open(word)) unexpected("(" + std::string(word));
  }

  /// Returns the name of an id token; it lives as long as the cursor.
  std::string_view id_name(const Token& token);
  /// Takes the next token if it is an id, and returns its name.
  std::optional<std::string_view> take_id();
  /// Takes a string and returns its bytes.
  std::string expect_string();
  /// Takes a string that must be UTF-8.
  std::string expect_name();
  /// Takes a natural number up to `max`; the error names `type` ("i32").
  uint64_t expect_natural(uint64_t max, const char* type);

  // Errors.
  bool failed() const { return error_.has_value(); }
  void fail(uint64_t offset, std::string message, ErrorKind kind = ErrorKind::malformed);
  /// Refuses the next token; `wanted` says what would have been right.
  void unexpected(std::string_view wanted);
  Error take_error() { return std::move(*error_); }

 private:
  bool advance(uint32_t count) {
    pos_ += count;
    return true;
  }

  const TokenList& list_;
  uint32_t pos_;
  std::optional<Error> error_;
  std::deque<std::string> decoded_;
};

bool is_utf8(std::string_view bytes);

/// Returns a name as it is shown: `$name`, with quotes where it needs them.
std::string show_id(std::string_view name);

}  // namespace rotor::wasm::text
