// Garbage collection as the host sees it: what lives and what is freed, at each tier, between calls and within them;
// types of modules; heaps of instances that are linked. What single instructions do is tested by the specification's
// suite.
#include <array>
#include <string>

#include "runtime/testing/gc.h"

namespace rotor::runtime::test {
namespace {

constexpr const char* kLists = R"((module $lists
  (type $node (struct (field $next (mut (ref null $node))) (field $value i32)))
  (type $nodes (array (mut (ref null $node))))
  (type $words (array (mut i64)))
  (import "env" "host" (func $host (param i32)))
  (import "env" "see" (func $see (param (ref null $node) i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32
                                          (ref null $node)) (result (ref null $node))))
  (global $kept (export "kept") (mut (ref null $node)) (ref.null $node))
  (table $table (export "table") 8 (ref null $node))
  (func $cons (export "cons") (param (ref null $node) i32) (result (ref $node))
    (struct.new $node (local.get 0) (local.get 1)))
  (func $list (export "list") (param $n i32) (result (ref null $node)) (local $list (ref null $node))
    (loop $again
      (if (local.get $n) (then
        (local.set $list (call $cons (local.get $list) (local.get $n)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $again))))
    (local.get $list))
  (func $sum (export "sum") (param $list (ref null $node)) (result i32) (local $sum i32)
    (block $end
      (loop $again
        (br_if $end (ref.is_null (local.get $list)))
        (local.set $sum (i32.add (local.get $sum) (struct.get $node $value (local.get $list))))
        (local.set $list (struct.get $node $next (local.get $list)))
        (br $again)))
    (local.get $sum))
  (func $churn (export "churn") (param $n i32)
    (loop $again
      (drop (call $list (i32.const 10)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  ;; A list is held by a local alone, while others come and go, and the host is called.
  (func (export "hold") (param $n i32) (result i32) (local $list (ref null $node))
    (local.set $list (call $list (i32.const 100)))
    (call $churn (local.get $n))
    (call $host (local.get $n))
    (call $sum (local.get $list)))
  (func (export "keep") (param $at i32) (param $n i32)
    (global.set $kept (call $list (local.get $n)))
    (table.set $table (local.get $at) (global.get $kept)))
  (func (export "sum_of") (param $at i32) (result i32) (call $sum (table.get $table (local.get $at))))
  (func (export "forget") (param $at i32)
    (global.set $kept (ref.null $node))
    (table.set $table (local.get $at) (ref.null $node)))
  ;; Each loses the one before it, but for a cycle of the two.
  (func (export "cycles") (param $n i32) (local $a (ref null $node)) (local $b (ref null $node))
    (loop $again
      (local.set $a (struct.new $node (ref.null $node) (local.get $n)))
      (local.set $b (struct.new $node (local.get $a) (local.get $n)))
      (struct.set $node $next (local.get $a) (local.get $b))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  ;; An array in a loop whose index is far from where its accesses begin.
  (func (export "far") (param $n i32) (result i32) (local $array (ref null $nodes)) (local $i i32) (local $sum i32)
    (local.set $array (array.new_default $nodes (i32.const 50)))
    (local.set $i (i32.const 100000))
    (loop $fill
      (array.set $nodes (local.get $array) (i32.sub (local.get $i) (i32.const 100000))
        (struct.new $node (ref.null $node) (local.get $i)))
      (call $churn (local.get $n))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100050))))
    (loop $read
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (local.set $sum (i32.add (local.get $sum) (struct.get $node $value
        (array.get $nodes (local.get $array) (i32.sub (local.get $i) (i32.const 100000))))))
      (call $churn (local.get $n))
      (br_if $read (i32.gt_u (local.get $i) (i32.const 100000))))
    (local.get $sum))
  (func (export "pass") (param $n i32) (result i32)
    (call $sum (call $see (call $list (local.get $n)) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)
      (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 9) (i32.const 10) (i32.const 11)
      (i32.const 12) (i32.const 13) (i32.const 14) (i32.const 15) (i32.const 16)
      (call $list (i32.add (local.get $n) (i32.const 1))))))
  (func (export "array") (param $n i32) (result (ref $words)) (array.new_default $words (local.get $n)))
  (func (export "words") (param $n i32) (result i32) (array.len (array.new_default $words (local.get $n)))))
)";

constexpr int32_t sum_to(int32_t n) { return n * (n + 1) / 2; }

class GcTest : public ::testing::TestWithParam<Way> {
 protected:
  GcTest() {
    linker_.define("env", "host", [this](int32_t n) {
      if (while_away_) while_away_(n);
    });
    const ValType node = node_type();
    FuncType see{{node}, {node}};
    see.params.insert(see.params.end(), 16, ValType::i32);
    see.params.push_back(node);
    // What it gets in slots that are in no frame it gives back after a collection.
    linker_.define_func("env", "see", see, [this](Caller&, Slot* slots) -> Result<void> {
      must(instance_->collect_garbage());
      slots[0] = slots[17];
      return {};
    });
    instance_ = must(linker_.instantiate(module_, options()));
  }
  ValType node_type() const { return std::get<FuncType>(module_.exports()[2].type).results[0].nullable_form(); }
  static InstanceOptions options() {
    InstanceOptions options;
    // A full heap that is collected at each allocation takes its time.
    options.limits.heap_bytes = GetParam().stress ? 4 << 16 : 1 << 20;
    return options;
  }
  uint32_t turns() const { return GetParam().stress ? 20 : 20'000; }

  Engine engine_ = gc_engine(GetParam());
  Module module_ = compile_wat(engine_, kLists);
  Linker linker_{engine_};
  std::optional<Instance> instance_;
  std::function<void(int32_t)> while_away_;
};
INSTANTIATE_TEST_SUITE_P(Ways, GcTest, ::testing::ValuesIn(kWays), [](const auto& info) { return info.param.name; });

TEST_P(GcTest, WhatALocalRefersToLives) {
  while_away_ = [&](int32_t) { must(typed<void(int32_t)>(*instance_, "churn")(turns())); };
  EXPECT_EQ(must(typed<int32_t(int32_t)>(*instance_, "hold")(turns())), sum_to(100));
  EXPECT_GT(heap_of(*instance_).collections, 0U);
  EXPECT_EQ(live_bytes(*instance_), 0U);
}

TEST_P(GcTest, TheHostCollectsWhenItLikes) {
  const uint64_t collections = heap_of(*instance_).collections;
  must(typed<void(int32_t)>(*instance_, "churn")(1));
  must(instance_->collect_garbage());
  EXPECT_GT(heap_of(*instance_).collections, collections);
  EXPECT_EQ(instance_->usage().heap_live_bytes, 0U);
  // Within a call its frames' objects stay.
  while_away_ = [&](int32_t) {
    must(instance_->collect_garbage());
    EXPECT_GE(instance_->usage().heap_live_bytes, 100U * 16);
    EXPECT_GE(instance_->usage().heap_used_bytes, instance_->usage().heap_live_bytes);
  };
  EXPECT_EQ(must(typed<int32_t(int32_t)>(*instance_, "hold")(1)), sum_to(100));
  EXPECT_EQ(kind_of(Instance().collect_garbage()), ErrorKind::stale_handle);
}

TEST_P(GcTest, WhatGlobalsAndTablesReferToLives) {
  auto keep = typed<void(int32_t, int32_t)>(*instance_, "keep");
  auto sum_of = typed<int32_t(int32_t)>(*instance_, "sum_of");
  for (int32_t i = 0; i < 8; ++i) must(keep(i, 10 * i));
  must(typed<void(int32_t)>(*instance_, "churn")(turns()));
  for (int32_t i = 0; i < 8; ++i) EXPECT_EQ(must(sum_of(i)), sum_to(10 * i));
  const uint64_t all = live_bytes(*instance_);
  must(typed<void(int32_t)>(*instance_, "forget")(7));
  EXPECT_EQ(all - live_bytes(*instance_), 70U * 16);
}

TEST_P(GcTest, CyclesAreFreed) {
  must(typed<void(int32_t)>(*instance_, "cycles")(turns()));
  EXPECT_EQ(live_bytes(*instance_), 0U);
}

TEST_P(GcTest, AnArrayLivesWhileALoopRunsThroughIt) {
  EXPECT_EQ(must(typed<int32_t(int32_t)>(*instance_, "far")(GetParam().stress ? 1 : 500)), 50 * 100000 + sum_to(49));
}

TEST_P(GcTest, ObjectsPassThroughAHostFunction) {
  EXPECT_EQ(must(typed<int32_t(int32_t)>(*instance_, "pass")(20)), sum_to(21));
}

TEST_P(GcTest, AHandleKeepsItsObject) {
  Func list = must(instance_->get_func("list")), sum = must(instance_->get_func("sum"));
  std::vector<Value> held = must(list.call(std::array{Value(50)}));
  must(typed<void(int32_t)>(*instance_, "churn")(turns()));
  EXPECT_EQ(live_bytes(*instance_), 50U * 16);
  EXPECT_EQ(must(sum.call(held))[0].i32(), sum_to(50));
  const Value copy = held[0];
  held.clear();
  EXPECT_EQ(live_bytes(*instance_), 50U * 16);
  EXPECT_EQ(must(sum.call(std::array{copy}))[0].i32(), sum_to(50));
}

TEST_P(GcTest, TheHostPutsWhatItHolds) {
  Table table = must(instance_->get_table("table"));
  Global kept = must(instance_->get_global("kept"));
  const Value list = must(must(instance_->get_func("list")).call(std::array{Value(9)}))[0];
  must(table.set(3, list));
  must(kept.set(list));
  EXPECT_EQ(must(typed<int32_t(int32_t)>(*instance_, "sum_of")(3)), sum_to(9));
  EXPECT_EQ(must(table.get(3)).bits(), list.bits());
  EXPECT_EQ(must(kept.get()).bits(), list.bits());
  EXPECT_EQ(kind_of(table.set(3, Value::of_i31(5))), ErrorKind::type_mismatch);
  EXPECT_EQ(kind_of(table.set(3, Value::from_bits(table.type().element, list.bits()))), ErrorKind::type_mismatch);
}

TEST_P(GcTest, AFullHeapIsAnErrorAndGoesOn) {
  Func list = must(instance_->get_func("list")), array = must(instance_->get_func("array"));
  std::vector<std::vector<Value>> held;
  Result<std::vector<Value>> last = array.call(std::array{Value(1000)});
  for (int i = 0; i < 200 && last; ++i) {
    held.push_back(std::move(*last));
    last = array.call(std::array{Value(1000)});
  }
  EXPECT_EQ(kind_of(last), ErrorKind::limit) << held.size();
  held.clear();
  EXPECT_TRUE(list.call(std::array{Value(1000)}));
  EXPECT_EQ(kind_of(typed<int32_t(int32_t)>(*instance_, "words")(1 << 20)), ErrorKind::limit);
  EXPECT_EQ(kind_of(typed<int32_t(int32_t)>(*instance_, "words")(-1)), ErrorKind::limit);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(*instance_, "words")(100)), 100);
}

TEST_P(GcTest, ASpareInstanceRefersToNothing) {
  must(typed<void(int32_t, int32_t)>(*instance_, "keep")(1, 100));
  instance_.reset();
  instance_ = must(linker_.instantiate(module_, options()));
  EXPECT_EQ(must(typed<int32_t(int32_t)>(*instance_, "hold")(turns())), sum_to(100));
  EXPECT_EQ(live_bytes(*instance_), 0U);
}

// Types.

constexpr const char* kDeep = R"((module
  (type $t0 (sub (struct (field i32))))
  (type $t1 (sub $t0 (struct (field i32))))
  (type $t2 (sub $t1 (struct (field i32))))
  (type $t3 (sub $t2 (struct (field i32))))
  (type $t4 (sub $t3 (struct (field i32))))
  (type $t5 (sub $t4 (struct (field i32))))
  (type $t6 (sub $t5 (struct (field i32))))
  (type $t7 (sub $t6 (struct (field i32))))
  (type $t8 (sub $t7 (struct (field i32))))
  (type $t9 (sub $t8 (struct (field i32))))
  (type $other (sub $t8 (struct (field i32) (field i64))))
  (type $f0 (sub (func (result anyref))))
  (type $f1 (sub $f0 (func (result eqref))))
  (type $g (sub $f0 (func (result i31ref))))
  (table $objects 3 anyref)
  (table $functions funcref (elem $a $b $c))
  (func $a (type $f0) (ref.i31 (i32.const 1)))
  (func $b (type $f1) (ref.i31 (i32.const 2)))
  (func $c (type $g) (ref.i31 (i32.const 3)))
  (func (export "make")
    (table.set $objects (i32.const 0) (struct.new_default $t7))
    (table.set $objects (i32.const 1) (struct.new_default $t9))
    (table.set $objects (i32.const 2) (struct.new_default $other)))
  (func (export "is_t7") (param i32) (result i32) (ref.test (ref $t7) (table.get $objects (local.get 0))))
  (func (export "is_t8") (param i32) (result i32) (ref.test (ref $t8) (table.get $objects (local.get 0))))
  (func (export "is_t9") (param i32) (result i32) (ref.test (ref $t9) (table.get $objects (local.get 0))))
  (func (export "call_f0") (param i32) (result i32)
    (i31.get_s (ref.cast (ref i31) (call_indirect $functions (type $f0) (local.get 0)))))
  (func (export "call_f1") (param i32) (result i32)
    (i31.get_s (ref.cast (ref i31) (call_indirect $functions (type $f1) (local.get 0)))))
  (func (export "is_f1") (param i32) (result i32)
    (ref.test (ref $f1) (table.get $functions (local.get 0))))
))";

