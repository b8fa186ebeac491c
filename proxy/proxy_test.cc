#include "rotor/proxy.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "proxy/testing/guest.h"

namespace rotor::proxy {
namespace {

constexpr int32_t kLeakToSwap = 57;  // 2 + 57 of 64 pages: above 0.9, below 0.97

TEST(Proxy, TranslatesTokens) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  uint32_t a = proxy.call("make", {7})->handle();
  uint32_t b = proxy.call("make", {8})->handle();
  EXPECT_TRUE(a & 0x80000000u);
  EXPECT_NE(a, b);
  EXPECT_EQ(proxy.call("get", {a})->i32(), 7);
  EXPECT_EQ(proxy.call("add", {a, 3})->i32(), 10);
  EXPECT_EQ(proxy.call("get", {proxy.call("pair", {a, b})->handle()})->i32(), 1008);
  auto lease = proxy.acquire();
  ASSERT_TRUE(lease);
  int32_t address = lease->call("address", {a})->i32();
  EXPECT_GT(address, 0);
  EXPECT_EQ(*lease->resolve(a), static_cast<uint32_t>(address));
  EXPECT_EQ((*lease->raw("get", {address}))[0].i32(), 10);
  uint8_t value = 0;
  ASSERT_TRUE(lease->memory()->read(static_cast<uint64_t>(address), {&value, 1}));
  EXPECT_EQ(value, 10);
}

TEST(Proxy, ZeroPassesUnchanged) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  EXPECT_EQ(proxy.call("address", {0})->i32(), 0);
  EXPECT_EQ(proxy.call("mirror", {0})->handle(), 0u);
  const uint32_t none[] = {0, 0};
  EXPECT_TRUE(proxy.call("sum", {Arg::vector(none)}));
}

TEST(Proxy, PassesBytesAndVectors) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  const uint8_t digits[] = {1, 2, 3};
  uint32_t packed = proxy.call("pack", {Arg::bytes(digits)})->handle();
  EXPECT_EQ(proxy.call("get", {packed})->i32(), 123);
  EXPECT_EQ(proxy.call("bytes_of", {packed})->bytes, (std::vector<uint8_t>{123, 0, 0, 0}));
  EXPECT_EQ(proxy.call("get", {proxy.call("pack", {Arg::bytes({})})->handle()})->i32(), 0);
  const uint32_t numbers[] = {10, 20, 30};
  EXPECT_EQ(proxy.call("total", {Arg::vector(numbers)})->i32(), 60);
  std::vector<uint32_t> many = proxy.call("many", {4, 100})->vector;
  ASSERT_EQ(many.size(), 4u);
  EXPECT_EQ(proxy.call("get", {many[3]})->i32(), 103);
  EXPECT_EQ(proxy.call("sum", {Arg::vector(many)})->i32(), 406);
  EXPECT_TRUE(proxy.call("many", {0, 0})->vector.empty());
  EXPECT_LE(proxy.call("lent")->i32(), 1) << "the proxy frees what it passed in and read";  // many(0) keeps its block
}

TEST(Proxy, RefusesDataOutsideTheGuestsMemory) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  EXPECT_EQ(proxy.call("wild").error().message, "the guest returned 32 bytes at 0xfffffff0, outside its memory");
}

TEST(Proxy, ReturnsTheGuestsError) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.preset = Preset::wasm_bindgen;
  Proxy proxy = guests.proxy(policy);
  EXPECT_EQ(proxy.call("get", {proxy.call("try_make", {5})->handle()})->i32(), 5);
  auto failed = proxy.call("try_make", {-5});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::host);
  EXPECT_EQ(failed.error().message, "try_make: the guest returned an error: bad value -5");
  EXPECT_EQ(proxy.call("error_kept", {3})->i32(), 0) << "its place in the table is free again";
  EXPECT_EQ(proxy.counters().traps, 0u);
}

