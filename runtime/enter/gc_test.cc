// Garbage collection as the host sees it: what lives and what is freed, at each tier, between calls and within them;
// references that go out and come back; heaps of instances that are linked. What single instructions do is tested by
// the specification's suite.
#include <array>
#include <string>

#include "code/gc_layout.h"
#include "rotor/wat.h"
#include "runtime/access.h"
#include "runtime/store/instance.h"
#include "runtime/testing/support.h"

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

struct Way {
  const char* name;
  CompileMode mode;
  OptLevel opt;
  uint32_t steps_per_byte;
  bool stress;
};
constexpr Way kWays[] = {
    {"aot_o1", CompileMode::aot, OptLevel::o1, 16, false},
    {"aot_o0", CompileMode::aot, OptLevel::o0, 16, false},
    {"in_frames", CompileMode::aot, OptLevel::o0, 0, false},
    {"lazy", CompileMode::lazy, OptLevel::o1, 16, false},
    {"aot_o1_stressed", CompileMode::aot, OptLevel::o1, 16, true},
    {"aot_o0_stressed", CompileMode::aot, OptLevel::o0, 16, true},
    {"in_frames_stressed", CompileMode::aot, OptLevel::o0, 0, true},
    {"lazy_stressed", CompileMode::lazy, OptLevel::o1, 16, true},
};

Engine gc_engine(const Way& way = kWays[1]) {
  Config config;
  config.features.gc = true;
  config.mode = way.mode;
  config.opt = way.opt;
  config.compile_steps_per_byte = way.steps_per_byte;
  config.gc_stress = way.stress;
  return must(Engine::create(config));
}

Module compile_wat(const Engine& engine, std::string_view text) {
  return must(Module::compile(engine, must(wat_to_wasm(text))));
}

memory::HeapCounters heap_of(const Instance& instance) { return impl_of(instance)->group->gc_heap()->counters(); }
uint64_t live_bytes(const Instance& instance) {
  impl_of(instance)->group->gc_heap()->collect();
  return heap_of(instance).live_bytes;
}

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
      impl_of(*instance_)->group->gc_heap()->collect();
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

// External references.

