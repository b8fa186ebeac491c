#include "memory/linear_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "memory/os.h"

namespace rotor::memory {
namespace {

constexpr uint64_t kPage = 65536;
constexpr uint64_t kReserved = (uint64_t{4} << 30) + (32 << 20);

uint8_t load(const uint8_t* address) { return *const_cast<const volatile uint8_t*>(address); }
void store(uint8_t* address, uint8_t value) { *const_cast<volatile uint8_t*>(address) = value; }

std::unique_ptr<LinearMemory> make(uint64_t min_pages, uint64_t max_pages, uint64_t reserved = kReserved) {
  return LinearMemory::create(min_pages * kPage, max_pages * kPage, reserved).value();
}

TEST(LinearMemory, IsAccessibleUpToItsSizeOnly) {
  auto memory = make(2, 10);
  EXPECT_EQ(memory->size_bytes(), 2 * kPage);
  EXPECT_EQ(load(memory->base()), 0);
  store(memory->base() + 2 * kPage - 1, 1);
  EXPECT_DEATH(store(memory->base() + 2 * kPage, 1), "");
  EXPECT_DEATH(load(memory->base() + 10 * kPage), "");
  EXPECT_DEATH(load(memory->base() + kReserved - 1), "");
}

TEST(LinearMemory, OfNoPagesHasABaseThatFaults) {
  auto memory = make(0, 0);
  ASSERT_NE(memory->base(), nullptr);
  EXPECT_EQ(memory->size_bytes(), 0u);
  EXPECT_DEATH(load(memory->base()), "");
  EXPECT_EQ(memory->grow(0), 0u);
  EXPECT_EQ(memory->grow(kPage), UINT64_MAX);
}

TEST(LinearMemory, OfAnySizeInBytes) {
  auto memory = LinearMemory::create(5, 100'000, 100 * kPage).value();
  uint8_t* base = memory->base();
  EXPECT_EQ(memory->size_bytes(), 5u);
  EXPECT_DEATH(store(base + os::page_bytes(), 1), "");
  EXPECT_EQ(memory->grow(3), 5u);
  EXPECT_EQ(memory->grow(os::page_bytes()), 8u);
  store(base + os::page_bytes() + 7, 1);
  EXPECT_DEATH(store(base + 2 * os::page_bytes(), 1), "");
  EXPECT_EQ(memory->grow(100'000), UINT64_MAX);
  EXPECT_EQ(memory->grow(100'000 - 8 - os::page_bytes()), 8 + os::page_bytes());
  EXPECT_EQ(load(base + 99'999), 0);
  EXPECT_EQ(memory->size_bytes(), 100'000u);
  EXPECT_EQ(memory->grow(1), UINT64_MAX);
}

TEST(LinearMemory, GrowsWithoutMovingAndZeroed) {
  auto memory = make(1, 3);
  uint8_t* base = memory->base();
  store(base, 42);
  EXPECT_EQ(memory->grow(0), kPage);
  EXPECT_EQ(memory->grow(kPage), kPage);
  EXPECT_EQ(memory->base(), base);
  EXPECT_EQ(memory->size_bytes(), 2 * kPage);
  EXPECT_EQ(load(base), 42);
  EXPECT_EQ(load(base + 2 * kPage - 1), 0);
  EXPECT_DEATH(store(base + 2 * kPage, 1), "");
  EXPECT_EQ(memory->grow(2 * kPage), UINT64_MAX);
  EXPECT_EQ(memory->size_bytes(), 2 * kPage);
  EXPECT_EQ(memory->grow(kPage), 2 * kPage);
  EXPECT_EQ(memory->grow(kPage), UINT64_MAX);
}

TEST(LinearMemory, HugeDeltaDoesNotWrap) {
  auto memory = make(1, 3);
  EXPECT_EQ(memory->grow(UINT64_MAX - kPage + 1), UINT64_MAX);
  EXPECT_EQ(memory->size_bytes(), kPage);
}

TEST(LinearMemory, WholeFourGibibytes) {
  auto memory = make(0, 65536);
  EXPECT_EQ(memory->grow(65536 * kPage), 0u);
  store(memory->base() + (uint64_t{4} << 30) - 1, 1);
  EXPECT_DEATH(store(memory->base() + (uint64_t{4} << 30), 1), "");
}

TEST(LinearMemory, ContainsItsReservation) {
  auto memory = make(1, 1);
  auto base = reinterpret_cast<uintptr_t>(memory->base());
  EXPECT_TRUE(memory->contains(base));
  EXPECT_TRUE(memory->contains(base + kReserved - 1));
  EXPECT_FALSE(memory->contains(base + kReserved));
  EXPECT_FALSE(memory->contains(base - 1));
  EXPECT_FALSE(memory->contains(0));
}

TEST(LinearMemory, KeepsAnAttachedSize) {
  std::atomic<uint64_t> size{0};
  auto memory = make(1, 4);
  memory->attach_size(&size);
  EXPECT_EQ(size, kPage);
  memory->grow(2 * kPage);
  EXPECT_EQ(size, 3 * kPage);
  EXPECT_EQ(memory->size_bytes(), 3 * kPage);
}

TEST(LinearMemory, FourThreadsGrowIt) {
  constexpr int kThreads = 4;
  constexpr uint64_t kPagesEach = 200;
  auto memory = make(1, 1 + kThreads * kPagesEach - 50);  // the last 50 growths are refused
  std::atomic<uint64_t> attached{0};
  memory->attach_size(&attached);
  std::atomic<bool> done{false};
  // A reader that trusts whatever size it sees.
  std::thread reader([&] {
    while (!done) {
      uint64_t size = attached.load(std::memory_order_acquire);
      ASSERT_EQ(load(memory->base() + size - 1), 0);
    }
  });
  std::vector<std::vector<uint64_t>> seen(kThreads);
  std::vector<std::thread> growers;
  for (auto& mine : seen)
    growers.emplace_back([&memory, &mine] {
      for (uint64_t i = 0; i < kPagesEach; i++) {
        uint64_t old = memory->grow(kPage);
        if (old == UINT64_MAX) continue;
        mine.push_back(old);
        store(memory->base() + old, 1);  // what a thread got is its own
      }
    });
  for (auto& grower : growers) grower.join();
  done = true;
  reader.join();
  std::set<uint64_t> all;
  for (auto& mine : seen) {
    EXPECT_TRUE(std::is_sorted(mine.begin(), mine.end()));
    for (uint64_t old : mine) EXPECT_TRUE(all.insert(old).second) << "two growths got " << old;
  }
  EXPECT_EQ(all.size(), kThreads * kPagesEach - 50);
  EXPECT_EQ(memory->size_bytes(), memory->max_bytes());
}

TEST(LinearMemory, GivesItsAddressSpaceBack) {
  // 100 TB in all: only possible if each one is released.
  for (int i = 0; i < 25'000; i++) {
    auto memory = make(1, 1);
    store(memory->base(), 1);
  }
}

TEST(LinearMemory, IsFreedWithItsPages) {
  uint64_t before = os::resident_bytes();
  for (int i = 0; i < 20; i++) {
    auto memory = make(256, 256);
    std::fill_n(memory->base(), 256 * kPage, uint8_t{1});
  }
  EXPECT_LE(os::resident_bytes(), before + (uint64_t{24} << 20));
}

TEST(LinearMemory, NoAddressSpaceIsAnError) {
  auto memory = LinearMemory::create(0, kPage, uint64_t{1} << 60);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().kind, ErrorKind::limit);
}

}  // namespace
}  // namespace rotor::memory