TEST(Proxy, RefusesWrongArguments) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  EXPECT_EQ(error_of(proxy.call("gett", {1})), "no exported function \"gett\"; did you mean \"get\"?");
  EXPECT_EQ(error_of(proxy.call("get", {1, 2})), "get takes 1 arguments, not 2");
  EXPECT_EQ(error_of(proxy.call("make", {int64_t{1}})), "make, argument 1: must be i32, not i64");
  EXPECT_EQ(error_of(proxy.call("pack", {1})), "pack, argument 1: must be bytes, not a value");
  EXPECT_EQ(error_of(proxy.call("make", {Arg::vector({})})), "make, argument 1: must be a value, not a vector");
  EXPECT_EQ(error_of(proxy.call("malloc", {8})),
            "malloc belongs to the guest's allocator: its pointers mean nothing after the lease; call it through "
            "Lease::raw");
  auto lease = proxy.acquire();
  EXPECT_TRUE(lease->raw("malloc", {8}));
  EXPECT_EQ(error_of(lease->raw("make", {1})), "make builds or releases state: a raw call of it could not be recorded");
  EXPECT_EQ(error_of(lease->raw("drop", {1})), "drop builds or releases state: a raw call of it could not be recorded");
}

TEST(Proxy, StaleTokensSayWhatEndedThem) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  EXPECT_EQ(error_of(proxy.call("get", {4096})), "get, argument 1: 0x1000 is no handle of this proxy");
  uint32_t a = proxy.call("make", {1})->handle();
  ASSERT_TRUE(proxy.call("drop", {a}));
  EXPECT_EQ(error_of(proxy.call("get", {a})),
            "get, argument 1: stale handle 0x80000000 of make: it was released or consumed");
  EXPECT_EQ(proxy.call("drop", {a}).error().kind, ErrorKind::stale_handle);
  uint32_t b = proxy.call("make", {2})->handle();
  uint32_t query = 0;
  {
    auto lease = proxy.acquire();
    query = lease->call("mirror", {b})->handle();
    EXPECT_EQ(lease->call("get", {query})->i32(), 2);
    EXPECT_EQ(proxy.call("get", {query})->i32(), 2) << "a call joins the lease of its thread";
  }
  EXPECT_EQ(error_of(proxy.call("get", {query})),
            "get, argument 1: stale handle 0x80000002 of mirror: it ended with its lease");
  uint32_t merged[] = {b, proxy.call("make", {3})->handle()};
  EXPECT_TRUE(proxy.call("merge", {Arg::vector(merged)}));
  EXPECT_EQ(proxy.call("get", {b}).error().kind, ErrorKind::stale_handle);
  EXPECT_EQ(proxy.counters().stale_handles, 5u);
}

TEST(Proxy, RecordsBuildsAndWhatEndsTheirHandles) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  uint32_t a = proxy.call("make", {1})->handle();
  ASSERT_TRUE(proxy.call("make", {2}));
  EXPECT_EQ(proxy.counters().log_calls, 2u);
  uint32_t query = proxy.call("mirror", {a})->handle();
  ASSERT_TRUE(proxy.call("get", {a}));
  EXPECT_EQ(proxy.counters().log_calls, 2u) << "queries are not recorded";
  ASSERT_TRUE(proxy.call("drop", {query}));
  EXPECT_EQ(proxy.counters().log_calls, 2u) << "a query's handle is none of the log's business";
  ASSERT_TRUE(proxy.call("drop", {a}));
  EXPECT_EQ(proxy.counters().log_calls, 3u);
  EXPECT_GT(proxy.counters().log_bytes, 0u);
}

TEST(Proxy, AQueryEntersTheLogWhenABuildTakesItsHandle) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  uint32_t query = proxy.call("mirror", {proxy.call("make", {1})->handle()})->handle();
  EXPECT_EQ(proxy.counters().log_calls, 1u);
  EXPECT_EQ(proxy.call("add", {query, 1})->i32(), 2);
  EXPECT_EQ(proxy.counters().log_calls, 3u) << "make, mirror, add";
  ASSERT_TRUE(proxy.call("drop", {query}));
  EXPECT_EQ(proxy.counters().log_calls, 4u) << "and what ends it is part of the log";
}

TEST(Proxy, OnceRecordsTheFirstOfEqualCalls) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  uint32_t a = proxy.call("make", {1})->handle();
  for (int i = 0; i < 3; i++) EXPECT_EQ(proxy.call("get", {proxy.call("cached", {a, 5})->handle()})->i32(), 6);
  EXPECT_EQ(proxy.counters().log_calls, 2u);
  ASSERT_TRUE(proxy.call("cached", {a, 6}));
  EXPECT_EQ(proxy.counters().log_calls, 3u);
}

