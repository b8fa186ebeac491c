// Tokens of the text format (spec section 6.3). A source becomes one flat array of tokens, with each parenthesis
// knowing its partner: the parser skips what it does not want yet in one step, and looks ahead as far as it likes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rotor/result.h"

namespace rotor::wasm::text {

/// The longest source, in bytes, and the most tokens of one: a token takes 12 bytes of memory, and may be one byte long
/// in the source.
inline constexpr size_t kMaxSourceBytes = size_t{1} << 29;
inline constexpr size_t kMaxTokens = size_t{1} << 26;

enum class TokenKind : uint8_t {
  open,        ///< `(`
  close,       ///< `)`
  annotation,  ///< `(@id` of an annotation that is kept; a `)` is its partner, as for an `open`
  keyword,     ///< begins with a lower-case letter
  id,          ///< `$name` or `$"name"`, never empty
  string,      ///< with its quotes; escapes are well-formed
  natural,     ///< an integer without sign
  integer,     ///< one with a sign
  real,        ///< a number that is only a floating-point one
  reserved,    ///< what looks like a token and is none
  end,         ///< of the source, or the place of the error in `TokenList`
};

struct Token {
  uint32_t offset = 0;
  /// Length in bytes; for an `open` or `annotation`, the index of the `close` (or of the end, if there is none).
  uint32_t extent = 0;
  TokenKind kind = TokenKind::end;
  /// Whether a string, or an id in quotes, has escapes.
  bool escaped = false;
};

struct TokenList {
  std::string_view source;
  /// Ends with two `end` tokens, so that one may look past the first.
  std::vector<Token> tokens;
  /// Says why the list ends before the source does; empty if it does not.
  std::string error;
  ErrorKind error_kind = ErrorKind::malformed;  ///< or `limit`

  /// Returns the source of a token; an annotation's begins with its `(@`.
  std::string_view text(const Token& token) const;
};

/// Splits a source into tokens. Annotations other than `@custom`, `@name` and `@metadata.code.branch_hint` are checked
/// and left out.
TokenList lex(std::string_view source);

/// Returns whether an id may hold this character without quotes.
bool is_id_character(char c);
/// Appends to `out` the bytes of a string token (`"..."`, with quotes), or of an id without its `$`.
void decode_string(std::string_view quoted, std::string& out);
/// Returns the id of an annotation token, `(@name` or `(@"name"`.
std::string annotation_id(std::string_view text);

}  // namespace rotor::wasm::text
