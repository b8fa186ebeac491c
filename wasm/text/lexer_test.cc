#include "wasm/text/lexer.h"

#include <gtest/gtest.h>

namespace rotor::wasm::text {
namespace {

/// The tokens of a text as one line: kinds by a letter, then the text.
std::string show(std::string_view source) {
  constexpr const char* kKinds[] = {"(", ")", "@", "k", "$", "s", "n", "i", "r", "?", "end"};
  TokenList list = lex(source);
  std::string out;
  for (size_t i = 0; i + 1 < list.tokens.size(); ++i) {
    const Token& token = list.tokens[i];
    if (!out.empty()) out += ' ';
    out += kKinds[static_cast<size_t>(token.kind)];
    if (token.kind != TokenKind::open && token.kind != TokenKind::close && token.kind != TokenKind::end)
      out += ":" + std::string(list.text(token));
  }
  return out;
}

struct Failure {
  std::string message;
  uint32_t offset;
  bool operator==(const Failure&) const = default;
};
Failure failure(std::string_view source) {
  TokenList list = lex(source);
  return {list.error, list.tokens.back().offset};
}

TEST(Lexer, Kinds) {
  EXPECT_EQ(show("(func $f 1 +2 0x3.p4 nan:0x1 \"s\" 8q)"),
            "( k:func $:$f n:1 i:+2 r:0x3.p4 r:nan:0x1 s:\"s\" ?:8q ) end");
  EXPECT_EQ(show(""), "end");
  EXPECT_EQ(show("-inf nan -nan:0xf inf2 1_000 1__0 _1 0x 1. 1.e3 1e 0x1p+3"),
            "r:-inf r:nan r:-nan:0xf k:inf2 n:1_000 ?:1__0 ?:_1 ?:0x r:1. r:1.e3 ?:1e r:0x1p+3 end");
}

TEST(Lexer, Comments) {
  EXPECT_EQ(show("a;;b (;\nc(;d (;e;) ;;;)f"), "k:a k:c k:f end");
  EXPECT_EQ(show("a;;b\rc"), "k:a k:c end");
  EXPECT_EQ(failure("a (; (; ;)"), (Failure{"unclosed comment", 2}));
}

TEST(Lexer, TokensNeedSeparators) {
  EXPECT_EQ(show("data\"a\""), "?:data\"a\" end");
  EXPECT_EQ(show("\"a\"\"b\""), "?:\"a\"\"b\" end");
  EXPECT_EQ(show("(a)b(c)"), "( k:a ) k:b ( k:c ) end");
  EXPECT_EQ(show("a,b;c"), "k:a ?:, k:b ?:; k:c end");
}

TEST(Lexer, ParenthesesKnowTheirPartner) {
  TokenList list = lex("(a (b) c)");
  EXPECT_EQ(list.tokens[0].extent, 6u);
  EXPECT_EQ(list.tokens[2].extent, 4u);
  // One that stays open leads to the end.
  list = lex("(a (b)");
  EXPECT_EQ(list.tokens[0].extent, 5u);
  EXPECT_EQ(list.tokens[5].kind, TokenKind::end);
  EXPECT_EQ(list.error, "");
  EXPECT_EQ(failure("a)"), (Failure{"unexpected token )", 1}));
}

TEST(Lexer, Strings) {
  std::string bytes;
  decode_string(R"("a\t\n\r\"\'\\\00\fF\u{0}\u{3bB}\u{1_F600}é")", bytes);
  EXPECT_EQ(bytes, std::string("a\t\n\r\"'\\\0\xff\0\xce\xbb\xf0\x9f\x98\x80\xc3\xa9", 18));
  EXPECT_EQ(failure("\"a"), (Failure{"unclosed string literal", 0}));
  EXPECT_EQ(failure("\"a\nb\""), (Failure{"unclosed string literal", 0}));
  EXPECT_EQ(failure("\"a\x01\""), (Failure{"illegal control character in string literal", 2}));
  for (const char* escape :
       {"\\q", "\\0", "\\0g", "\\u", "\\u{}", "\\u{d800}", "\\u{110000}", "\\u{1__0}", "\\u{1_}", "\\u{1"})
    EXPECT_EQ(failure("\"" + std::string(escape) + "\""), (Failure{"illegal escape", 1})) << escape;
  EXPECT_EQ(failure("\"\\"), (Failure{"illegal escape", 1}));
}

TEST(Lexer, Ids) {
  EXPECT_EQ(show("$\"a b\" $a\"b\" $!#%"), "$:$\"a b\" ?:$a\"b\" $:$!#% end");
  EXPECT_EQ(failure(" $"), (Failure{"empty identifier", 1}));
  EXPECT_EQ(failure("$\"\""), (Failure{"empty identifier", 0}));
  EXPECT_EQ(failure("$\"\n\""), (Failure{"empty identifier", 0}));
  EXPECT_EQ(failure("$\"\\ef\""), (Failure{"malformed UTF-8 encoding", 0}));
}

TEST(Lexer, SourceIsUtf8) {
  EXPECT_EQ(failure(";; é\xff"), (Failure{"malformed UTF-8 encoding", 5}));
  EXPECT_EQ(failure("a é"), (Failure{"illegal character", 2}));
  EXPECT_EQ(failure("a\x7f"), (Failure{"illegal character", 1}));
  EXPECT_EQ(show(";; é\n\"é\""), "s:\"é\" end");
}

TEST(Lexer, Annotations) {
  // What nobody knows is left out, whatever tokens are in it.
  EXPECT_EQ(show("a (@x (y) 8q \")\" ,; (@) (; ) ;) ) b"), "k:a k:b end");
  EXPECT_EQ(show("(@\"name\" \"x\") (@custom)"), "@:(@\"name\" s:\"x\" ) @:(@custom ) end");
  EXPECT_EQ(annotation_id("(@\"na\\6de\""), "name");
  EXPECT_EQ(failure("(@)").message, "empty annotation id");
  EXPECT_EQ(failure("(@ x)").message, "empty annotation id");
  EXPECT_EQ(failure("(@\"\")").message, "empty annotation id");
  EXPECT_EQ(failure("a (@x (y)"), (Failure{"unclosed annotation", 2}));
  EXPECT_EQ(failure("a (@name \"x\""), (Failure{"unclosed annotation", 2}));
}

TEST(Lexer, TooManyTokens) {
  TokenList list = lex(std::string(kMaxTokens + 1, ','));
  EXPECT_EQ(list.error, "source text has too many tokens");
  EXPECT_EQ(list.error_kind, ErrorKind::limit);
}

TEST(Lexer, DeepNestingIsFine) {
  std::string deep(1'000'000, '(');
  EXPECT_EQ(lex(deep).tokens.size(), 1'000'002u);
  std::string comments;
  for (int i = 0; i < 1'000'000; ++i) comments += "(;";
  EXPECT_EQ(lex(comments).error, "unclosed comment");
}

}  // namespace
}  // namespace rotor::wasm::text