constexpr const char* kExterns = R"((module
  (type $box (struct (field (mut externref)) (field (mut anyref))))
  (type $externs (array (mut externref)))
  (table $table (export "table") 4 externref)
  (func (export "in_and_out") (param externref) (result externref)
    (extern.convert_any (any.convert_extern (local.get 0))))
  (func (export "any") (param externref) (result anyref) (any.convert_extern (local.get 0)))
  (func (export "is_eq") (param externref) (result i32) (ref.test (ref eq) (any.convert_extern (local.get 0))))
  (func (export "out") (param i32) (result externref)
    (extern.convert_any (struct.new $box (ref.null extern) (ref.i31 (local.get 0)))))
  (func (export "i31_out") (param i32) (result externref) (extern.convert_any (ref.i31 (local.get 0))))
  (func (export "back") (param externref) (result i32)
    (i31.get_s (ref.cast (ref i31) (struct.get $box 1 (ref.cast (ref $box) (any.convert_extern (local.get 0)))))))
  (func (export "i31_back") (param externref) (result i32)
    (i31.get_s (ref.cast (ref i31) (any.convert_extern (local.get 0)))))
  ;; The table has objects as external references only, and objects of the heap have others.
  (func (export "keep") (param $at i32) (param $n i32) (local $inner (ref null $box))
    (local.set $inner (struct.new $box (ref.null extern) (ref.i31 (local.get $n))))
    (table.set $table (local.get $at) (extern.convert_any (struct.new $box
      (extern.convert_any (array.new $externs (extern.convert_any (local.get $inner)) (i32.const 3)))
      (ref.null any)))))
  (func (export "kept") (param $at i32) (result i32)
    (i31.get_s (ref.cast (ref i31) (struct.get $box 1 (ref.cast (ref $box) (any.convert_extern
      (array.get $externs (ref.cast (ref $externs) (any.convert_extern (struct.get $box 0 (ref.cast (ref $box)
        (any.convert_extern (table.get $table (local.get $at))))))) (i32.const 2))))))))
  (func (export "churn") (param $n i32)
    (loop $again
      (drop (extern.convert_any (struct.new_default $box)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
))";

class GcExternTest : public ::testing::Test {
 protected:
  Value call(const char* name, std::initializer_list<Value> args) {
    return must(must(instance_.get_func(name)).call(std::vector(args)))[0];
  }
  Engine engine_ = gc_engine(kWays[5]);
  Module module_ = compile_wat(engine_, kExterns);
  Instance instance_ = must(Linker(engine_).instantiate(module_));
};

TEST_F(GcExternTest, TheHostsComeBackAsTheyWere) {
  for (uint64_t bits :
       {uint64_t{0}, uint64_t{1}, code::kUnboxedExterns - 1, code::kUnboxedExterns, UINT64_C(0x7fff12345678),
        UINT64_MAX, code::kInternalExtern, code::kInternalExtern | 2, code::kInternalExtern | 4096}) {
    EXPECT_EQ(call("in_and_out", {ExternRef{bits}}).bits(), bits) << std::hex << bits;
    EXPECT_EQ(call("is_eq", {ExternRef{bits}}).i32(), 0);
    const Value any = call("any", {ExternRef{bits}});
    if (bits)
      EXPECT_EQ(any.host_ref(), ExternRef{bits});
    else
      EXPECT_TRUE(any.is_null());
  }
}

TEST_F(GcExternTest, TheGuestsComeBackAsTheyWere) {
  const Value object = call("out", {Value(-5)});
  EXPECT_EQ(call("back", {object}).i32(), -5);
  EXPECT_EQ(call("is_eq", {object}).i32(), 1);
  must(typed<void(int32_t)>(instance_, "churn")(20));
  EXPECT_EQ(call("back", {object}).i32(), -5);
  EXPECT_EQ(call("i31_back", {call("i31_out", {Value(-7)})}).i32(), -7);
}

TEST_F(GcExternTest, WhatIsHeldAsExternalOnlyLives) {
  for (int32_t i = 0; i < 4; ++i) must(typed<void(int32_t, int32_t)>(instance_, "keep")(i, 10 + i));
  must(typed<void(int32_t)>(instance_, "churn")(20));
  for (int32_t i = 0; i < 4; ++i) EXPECT_EQ(call("kept", {Value(i)}).i32(), 10 + i);
  const uint64_t four = live_bytes(instance_);
  must(must(instance_.get_table("table")).set(0, ExternRef{}));
  EXPECT_EQ(live_bytes(instance_), four / 4 * 3);
  int seen = 0;
  must(instance_.each_extern_ref([&](ExternRef) { ++seen; }));
  EXPECT_EQ(seen, 0);
}

// Objects in the host's hands.

constexpr const char* kFields = R"((module
  (type $f (func (result i32)))
  (type $record (struct (field (mut i8)) (field (mut i16)) (field (mut i32)) (field (mut i64)) (field (mut f32))
    (field (mut f64)) (field (mut v128)) (field (mut (ref null $f))) (field (mut anyref)) (field (mut externref))
    (field (mut exnref)) (field i32)))
  (type $words (array (mut i16)))
  (type $records (array (ref null $record)))
  (tag $t (param i32))
  (func $five (export "five") (type $f) (i32.const 5))
  (func (export "record") (result (ref $record))
    (struct.new $record (i32.const -1) (i32.const -2) (i32.const -3) (i64.const -4) (f32.const 5.5) (f64.const 6.5)
      (v128.const i64x2 7 8) (ref.func $five) (ref.i31 (i32.const -9)) (extern.convert_any (ref.i31 (i32.const 10)))
      (block $h (result exnref) (try_table (catch_all_ref $h) (throw $t (i32.const 11))) (unreachable))
      (i32.const 12)))
  (func (export "words") (result (ref $words)) (array.new_fixed $words 3 (i32.const 1) (i32.const 2) (i32.const -3)))
  (func (export "records") (param (ref null $records)) (result i32) (array.len (local.get 0)))
  (func (export "thrown") (param $r (ref $record)) (result i32)
    (block $h (result i32) (try_table (catch $t $h) (throw_ref (struct.get $record 10 (local.get $r)))) (unreachable)))
  (func (export "call") (param $r (ref $record)) (result i32) (call_ref $f (struct.get $record 7 (local.get $r))))
  (func (export "sum") (param $a (ref $words)) (result i32)
    (i32.add (array.get_s $words (local.get $a) (i32.const 0)) (array.get_u $words (local.get $a) (i32.const 2))))
))";

