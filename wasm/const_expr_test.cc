#include "wasm/const_expr.h"

#include <gtest/gtest.h>

#include "wasm/features.h"
#include "wasm/testing/module.h"

namespace rotor::wasm {
namespace {

using test::Bytes;

uint64_t eval(const Bytes& bytes) {
  ByteReader reader(bytes);
  ConstExpr expr;
  Module module;
  EXPECT_TRUE(read_const_expr(reader, {module, enabled_features({}), module.used_features}, expr));
  EXPECT_TRUE(reader.at_end());
  return eval_const_expr(
      expr, [](GlobalIndex index) { return uint64_t{1000} + raw(index); },
      [](FuncIndex index) { return uint64_t{2000} + raw(index); });
}

TEST(ConstExpr, Evaluates) {
  EXPECT_EQ(eval({0x41, 0x7f, 0x0b}), 0xffffffffu);
  EXPECT_EQ(eval({0x42, 0x7f, 0x0b}), UINT64_MAX);
  EXPECT_EQ(eval({0x43, 0, 0, 0x80, 0x3f, 0x0b}), 0x3f800000u);
  EXPECT_EQ(eval({0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x0b}), 0x3ff0000000000000u);
  EXPECT_EQ(eval({0x23, 5, 0x0b}), 1005u);
  EXPECT_EQ(eval({0xd2, 6, 0x0b}), 2006u);
  EXPECT_EQ(eval({0xd0, 0x70, 0x0b}), 0u);
  EXPECT_EQ(eval({0x41, 1, 0x41, 3, 0x6b, 0x0b}), 0xfffffffeu);           // 1 - 3
  EXPECT_EQ(eval({0x41, 2, 0x41, 3, 0x41, 4, 0x6c, 0x6a, 0x0b}), 14u);    // 2 + 3 * 4
  EXPECT_EQ(eval({0x42, 1, 0x42, 3, 0x7d, 0x0b}), UINT64_MAX - 1);        // 1 - 3
  EXPECT_EQ(eval({0x42, 2, 0x23, 0, 0x7e, 0x42, 1, 0x7c, 0x0b}), 2001u);  // 2 * global + 1
}

TEST(ConstExpr, VectorConstant) {
  const Bytes bytes = {0xfd, 12, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x0b};
  ByteReader reader(bytes);
  ConstExpr expr;
  Module module;
  uint32_t used = 0;
  const TypeScope scope{module, enabled_features({}), used};
  ASSERT_TRUE(read_const_expr(reader, scope, expr));
  ASSERT_EQ(expr.code.size(), 1u);
  EXPECT_EQ(expr.code[0].bits, 1u);
  EXPECT_EQ(expr.code[0].high_bits, UINT64_C(0x8000000000000000));
  EXPECT_TRUE(used & feature_bit(Feature::simd));
  ByteReader cut(bytes, 0, 17);
  ConstExpr none;
  EXPECT_FALSE(read_const_expr(cut, scope, none));
}

}  // namespace
}  // namespace rotor::wasm
