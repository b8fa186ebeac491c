// Memories: limits, growth, waiting.
#include <chrono>
#include <thread>

#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

using std::chrono::milliseconds;
constexpr uint64_t kPage = Memory::kPageBytes;

class MemoryTest : public testing::Test {
 protected:
  Instance with_memory(std::span<const uint8_t> bytes, const Memory& memory) {
    Linker linker(engine_);
    linker.define("env", "memory", memory);
    return instantiate(linker, compile(engine_, bytes));
  }
  Memory shared() { return must(Memory::create(engine_, {.limits = {1, 4}, .shared = true, .is64 = false})); }
  Engine engine_ = engine();
};

TEST_F(MemoryTest, GrowthOverTheLimitIsRefusedAndCounted) {
  InstanceOptions options;
  options.limits.memory.limit_bytes = 2 * kPage + 5;
  Instance instance = must(Linker(engine_).instantiate(compile(engine_, kTraps), options));
  Memory memory = must(instance.get_memory("mem"));
  auto grow = typed<int32_t(int32_t)>(instance, "grow");
  EXPECT_EQ(memory.limit_bytes(), 2 * kPage);
  EXPECT_EQ(must(grow(2)), -1);
  EXPECT_EQ(must(grow(-1)), -1);
  EXPECT_EQ(must(grow(1)), 1);
  EXPECT_EQ(must(grow(0)), 2);
  EXPECT_EQ(must(grow(1)), -1);
  EXPECT_EQ(memory.denied_growths(), 3u);
  EXPECT_EQ(kind_of(memory.grow(1)), ErrorKind::limit);
  EXPECT_EQ(memory.size_pages(), 2u);
  options.limits.memory.limit_bytes = kPage - 1;
  EXPECT_EQ(kind_of(Linker(engine_).instantiate(compile(engine_, kTraps), options)), ErrorKind::limit);
}

TEST_F(MemoryTest, TheWatermarkAsksFirst) {
  std::vector<MemoryGrowth> asked;
  bool allow = true;
  MemoryLimits limits;
  limits.limit_bytes = 4 * kPage;
  limits.watermark = 0.75;
  limits.on_watermark = [&](const MemoryGrowth& growth) {
    asked.push_back(growth);
    return allow;
  };
  Memory memory = must(Memory::create(engine_, {.limits = {1, 4}, .shared = false, .is64 = false}, limits));
  Instance instance = with_memory(kMemoryUser, memory);
  auto grow = typed<int32_t(int32_t)>(instance, "grow");
  EXPECT_EQ(must(grow(1)), 1);
  EXPECT_TRUE(asked.empty());
  EXPECT_EQ(must(grow(1)), 2);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].old_bytes, 2 * kPage);
  EXPECT_EQ(asked[0].new_bytes, 3 * kPage);
  EXPECT_EQ(asked[0].limit_bytes, 4 * kPage);
  allow = false;
  EXPECT_EQ(must(grow(1)), -1);
  EXPECT_EQ(must(typed<int32_t()>(instance, "size")()), 3);
  EXPECT_EQ(memory.denied_growths(), 1u);
}

TEST_F(MemoryTest, BaseStaysAndNewBytesAreZero) {
  Memory memory = must(Memory::create(engine_, {.limits = {1, 4}, .shared = false, .is64 = false}));
  Instance instance = with_memory(kMemoryUser, memory);
  uint8_t* base = memory.data();
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "grow")(3)), 1);
  EXPECT_EQ(memory.data(), base);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(instance, "peek")(static_cast<int32_t>(4 * kPage - 4))), 0);
  uint8_t bytes[2] = {1, 2};
  EXPECT_EQ(kind_of(memory.write(4 * kPage - 1, bytes)), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(memory.read(UINT64_MAX, bytes)), ErrorKind::invalid_argument);
  must(memory.write(4 * kPage - 2, bytes));
}

TEST_F(MemoryTest, ImpossibleTypes) {
  EXPECT_EQ(kind_of(Memory::create(engine_, {.limits = {2, 1}, .shared = false, .is64 = false})),
            ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(Memory::create(engine_, {.limits = {1}, .shared = true, .is64 = false})),
            ErrorKind::invalid_argument);
}

