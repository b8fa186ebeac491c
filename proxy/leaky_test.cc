// The bundled guest that leaks, with its own policy.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "rotor/engine.h"
#include "rotor/linker.h"
#include "rotor/module.h"
#include "rotor/proxy.h"
#include "rotor/trap.h"

namespace rotor {
namespace {

const std::string kFolder = ROTOR_LEAKY_FOLDER;
constexpr uint64_t kLimitBytes = 4 << 20;

class Leaky : public testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file(kFolder + "/leaky.wasm", std::ios::binary);
    std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(file), {}};
    engine_ = *Engine::create();
    module_ = Module::compile(*engine_, bytes);
    ASSERT_TRUE(module_) << module_.error().message;
    policy_ = Policy::load_toml(kFolder + "/policy.toml");
    ASSERT_TRUE(policy_) << policy_.error().message;
  }

  Result<Proxy> proxy(bool enabled) {
    ROTOR_TRY(InstancePre pre, Linker(*engine_).instantiate_pre(*module_));
    Limits limits;
    limits.memory.limit_bytes = kLimitBytes;
    policy_->enabled = enabled;
    return Proxy::create(*module_, linked_guests(std::move(pre), std::move(limits)), *policy_);
  }

  std::optional<Engine> engine_;
  Result<Module> module_ = fail(ErrorKind::internal, "");
  Result<Policy> policy_ = fail(ErrorKind::internal, "");
};

/// Calls of `work` until one fails, at most `max`; each must give the same result.
int work(Proxy& proxy, uint32_t state, int max) {
  int32_t first = 0;
  for (int i = 0; i < max; i++) {
    auto reply = proxy.call("work", {state, 42});
    if (!reply) return i;
    if (i == 0) first = reply->i32();
    EXPECT_EQ(reply->i32(), first);
  }
  return max;
}

TEST_F(Leaky, RunsOutOfMemoryWithoutRotation) {
  auto proxy = this->proxy(false);
  ASSERT_TRUE(proxy) << proxy.error().message;
  uint32_t state = proxy->call("build_state", {7})->handle();
  EXPECT_LT(work(*proxy, state, 200), 64);
  auto trap = proxy->call("work", {state, 42});
  ASSERT_FALSE(trap);
  ASSERT_TRUE(trap.error().trap);
  EXPECT_FALSE(trap.error().trap->frames().empty());
}

TEST_F(Leaky, OutlivesItsLeakWithRotation) {
  auto proxy = this->proxy(true);
  ASSERT_TRUE(proxy) << proxy.error().message;
  const uint8_t bytes[] = {'r', 'o', 't', 'o', 'r'};
  uint32_t state = proxy->call("build_state", {7})->handle();
  int32_t sum = proxy->call("absorb", {state, Arg::bytes(bytes)})->i32();
  int32_t entry = proxy->call("query", {state, 12345})->i32();
  EXPECT_EQ(work(*proxy, state, 200), 200);
  EXPECT_GE(proxy->counters().rotations, 3u);
  EXPECT_EQ(proxy->call("query", {state, 12345})->i32(), entry);
  EXPECT_LT(proxy->call("served", {state})->i32(), 64) << "by this instance";
  EXPECT_NE(sum, 0);
}

}  // namespace
}  // namespace rotor
