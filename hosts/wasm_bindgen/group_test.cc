// Rotating the real prover with its pool of workers: nothing of a retired group is left behind.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "hosts/wasm_bindgen/guest.h"
#include "rotor/proxy.h"

namespace rotor::wasm_bindgen {
namespace {

size_t entries(const char* folder) {
  std::error_code error;
  std::filesystem::directory_iterator files(folder, error);
  return error ? 0 : static_cast<size_t>(std::distance(begin(files), end(files)));
}

/// Mappings the size of a guest's memory or its guard: what a retired guest would leave.
size_t large_mappings() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    unsigned long long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx", &begin, &end) == 2 && end - begin >= (64u << 20)) count++;
  }
  return count;
}

struct Left {
  size_t threads = entries("/proc/self/task");
  size_t descriptors = entries("/proc/self/fd");
  size_t mappings = large_mappings();
};

Policy prover_policy(uint32_t workers) {
  Policy policy;
  policy.preset = Preset::wasm_bindgen;
  policy.group.workers = workers;
  policy.exports = {
      {.name = "caml_fp_srs_create", .effect = Effect::build, .local = true, .results = {{ResultKind::handle}}},
      {.name = "caml_fp_srs_add_lagrange_basis",
       .effect = Effect::build,
       .local = true,
       .args = {{ArgKind::handle, ArgKind::scalar}}},
      {.name = "wasmf?proverproof_*", .effect = Effect::query},  // some take references
      {.name = "caml_fp_srs_h",
       .effect = Effect::query,
       .args = {{ArgKind::handle}},
       .results = {{ResultKind::handle}}},
      {.name = "caml_fp_srs_lagrange_commitment",
       .effect = Effect::query,
       .args = {{ArgKind::handle, ArgKind::scalar, ArgKind::scalar}},
       .results = {{ResultKind::handle, ResultKind::error}}},
  };
  return policy;
}

class GroupTest : public testing::TestWithParam<uint32_t> {};

TEST_P(GroupTest, LeavesNothingBehindIn100Rotations) {
  const char* path = std::getenv("KIMCHI_WASM");
  if (!path || !*path) GTEST_SKIP() << "not set: KIMCHI_WASM";
  std::ifstream in(path, std::ios::binary);
  std::vector<uint8_t> bytes(std::istreambuf_iterator<char>(in), {});
  Config config;
  config.opt = OptLevel::o0;
  config.mode = CompileMode::lazy;
  auto engine = Engine::create(config);
  ASSERT_TRUE(engine) << engine.error().message;
  auto module = Module::compile(*engine, bytes);
  ASSERT_TRUE(module) << module.error().message;

  auto created = Proxy::create(*module, bindgen_guests(*engine, *module), prover_policy(GetParam()));
  ASSERT_TRUE(created) << created.error().message;
  Proxy proxy = std::move(*created);
  auto srs = proxy.call("caml_fp_srs_create", {64});
  ASSERT_TRUE(srs) << srs.error().message;
  auto basis = proxy.call("caml_fp_srs_add_lagrange_basis", {srs->handle(), 6});
  ASSERT_TRUE(basis) << basis.error().message;

  auto rotate = [&] {
    ASSERT_TRUE(proxy.rotate());
    auto ready = proxy.prepare();
    ASSERT_TRUE(ready) << ready.error().message;
    const uint64_t before = proxy.counters().rotations;
    auto lease = proxy.acquire();  // the query's handle ends with it
    ASSERT_TRUE(lease) << lease.error().message;
    auto commitment = lease->call("caml_fp_srs_lagrange_commitment", {srs->handle(), 64, 3});
    ASSERT_TRUE(commitment) << commitment.error().message;
    EXPECT_EQ(proxy.counters().rotations, before + 1);
  };
  auto settle = [&] {
    for (int i = 0; i < 20'000 && proxy.counters().retired > 0; i++)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(proxy.counters().retired, 0u) << "the call after a swap gives the old one away to be freed";
  };
  for (int i = 0; i < 5; i++) rotate();  // the first is made by replay and imaged; then all is as it stays
  settle();
  const Left before;
  for (int i = 0; i < 100 && !HasFatalFailure(); i++) rotate();
  settle();
  const Left after;
  const ProxyCounters counters = proxy.counters();
  EXPECT_EQ(counters.rotations, 105u);
  EXPECT_EQ(counters.images, 1u);
  EXPECT_EQ(counters.rotations_image, 104u) << counters.last_problem;
  EXPECT_EQ(counters.warmups_failed, 0u) << counters.last_problem;
  EXPECT_EQ(after.threads, before.threads);
  EXPECT_EQ(after.descriptors, before.descriptors);
  EXPECT_EQ(after.mappings, before.mappings);
  EXPECT_TRUE(proxy.verify()) << "a group's calls return the same again";
}

INSTANTIATE_TEST_SUITE_P(Workers, GroupTest, testing::Values(1u, 2u));

}  // namespace
}  // namespace rotor::wasm_bindgen
