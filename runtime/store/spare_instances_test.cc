// Instances that follow others: what they find is as new, whoever was there before, and old handles don't reach them.
#include "runtime/store/spare_instances.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "memory/slot_pool.h"
#include "rotor/rotor.h"
#include "runtime/access.h"
#include "runtime/module.h"
#include "runtime/store/instance.h"
#include "runtime/testing/support.h"
#include "wasm/testing/assemble.h"

namespace rotor::runtime {
namespace {

using namespace test;
using memory::Cleaning;

// `write` leaves secrets wherever a guest can; `check` says where something is not as it should be first: 0 if nowhere.
constexpr std::string_view kGuest = R"((module
  (import "env" "call" (func $call (param i32) (result i32)))
  (memory $small (export "small") 1 4)
  (memory $large (export "large") 20 60)
  (data $first (memory $small) (i32.const 16) "first")
  (data $far (memory $large) (i32.const 1000000) "far")
  (data $passive "passive")
  (table $t (export "table") 10 100 funcref)
  (elem $e (table $t) (i32.const 2) func $write $check)
  (elem $later func $write)
  (global $i (export "global") (mut i32) (i32.const 7))
  (global $l (mut i64) (i64.const -1))
  (global $v (mut v128) (v128.const i64x2 1 2))
  (global $f (mut funcref) (ref.func $check))
  (func $many (result i64 i64 i64 i64 i64 i64 i64 i64)
    (i64.const 0x5ec1) (i64.const 0x5ec2) (i64.const 0x5ec3) (i64.const 0x5ec4)
    (i64.const 0x5ec5) (i64.const 0x5ec6) (i64.const 0x5ec7) (i64.const 0x5ec8))
  (func $write (export "write") (param $end i32)
    (drop (memory.grow $small (i32.const 2)))
    (drop (memory.grow $large (i32.const 9)))
    (memory.fill $small (i32.const 0) (i32.const 0xa5) (i32.mul (memory.size $small) (i32.const 65536)))
    (memory.fill $large (i32.const 3000) (i32.const 0xa5) (i32.const 100))
    (memory.fill $large (i32.const 900000) (i32.const 0xa5) (i32.const 200000))
    (memory.fill $large (i32.const 1700000) (i32.const 0xa5) (i32.const 100000))
    (data.drop $passive) (elem.drop $later)
    (drop (table.grow $t (ref.func $write) (i32.const 30)))
    (table.fill $t (i32.const 0) (ref.func $write) (i32.const 40))
    (global.set $i (i32.const 0x5ec)) (global.set $l (i64.const 0x5ec))
    (global.set $v (v128.const i64x2 0x5ec 0x5ec)) (global.set $f (ref.null func))
    (call $many) drop drop drop drop drop drop drop drop
    (if (local.get $end) (then (if (i32.eq (call $call (local.get $end)) (i32.const 1)) (then unreachable)))))
  (func $sum_small (result i32) (local $at i32) (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u $small (local.get $at))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 65536))))
    (local.get $sum))
  (func $sum_large (result i64) (local $at i32) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.load $large (local.get $at))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 1310720))))
    (local.get $sum))
  (func $check (export "check") (result i32) (local $i i32)
    (if (i32.ne (memory.size $small) (i32.const 1)) (then (return (i32.const 1))))
    (if (i32.ne (memory.size $large) (i32.const 20)) (then (return (i32.const 2))))
    (if (i32.ne (call $sum_small) (i32.const 552)) (then (return (i32.const 3))))
    (if (i64.ne (call $sum_large) (i64.const 0x726166)) (then (return (i32.const 4))))
    (if (i32.ne (table.size $t) (i32.const 10)) (then (return (i32.const 5))))
    (loop $next
      (if (i32.ne (ref.is_null (table.get $t (local.get $i)))
                  (i32.ne (i32.shr_u (local.get $i) (i32.const 1)) (i32.const 1)))
        (then (return (i32.const 6))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))
    (if (i32.ne (global.get $i) (i32.const 7)) (then (return (i32.const 7))))
    (if (i64.ne (global.get $l) (i64.const -1)) (then (return (i32.const 8))))
    (if (i64.ne (i64x2.extract_lane 1 (global.get $v)) (i64.const 2)) (then (return (i32.const 9))))
    (if (ref.is_null (global.get $f)) (then (return (i32.const 10))))
    (memory.init $small $passive (i32.const 100) (i32.const 0) (i32.const 7))
    (table.init $t $later (i32.const 0) (i32.const 0) (i32.const 1))
    (if (i32.ne (memory.grow $small (i32.const 1)) (i32.const 1)) (then (return (i32.const 11))))
    (if (i32.ne (memory.grow $large (i32.const 1)) (i32.const 20)) (then (return (i32.const 12))))
    (loop $grown
      (if (i32.or (i32.load8_u $small (i32.add (i32.const 65536) (local.get $i)))
                  (i32.load8_u $large (i32.add (i32.const 1310720) (local.get $i))))
        (then (return (i32.const 13))))
      (br_if $grown (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 65536))))
    (if (i32.ne (table.grow $t (ref.null func) (i32.const 5)) (i32.const 10)) (then (return (i32.const 14))))
    (if (i32.eqz (ref.is_null (table.get $t (i32.const 12)))) (then (return (i32.const 15))))
    (i32.const 0))))";

