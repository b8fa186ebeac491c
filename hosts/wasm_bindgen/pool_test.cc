// Pools of workers on the real prover, which is the only guest here that has one: starting, ending, failing.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "hosts/wasm_bindgen/guest.h"
#include "hosts/wasm_bindgen/host_executor.h"

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
    config.mode = CompileMode::aot;
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

/// Runs calls on one host after another: handles mean the same on a host that was restored from another.
struct MovingExecutor final : TraceExecutor {
  std::optional<HostExecutor> on;
  Result<void> prepare(std::span<const std::string> names) override {
    names_.assign(names.begin(), names.end());
    return on->prepare(names);
  }
  Result<void> call(uint32_t name, std::span<const ReplayArg> args, TraceResult result, ReplayReply& reply) override {
    return on->call(name, args, result, reply);
  }
  Result<void> move_to(BindgenHost& host) {
    on.emplace(host);
    return on->prepare(names_);
  }

 private:
  std::vector<std::string> names_;
};

TEST_F(PoolTest, AProverIsPausedRestoredAndProves) {
  const std::string folder = ROTOR_KIMCHI_FOLDER;
  auto setup = load_trace(folder + "/proofs_setup.jsonl.gz");
  ASSERT_TRUE(setup) << setup.error().message;
  auto load = load_trace(folder + "/proofs_load.jsonl.gz", &*setup);
  ASSERT_TRUE(load) << load.error().message;

  GuestFactory make_guest = bindgen_guests(*engine_, *module_);
  MovingExecutor executor;
  TraceReplayer replayer(executor);
  GroupRule group;
  group.workers = 1;
  auto run_on = [&](Guest& guest, const Trace& trace) -> Result<void> {
    ROTOR_CHECK(guest.start_workers(group));
    ROTOR_CHECK(executor.move_to(static_cast<BindgenGuest&>(guest).host()));
    ReplayReport report;
    ROTOR_CHECK(replayer.run(trace, report));
    EXPECT_EQ(report.equal, report.checked);
    return guest.stop_workers(group);
  };
  GuestRequest request;
  request.imageable = true;
  auto first = make_guest(request);
  ASSERT_TRUE(first) << first.error().message;
  auto done = run_on(**first, *setup);
  ASSERT_TRUE(done) << done.error().message;
  // It refuses a memory that a worker's instance still uses.
  auto snapshot = (*first)->instance().snapshot();
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  auto saved = (*first)->save();
  ASSERT_TRUE(saved) << saved.error().message;
  done = run_on(**first, *load);
  EXPECT_TRUE(done) << done.error().message;
  first->reset();

  request.snapshot = &*snapshot;
  request.saved = *saved;
  for (int i = 0; i < 2; i++) {
    auto restored = make_guest(request);
    ASSERT_TRUE(restored) << restored.error().message;
    done = run_on(**restored, *load);
    EXPECT_TRUE(done) << done.error().message;
  }
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
  EXPECT_FALSE(outgrown.error().trap->frames().empty());
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