TEST(Gc, CastsToTypesBeyondTheDisplay) {
  for (const Way& way : kWays) {
    Engine engine = gc_engine(way);
    Instance instance = must(Linker(engine).instantiate(compile_wat(engine, kDeep)));
    must(typed<void()>(instance, "make")());
    auto row = [&](const char* name) {
      auto test = typed<int32_t(int32_t)>(instance, name);
      return std::array{must(test(0)), must(test(1)), must(test(2))};
    };
    EXPECT_EQ(row("is_t7"), (std::array{1, 1, 1})) << way.name;
    EXPECT_EQ(row("is_t8"), (std::array{0, 1, 1})) << way.name;
    EXPECT_EQ(row("is_t9"), (std::array{0, 1, 0})) << way.name;
    EXPECT_EQ(row("call_f0"), (std::array{1, 2, 3})) << way.name;
    EXPECT_EQ(row("is_f1"), (std::array{0, 1, 0})) << way.name;
    EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "call_f1")(1)), 2);
    expect_trap(typed<int32_t(int32_t)>(instance, "call_f1")(0), TrapKind::indirect_call_type_mismatch);
    expect_trap(typed<int32_t(int32_t)>(instance, "call_f1")(2), TrapKind::indirect_call_type_mismatch);
  }
}

TEST(Gc, EqualTypesOfTwoModulesAreOne) {
  Engine engine = gc_engine();
  const char* maker = R"((module
    (rec (type $a (struct (field (ref null $b)))) (type $b (sub (struct (field (mut i32) )))))
    (func (export "make") (result anyref) (struct.new $a (struct.new $b (i32.const 7))))))";
  const char* reader = R"((module
    (type $first (func))
    (rec (type $a (struct (field (ref null $b)))) (type $b (sub (struct (field (mut i32) )))))
    (type $single (struct (field (ref null $b))))
    (import "m" "make" (func $make (result anyref)))
    (func (export "read") (result i32)
      (struct.get $b 0 (struct.get $a 0 (ref.cast (ref $a) (call $make)))))
    (func (export "other") (result i32) (ref.test (ref $single) (call $make)))))";
  Linker linker(engine);
  Instance made = must(linker.instantiate(compile_wat(engine, maker)));
  linker.define_instance("m", made);
  Instance instance = must(linker.instantiate(compile_wat(engine, reader)));
  EXPECT_EQ(must(typed<int32_t()>(instance, "read")()), 7);
  EXPECT_EQ(must(typed<int32_t()>(instance, "other")()), 0);
}

