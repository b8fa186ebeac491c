#include "tools/rotor/latency.h"

#include <gtest/gtest.h>

namespace rotor::cli {
namespace {

TEST(Latency, NearestRank) {
  std::vector<double> values;
  for (int i = 1000; i >= 1; i--) values.push_back(i);
  const Percentiles p = percentiles_of(values);
  EXPECT_EQ(p.count, 1000u);
  EXPECT_EQ(p.p50, 500);
  EXPECT_EQ(p.p90, 900);
  EXPECT_EQ(p.p99, 990);
  EXPECT_EQ(p.p999, 999);
  EXPECT_EQ(p.max, 1000);
}

TEST(Latency, FewValues) {
  EXPECT_EQ(percentiles_of({}).count, 0u);
  const Percentiles one = percentiles_of({7});
  EXPECT_EQ(one.p50, 7);
  EXPECT_EQ(one.p999, 7);
  EXPECT_EQ(percentiles_of({1, 2}).p50, 1);
}

std::vector<Repetition> numbered(size_t count, std::initializer_list<size_t> swaps) {
  std::vector<Repetition> out;
  for (size_t i = 0; i < count; i++) out.push_back({static_cast<double>(i), false});
  for (size_t swap : swaps) out[swap].swapped = true;
  return out;
}

TEST(LatencyBySwap, TwentyOnEitherSide) {
  const LatencyBySwap l = latency_by_swap(numbered(100, {50}));
  EXPECT_EQ(l.all.count, 100u);
  EXPECT_EQ(l.before.count, 20u);
  EXPECT_EQ(l.before.max, 49);
  EXPECT_EQ(l.during.count, 1u);
  EXPECT_EQ(l.during.p50, 50);
  EXPECT_EQ(l.after.count, 20u);
  EXPECT_EQ(l.after.max, 70);
}

TEST(LatencyBySwap, NearSwapsShareWhatLiesBetween) {
  const LatencyBySwap l = latency_by_swap(numbered(30, {5, 15}));
  EXPECT_EQ(l.during.count, 2u);
  EXPECT_EQ(l.before.count, 14u);  // 0 to 4, 6 to 14
  EXPECT_EQ(l.after.count, 23u);   // 6 to 14, 16 to 29
}

TEST(LatencyBySwap, NoSwapNoSides) {
  const LatencyBySwap l = latency_by_swap(numbered(30, {}));
  EXPECT_EQ(l.all.count, 30u);
  EXPECT_EQ(l.before.count, 0u);
  EXPECT_EQ(l.during.count, 0u);
  EXPECT_EQ(l.after.count, 0u);
  EXPECT_EQ(latency_by_swap({}).all.count, 0u);
}

}  // namespace
}  // namespace rotor::cli