class GcObjectTest : public ::testing::Test {
 protected:
  Object made(const char* name) { return must(Object::of(must(must(instance_.get_func(name)).call({}))[0])); }
  int32_t call(const char* name, const Value& value) {
    return must(must(instance_.get_func(name)).call(std::array{value}))[0].i32();
  }
  HeapType result_type(const char* name) { return must(instance_.get_func(name)).type().results[0].heap(); }
  Engine engine_ = gc_engine(kWays[5]);
  Instance instance_ = must(Linker(engine_).instantiate(compile_wat(engine_, kFields)));
};

TEST_F(GcObjectTest, AllKindsOfFieldsAreRead) {
  const Object record = made("record");
  EXPECT_FALSE(record.is_array());
  ASSERT_EQ(must(record.size()), 12U);
  EXPECT_EQ(must(record.get(0)).i32(), 0xff);
  EXPECT_EQ(must(record.get(1)).i32(), 0xfffe);
  EXPECT_EQ(must(record.get(2)).i32(), -3);
  EXPECT_EQ(must(record.get(3)).i64(), -4);
  EXPECT_EQ(must(record.get(4)).f32(), 5.5F);
  EXPECT_EQ(must(record.get(5)).f64(), 6.5);
  EXPECT_EQ(must(record.get(6)).v128(), V128::of<int64_t>({7, 8}));
  EXPECT_EQ(must(must(record.get(7)).func().call({}))[0].i32(), 5);
  EXPECT_EQ(must(record.get(8)).i31(), -9);
  EXPECT_TRUE(must(record.get(9)).type().is_extern_ref());
  EXPECT_TRUE(must(record.get(10)).type().is_exn_ref());
  EXPECT_EQ(call("thrown", record.value()), 11);
  EXPECT_EQ(must(record.get(11)).i32(), 12);
  EXPECT_EQ(kind_of(record.get(12)), ErrorKind::invalid_argument);
}

TEST_F(GcObjectTest, AllKindsOfFieldsAreWritten) {
  const Object record = made("record"), other = made("record");
  const std::array<Value, 9> values = {Value(0x105),
                                       Value(0x10006),
                                       Value(7),
                                       Value(int64_t{8}),
                                       Value(9.5F),
                                       Value(10.5),
                                       Value(V128::of<int64_t>({11, 12})),
                                       Value(must(instance_.get_func("five"))),
                                       other.value()};
  for (uint32_t i = 0; i < values.size(); ++i) must(record.set(i, values[i]));
  must(record.set(9, ExternRef{77}));
  must(record.set(10, must(other.get(10))));
  EXPECT_EQ(must(record.get(0)).i32(), 5);
  EXPECT_EQ(must(record.get(1)).i32(), 6);
  EXPECT_EQ(must(record.get(6)).v128(), V128::of<int64_t>({11, 12}));
  EXPECT_EQ(call("call", record.value()), 5);
  EXPECT_EQ(must(record.get(8)).bits(), other.value().bits());
  EXPECT_EQ(must(record.get(9)).externref(), ExternRef{77});
  must(record.set(7, Value::null(ValType::funcref)));
  EXPECT_TRUE(must(record.get(7)).is_null());
  EXPECT_EQ(kind_of(record.set(11, Value(1))), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(record.set(2, Value(int64_t{1}))), ErrorKind::type_mismatch);
  EXPECT_EQ(kind_of(record.set(7, Value(must(instance_.get_func("sum"))))), ErrorKind::type_mismatch);
}

