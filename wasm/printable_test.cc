#include "wasm/printable.h"

#include <gtest/gtest.h>

#include <string>

namespace rotor {
namespace {

using namespace std::string_literals;

TEST(Printable, WhatHasAShapeStays) {
  for (std::string text : {"", "a b", "\\n \\u{1b}", "\"quoted\" <b>&amp;</b>", "Größe é ß 日本語 🎉 ∑", "e\xcc\x81"})
    EXPECT_EQ(printable(text), text);
}

TEST(Printable, WhatHasNoneIsEscaped) {
  EXPECT_EQ(printable("a\nb\rc\td\0e"s), "a\\nb\\rc\\td\\u{0}e");
  EXPECT_EQ(printable("\x1b[31mred\x1b[0m\x07\x7f"), "\\u{1b}[31mred\\u{1b}[0m\\u{7}\\u{7f}");
  EXPECT_EQ(printable("\xc2\x80\xc2\x9b"
                      "1m\xc2\x9f\xc2\xa0\xc2\xad"),
            "\\u{80}\\u{9b}1m\\u{9f}\xc2\xa0\\u{ad}");
  EXPECT_EQ(printable("\u202a\u202b\u202c\u202d\u202e"), "\\u{202a}\\u{202b}\\u{202c}\\u{202d}\\u{202e}");
  EXPECT_EQ(printable("\u2066\u2067\u2068\u2069\u200e\u200f\u061c"),
            "\\u{2066}\\u{2067}\\u{2068}\\u{2069}\\u{200e}\\u{200f}\\u{61c}");
  EXPECT_EQ(printable("\u2028\u2029\u200b\u2060\ufeff\uffff\U000e0041\U0010fffe"),
            "\\u{2028}\\u{2029}\\u{200b}\\u{2060}\\u{feff}\\u{ffff}\\u{e0041}\\u{10fffe}");
}

TEST(Printable, EachByteThatIsNoUtf8IsEscaped) {
  EXPECT_EQ(printable("a\xff\xfe z"), "a\\xff\\xfe z");
  EXPECT_EQ(printable("\xc3"), "\\xc3");           // cut short
  EXPECT_EQ(printable("\xe2\x80"), "\\xe2\\x80");  // likewise
  EXPECT_EQ(printable("\x9b"
                      "1m"),
            "\\x9b1m");                                              // a control of terminals with 8 bits
  EXPECT_EQ(printable("\xc0\x8a"), "\\xc0\\x8a");                    // a newline, longer than need be
  EXPECT_EQ(printable("\xe0\x80\x8a"), "\\xe0\\x80\\x8a");           // and again
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // half a surrogate pair
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // past the last character
  EXPECT_EQ(printable("\xc3("), "\\xc3(");
}

TEST(Printable, EveryCharacterComesOutAloneOrEscaped) {
  for (uint32_t code = 0; code < 0x110000; ++code) {
    if (code >= 0xd800 && code < 0xe000) continue;
    std::string text;
    if (code < 0x80) {
      text = {static_cast<char>(code)};
    } else if (code < 0x800) {
      text = {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
    } else if (code < 0x10000) {
      text = {static_cast<char>(0xe0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3f)),
              static_cast<char>(0x80 | (code & 0x3f))};
    } else {
      text = {static_cast<char>(0xf0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 0x3f)),
              static_cast<char>(0x80 | (code >> 6 & 0x3f)), static_cast<char>(0x80 | (code & 0x3f))};
    }
    const std::string shown = printable(text);
    ASSERT_EQ(printable(shown), shown) << code;
    ASSERT_EQ(shown == text, wasm::unprintable_length(text) == 0) << code;
    const bool is_control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    ASSERT_TRUE(!is_control || shown != text) << code;
  }
}

TEST(Printable, LinesStayLines) {
  EXPECT_EQ(printable_lines("a\tb\n\x1b\n\nd"), "a\\tb\n\\u{1b}\n\nd");
  EXPECT_EQ(printable_lines(""), "");
  EXPECT_EQ(printable_lines("\n"), "\n");
}

TEST(Printable, LengthsAreBound) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdefg", 6), "abc…");
  EXPECT_EQ(printable("abc\x1b"
                      "def",
                      9),
            "abc…");                     // no half of an escape
  EXPECT_EQ(printable("ééé", 5), "é…");  // nor of a character
  EXPECT_EQ(printable("ééé", 6), "ééé");
  for (size_t bytes : {3u, 4u, 5u, 100u, 511u, 512u})
    for (const char* part : {"a", "é", "\x1b", "\U000e0041", "\xff"}) {
      std::string text;
      for (int i = 0; i < 1000; ++i) text += part;
      EXPECT_LE(printable(text, bytes).size(), bytes);
      EXPECT_TRUE(printable(text, bytes).ends_with("…"));
    }
  EXPECT_EQ(printable_name(std::string(kShownNameBytes, 'n')), std::string(kShownNameBytes, 'n'));
  EXPECT_EQ(printable_name(std::string(1 << 20, 'n')), std::string(kShownNameBytes - 3, 'n') + "…");
}

}  // namespace
}  // namespace rotor
