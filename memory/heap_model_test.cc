// A heap does what a model of it does, whatever is asked of it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "memory/testing/heap_model.h"

namespace rotor::memory {
namespace {

std::vector<uint8_t> script(uint64_t seed, size_t steps) {
  std::mt19937_64 random(seed);
  std::vector<uint8_t> bytes(steps * 5);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

TEST(HeapModelTest, RandomPrograms) {
  // ROTOR_HEAP_SEEDS: how many programs, for a longer run.
  const char* wanted = std::getenv("ROTOR_HEAP_SEEDS");
  const uint64_t seeds = wanted ? std::strtoull(wanted, nullptr, 10) : 200;
  HeapCounters total;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    const std::vector<uint8_t> bytes = script(seed, 600);
    test::HeapModel model(bytes);
    ASSERT_EQ(model.run(), "") << "seed " << seed;
    total.collections += model.total().collections;
    total.imprecise_collections += model.total().imprecise_collections;
    total.failed_allocations += model.total().failed_allocations;
    total.returned_bytes += model.total().returned_bytes;
    total.rescans += model.total().rescans;
  }
  // The programs come everywhere.
  EXPECT_GT(total.collections, seeds * 10);
  EXPECT_GT(total.imprecise_collections, seeds);
  EXPECT_GT(total.failed_allocations, seeds);
  EXPECT_GT(total.returned_bytes, seeds * kHeapBlockBytes);
  EXPECT_GT(total.rescans, seeds);
}

}  // namespace
}  // namespace rotor::memory
