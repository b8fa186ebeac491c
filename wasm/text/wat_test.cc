#include "rotor/wat.h"

#include <gtest/gtest.h>

#include "wasm/testing/module.h"

namespace rotor {
namespace {

TEST(Wat, Positions) {
  std::string_view text = "a\né\tb\r\nc";
  EXPECT_EQ(text_position(text, 0), (TextPosition{1, 1}));
  EXPECT_EQ(text_position(text, 2), (TextPosition{2, 1}));
  EXPECT_EQ(text_position(text, 4), (TextPosition{2, 2}));
  EXPECT_EQ(text_position(text, 5), (TextPosition{2, 3}));
  EXPECT_EQ(text_position(text, 8), (TextPosition{3, 1}));
  EXPECT_EQ(text_position(text, 1000), (TextPosition{3, 2}));
}

TEST(Wat, ErrorsShowTheLine) {
  std::string_view text = "(module\n\t(func é))";
  auto module = parse_wat(text);
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().kind, ErrorKind::malformed);
  EXPECT_EQ(render_text_error("x.wat", text, module.error()),
            "x.wat:2:8: error: illegal character\n\t(func é))\n\t      ^");
}

TEST(Wat, ErrorsAtTheEnd) {
  std::string_view text = "(module\n(func\n";
  EXPECT_EQ(render_text_error("x", text, parse_wat(text).error()),
            "x:3:1: error: unexpected token: the text ends, expected an instruction\n\n^");
}

TEST(Wat, OfLongLinesAPartIsShown) {
  std::string text = std::string(1000, ' ') + "(bad)" + std::string(1000, ' ');
  std::string shown = render_text_error("x", text, parse_wat(text).error());
  EXPECT_TRUE(shown.starts_with("x:1:1002: error: unknown operator bad\n" + std::string(99, ' ') + "(bad) "));
  EXPECT_LT(shown.size(), 350u);
}

TEST(Wat, SourceMap) {
  std::string_view text = "(func (drop (i32.const 7)))";
  auto module = parse_wat(text);
  ASSERT_TRUE(module);
  // ..., code: 0a 07 01 05 00 41 07 1a 0b
  uint64_t size = module->bytes.size();
  EXPECT_EQ(module->source_map.text_offset(size - 4), text.find("(i32.const"));
  EXPECT_EQ(module->source_map.text_offset(size - 3), text.find("(i32.const"));
  EXPECT_EQ(module->source_map.text_offset(size - 2), text.find("(drop"));
  EXPECT_EQ(module->source_map.text_offset(size - 1), text.size() - 1);
  EXPECT_EQ(module->source_map.text_offset(0), 0u);
}

TEST(Wat, EmptyModule) {
  EXPECT_EQ(wat_to_wasm("").value(), wasm::test::kHeader);
  EXPECT_EQ(wat_to_wasm("(module)").value(), wasm::test::kHeader);
  EXPECT_EQ(wat_to_wasm(" (module $m) ;; end").value(), wasm::test::kHeader);
  EXPECT_FALSE(wat_to_wasm("(module) (module)"));
  EXPECT_FALSE(wat_to_wasm("(module"));
  EXPECT_FALSE(wat_to_wasm("module"));
}

}  // namespace
}  // namespace rotor
