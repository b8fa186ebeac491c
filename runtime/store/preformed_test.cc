// What instances copy of tables and globals, and what each one works out for itself: they find the same in both.
#include "runtime/store/preformed.h"

#include <gtest/gtest.h>

#include <string>

#include "rotor/rotor.h"
#include "runtime/access.h"
#include "runtime/module.h"
#include "runtime/testing/gc.h"
#include "runtime/testing/support.h"
#include "wasm/testing/assemble.h"

namespace rotor::runtime {
namespace {

using namespace test;
using wasm::test::assemble;

class PreformedTest : public testing::Test {
 protected:
  Module module_of(const std::string& fields) { return compile(engine_, assemble("(module " + fields + ")")); }
  const Preformed& preformed(const std::string& fields) {
    modules_.push_back(module_of(fields));
    return impl_of(modules_.back()).preformed();
  }

  Engine engine_ = engine();
  Linker linker_{engine_};
  std::vector<Module> modules_;
};

TEST_F(PreformedTest, ConstantsAreCopiedAndTheRestIsEvaluated) {
  const Preformed& made = preformed(R"((import "env" "g" (global $imported i32))
    (global i32 (i32.const -1))
    (global f64 (f64.const 1))
    (global v128 (v128.const i64x2 5 6))
    (global externref (ref.null extern))
    (global i64 (i64.add (i64.const 3) (i64.mul (i64.const 4) (i64.const 5))))
    (global i32 (i32.add (global.get $imported) (i32.const 1)))
    (global funcref (ref.func $f))
    (global $own i32 (i32.const 9))
    (global i32 (global.get $own))
    (func $f))");
  ASSERT_EQ(made.globals.size(), 9u);
  EXPECT_EQ(made.late_globals, (std::vector<uint32_t>{6, 7, 9}));
  EXPECT_EQ(made.globals[0].bits[0], UINT64_C(0xffffffff));
  EXPECT_EQ(made.globals[1].bits[0], UINT64_C(0x3ff0000000000000));
  EXPECT_EQ(made.globals[2].bits[0], 5u);
  EXPECT_EQ(made.globals[2].bits[1], 6u);
  EXPECT_EQ(made.globals[3].bits[0], 0u);
  EXPECT_EQ(made.globals[4].bits[0], 23u);
  EXPECT_EQ(made.globals[5].bits[0], 0u);
  EXPECT_EQ(made.globals[7].bits[0], 9u);
}

TEST_F(PreformedTest, WhatMakesObjectsIsEvaluated) {
  engine_ = gc_engine();
  const Preformed& made = preformed(R"((type $v (array v128)) (type $s (struct (field i32)))
    (global (ref $v) (array.new_fixed $v 1 (v128.const i64x2 1 2)))
    (global (ref $v) (array.new $v (v128.const i64x2 1 2) (i32.const 3)))
    (global (ref $s) (struct.new $s (i32.const 4)))
    (global i31ref (ref.i31 (i32.const 5)))
    (global (ref null $s) (ref.null $s)))");
  EXPECT_EQ(made.late_globals, (std::vector<uint32_t>{0, 1, 2, 3}));
}

TEST_F(PreformedTest, InstancesFindWhatWasEvaluated) {
  Global imported = must(Global::create(engine_, {ValType::i32, false}, Value(int32_t{41})));
  linker_.define("env", "g", imported);
  Module module = module_of(R"((import "env" "g" (global $imported i32))
    (global (export "late") i32 (i32.add (global.get $imported) (i32.const 1)))
    (global (export "constant") (mut i32) (i32.const 7))
    (global $f (export "function") (mut funcref) (ref.func $seven))
    (func $seven (export "seven") (result i32) (global.get 2))
    (func (export "forget") (global.set 2 (i32.const 1)) (global.set $f (ref.null func))))");
  for (int round = 0; round < 3; ++round) {
    Instance instance = instantiate(linker_, module);
    EXPECT_EQ(must(must(instance.get_global("late")).get()).i32(), 42);
    EXPECT_EQ(must(typed<int32_t()>(instance, "seven")()), 7);
    EXPECT_FALSE(must(must(instance.get_global("function")).get()).is_null());
    must(typed<void()>(instance, "forget")());
  }
}

TEST_F(PreformedTest, SegmentsAreWrittenInOrder) {
  Module module = module_of(R"((import "env" "host" (func $host (result i32)))
    (type $t (func (result i32)))
    (table $a 10 20 funcref)
    (table $b i64 4 funcref)
    (table 3 externref)
    (elem (table $a) (i32.const 1) func $one $two $one)
    (elem (table $a) (i32.add (i32.const 1) (i32.const 1)) func $three $host)
    (elem (table $b) (i64.const 2) funcref (ref.func $two) (ref.null func))
    (elem (table 2) (i32.const 0) externref (ref.null extern))
    (elem $passive func $three)
    (elem declare func $four)
    (elem (table $a) (i32.const 5) func $two)
    (func $one (result i32) i32.const 1) (func $two (result i32) i32.const 2)
    (func $three (result i32) i32.const 3) (func $four (result i32) i32.const 4)
    (func (export "a") (param i32) (result i32) (call_indirect $a (type $t) (local.get 0)))
    (func (export "b") (param i64) (result i32) (call_indirect $b (type $t) (local.get 0)))
    (func (export "again") (table.init $a 0 (i32.const 0) (i32.const 0) (i32.const 1)))
    (func (export "declared") (table.init $a 5 (i32.const 0) (i32.const 0) (i32.const 1)))
    (func (export "passive") (table.init $a $passive (i32.const 0) (i32.const 0) (i32.const 1))))");
  linker_.define("env", "host", []() -> int32_t { return 5; });
  const Preformed& made = impl_of(module).preformed();
  ASSERT_TRUE(made.has_elements);
  EXPECT_EQ(made.tables[0].size(), 6u);
  EXPECT_EQ(made.tables[1].size(), 4u);
  EXPECT_EQ(made.dropped_elements, (std::vector<bool>{true, true, true, true, false, true, true}));
  for (int round = 0; round < 2; ++round) {
    Instance instance = instantiate(linker_, module);
    auto a = typed<int32_t(int32_t)>(instance, "a");
    EXPECT_EQ(must(a(1)), 1);
    EXPECT_EQ(must(a(2)), 3);
    EXPECT_EQ(must(a(3)), 5);
    EXPECT_EQ(must(a(5)), 2);
    for (int32_t null : {0, 4, 9}) expect_trap(a(null), TrapKind::uninitialized_element);
    expect_trap(a(10), TrapKind::undefined_element);
    auto b = typed<int32_t(int64_t)>(instance, "b");
    EXPECT_EQ(must(b(2)), 2);
    expect_trap(b(3), TrapKind::uninitialized_element);
    expect_trap(typed<void()>(instance, "again")(), TrapKind::out_of_bounds_table);
    expect_trap(typed<void()>(instance, "declared")(), TrapKind::out_of_bounds_table);
    must(typed<void()>(instance, "passive")());
    EXPECT_EQ(must(a(0)), 3);
  }
}

TEST_F(PreformedTest, WhatDependsOnTheInstanceIsNotCopied) {
  const std::string functions = "(func $f)";
  for (const char* fields : {
           "(import \"env\" \"t\" (table 2 funcref)) (elem (i32.const 0) func $f)",
           "(import \"env\" \"g\" (global i32)) (table 2 funcref) (elem (offset (global.get 0)) func $f)",
           "(import \"env\" \"g\" (global funcref)) (table 2 funcref) (elem (i32.const 0) funcref (global.get 0))",
           "(table 2 funcref) (elem (i32.const 0) func $f) (elem (i32.const 2) func $f)",
           "(table 2 funcref) (elem (i32.const -1) func)",
           "(table 2 funcref (ref.func $f)) (elem (i32.const 0) funcref (ref.null func))",
       })
    EXPECT_FALSE(preformed(fields + functions).has_elements) << fields;
  EXPECT_TRUE(preformed("(table 2 funcref (ref.null func)) (elem (i32.const 2) func)" + functions).has_elements);
}

TEST_F(PreformedTest, ASegmentThatDoesNotFitLeavesThoseBeforeIt) {
  Table table = must(Table::create(engine_, {ValType::funcref, {4, 4}, false}, Value::null(ValType::funcref)));
  linker_.define("env", "t", table);
  Module module = module_of(R"((import "env" "t" (table $theirs 4 4 funcref)) (table $own 2 funcref)
    (elem (table $theirs) (i32.const 1) func $f)
    (elem (table $own) (i32.const 2) func $f)
    (func $f))");
  expect_trap(linker_.instantiate(module), TrapKind::out_of_bounds_table);
  EXPECT_FALSE(must(table.get(1)).is_null());
}

// A few bytes of a module must not become many of the engine's.
TEST_F(PreformedTest, LargeTablesWithFewElementsAreWrittenByEachInstance) {
  EXPECT_TRUE(preformed("(table 1000000 funcref) (elem (i32.const 4000) func $f) (func $f)").has_elements);
  EXPECT_FALSE(preformed("(table 1000000 funcref) (elem (i32.const 999999) func $f) (func $f)").has_elements);
  std::string tables = "(func $f)";
  for (int i = 0; i < 100; ++i)
    tables += "(table 1000 funcref) (elem (table " + std::to_string(i) + ") (i32.const 999) func $f)";
  EXPECT_FALSE(preformed(tables).has_elements);
  Instance instance = instantiate(linker_, module_of("(table (export \"t\") 1000000 funcref)"
                                                     "(elem (i32.const 999999) func $f) (func $f)"));
  EXPECT_FALSE(must(must(instance.get_table("t")).get(999999)).is_null());
}

}  // namespace
}  // namespace rotor::runtime
