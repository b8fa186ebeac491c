// The address space that a rewind finds ready: for the first one to a checkpoint, and for each one after it.
#include <gtest/gtest.h>

#include <optional>

#include "proxy/testing/checkpoint_policy.h"

namespace rotor::proxy {
namespace {

/// A proxy, and the snapshots that its instances were made of.
struct Watched {
  AnswerGuests guests;
  std::vector<Snapshot> snapshots = {};  ///< of each rewind
  std::optional<Proxy> proxy = {};

  Watched() {
    GuestFactory inner = guests.factory();
    auto factory = [this, inner](const GuestRequest& request) {
      if (request.snapshot) snapshots.push_back(*request.snapshot);
      return inner(request);
    };
    auto made = Proxy::create(guests.module(), factory, checkpoint_policy());
    EXPECT_TRUE(made) << made.error().to_string();
    proxy.emplace(std::move(*made));
  }
  void rewind() {
    const uint64_t rotations = proxy->counters().rotations;
    ASSERT_TRUE(proxy->rotate());
    ASSERT_EQ(call_i32(*proxy, "live"), 1);
    ASSERT_EQ(proxy->counters().rotations, rotations + 1);
  }
};

TEST(CheckpointSlots, EachRewindFindsOneReady) {
  Watched watched;
  Proxy& proxy = *watched.proxy;
  const uint32_t object = make(proxy, 5);
  for (int checkpoint = 1; checkpoint <= 3; ++checkpoint) {
    ASSERT_TRUE(proxy.call("add", {object, 1}));
    ASSERT_TRUE(proxy.checkpoint());
    for (int rewind = 1; rewind <= 3; ++rewind) {
      SCOPED_TRACE(checkpoint * 10 + rewind);
      // A rewind that comes before the background is done makes do with a mapping of its own, as the first one may.
      uint64_t reused = 0;
      if (rewind > 1) {
        const Snapshot& last = watched.snapshots.back();
        ASSERT_TRUE(eventually([&] { return last.memory_slots().kept == 1; }));
        reused = last.memory_slots().reused;
      }
      watched.rewind();
      if (rewind > 1) {
        EXPECT_EQ(watched.snapshots.back().memory_slots().reused, reused + 1);
      }
      call_i32(proxy, "leak", {3});
    }
  }
  EXPECT_EQ(call_i32(proxy, "get", {object}), 8);
}

}  // namespace
}  // namespace rotor::proxy
