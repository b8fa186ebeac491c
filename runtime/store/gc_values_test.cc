// Garbage-collected values outside of code: external references, objects in the host's hands, and snapshots of a heap.
#include <array>
#include <string>

#include "code/gc_layout.h"
#include "runtime/testing/gc.h"

namespace rotor::runtime::test {
namespace {

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

}  // namespace
}  // namespace rotor::runtime::test
