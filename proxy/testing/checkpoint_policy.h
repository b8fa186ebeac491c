// A policy of mode checkpoint for the guest that asks its host.
#pragma once

#include <cstdint>

#include "proxy/testing/answer_guest.h"

namespace rotor::proxy {

constexpr int32_t kPagesToWarm = 44;  // of 64, with 2 in use: to warm_at
constexpr int32_t kPagesToSwap = 57;  // to swap_at

/// `make`, `add` and what is not named change state; `copy` makes an object that the host holds until it is dropped. A
/// checkpoint is always due.
inline Policy checkpoint_policy() {
  Policy policy;
  policy.mode = RotationMode::checkpoint;
  for (const char* name : {"get", "leak", "live", "address", "ask", "used", "grow"})
    policy.allow.push_back({.name = name, .results = Returned::value});
  policy.allow.push_back({.name = "copy"});
  policy.exports = {{.name = "drop", .effect = Effect::release}};
  policy.checkpoint.cpu = 1;
  policy.backoff_first_ms = 0;
  policy.backoff_max_ms = 1;
  return policy;
}
/// The same, but after the first checkpoint none is due by itself.
inline Policy one_checkpoint_policy() {
  Policy policy = checkpoint_policy();
  policy.checkpoint.cpu = 1e-12;
  policy.checkpoint.grown = 1;
  return policy;
}

inline uint32_t make(Proxy& proxy, int32_t value) {
  auto made = proxy.call("make", {value});
  EXPECT_TRUE(made) << error_of(made);
  return made ? made->handle() : 0;
}

inline int32_t call_i32(Proxy& proxy, std::string_view name, std::initializer_list<Arg> args = {}) {
  auto reply = proxy.call(name, args);
  EXPECT_TRUE(reply) << name << ": " << error_of(reply);
  return reply ? reply->i32() : -1;
}

/// Leaks up to swap_at; the next lease finds it time for a rewind.
inline void leak_to_swap(Proxy& proxy) {
  const auto pages = static_cast<int32_t>(proxy.counters().memory_bytes / Memory::kPageBytes);
  if (pages < 2 + kPagesToSwap) call_i32(proxy, "leak", {2 + kPagesToSwap - pages});
}

}  // namespace rotor::proxy
