#include "wasm/text/number.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

namespace rotor::wasm::text {
namespace {

std::optional<float> f32(std::string_view word) {
  auto bits = parse_f32(word);
  return bits ? std::optional(std::bit_cast<float>(*bits)) : std::nullopt;
}
std::optional<double> f64(std::string_view word) {
  auto bits = parse_f64(word);
  return bits ? std::optional(std::bit_cast<double>(*bits)) : std::nullopt;
}

TEST(Number, Forms) {
  for (const char* word : {"0", "00", "1_0", "0xfF", "0x1_0"})
    EXPECT_EQ(number_form(word), NumberForm::natural) << word;
  for (const char* word : {"-0", "+1", "-0x0"}) EXPECT_EQ(number_form(word), NumberForm::integer) << word;
  for (const char* word : {"1.", "1.5", "1e3", "1E-3", "0x1.", "0x1.8p3", "0x1P-3", "inf", "-nan", "+nan:0x1"})
    EXPECT_EQ(number_form(word), NumberForm::real) << word;
  for (const char* word :
       {"",     "+",     "0x",  "_1",    "1_",     "1__0",          ".5",       "1._5", "1.5_", "1e",  "1e+",
        "0x1p", "0x1pf", "0X1", "nan:1", "nan:0x", "nan:canonical", "infinity", "1x",   "--1",  "0xg", "1e1.0"})
    EXPECT_EQ(number_form(word), NumberForm::none) << word;
}

TEST(Number, Integers) {
  EXPECT_EQ(parse_integer("0xffff_ffff", 32), 0xffffffffu);
  EXPECT_EQ(parse_integer("4294967296", 32), std::nullopt);
  EXPECT_EQ(parse_integer("-2147483648", 32), 0x80000000u);
  EXPECT_EQ(parse_integer("-2147483649", 32), std::nullopt);
  EXPECT_EQ(parse_integer("-1", 8), 0xffu);
  EXPECT_EQ(parse_integer("-129", 8), std::nullopt);
  EXPECT_EQ(parse_integer("256", 8), std::nullopt);
  EXPECT_EQ(parse_integer("+18446744073709551615", 64), UINT64_MAX);
  EXPECT_EQ(parse_integer("18446744073709551616", 64), std::nullopt);
  EXPECT_EQ(parse_integer("-0x8000_0000_0000_0000", 64), uint64_t{1} << 63);
  EXPECT_EQ(parse_integer("-0x8000_0000_0000_0001", 64), std::nullopt);
  EXPECT_EQ(parse_natural("99999999999999999999999999", UINT64_MAX), std::nullopt);
}

TEST(Number, DecimalFloats) {
  EXPECT_EQ(f64("0.1"), 0.1);
  EXPECT_EQ(f64("-1_0.5e1_0"), -10.5e10);
  EXPECT_TRUE(std::signbit(*f64("-0")));
  EXPECT_EQ(f32("3.4028235e38"), std::numeric_limits<float>::max());
  EXPECT_EQ(f32("3.4028236e38"), std::nullopt);
  EXPECT_EQ(f32("340282356779733661637539395458142568447"), std::numeric_limits<float>::max());
  EXPECT_EQ(f32("340282356779733661637539395458142568448"), std::nullopt);
  EXPECT_EQ(f32("1e-46"), 0.0f);
  EXPECT_EQ(f32("1e-45"), std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(f64("1e-400"), 0.0);
  EXPECT_EQ(f64("1e400"), std::nullopt);
  EXPECT_EQ(f64("0." + std::string(400, '0') + "1e500"), 1e99);
  EXPECT_EQ(f64("0." + std::string(400, '0') + "1"), 0.0);
  EXPECT_EQ(f64("1" + std::string(400, '0')), std::nullopt);
  EXPECT_EQ(f64("1" + std::string(400, '0') + "e-400"), 1.0);
  EXPECT_EQ(f64("0e999999999999999999999999"), 0.0);
  EXPECT_EQ(f64("1e99999999999999999999"), std::nullopt);
  EXPECT_EQ(f64("1e-99999999999999999999"), 0.0);
  // Rounded once: by way of double this would be 1.
  EXPECT_EQ(f32("1.00000005960464477540"), std::nextafter(1.0f, 2.0f));
}

TEST(Number, HexFloats) {
  EXPECT_EQ(f64("0x1.8p1"), 3.0);
  EXPECT_EQ(f64("-0x0p5"), -0.0);
  EXPECT_EQ(f32("0x1.fffffep127"), std::numeric_limits<float>::max());
  EXPECT_EQ(f32("0x1.fffffefffffffffffffp127"), std::numeric_limits<float>::max());
  EXPECT_EQ(f32("0x1.ffffffp127"), std::nullopt);
  EXPECT_EQ(f32("0x1p128"), std::nullopt);
  EXPECT_EQ(f32("0x1p-149"), std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(f32("0x1p-150"), 0.0f) << "a tie, to even";
  EXPECT_EQ(f32("0x1.00000000000000000000001p-150"), std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(f32("0x1.8p-149"), 2 * std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(f32("0x0.ffffffp-126"), std::numeric_limits<float>::min()) << "a carry to the least normal";
  EXPECT_EQ(f32("0x1.000001p0"), 1.0f) << "a tie, to even";
  EXPECT_EQ(f32("0x1.0000010000000000000000000001p0"), std::nextafter(1.0f, 2.0f));
  EXPECT_EQ(f64("0x1p-99999999999999999999"), 0.0);
  EXPECT_EQ(f64("0x1p99999999999999999999"), std::nullopt);
  EXPECT_EQ(f64("0x" + std::string(300, '0') + "1" + std::string(300, '0') + "p-1200"), 1.0);
}

TEST(Number, Special) {
  EXPECT_EQ(parse_f32("inf"), 0x7f800000u);
  EXPECT_EQ(parse_f32("-inf"), 0xff800000u);
  EXPECT_EQ(parse_f32("nan"), 0x7fc00000u);
  EXPECT_EQ(parse_f32("-nan:0x1"), 0xff800001u);
  EXPECT_EQ(parse_f32("nan:0x7f_ffff"), 0x7fffffffu);
  EXPECT_EQ(parse_f32("nan:0x80_0000"), std::nullopt);
  EXPECT_EQ(parse_f32("nan:0x0"), std::nullopt);
  EXPECT_EQ(parse_f64("nan:0xf_ffff_ffff_ffff"), 0x7fffffffffffffffu);
  EXPECT_EQ(parse_f64("nan:0x10_0000_0000_0000"), std::nullopt);
}

// Against the C library, which reads both notations and rounds to nearest.
TEST(Number, RandomFloatsAgreeWithStrtod) {
  std::mt19937_64 random(1);
  char text[128];
  for (int i = 0; i < 20'000; ++i) {
    double value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    for (const char* format : {"%.17g", "%.5g", "%a", "%.20e"}) {
      std::snprintf(text, sizeof text, format, value);
      double wanted = std::strtod(text, nullptr);
      EXPECT_EQ(f64(text), std::isinf(wanted) ? std::nullopt : std::optional(wanted)) << text;
      float single = std::strtof(text, nullptr);
      EXPECT_EQ(f32(text), std::isinf(single) ? std::nullopt : std::optional(single)) << text;
    }
    // Near the range of float, where the rounding is.
    float near = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isfinite(near)) continue;
    std::snprintf(text, sizeof text, "%a", (static_cast<double>(near) + std::nextafter(near, 0.0f)) / 2);
    EXPECT_EQ(f32(text), std::strtof(text, nullptr)) << text;
    std::snprintf(text, sizeof text, "%.60g", (static_cast<double>(near) + std::nextafter(near, 0.0f)) / 2);
    EXPECT_EQ(f32(text), std::strtof(text, nullptr)) << text;
  }
}

}  // namespace
}  // namespace rotor::wasm::text
