// Random programs that throw, by a model and by Rotor (runtime/testing/throwing_program.h). fuzz/exceptions.cc runs
// more of them.
#include "runtime/testing/throwing_program.h"

#include <gtest/gtest.h>

#include <random>

namespace rotor::runtime::test {
namespace {

TEST(ThrowingProgram, DoesWhatTheModelSays) {
  std::mt19937 random(7);
  uint64_t caught = 0;
  for (int i = 0; i < 48; ++i) {
    std::vector<uint8_t> script(60 + random() % 400);
    for (uint8_t& byte : script) byte = static_cast<uint8_t>(random());
    script[0] = static_cast<uint8_t>(i);  // each setting in turn
    const ProgramReport report = check_throwing_program(script);
    EXPECT_EQ(report.difference, "") << i;
    caught += report.caught;
  }
  EXPECT_GT(caught, 1000u);  // else the programs are too tame to show anything
}

TEST(ThrowingProgram, UsesTheSameFuelInAllSettings) {
  std::mt19937 random(8);
  uint64_t used = 0;
  for (int i = 0; i < 5; ++i) {
    std::vector<uint8_t> script(60 + random() % 300);
    for (uint8_t& byte : script) byte = static_cast<uint8_t>(random());
    EXPECT_EQ(check_fuel_of_program(script, used), "") << i;
  }
  EXPECT_GT(used, 10'000u);  // likewise
}

}  // namespace
}  // namespace rotor::runtime::test
