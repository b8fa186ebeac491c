// What the model tests have in common: steps, seed, and the ways in which the proxy under test is set up.
#pragma once

#include <cstdint>

#include "rotor/proxy.h"

namespace rotor::proxy {

extern uint64_t g_steps;
extern uint64_t g_seed;  ///< 0: from the clock

struct Variant {
  const char* name;
  ImageMode image = ImageMode::lazy;
  AtSwap at_swap = AtSwap::serve;
  uint64_t image_tail_ns = 100'000'000;
  uint64_t log_max_calls = 1'000'000;
  uint32_t verify_every = 0;
  uint64_t catch_up_ns = 1'000'000;
  uint32_t catch_up_rounds = 8;
  uint32_t query_handle_calls = 64;

  void apply(Policy& policy) const {
    policy.image = image;
    policy.at_swap = at_swap;
    policy.image_tail_ns = image_tail_ns;
    policy.log_max_calls = log_max_calls;
    policy.verify_every = verify_every;
    policy.catch_up_ns = catch_up_ns;
    policy.catch_up_rounds = catch_up_rounds;
    policy.query_handle_calls = query_handle_calls;
    policy.backoff_first_ms = 0;
    policy.backoff_max_ms = 1;
  }
};
inline constexpr Variant kVariants[] = {
    {.name = "replay, serve", .image = ImageMode::off},
    {.name = "replay, wait", .image = ImageMode::off, .at_swap = AtSwap::wait},
    {.name = "image, serve"},
    {.name = "image, wait", .at_swap = AtSwap::wait},
    {.name = "image anew each time", .at_swap = AtSwap::wait, .image_tail_ns = 0},
    {.name = "a small log", .at_swap = AtSwap::wait, .log_max_calls = 3000},
    {.name = "a log that is cut", .at_swap = AtSwap::wait, .log_max_calls = 150},
    {.name = "each image verified", .at_swap = AtSwap::wait, .image_tail_ns = 0, .verify_every = 1},
    {.name = "hardly time to catch up", .catch_up_ns = 1, .catch_up_rounds = 2},
    {.name = "query handles for one call", .at_swap = AtSwap::wait, .query_handle_calls = 1},
};

}  // namespace rotor::proxy