TEST(Proxy, ABuildInsideAGuestCallIsRefused) {
  TestGuests guests;
  Proxy proxy = guests.proxy(test_policy());
  uint32_t a = proxy.call("make", {1})->handle();
  std::string build_error;
  int32_t seen = 0;
  guests.on_note = [&](int32_t) -> Result<void> {
    seen = proxy.call("get", {a})->i32();
    build_error = error_of(proxy.call("make", {2}));
    return {};
  };
  ASSERT_TRUE(proxy.call("tell", {1}));
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(build_error, "make changes the state, but a host function called it: on replay it would run twice");
}

TEST(Proxy, ALogThatNoImageCanStandForEndsRotation) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.log_max_calls = 2;
  policy.image = ImageMode::off;
  Proxy proxy = guests.proxy(policy);
  uint32_t tokens[5];
  for (int i = 0; i < 5; i++) tokens[i] = proxy.call("make", {i})->handle();
  for (int i = 0; i < 5; i++) EXPECT_EQ(proxy.call("get", {tokens[i]})->i32(), i) << "tokens stay good";
  ProxyCounters counters = proxy.counters();
  EXPECT_FALSE(counters.rotating);
  EXPECT_TRUE(counters.off_reason.starts_with("the log reached its bound max_calls (5 calls of 2, "))
      << counters.off_reason;
  EXPECT_EQ(counters.log_calls, 0u);
  ASSERT_TRUE(proxy.call("leak", {kLeakToSwap}));
  ASSERT_TRUE(proxy.call("live"));
  EXPECT_EQ(proxy.call("boom", {tokens[0]}).error().kind, ErrorKind::trap);
  EXPECT_EQ(proxy.call("get", {tokens[1]})->i32(), 1) << "without rotation a trap leaves the instance as it is";
  EXPECT_EQ(proxy.counters().rotations, 0u);
}

void expect_plain(Proxy& proxy) {
  EXPECT_FALSE(proxy.counters().rotating);
  uint32_t a = proxy.call("make", {1})->handle();
  EXPECT_EQ(proxy.call("address", {a})->i32(), static_cast<int32_t>(a)) << "tokens are raw values";
  EXPECT_EQ(proxy.call("get", {a})->i32(), 1);
  std::vector<uint32_t> many = proxy.call("many", {3, 5})->vector;
  EXPECT_EQ(proxy.call("sum", {Arg::vector(many)})->i32(), 18);
  ASSERT_TRUE(proxy.call("leak", {kLeakToSwap}));
  EXPECT_EQ(proxy.call("boom", {a}).error().kind, ErrorKind::trap);
  EXPECT_EQ(proxy.call("get", {a})->i32(), -7);
  EXPECT_EQ(proxy.counters().log_calls, 0u);
  EXPECT_EQ(proxy.counters().warmups, 0u);
}

TEST(Proxy, SwitchedOffByThePolicy) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.enabled = false;
  Proxy proxy = guests.proxy(policy);
  EXPECT_EQ(proxy.counters().off_reason, "the policy says enabled = false");
  expect_plain(proxy);
}

TEST(Proxy, SwitchedOffByTheEnvironment) {
  TestGuests guests;
  setenv("ROTOR_ROTATION", "off", 1);
  Proxy proxy = guests.proxy(test_policy());
  unsetenv("ROTOR_ROTATION");
  EXPECT_EQ(proxy.counters().off_reason, "ROTOR_ROTATION=off");
  expect_plain(proxy);
}

TEST(Proxy, CreateChecksThePolicyFirstAndPassesTheFactorysError) {
  TestGuests guests;
  Policy policy = test_policy();
  policy.exports.push_back({.name = "nothing"});
  EXPECT_EQ(Proxy::create(guests.module(), guests.factory(), policy).error().kind, ErrorKind::not_found);
  EXPECT_EQ(guests.made, 0);
  guests.failures = 1;
  EXPECT_EQ(error_of(Proxy::create(guests.module(), guests.factory(), test_policy())), "no guest today");
}

}  // namespace
}  // namespace rotor::proxy
