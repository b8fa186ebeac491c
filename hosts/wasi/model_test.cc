// Random calls on files and folders, compared with a model of a file system. fuzz/wasi.cc does the same, guided.
// ROTOR_MODEL_RUNS says how many programs are made up, for folders in memory and each way of resolving paths.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <vector>

#include "hosts/wasi/testing/model.h"

namespace rotor::wasi {
namespace {

class Model : public testing::TestWithParam<test::Keeper> {};

TEST_P(Model, RandomCalls) {
  if (GetParam() == test::Keeper::openat2 && !Builder().resolution(Resolution::openat2).build())
    GTEST_SKIP() << "no openat2";
  const char* given = std::getenv("ROTOR_MODEL_RUNS");
  const int runs = given ? std::atoi(given) : 30;
  for (int run = 0; run < runs; ++run) {
    std::mt19937 random(static_cast<unsigned>(run));
    std::vector<uint8_t> bytes(6000);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    ASSERT_EQ(test::ModelRun(GetParam()).run(bytes), "") << "seed " << run;
  }
}

std::string name_of(const testing::TestParamInfo<test::Keeper>& info) {
  constexpr const char* kNames[] = {"Openat2", "Walk", "Memory"};
  return kNames[static_cast<size_t>(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Each, Model, testing::Values(test::Keeper::openat2, test::Keeper::walk, test::Keeper::memory),
                         name_of);

}  // namespace
}  // namespace rotor::wasi
