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

/// Longest source, in bytes, and most tokens of one: each takes 12 bytes, and may be one byte long.
inline constexpr size_t kMaxSourceBytes = size_t{1} << 29;
inline constexpr size_t kMaxTokens = size_t{1} << 26;

enum class TokenKind : uint8_t {
  open,        ///< `(`
  close,       ///< `)`
  annotation,  ///< `(@id` of an annotation that we know; it has a `)` as an `open` has
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
  /// Length in bytes; of an `open` or `annotation`: the index of the `close` (or of the end, if there is none).
  uint32_t extent = 0;
  TokenKind kind = TokenKind::end;
  /// Of a string, or of an id in quotes: has escapes.
  bool escaped = false;
};

struct TokenList {
  std::string_view source;
  /// Ends with two `end` tokens, so that one may look past the first.
  std::vector<Token> tokens;
  /// Why the list ends where it does, if not with the source.
  std::string error;
  ErrorKind error_kind = ErrorKind::malformed;  ///< or `limit`

  /// The source of a token; of an annotation: with its `(@`.
  std::string_view text(const Token& token) const;
};

/// Annotations other than `@custom`, `@name` and `@metadata.code.branch_hint` are checked and left out.
TokenList lex(std::string_view source);

/// Whether an id may hold this character without quotes.
bool is_id_character(char c);
/// The bytes of a string token (`"..."`, with quotes), or of an id without its `$`. Appends to `out`.
void decode_string(std::string_view quoted, std::string& out);
/// The id of an annotation token: of `(@name` or `(@"name"`.
std::string annotation_id(std::string_view text);

}  // namespace rotor::wasm::text
