#include "tools/rotor/value_text.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>

namespace rotor::cli {
namespace {

uint64_t bits_of(ValType type, std::string_view text) {
  auto value = parse_value(type, text);
  EXPECT_TRUE(value) << text;
  return value ? value->bits() : 0xbad;
}

TEST(ValueText, WhatIsNoValue) {
  for (const char* text : {"",    " 1",  "1 ",  "1x",         "0x",          "--1",           "+-1",
                           "-",   "+",   "_1",  "1_",         "1__0",        "0x_1",          "1.0",
                           "1e3", "0b1", "inf", "4294967296", "-2147483649", "0x1_0000_0000", "99999999999999999999"})
    EXPECT_FALSE(parse_value(ValType::i32, text)) << text;
  for (const char* text : {"18446744073709551616", "-9223372036854775809", "-0x8000000000000001", "x"})
    EXPECT_FALSE(parse_value(ValType::i64, text)) << text;
  for (const char* text : {"",        " 1",    "1 ",           "--1", "nan()",   "nan(1)", "nan:", "nan:0x",
                           "nan:0x0", "nan:1", "nan:0x800000", "Inf", "infinit", "INF",    "1e",   "0x",
                           "1e39",    "-1e39", "1f",           "_1",  "1_",      "e1",     "."})
    EXPECT_FALSE(parse_value(ValType::f32, text)) << text;
  for (const char* text : {"nan:0x10000000000000", "1e309"}) EXPECT_FALSE(parse_value(ValType::f64, text)) << text;
  for (const char* text : {"", "i32x4", "i32x4 ", "i32x4 1 2 3", "i32x4 1 2 3 4 5", "i32x4 1 2 3 4 ", "i32x4 1  2 3 4",
                           "i31x4 1 2 3 4", "i8x16:256,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0", "i64x2:1,2,", "1 2 3 4", "0"})
    EXPECT_FALSE(parse_value(ValType::v128, text)) << text;
  for (const char* text : {"", "extern", "extern -1", "func", "-1", "18446744073709551615"})
    EXPECT_FALSE(parse_value(ValType::externref, text)) << text;
  EXPECT_FALSE(parse_value(ValType::funcref, "func"));
}

TEST(ValueText, Numbers) {
  EXPECT_EQ(bits_of(ValType::i32, "010"), 10u);
  EXPECT_EQ(bits_of(ValType::i32, "-1"), 0xffffffffu);
  EXPECT_EQ(bits_of(ValType::i64, "-1"), UINT64_MAX);
  EXPECT_EQ(bits_of(ValType::i64, "0XfF"), 0xffu);
  EXPECT_EQ(bits_of(ValType::f32, "nan:0x200000"), 0x7fa00000u);
  EXPECT_EQ(bits_of(ValType::f32, "-nan"), 0xffc00000u);
  EXPECT_EQ(bits_of(ValType::f64, "-nan:0xfffffffffffff"), UINT64_MAX);
  EXPECT_EQ(bits_of(ValType::f64, "-0"), UINT64_C(1) << 63);
  EXPECT_EQ(bits_of(ValType::f32, "1e-46"), 0u);
  EXPECT_EQ(bits_of(ValType::f64, "0x1p-1074"), 1u);
}

TEST(ValueText, WhatIsPrintedIsRead) {
  std::mt19937_64 random(1);
  const uint64_t edges[] = {0,
                            1,
                            UINT64_MAX,
                            0x7f800000,
                            0xff800001,
                            0x7fc00000,
                            0x7fa00000,
                            0x80000000,
                            UINT64_C(0x7ff0000000000000),
                            UINT64_C(0xfff0000000000001),
                            UINT64_C(0x7ff8000000000000),
                            UINT64_C(1) << 63};
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t bits = i < 12 ? edges[i] : random();
    for (ValType type : {ValType::i32, ValType::i64, ValType::f32, ValType::f64}) {
      const bool is_narrow = type == ValType::i32 || type == ValType::f32;
      const Value value = Value::from_bits(type, is_narrow ? bits & 0xffffffff : bits);
      ASSERT_EQ(bits_of(type, value_text(value)), value.bits()) << value_text(value);
    }
    const V128 vector = V128::of<uint64_t>({bits, random()});
    auto back = parse_value(ValType::v128, value_text(Value(vector)));
    ASSERT_TRUE(back && back->v128() == vector) << value_text(Value(vector));
  }
  for (uint64_t host : {UINT64_C(0), UINT64_C(5), UINT64_MAX - 1}) {
    const Value value(ExternRef{host + 1});
    ASSERT_EQ(bits_of(ValType::externref, value_text(value)), value.bits());
  }
  for (ValType type : {ValType::externref, ValType::funcref})
    EXPECT_TRUE(parse_value(type, value_text(Value::null(type)))->is_null());
}

}  // namespace
}  // namespace rotor::cli
