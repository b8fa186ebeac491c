// What decides, beside the module and the build, which code is made.
#pragma once

#include <cstdint>
#include <string>

#include "rotor/config.h"

namespace rotor::code {

/// The part of Config that code depends on. Whoever compiles gets it by `of`, and the cache names its entries by `key`,
/// so that code of other settings is never taken for one's own.
struct CodeSettings {
  Features features;
  /// Functions are compiled at tier 0 when they are called or beforehand, and the hot ones again at tier 1; else once,
  /// at `opt`. Such code begins with stubs (code/stubs.h), and its region has room for more.
  bool tiered = false;
  /// With tiers the highest: o0 never compiles a function again.
  OptLevel opt = OptLevel::o1;
  std::string cpu = "native";
  bool interruptible = false;
  bool deterministic = false;
  bool wide_products = true;
  uint32_t steps_per_byte = Config().compile_steps_per_byte;
  uint64_t memory_bytes = Config().compile_memory_bytes;
  uint64_t deadline_ms = Config().compile_deadline_ms;

  static CodeSettings of(const Config& config);
  /// How hard a function is optimised when it is compiled for the first time.
  OptLevel first_opt() const { return tiered ? OptLevel::o0 : opt; }
  /// Tier-0 code counts its entries and turns of loops, so that hot functions are found (RunPageLayout::counters).
  bool counts() const { return tiered && opt != OptLevel::o0; }
  /// States all of it and this build, for the key of a cache. Pre: `cpu` is known.
  std::string key() const;
};

}  // namespace rotor::code