class SpareInstancesTest : public testing::Test {
 protected:
  SpareInstancesTest() {
    linker_.define("env", "call", [this](int32_t v) -> int32_t { return on_call_ ? on_call_(v) : 0; });
    pre_ = must(linker_.instantiate_pre(module_));
  }
  Instance make(const InstanceOptions& options = {}) { return must(pre_->instantiate(options)); }
  static int32_t check(const Instance& instance) { return must(typed<int32_t()>(instance, "check")()); }
  static void write(const Instance& instance) { must(typed<void(int32_t)>(instance, "write")(0)); }
  /// Expects the next instances to be in the place of the last one, which is gone.
  static const void* place(const Instance& instance) { return impl_of(instance); }

  Engine engine_ = engine();
  Linker linker_{engine_};
  std::function<int32_t(int32_t)> on_call_;
  Module module_ = compile(engine_, wasm::test::assemble(kGuest));
  std::optional<InstancePre> pre_;
};

TEST_F(SpareInstancesTest, TheNextOneIsInThePlaceOfTheLast) {
  Instance first = make();
  const void* where = place(first);
  Instance second = make();
  first = Instance();
  EXPECT_EQ(place(make()), where);
  EXPECT_EQ(place(make()), where);
  EXPECT_EQ(check(second), 0);
}

TEST_F(SpareInstancesTest, NothingLeaksBetweenOwners) {
  for (int cleaning = -1; cleaning <= static_cast<int>(Cleaning::discard); ++cleaning) {
    make();  // so that there are contents
    if (cleaning >= 0)
      for (const auto& contents : impl_of(module_).data_images().contents)
        contents->slots().force(static_cast<Cleaning>(cleaning));
    for (int owner = 0; owner < 20; ++owner) {
      Instance instance = make();
      ASSERT_EQ(check(instance), 0) << cleaning << ", owner " << owner;
      // What more than a few results pass through is behind the context.
      const uint64_t* results = impl_of(instance)->context->results;
      for (uint32_t i = 0; i < impl_of(module_).result_words(); ++i) ASSERT_EQ(results[i], 0u);
      switch (owner % 4) {
        case 0: write(instance); break;
        case 1:  // a trap in the middle
          on_call_ = [](int32_t) { return 1; };
          expect_trap(typed<void(int32_t)>(instance, "write")(1), TrapKind::unreachable);
          break;
        case 2:  // dropped in the middle
          on_call_ = [&](int32_t) {
            instance = Instance();
            return 0;
          };
          must(typed<void(int32_t)>(instance, "write")(1));
          break;
        default:  // in the child of a fork, and in its parent
          write(instance);
          const pid_t child = fork();
          if (child == 0) {
            instance = Instance();
            _exit(check(make()) == 0 && check(make()) == 0 ? 0 : 1);
          }
          int status = 0;
          ASSERT_EQ(waitpid(child, &status, 0), child);
          EXPECT_EQ(status, 0) << cleaning;
      }
    }
  }
}

TEST_F(SpareInstancesTest, NothingLeaksIntoASnapshotsInstances) {
  Instance source = make();
  Snapshot snapshot = must(source.snapshot());
  for (int owner = 0; owner < 20; ++owner) {
    // Both kinds follow each other in one place.
    Instance instance = owner % 3 ? must(pre_->instantiate(snapshot)) : make();
    ASSERT_EQ(check(instance), 0) << owner;
    write(instance);
  }
  EXPECT_GT(snapshot.memory_slots().reused, 10u);
  EXPECT_GT(module_.memory_slots().reused, 5u);
}

TEST_F(SpareInstancesTest, OldHandlesDontReachTheNextOne) {
  for (int round = 0; round < 3; ++round) {
    Instance old = make();
    const void* where = place(old);
    Func write = must(old.get_func("write")), check_func = must(old.get_func("check"));
    Table table = must(old.get_table("table"));
    Memory memory = must(old.get_memory("large"));
    Global global = must(old.get_global("global"));
    InterruptHandle interrupt = old.interrupt_handle();
    old = Instance();
    Instance next = make();
    EXPECT_EQ(place(next), where);
    EXPECT_FALSE(write.alive());
    EXPECT_EQ(kind_of(write.call({Value(0)})), ErrorKind::stale_handle);
    EXPECT_EQ(kind_of(check_func.typed<int32_t()>()), ErrorKind::stale_handle);
    EXPECT_EQ(kind_of(table.get(0)), ErrorKind::stale_handle);
    EXPECT_EQ(kind_of(memory.grow(1)), ErrorKind::stale_handle);
    EXPECT_EQ(kind_of(global.set(Value(1))), ErrorKind::stale_handle);
    EXPECT_EQ(kind_of(interrupt.interrupt()), ErrorKind::stale_handle);
    EXPECT_EQ(kind_of(interrupt.set_deadline(InterruptHandle::Clock::now())), ErrorKind::stale_handle);
    EXPECT_EQ(check(next), 0);
  }
}