TEST(Gc, TypesAreFreedWithTheirModules) {
  Engine engine = gc_engine();
  const uint64_t before = engine.usage().types;
  for (int i = 0; i < 300; ++i) {
    const std::string text =
        "(module (type (array i8)) (type (sub (struct (field i32) (field (ref null 0))))) (type $t "
        "(sub 1 (struct (field i32) (field (ref null 0)) (field f64)))) (func (export \"f\") (result "
        "i32) (ref.test (ref 1) (struct.new_default $t))))";
    Instance instance = must(Linker(engine).instantiate(compile_wat(engine, text)));
    EXPECT_EQ(must(typed<int32_t()>(instance, "f")()), 1);
  }
  EXPECT_EQ(engine.usage().types, before);
}

// Linked heaps.

TEST(Gc, LinkedInstancesShareAHeap) {
  Engine engine = gc_engine(kWays[5]);
  Module module = compile_wat(engine, R"((module
    (type $s (struct (field i32)))
    (global $kept (mut (ref null $s)) (ref.null $s))
    (func (export "make") (param i32) (result (ref $s)) (struct.new $s (local.get 0)))
    (func (export "keep") (param (ref null $s)) (global.set $kept (local.get 0)))
    (func (export "kept") (result i32) (struct.get $s 0 (global.get $kept)))))");
  Instance a = must(Linker(engine).instantiate(module)), b = must(Linker(engine).instantiate(module));
  // Neither has an object: one of the heaps goes.
  auto make = [](const Instance& instance, int32_t n) {
    return must(must(instance.get_func("make")).call(std::array{Value(n)}))[0];
  };
  const Value of_a = make(a, 5);
  must(must(b.get_func("keep")).call(std::array{of_a}));
  EXPECT_EQ(&impl_of(a)->group->root(), &impl_of(b)->group->root());
  EXPECT_EQ(must(typed<int32_t()>(b, "kept")()), 5);
  must(must(a.get_func("keep")).call(std::array{make(b, 6)}));
  EXPECT_EQ(must(typed<int32_t()>(a, "kept")()), 6);
  EXPECT_EQ(must(typed<int32_t()>(b, "kept")()), 5);
  // Both have objects: an error that says so.
  Instance c = must(Linker(engine).instantiate(module));
  const Value of_c = make(c, 7);
  auto refused = must(a.get_func("keep")).call(std::array{of_c});
  ASSERT_EQ(kind_of(refused), ErrorKind::invalid_argument);
  EXPECT_NE(refused.error().message.find("heaps of their own"), std::string::npos);
  EXPECT_EQ(must(typed<int32_t()>(a, "kept")()), 6);
}

