// Workers that do not leave a guest by themselves, on a small guest.
#include "hosts/wasm_bindgen/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>

#include "rotor/rotor.h"
#include "wasm/testing/assemble.h"

namespace rotor::wasm_bindgen {
namespace {

const std::vector<uint8_t> kWorker = wasm::test::assemble(R"(
(module
  (import "env" "memory" (memory 1 1 shared))
  (func $fib (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "__wbindgen_start") (param i32))
  (func (export "wbg_rayon_start_worker") (param $receiver i32)
    (if (i32.eq (local.get $receiver) (i32.const 1)) (then (drop (call $fib (i32.const 90)))))
    (if (i32.eq (local.get $receiver) (i32.const 2)) (then unreachable))
    (if (i32.eq (local.get $receiver) (i32.const 3)) (then (loop $forever (br $forever))))
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))
)");

/// What the guest's worker does, by its receiver.
enum Work : uint32_t { kSleep = 0, kRecurse = 1, kTrap = 2, kLoop = 3 };

class WorkerPoolTest : public testing::Test {
 protected:
  void make(bool interruptible) {
    Config config;
    config.mode = CompileMode::aot;
    config.interruptible = interruptible;
    auto engine = Engine::create(config);
    ASSERT_TRUE(engine);
    auto module = Module::compile(*engine, kWorker);
    ASSERT_TRUE(module) << module.error().message;
    auto memory = Memory::create(*engine, {.limits = {1, 1}, .shared = true, .is64 = false});
    ASSERT_TRUE(memory);
    Linker linker(*engine);
    linker.define("env", "memory", *memory);
    auto pre = linker.instantiate_pre(*module);
    ASSERT_TRUE(pre) << pre.error().message;
    shared_ = std::make_shared<GuestShared>();
    shared_->on_worker_error = [this](const Error&) { ++told_; };
    pool_.emplace(*pre, shared_, Limits{});
  }

  std::shared_ptr<GuestShared> shared_;
  std::optional<WorkerPool> pool_;
  std::atomic<int> told_{0};
};

TEST_F(WorkerPoolTest, SleepersAndCallersAreInterruptedAndJoined) {
  for (bool interruptible : {false, true}) {
    make(interruptible);
    for (uint32_t work : {kSleep, kSleep, kRecurse}) ASSERT_TRUE(pool_->start(work));
    EXPECT_EQ(pool_->size(), 3u);
    EXPECT_FALSE(pool_->join(0));
    EXPECT_EQ(pool_->size(), 0u);
    EXPECT_EQ(pool_->interrupted(), 3u);
    EXPECT_EQ(pool_->abandoned(), 0u);
    // They ended as they were to.
    EXPECT_TRUE(pool_->errors().empty());
    EXPECT_EQ(told_, 0);
  }
}

TEST_F(WorkerPoolTest, LoopsAreInterruptedInInterruptibleCode) {
  make(true);
  ASSERT_TRUE(pool_->start(kLoop));
  EXPECT_FALSE(pool_->join(1));
  EXPECT_EQ(pool_->abandoned(), 0u);
}

TEST_F(WorkerPoolTest, AWorkersOwnTrapIsTold) {
  make(false);
  // It traps so soon that starting it may see that already.
  auto started = pool_->start(kTrap);
  ASSERT_TRUE(pool_->join(5000));
  EXPECT_EQ(pool_->interrupted(), 0u);
  ASSERT_EQ(pool_->errors().size(), started ? 1u : 0u);
  const Error error = started ? pool_->errors()[0] : started.error();
  ASSERT_TRUE(error.trap);
  EXPECT_EQ(error.trap->kind, TrapKind::unreachable);
  EXPECT_EQ(told_, 1);
}

TEST_F(WorkerPoolTest, TheDestructorEndsThem) {
  make(false);
  ASSERT_TRUE(pool_->start(kSleep));
  pool_.reset();
  EXPECT_EQ(shared_.use_count(), 1);  // its thread let go of it
}

}  // namespace
}  // namespace rotor::wasm_bindgen
