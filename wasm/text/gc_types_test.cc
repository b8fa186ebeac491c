// Types and instructions of the GC proposal: what the validator takes, and what it refuses and why. The specification's
// suite (core/gc) has the rest.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "rotor/wat.h"
#include "wasm/decode_module.h"
#include "wasm/testing/assemble.h"

namespace rotor::wasm {
namespace {

using test::assemble;

/// Returns what is wrong with a module; empty: it is valid.
std::string check(std::span<const uint8_t> bytes, bool gc = true) {
  Features features;
  features.gc = gc;
  auto module = decode_module(bytes, {.features = features, .bodies_elsewhere = false});
  if (!module) return module.error().message;
  auto bodies = validate_bodies(*module, bytes, features);
  return bodies ? std::string() : bodies.error().message;
}
std::string check(std::string_view text) { return check(assemble(text)); }

/// A chain of types, each a supertype of the next.
std::string chain(int types) {
  std::string text = "(module (type $t0 (sub (struct)))";
  for (int i = 1; i < types; ++i)
    text += "(type $t" + std::to_string(i) + " (sub $t" + std::to_string(i - 1) + " (struct)))";
  return text + ")";
}

TEST(GcTypes, AreRefusedByNameUnlessTheyAreSwitchedOn) {
  for (std::string_view text :
       {"(module (type (struct)))", "(module (type (array i8)))", "(module (rec (type (func))))",
        "(module (type (sub (func))))", "(module (func (param anyref)))", "(module (func (drop (ref.null none))))",
        "(module (func (drop (ref.i31 (i32.const 1)))))", "(module (global i31ref (ref.i31 (i32.const 1))))"})
    EXPECT_EQ(check(assemble(text), /*gc=*/false), "unsupported feature: gc") << text;
}

TEST(GcTypes, AreBoundedInDepthAndWidth) {
  EXPECT_EQ(check(chain(64)), "");
  EXPECT_EQ(check(chain(65)), "too many supertypes above a type: 64, the limit is 63");
  std::string fields;
  for (int i = 0; i < 10'000; ++i) fields += " i32";
  EXPECT_EQ(check("(module (type (struct (field" + fields + "))))"), "");
  EXPECT_EQ(check("(module (type (struct (field" + fields + " i32))))"), "too many fields: 10001, the limit is 10000");
  EXPECT_EQ(check("(module (type $a (array i8)) (func (drop (array.new_fixed $a 10001 (unreachable)))))"),
            "too many operands of array.new_fixed: 10001, the limit is 10000");
}

TEST(GcTypes, SubtypesMatchWhatTheyDeclare) {
  EXPECT_EQ(check("(module (type $a (sub (struct (field i32)))) (type (sub $a (struct (field i32) (field i64)))))"),
            "");
  EXPECT_EQ(check("(module (type $a (sub (struct (field i32)))) (type (sub $a (struct (field i64)))))"),
            "sub type: type 1 does not match its supertype");
  EXPECT_EQ(check("(module (type $a (sub (struct (field (mut i32))))) (type (sub $a (struct (field i32)))))"),
            "sub type: type 1 does not match its supertype");
  EXPECT_EQ(check("(module (type $a (struct)) (type (sub $a (struct))))"),
            "sub type: type 1 has a supertype that is final");
  EXPECT_EQ(check("(module (type $a (sub (struct))) (type (sub $a (array i8))))"),
            "sub type: type 1 does not match its supertype");
  EXPECT_EQ(check("(module (type $a (sub (struct))) (type $b (sub (struct))) (type (sub $a $b (struct))))"),
            "sub type: type 2 has more than one supertype");
  EXPECT_EQ(check("(module (rec (type $a (sub $b (struct))) (type $b (sub (struct)))))"), "unknown type 1");
}

/// Fields that can be changed are the same in both; others may be of a subtype. Functions take more and give less.
TEST(GcTypes, VaryAsTheirUseAllows) {
  const auto with = [](std::string_view super, std::string_view sub) {
    return check("(module (type $s (sub (struct))) (type $t (sub $s (struct (field i32)))) (type $a (sub " +
                 std::string(super) + ")) (type (sub $a " + std::string(sub) + ")))");
  };
  EXPECT_EQ(with("(array (ref $s))", "(array (ref $t))"), "");
  EXPECT_NE(with("(array (mut (ref $s)))", "(array (mut (ref $t)))"), "");
  EXPECT_EQ(with("(array (ref null $s))", "(array (ref $s))"), "");
  EXPECT_NE(with("(array i8)", "(array i16)"), "");
  EXPECT_EQ(with("(func (param (ref $t)) (result (ref $s)))", "(func (param (ref $s)) (result (ref $t)))"), "");
  EXPECT_NE(with("(func (param (ref $s)))", "(func (param (ref $t)))"), "");
  EXPECT_EQ(with("(struct (field anyref))", "(struct (field i31ref))"), "");
  EXPECT_NE(with("(struct (field anyref))", "(struct (field externref))"), "");
}

/// Equal groups are one type, so that a value of one is a value of the other; equal types in different groups are not.
TEST(GcTypes, GroupsAreEqualAsAWhole) {
  constexpr std::string_view kUse = "(func (param (ref $a)) (result (ref $b)) (local.get 0)))";
  EXPECT_EQ(check("(module (rec (type $a (struct (field (ref null $a2)))) (type $a2 (struct)))"
                  "(rec (type $b (struct (field (ref null $b2)))) (type $b2 (struct)))" +
                  std::string(kUse)),
            "");
  EXPECT_NE(check("(module (rec (type $a (struct)) (type $a2 (struct))) (rec (type $b (struct)))" + std::string(kUse)),
            "");
  EXPECT_EQ(check("(module (rec) (rec (type $a (struct))) (rec) (rec (type $b (struct)))" + std::string(kUse)), "");
  // A supertype of an equal group is that of the first one.
  EXPECT_EQ(check("(module (rec (type $s (sub (struct))) (type $a (sub $s (struct))))"
                  "(rec (type $s2 (sub (struct))) (type $b (sub $s2 (struct))))"
                  "(func (param (ref $b)) (result (ref $s)) (local.get 0)))"),
            "");
}

TEST(GcTypes, WhereAFunctionIsWantedNothingElseWillDo) {
  constexpr std::string_view kWrong = "type mismatch: type 0 is no function type";
  const auto with = [](std::string_view rest) { return check("(module (type $s (struct))" + std::string(rest) + ")"); };
  EXPECT_EQ(with("(func (type $s))"), kWrong);
  EXPECT_EQ(with("(import \"m\" \"f\" (func (type $s)))"), kWrong);
  EXPECT_EQ(with("(tag (type $s))"), kWrong);
  EXPECT_EQ(with("(func (block (type $s)))"), kWrong);
  EXPECT_EQ(with("(func (call_ref $s (unreachable)))"), kWrong);
  EXPECT_EQ(with("(table 1 funcref) (func (call_indirect (type $s) (i32.const 0)))"), kWrong);
  EXPECT_EQ(check("(module (type $f (func)) (func (drop (struct.new $f))))"),
            "type mismatch: type 0 is no struct type");
  EXPECT_EQ(check("(module (type $f (func)) (global (ref any) (struct.new $f)))"),
            "type mismatch: type 0 is of another kind");
}

TEST(GcInstructions, AreTypedByWhatTheyName) {
  const auto with = [](std::string_view body) {
    return check(
        "(module (type $p (struct (field i8) (field (mut i64)))) (type $a (array (mut f32)))"
        "(type $c (array i32)) (type $r (array (mut anyref))) (data \"x\") (func " +
        std::string(body) + "))");
  };
  EXPECT_EQ(with("(drop (struct.get_s $p 0 (ref.null $p)))"), "");
  EXPECT_EQ(with("(drop (struct.get $p 0 (ref.null $p)))"), "type mismatch: what is read is packed");
  EXPECT_EQ(with("(drop (struct.get_u $p 1 (ref.null $p)))"), "type mismatch: what is read is not packed");
  EXPECT_EQ(with("(struct.set $p 0 (ref.null $p) (i32.const 1))"), "immutable field");
  EXPECT_EQ(with("(array.set $c (ref.null $c) (i32.const 0) (i32.const 1))"), "immutable array");
  EXPECT_EQ(with("(array.copy $a $c (ref.null $a) (i32.const 0) (ref.null $c) (i32.const 0) (i32.const 0))"),
            "array types do not match");
  EXPECT_EQ(with("(drop (array.new_data $r 0 (i32.const 0) (i32.const 0)))"), "array type is not numeric or vector");
  EXPECT_EQ(with("(block (result eqref) (br_on_cast 0 anyref eqref (ref.null any)) (drop) (ref.null none)) (drop)"),
            "");
  EXPECT_EQ(with("(drop (block (result anyref) (br_on_cast 0 eqref anyref (ref.null eq))))"),
            "type mismatch: anyref is no subtype of eqref");
  EXPECT_EQ(with("(drop (ref.test (ref i31) (ref.null extern)))").substr(0, 13), "type mismatch");
  // Null is passed on by the branch if it may be, so what is left is not null.
  EXPECT_EQ(with("(local (ref i31)) (drop (block (result nullref) (br_on_cast_fail 0 i31ref (ref i31) (ref.null i31))"
                 " (local.set 0) (ref.null none)))")
                .substr(0, 13),
            "type mismatch");
}

TEST(GcInstructions, ABranchOnACastHasFlagsOfTwoBits) {
  auto bytes = assemble("(module (func (drop (block (result anyref) (br_on_cast 0 anyref anyref (ref.null any))))))");
  for (size_t i = 0; i + 1 < bytes.size(); ++i)
    if (bytes[i] == 0xfb && bytes[i + 1] == 0x18) bytes[i + 2] = 4;
  EXPECT_EQ(check(bytes), "malformed cast flags");
}

}  // namespace
}  // namespace rotor::wasm