TEST(Gc, AHandleOfAnInstanceThatIsGoneIsStale) {
  Engine engine = gc_engine();
  Module module = compile_wat(engine, R"((module (type $s (struct)) (func (export "make") (result (ref $s))
    (struct.new $s)) (func (export "take") (param (ref null $s)))))");
  Value held;
  {
    Instance a = must(Linker(engine).instantiate(module));
    held = must(must(a.get_func("make")).call({}))[0];
    EXPECT_EQ(must(held.dynamic_type()).kind(), HeapType::Kind::struct_);
  }
  Instance b = must(Linker(engine).instantiate(module));
  EXPECT_EQ(kind_of(must(b.get_func("take")).call(std::array{held})), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(held.dynamic_type()), ErrorKind::stale_handle);
}

TEST(Gc, ExceptionsAndObjectsReferToEachOther) {
  Engine engine = gc_engine(kWays[5]);
  Module module = compile_wat(engine, R"((module
    (type $s (struct (field (mut exnref)) (field i32)))
    (tag $t (param (ref null $s) externref))
    (global $object (mut (ref null $s)) (ref.null $s))
    (global $exception (mut exnref) (ref.null exn))
    (func $catch (param (ref null $s)) (result exnref)
      (block $h (result (ref null $s) externref exnref)
        (try_table (catch_ref $t $h) (throw $t (local.get 0) (extern.convert_any (local.get 0))))
        (unreachable))
      (return))
    (func (export "cycle") (param $keep i32) (local $s (ref null $s))
      (local.set $s (struct.new $s (ref.null exn) (local.get $keep)))
      (struct.set $s 0 (local.get $s) (call $catch (local.get $s)))
      (if (i32.eq (local.get $keep) (i32.const 1)) (then (global.set $object (local.get $s))))
      (if (i32.eq (local.get $keep) (i32.const 2)) (then
        (global.set $exception (struct.get $s 0 (local.get $s))))))
    (func (export "of_object") (result i32) (struct.get $s 1 (global.get $object)))
    (func (export "of_exception") (result i32)
      (block $h (result (ref null $s) externref)
        (try_table (catch $t $h) (throw_ref (global.get $exception)))
        (unreachable))
      (drop) (struct.get $s 1))))");
  Instance instance = must(Linker(engine).instantiate(module));
  auto cycle = typed<void(int32_t)>(instance, "cycle");
  for (int32_t keep : {1, 2, 0, 0, 0, 0}) must(cycle(keep));
  must(instance.collect_garbage());
  EXPECT_EQ(impl_of(instance)->group->made_exceptions()->count(), 2U);
  EXPECT_EQ(must(typed<int32_t()>(instance, "of_object")()), 1);
  EXPECT_EQ(must(typed<int32_t()>(instance, "of_exception")()), 2);
  EXPECT_EQ(live_bytes(instance), 2U * 24);
}

