// Random calls on files and folders, compared with a model of a file system. fuzz/wasi.cc does the same, guided.
// ROTOR_MODEL_RUNS says how many programs are made up, for each way of resolving paths.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <vector>

#include "hosts/wasi/testing/model.h"

namespace rotor::wasi {
namespace {

class Model : public testing::TestWithParam<Resolution> {};

TEST_P(Model, RandomCalls) {
  if (!Builder().resolution(GetParam()).build()) GTEST_SKIP() << "no openat2";
  const char* given = std::getenv("ROTOR_MODEL_RUNS");
  const int runs = given ? std::atoi(given) : 30;
  for (int run = 0; run < runs; ++run) {
    std::mt19937 random(static_cast<unsigned>(run));
    std::vector<uint8_t> bytes(6000);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    ASSERT_EQ(test::ModelRun(GetParam()).run(bytes), "") << "seed " << run;
  }
}

std::string name_of(const testing::TestParamInfo<Resolution>& info) {
  return info.param == Resolution::walk ? "Walk" : "Openat2";
}
INSTANTIATE_TEST_SUITE_P(Each, Model, testing::Values(Resolution::openat2, Resolution::walk), name_of);

}  // namespace
}  // namespace rotor::wasi
