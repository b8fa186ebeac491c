// Pools of workers on the real prover, which is the only guest here that has one: starting, ending, failing.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "examples/wasm_bindgen_host/guest.h"

namespace rotor::wasm_bindgen {
namespace {

class PoolTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* path = std::getenv("KIMCHI_WASM");
    if (!path || !*path) return;
    std::ifstream in(path, std::ios::binary);
    std::vector<uint8_t> bytes(std::istreambuf_iterator<char>(in), {});
    Config config;
    config.opt = OptLevel::o0;
    auto engine = Engine::create(config);
    ASSERT_TRUE(engine) << engine.error().message;
    auto module = Module::compile(*engine, bytes);
    ASSERT_TRUE(module) << module.error().message;
    engine_ = new Engine(*engine);
    module_ = new Module(*module);
  }
  static void TearDownTestSuite() {
    delete module_;
    delete engine_;
    module_ = nullptr;
    engine_ = nullptr;
  }
  void SetUp() override {
    if (!module_) GTEST_SKIP() << "not set: KIMCHI_WASM";
  }
  std::unique_ptr<BindgenHost> make(BindgenOptions options = {}) {
    auto host = BindgenHost::create(*engine_, *module_, std::move(options));
    EXPECT_TRUE(host) << host.error().message;
    return host ? std::move(*host) : nullptr;
  }

  static Engine* engine_;
  static Module* module_;
};
Engine* PoolTest::engine_ = nullptr;
Module* PoolTest::module_ = nullptr;

TEST_F(PoolTest, APausedGuestIsRestoredWithAPoolOfItsOwn) {
  GuestFactory make_guest = bindgen_guests(*engine_, *module_);
  GroupRule group;
  group.workers = 2;
  GuestRequest fresh;
  fresh.imageable = true;
  auto first = make_guest(fresh);
  ASSERT_TRUE(first) << first.error().message;
  auto started = (*first)->start_workers(group);
  ASSERT_TRUE(started) << started.error().message;
  auto create = (*first)->instance().get_typed<uint32_t(uint32_t)>("caml_fp_srs_create");
  auto srs = (*create)(64);
  ASSERT_TRUE(srs) << srs.error().message;
  auto stopped = (*first)->stop_workers(group);
  ASSERT_TRUE(stopped) << stopped.error().message;
  // It refuses a memory that a worker's instance still uses.
  auto snapshot = (*first)->instance().snapshot();
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  auto saved = (*first)->save();
  ASSERT_TRUE(saved) << saved.error().message;

  GuestRequest restored;
  restored.snapshot = &*snapshot;
  restored.saved = *saved;
  auto second = make_guest(restored);
  ASSERT_TRUE(second) << second.error().message;
  first->reset();
  started = (*second)->start_workers(group);
  ASSERT_TRUE(started) << started.error().message;
  auto add_basis = (*second)->instance().get_typed<void(uint32_t, uint32_t)>("caml_fp_srs_add_lagrange_basis");
  auto added = (*add_basis)(*srs, 6);  // the first one's handle
  EXPECT_TRUE(added) << added.error().message;
  stopped = (*second)->stop_workers(group);
  EXPECT_TRUE(stopped) << stopped.error().message;
}

/// Work for the pool: the Lagrange basis of a small SRS.
Result<void> work(BindgenHost& host, uint32_t depth, uint32_t log2_size) {
  ROTOR_TRY(auto create, host.instance().get_typed<uint32_t(uint32_t)>("caml_fp_srs_create"));
  ROTOR_TRY(auto add_basis, host.instance().get_typed<void(uint32_t, uint32_t)>("caml_fp_srs_add_lagrange_basis"));
  ROTOR_TRY(auto free, host.instance().get_typed<void(uint32_t, uint32_t)>("__wbg_wasmfpsrs_free"));
  ROTOR_TRY(uint32_t srs, create(depth));
  ROTOR_CHECK(add_basis(srs, log2_size));
  return free(srs, 0);
}

TEST_F(PoolTest, StopsAndStartsAgainWithoutALeak) {
  auto host = make();
  ASSERT_TRUE(host);
  uint64_t bytes_after_first = 0;
  for (int round = 0; round < 8; ++round) {
    auto started = host->start_pool(2);
    ASSERT_TRUE(started) << started.error().message;
    EXPECT_EQ(host->workers(), 2u);
    auto worked = work(*host, 64, 6);
    ASSERT_TRUE(worked) << worked.error().message;
    auto stopped = host->stop();
    ASSERT_TRUE(stopped) << stopped.error().message;
    EXPECT_EQ(host->workers(), 0u);
    if (round == 1) bytes_after_first = host->memory_bytes();
  }
  EXPECT_EQ(host->abandoned_workers(), 0u);
  EXPECT_TRUE(host->worker_errors().empty());
  // A worker that kept its 1 MiB of stack would show: 12 of them since then.
  EXPECT_LT(host->memory_bytes(), bytes_after_first + (2 << 20));
}

TEST_F(PoolTest, TheDestructorStopsThePool) {
  auto host = make();
  ASSERT_TRUE(host);
  ASSERT_TRUE(host->start_pool(1));
  ASSERT_TRUE(work(*host, 64, 6));
}

TEST_F(PoolTest, TwoHostsAtATime) {
  auto first = make(), second = make();
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(first->start_pool(1));
  ASSERT_TRUE(second->start_pool(2));
  EXPECT_TRUE(work(*first, 64, 6));
  EXPECT_TRUE(work(*second, 64, 6));
  EXPECT_TRUE(first->stop());
  EXPECT_TRUE(work(*second, 64, 6));
}

TEST_F(PoolTest, AGuestThatOutgrowsItsMemoryTrapsAndAnotherWorksOn) {
  auto other = make();
  ASSERT_TRUE(other);
  BindgenOptions options;
  options.max_pages = 8 * 16;  // 8 MiB
  auto host = make(options);
  ASSERT_TRUE(host);
  ASSERT_TRUE(host->start_pool(1));
  auto outgrown = work(*host, 1 << 18, 6);
  ASSERT_FALSE(outgrown);
  EXPECT_EQ(outgrown.error().kind, ErrorKind::trap);
  EXPECT_FALSE(outgrown.error().trap->frames.empty());
  host->set_trapped();
  // The worker sleeps in the guest, where nobody tells it: it is interrupted, and joined.
  auto stopped = host->stop();
  EXPECT_TRUE(stopped) << stopped.error().message;
  EXPECT_EQ(host->workers(), 0u);
  EXPECT_EQ(host->interrupted_workers(), 1u);
  EXPECT_EQ(host->abandoned_workers(), 0u);
  EXPECT_TRUE(host->worker_errors().empty());
  host.reset();
  ASSERT_TRUE(other->start_pool(2));
  EXPECT_TRUE(work(*other, 64, 6));
}

}  // namespace
}  // namespace rotor::wasm_bindgen