TEST_F(GcObjectTest, TheHostMakesThem) {
  const Object words = must(Object::create_array(instance_, result_type("words"), 3, Value(-2)));
  EXPECT_TRUE(words.is_array());
  must(words.set(2, Value(5)));
  EXPECT_EQ(call("sum", words.value()), 3);
  std::vector<Value> fields;
  const Object model = made("record");
  for (uint32_t i = 0; i < 12; ++i) fields.push_back(must(model.get(i)));
  fields[11] = Value(99);
  const Object record = must(Object::create_structure(instance_, result_type("record"), fields));
  EXPECT_EQ(call("thrown", record.value()), 11);
  EXPECT_EQ(must(record.get(11)).i32(), 99);
  const HeapType records = must(instance_.get_func("records")).type().params[0].heap();
  const Object all = must(Object::create_array(instance_, records, 1000, record.value()));
  EXPECT_EQ(call("records", all.value()), 1000);
  EXPECT_EQ(must(all.get(999)).bits(), record.value().bits());
  EXPECT_EQ(kind_of(all.set(0, record.value())), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(Object::create_array(instance_, records, 1, words.value())), ErrorKind::type_mismatch);
  EXPECT_EQ(kind_of(Object::create_structure(instance_, records, fields)), ErrorKind::type_mismatch);
  fields.pop_back();
  EXPECT_EQ(kind_of(Object::create_structure(instance_, result_type("record"), fields)), ErrorKind::type_mismatch);
  EXPECT_EQ(kind_of(Object::of(Value::of_i31(1))), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(Object::of(Value(1))), ErrorKind::invalid_argument);
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
  impl_of(instance)->group->gc_heap()->collect();
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

// Snapshots.

constexpr const char* kState = R"((module
  (type $f (func (result i32)))
  (type $object (struct (field $value (mut i32)) (field $method (ref $f)) (field $next (mut (ref null $object)))
                        (field $host (mut externref))))
  (type $methods (array (ref $f)))
  (import "env" "host" (func $host (type $f)))
  (global $root (mut (ref null $object)) (ref.null $object))
  (global $methods (ref $methods) (array.new_fixed $methods 3 (ref.func $one) (ref.func $two) (ref.func $host)))
  (global $extern (mut externref) (ref.null extern))
  (table $table 4 anyref)
  (elem $names (ref i31) (item (ref.i31 (i32.const 70))))
  (elem $objects (ref null $object)
    (item (struct.new $object (i32.const 7) (ref.func $two) (ref.null $object) (ref.null extern))))
  (func $one (type $f) (i32.const 1))
  (func $two (type $f) (i32.const 2))
  (func (export "push") (param $value i32) (param $method i32)
    (global.set $root (struct.new $object (local.get $value)
      (array.get $methods (global.get $methods) (local.get $method)) (global.get $root) (ref.null extern))))
  (func (export "publish") (global.set $extern (extern.convert_any (global.get $root)))
    (struct.set $object $host (global.get $root) (global.get $extern))
    (table.set $table (i32.const 1) (global.get $root)))
  ;; Value and method of each object, as digits; what is published comes first.
  (func (export "read") (result i64) (local $at (ref null $object)) (local $sum i64)
    (local.set $at (ref.cast (ref null $object) (any.convert_extern (global.get $extern))))
    (block $end
      (loop $again
        (br_if $end (ref.is_null (local.get $at)))
        (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 100)) (i64.extend_i32_u (i32.add
          (i32.mul (struct.get $object $value (local.get $at)) (i32.const 10))
          (call_ref $f (struct.get $object $method (local.get $at)))))))
        (local.set $at (struct.get $object $next (local.get $at)))
        (br $again)))
    (local.get $sum))
  (func (export "same") (result i32)
    (i32.and (ref.eq (global.get $root) (ref.cast (ref null $object) (table.get $table (i32.const 1))))
      (ref.eq (global.get $root) (ref.cast eqref (any.convert_extern (struct.get $object $host (global.get $root)))))))
  (func (export "of_segment") (result i32)
    (table.init $table $objects (i32.const 2) (i32.const 0) (i32.const 1))
    (struct.get $object $value (ref.cast (ref $object) (table.get $table (i32.const 2)))))
  (func (export "churn") (param $n i32)
    (loop $again
      (drop (struct.new $object (local.get $n) (ref.func $one) (ref.null $object) (ref.null extern)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
))";

TEST(Gc, SnapshotsCarryTheHeap) {
  for (const Way& way : {kWays[0], kWays[5]}) {
    Engine engine = gc_engine(way);
    Linker linker(engine);
    int32_t answer = 3;
    linker.define("env", "host", [&] { return answer; });
    InstancePre pre = must(linker.instantiate_pre(compile_wat(engine, kState)));
    std::optional<Instance> first = must(pre.instantiate());
    auto push = typed<void(int32_t, int32_t)>(*first, "push");
    for (int32_t i = 0; i < 3; ++i) must(push(i + 4, i));
    must(typed<void()>(*first, "publish")());
    for (SnapshotCopy copy : {SnapshotCopy::whole, SnapshotCopy::changes}) {
      Snapshot snapshot = must(first->snapshot(copy));
      EXPECT_EQ(must(must(first->snapshot(copy)).digest()), must(snapshot.digest()));
      Instance restored = must(pre.instantiate(snapshot)), other = must(pre.instantiate(snapshot));
      const bool kept = copy == SnapshotCopy::whole;
      // What changes in one changes in no other.
      must(typed<void(int32_t, int32_t)>(other, "push")(9, 0));
      must(typed<void()>(other, "publish")());
      must(typed<void(int32_t)>(restored, "churn")(way.stress ? 20 : 200'000));
      EXPECT_EQ(must(typed<int64_t()>(restored, "read")()), 635241) << way.name << kept;
      EXPECT_EQ(must(typed<int64_t()>(other, "read")()), 91635241);
      EXPECT_EQ(must(typed<int32_t()>(restored, "same")()), 1);
      EXPECT_EQ(must(typed<int32_t()>(restored, "of_segment")()), 7);
      EXPECT_EQ(must(typed<int32_t()>(restored, "of_segment")()), 7);
      // A snapshot of what came from one.
      Snapshot again = must(other.snapshot(copy));
      EXPECT_EQ(must(typed<int64_t()>(must(pre.instantiate(again)), "read")()), 91635241);
      EXPECT_EQ(must(typed<int64_t()>(*first, "read")()), 635241);
    }
    Snapshot last = must(first->snapshot());
    first.reset();
    EXPECT_EQ(must(typed<int64_t()>(must(pre.instantiate(last)), "read")()), 635241);
  }
}

TEST(Gc, ASharedHeapHasNoSnapshot) {
  Engine engine = gc_engine();
  Module module = compile_wat(engine, R"((module (type $s (struct)) (func (export "make") (result (ref $s))
    (struct.new $s)) (func (export "take") (param (ref null $s)))))");
  Instance a = must(Linker(engine).instantiate(module)), b = must(Linker(engine).instantiate(module));
  must(must(b.get_func("take")).call(must(must(a.get_func("make")).call({}))));
  auto snapshot = a.snapshot();
  ASSERT_EQ(kind_of(snapshot), ErrorKind::unsupported);
  EXPECT_NE(snapshot.error().message.find("shares a garbage-collected heap"), std::string::npos);
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