TEST_F(SpareInstancesTest, OptionsAreTheNextOnesOwn) {
  int of_first = 1, of_second = 2;
  InstanceOptions options;
  options.host_data = &of_first;
  options.limits.memory.limit_bytes = 30 << 16;
  bool asked = false;
  options.limits.memory.on_watermark = [&](const auto&) { return asked = true; };
  options.limits.memory.watermark = 0.1;
  Instance first = make(options);
  EXPECT_EQ(first.usage().memory_limit_bytes, uint64_t{30} << 16);
  must(must(first.get_memory("large")).grow(1));
  EXPECT_TRUE(asked);
  EXPECT_EQ(kind_of(must(first.get_memory("large")).grow(20)), ErrorKind::limit);
  first = Instance();
  asked = false;
  options = {};
  options.host_data = &of_second;
  Instance second = make(options);
  EXPECT_EQ(second.host_data(), &of_second);
  EXPECT_EQ(second.usage().denied_memory_growths, 0u);
  EXPECT_EQ(second.usage().memory_bytes, uint64_t{21} << 16);
  EXPECT_EQ(second.usage().memory_limit_bytes, uint64_t{64} << 16);
  EXPECT_EQ(check(second), 0);
  EXPECT_FALSE(asked);
}

TEST_F(SpareInstancesTest, AStopOfTheLastOneDoesNotStopTheNext) {
  Config config;
  config.mode = CompileMode::aot;
  config.interruptible = true;
  Engine engine = must(Engine::create(config));
  Linker linker(engine);
  linker.define("env", "call", [](int32_t v) { return v; });
  InstancePre pre = must(linker.instantiate_pre(compile(engine, wasm::test::assemble(kGuest))));
  for (int i = 0; i < 3; ++i) {
    Instance stopped = must(pre.instantiate());
    must(stopped.interrupt());
    stopped = must(pre.instantiate());
    EXPECT_EQ(check(stopped), 0);
    must(stopped.set_deadline(InterruptHandle::Clock::now()));
    expect_trap(typed<int32_t()>(stopped, "check")(), TrapKind::interrupted);
    stopped = must(pre.instantiate());
    EXPECT_EQ(check(stopped), 0);
  }
}

TEST_F(SpareInstancesTest, WhatOutlivesAnInstanceIsNotUsedAgain) {
  Memory pinned;
  {
    Instance instance = make();
    pinned = must(instance.get_memory("small")).pinned();
    write(instance);
  }
  ASSERT_EQ(pinned.size_bytes(), 3u << 16);
  Instance next = make();
  EXPECT_NE(must(next.get_memory("small")).data(), pinned.data());
  EXPECT_EQ(pinned.data()[0], 0xa5);
  EXPECT_EQ(check(next), 0);
  EXPECT_EQ(pinned.size_bytes(), 3u << 16);
}

TEST_F(SpareInstancesTest, LinkedInstancesAreNotUsedAgain) {
  constexpr std::string_view kUser = R"((module (import "p" "table" (table 10 funcref))
    (func $f (result i32) (i32.const 5)) (elem (i32.const 9) func $f)))";
  Module user = compile(engine_, wasm::test::assemble(kUser));
  for (int round = 0; round < 3; ++round) {
    Instance provider = make();
    const void* where = place(provider);
    Linker linker(engine_);
    linker.define_instance("p", provider);
    Instance importer = must(linker.instantiate(user));
    provider = Instance();
    EXPECT_NE(place(make()), where);
    importer = Instance();
    EXPECT_EQ(check(make()), 0);
  }
}

TEST_F(SpareInstancesTest, TheLastOneFreesThemAll) {
  Instance last = make();
  for (int i = 0; i < 3; ++i) make();
  pre_.reset();
  module_ = compile(engine_, wasm::test::assemble("(module)"));
  EXPECT_EQ(check(last), 0);
  last = Instance();
}

TEST_F(SpareInstancesTest, OfSeveralThreads) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        Instance a = make(), b = make();
        wrong += check(a) != 0;
        write(b);
        std::thread([dropped = std::move(b)] {}).join();
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace rotor::runtime
