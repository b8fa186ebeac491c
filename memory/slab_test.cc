// Slabs: that parts are apart, zero whoever had them before, and go back to the system.
#include "memory/slab.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "memory/fault_injection.h"
#include "memory/os.h"

namespace rotor::memory {
namespace {

Slab::Part take(uint64_t bytes) { return Slab::take(bytes).value(); }
bool is_zero(Slab::Part part, uint64_t bytes) { return os::is_zero({part.base, bytes}); }

TEST(Slab, HasPartsOfItsOwnForEachSize) {
  const auto before = os::address_space_use();
  for (uint64_t bytes : {uint64_t{0}, uint64_t{1}, uint64_t{4096}, uint64_t{5000}, uint64_t{3} << 16,
                         Slab::kMostPartBytes - 1, Slab::kMostPartBytes}) {
    std::vector<Slab::Part> parts;
    for (uint32_t i = 0; i < 2 * Slab::kParts; ++i) parts.push_back(take(bytes));
    EXPECT_EQ(os::address_space_use().mappings, before.mappings + 2) << bytes;
    std::ranges::sort(parts, {}, &Slab::Part::base);
    for (size_t i = 1; i < parts.size(); ++i) {
      EXPECT_GE(static_cast<uint64_t>(parts[i].base - parts[i - 1].base), std::max<uint64_t>(bytes, 1)) << bytes;
      // All is accessible, and nobody else's.
      std::memset(parts[i].base, static_cast<int>(i), bytes);
    }
    for (size_t i = 1; i < parts.size() && bytes > 0; ++i)
      EXPECT_EQ(parts[i].base[bytes - 1], static_cast<uint8_t>(i)) << bytes;
    for (Slab::Part part : parts) Slab::give_back(part);
    EXPECT_EQ(os::address_space_use().mappings, before.mappings) << bytes;
    EXPECT_EQ(os::address_space_use().reserved_bytes, before.reserved_bytes) << bytes;
  }
}

TEST(Slab, FillsThePartsThatAreFree) {
  std::vector<Slab::Part> parts;
  for (uint32_t i = 0; i < 3 * Slab::kParts; ++i) parts.push_back(take(65536));
  const uint64_t mappings = os::address_space_use().mappings;
  std::mt19937 random(3);
  for (int round = 0; round < 1000; ++round) {
    std::ranges::shuffle(parts, random);
    const size_t gone = random() % 60;
    for (size_t i = 0; i < gone; ++i) {
      parts.back().base[random() % 65536] = 1;
      Slab::give_back(parts.back());
      parts.pop_back();
    }
    for (size_t i = 0; i < gone; ++i) {
      parts.push_back(take(65536));
      ASSERT_TRUE(is_zero(parts.back(), 65536));
      parts.back().base[random() % 65536] = 1;
    }
    ASSERT_LE(os::address_space_use().mappings, mappings);
  }
  for (Slab::Part part : parts) Slab::give_back(part);
}

TEST(Slab, LeavesNothingWhereTheSystemDoesNotTakePagesBack) {
  const Slab::Part first = take(65536), second = take(65536);
  std::memset(first.base, 0xa5, 65536);
  fault_injection::fail_after(1);
  Slab::give_back(first);
  fault_injection::off();
  const Slab::Part next = take(65536);
  EXPECT_EQ(next.base, first.base);
  EXPECT_TRUE(is_zero(next, 65536));
  Slab::give_back(next);
  Slab::give_back(second);
}

TEST(Slab, SurvivesEachFailure) {
  const uint64_t mappings = os::address_space_use().mappings;
  for (uint64_t n = 1; n < 10; ++n) {
    fault_injection::fail_after(n);
    auto part = Slab::take(4096);
    fault_injection::off();
    EXPECT_EQ(part.has_value(), n > 2) << "a reservation and a commit";
    if (part) Slab::give_back(*part);
    EXPECT_EQ(os::address_space_use().mappings, mappings);
  }
}

TEST(Slab, InTheChildOfAForkIsTheChildsOwn) {
  const Slab::Part mine = take(65536);
  std::memset(mine.base, 1, 65536);
  const pid_t child = fork();
  if (child == 0) {
    std::memset(mine.base, 2, 65536);
    Slab::give_back(mine);
    const Slab::Part next = take(65536);
    _exit(is_zero(next, 65536) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(std::ranges::all_of(std::span(mine.base, 65536), [](uint8_t byte) { return byte == 1; }));
  Slab::give_back(mine);
}

TEST(Slab, OfSeveralThreads) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<uint32_t>(t));
      std::vector<Slab::Part> parts;
      for (int i = 0; i < 3000; ++i) {
        if (parts.size() < 100 && random() % 5 != 0) {
          parts.push_back(take(4096));
          wrong += !is_zero(parts.back(), 4096);
          std::memset(parts.back().base, t + 1, 4096);
        } else if (!parts.empty()) {
          const Slab::Part part = parts.back();
          parts.pop_back();
          wrong += part.base[17] != t + 1;
          Slab::give_back(part);
        }
      }
      for (Slab::Part part : parts) Slab::give_back(part);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace rotor::memory