TEST_F(MemoryTest, ImportLimitsMatchAgainstTheCurrentSize) {
  Module module = compile(engine_, kMemoryUser);  // wants (memory 1 4)
  auto pre = [&](SizeLimits limits, bool shared_memory) {
    Linker linker(engine_);
    linker.define("env", "memory",
                  must(Memory::create(engine_, {.limits = limits, .shared = shared_memory, .is64 = false})));
    return linker.instantiate_pre(module);
  };
  EXPECT_TRUE(pre({1, 4}, false));
  EXPECT_TRUE(pre({2, 3}, false));
  EXPECT_EQ(kind_of(pre({0, 4}, false)), ErrorKind::link);
  EXPECT_EQ(kind_of(pre({1, 5}, false)), ErrorKind::link);
  EXPECT_EQ(kind_of(pre({1}, false)), ErrorKind::link);
  EXPECT_EQ(kind_of(pre({1, 4}, true)), ErrorKind::link);
  Memory grown = must(Memory::create(engine_, {.limits = {0, 4}, .shared = false, .is64 = false}));
  must(grown.grow(1));
  Linker linker(engine_);
  linker.define("env", "memory", grown);
  EXPECT_TRUE(linker.instantiate_pre(module));
}

TEST_F(MemoryTest, WaitAndNotifyAcrossInstances) {
  Memory memory = shared();
  Instance a = with_memory(kShared, memory), b = with_memory(kShared, memory);
  auto wait = typed<int32_t(int32_t, int32_t, int64_t)>(a, "wait");
  EXPECT_EQ(must(wait(64, 1, -1)), 1);
  EXPECT_EQ(must(wait(64, 0, 1'000'000)), 2);
  EXPECT_EQ(must(wait(64, 0, 0)), 2);
  int32_t outcome = -1;
  std::thread waiter([&] { outcome = must(wait(64, 0, -1)); });
  auto notify = typed<int32_t(int32_t, int32_t)>(b, "notify");
  int32_t woken = 0;
  while ((woken = must(notify(64, 5))) == 0) std::this_thread::sleep_for(milliseconds(1));
  waiter.join();
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(outcome, 0);
  EXPECT_EQ(must(notify(64, 5)), 0);
  auto wait64 = typed<int32_t(int32_t, int64_t, int64_t)>(a, "wait64");
  EXPECT_EQ(must(wait64(8, INT64_C(1) << 40, -1)), 1);
  expect_trap(wait64(4, 0, 0), TrapKind::unaligned_atomic);
}

TEST_F(MemoryTest, NoWakeUpIsLost) {
  Memory memory = shared();
  Instance a = with_memory(kShared, memory), b = with_memory(kShared, memory);
  constexpr int32_t kTurns = 2000;
  // Ping-pong on one word: every store is followed by a notify, every wait names the value it saw. A lost wake-up
  // hangs.
  auto play = [&](const Instance& instance, int32_t mine) {
    auto wait = typed<int32_t(int32_t, int32_t, int64_t)>(instance, "wait");
    auto notify = typed<int32_t(int32_t, int32_t)>(instance, "notify");
    auto store = typed<void(int32_t, int32_t)>(instance, "store");
    for (int32_t turn = mine; turn < kTurns; turn += 2) {
      for (;;) {
        int32_t now = __atomic_load_n(reinterpret_cast<int32_t*>(memory.data() + 128), __ATOMIC_SEQ_CST);
        if (now == turn) break;
        must(wait(128, now, -1));
      }
      must(store(128, turn + 1));
      must(notify(128, 1));
    }
  };
  std::thread other([&] { play(a, 0); });
  play(b, 1);
  other.join();
}

TEST_F(MemoryTest, ThreadsAddUpAndGrow) {
  Memory memory = shared();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      Instance own = with_memory(kShared, memory);
      must(typed<int32_t(int32_t, int32_t)>(own, "add")(256, 10000));
      EXPECT_GE(must(typed<int32_t(int32_t)>(own, "grow")(1)), 1);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(__atomic_load_n(reinterpret_cast<int32_t*>(memory.data() + 256), __ATOMIC_SEQ_CST), 30000);
  EXPECT_EQ(memory.size_pages(), 4u);
}

}  // namespace
}  // namespace rotor::runtime::test
