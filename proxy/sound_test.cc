// What a policy does not say costs speed, never state: guests that write to more than their handles.
#include <gtest/gtest.h>

#include "proxy/testing/database.h"

namespace rotor::proxy {
namespace {

TEST(Sound, AWriteOutlivesTheHandleThatItWasMadeThrough) {
  Proxy proxy = serve(database_policy());
  write_row(proxy, 7);
  EXPECT_EQ(row_after_rotation(proxy), 7);
}

TEST(Sound, WhatIsSaidToBeLocalIsDroppedWithItsHandles) {
  Policy policy = database_policy();
  for (ExportRule& rule : policy.exports) rule.local = rule.effect == Effect::build;
  Proxy proxy = serve(policy);
  write_row(proxy, 7);
  EXPECT_EQ(row_after_rotation(proxy), 0) << "the policy says that step changes nothing but its statement";
}

TEST(Sound, ACompactedLogKeepsEveryWrite) {
  Policy policy = database_policy();
  policy.log_max_calls = 20'000;
  Proxy proxy = serve(policy);
  for (int32_t i = 1; i <= 2000; i++) write_row(proxy, i);
  EXPECT_TRUE(eventually([&] { return proxy.counters().log_compactions > 0; }));
  EXPECT_EQ(proxy.counters().log_calls, 6000u);
  EXPECT_EQ(row_after_rotation(proxy), 2000);
  EXPECT_EQ(proxy.call("steps")->i32(), 2000);
}

TEST(Sound, OfAKeyTheLastWriteIsEnough) {
  Policy policy = database_policy();
  for (ExportRule& rule : policy.exports)
    if (rule.name == "step") rule.key.emplace();
  Proxy proxy = serve(policy);
  for (int32_t i = 1; i <= 10; i++) write_row(proxy, i);
  EXPECT_EQ(row_after_rotation(proxy), 10);
  EXPECT_EQ(proxy.call("steps")->i32(), 1);
}

}  // namespace
}  // namespace rotor::proxy