TEST(Gc, WhatAnExceptionCarriesLivesWhileItBecomesAValue) {
  for (const Way& way : {kWays[0], kWays[1]}) {
    Engine engine = gc_engine(way);
    InstanceOptions small;
    small.limits.heap_bytes = 2 << 16;
    small.limits.exception_bytes = 640;
    // Each exception is a value in the end, made where nothing else refers to what it carries. Every few times
    // there is no room, and a collection.
    Instance instance = must(Linker(engine).instantiate(compile_wat(engine, R"((module
      (type $s (struct (field i32)))
      (tag $t (param (ref $s)))
      ;; Far down, so that what it leaves on the stack is not looked at.
      (func $throw (param $value i32) (param $depth i32)
        (if (local.get $depth) (then (call $throw (local.get $value) (i32.sub (local.get $depth) (i32.const 1)))))
        (throw $t (struct.new $s (local.get $value))))
      (func $take (param i32) (result exnref)
        (block $h (result exnref)
          (try_table (catch_all_ref $h) (call $throw (local.get 0) (i32.const 1000))) (unreachable)))
      (func $value (param exnref) (result i32)
        (block $h (result (ref $s)) (try_table (catch $t $h) (throw_ref (local.get 0))) (unreachable))
        (struct.get $s 0))
      (func (export "run") (param $n i32) (result i32) (local $wrong i32) (local $i i32) (local $e exnref)
        (loop $again
          (local.set $e (call $take (local.get $n)))
          ;; What was freed is taken for others.
          (local.set $i (i32.const 5000))
          (loop $others
            (drop (struct.new $s (i32.const -1)))
            (br_if $others (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
          (if (i32.ne (call $value (local.get $e)) (local.get $n))
            (then (local.set $wrong (i32.add (local.get $wrong) (i32.const 1)))))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $wrong))))"),
                                                        small));
    auto run = typed<int32_t(int32_t)>(instance, "run");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(must(run(1100)), 0) << way.name;
    EXPECT_GT(heap_of(instance).collections, 5U);
    EXPECT_LT(impl_of(instance)->group->made_exceptions()->count(), 3U);
  }
}

// Short ones are allocated in line, by their lengths.
TEST(Gc, ArraysOfAllLengthsHaveRoomOfTheirOwn) {
  constexpr std::string_view kText = R"((module
    (type $a (array (mut ELEMENT)))
    (type $all (array (mut (ref null $a))))
    (func $mark (param $i i32) (result i32) (i32.add (i32.and (local.get $i) (i32.const 63)) (i32.const 1)))
    ;; Makes one of each length up to $n, all kept, and returns how many elements were not as they should be.
    (func (export "wrong") (param $n i32) (result i32)
      (local $all (ref $all)) (local $i i32) (local $k i32) (local $a (ref null $a)) (local $wrong i32)
      (local.set $all (array.new_default $all (local.get $n)))
      (loop $make
        (local.set $a (array.new_default $a (local.get $i)))
        (array.set $all (local.get $all) (local.get $i) (local.get $a))
        (local.set $k (i32.const 0))
        (block $made
          (loop $each
            (br_if $made (i32.eq (local.get $k) (local.get $i)))
            (local.set $wrong (i32.add (local.get $wrong)
              (i32.ne (GET $a (local.get $a) (local.get $k)) (i32.const 0))))
            (array.set $a (local.get $a) (local.get $k) (call $mark (local.get $i)))
            (local.set $k (i32.add (local.get $k) (i32.const 1)))
            (br $each)))
        (br_if $make (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
      (loop $look
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (local.set $a (array.get $all (local.get $all) (local.get $i)))
        (local.set $k (array.len (local.get $a)))
        (if (i32.ne (local.get $k) (local.get $i)) (then (return (i32.const -1))))
        (block $seen
          (loop $each
            (br_if $seen (i32.eqz (local.get $k)))
            (local.set $k (i32.sub (local.get $k) (i32.const 1)))
            (local.set $wrong (i32.add (local.get $wrong)
              (i32.ne (GET $a (local.get $a) (local.get $k)) (call $mark (local.get $i)))))
            (br $each)))
        (br_if $look (local.get $i)))
      (local.get $wrong))
    (func (export "length") (param i32) (result i32) (array.len (array.new_default $a (local.get 0))))))";
  for (const Way& way : {kWays[0], kWays[1], kWays[4]})
    for (const auto& [element, get, bytes] :
         {std::tuple{"i8", "array.get_u", 1}, {"i16", "array.get_s", 2}, {"i32", "array.get", 4}}) {
      std::string text(kText);
      auto put = [&](std::string_view word, std::string_view by) {
        for (size_t at; (at = text.find(word)) != text.npos;) text.replace(at, word.size(), by);
      };
      put("ELEMENT", element);
      put("GET", get);
      Engine engine = gc_engine(way);
      Instance instance = must(Linker(engine).instantiate(compile_wat(engine, text)));
      // Beyond what the tables of the allocator know.
      EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "wrong")(1100 / bytes)), 0) << way.name << ' ' << element;
      // Lengths whose sizes in 32 bits would be small.
      for (int32_t length : {-1, INT32_MIN + 1, INT32_MAX})
        EXPECT_EQ(kind_of(typed<int32_t(int32_t)>(instance, "length")(length)), ErrorKind::limit)
            << way.name << ' ' << length;
    }
}

TEST(Gc, CodeFilesSayThatTheirModuleNeedsAHeap) {
  Engine engine = gc_engine();
  // Nothing but a body says so.
  Module module = compile_wat(engine, R"((module (func (export "f") (param externref) (result i32)
    (ref.is_null (any.convert_extern (local.get 0))))))");
  Module loaded = must(Module::deserialize(engine, must(module.serialize())));
  Instance instance = must(Linker(engine).instantiate(loaded));
  Func f = must(instance.get_func("f"));
  EXPECT_EQ(must(f.call(std::array{Value(ExternRef{UINT64_MAX})}))[0].i32(), 0);
}

}  // namespace
}  // namespace rotor::runtime::test
