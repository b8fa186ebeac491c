// The settings that decide, beside the module and the build, which code is made.
#pragma once

#include <cstdint>
#include <string>

#include "rotor/config.h"

namespace rotor::code {

/// The part of Config that code depends on. Whoever compiles gets them from `of`, and the cache names its entries by
/// `key`, so that code of other settings is never used.
struct CodeSettings {
  Features features;
  /// Functions are compiled at tier 0 when they are called or beforehand, and the hot ones again at tier 1; else once,
  /// at `opt`. Such code begins with stubs (code/stubs.h), and its region has room for more.
  bool tiered = false;
  /// The optimisation level; with tiers, that of the highest tier: o0 never compiles a function again.
  OptLevel opt = OptLevel::o1;
  std::string cpu = "native";
  bool interruptible = false;
  bool deterministic = false;
  bool fuel = false;
  bool wide_products = true;
  bool slab_memories = false;
  uint32_t steps_per_byte = Config().compile_steps_per_byte;
  uint64_t memory_bytes = Config().compile_memory_bytes;
  uint64_t deadline_ms = Config().compile_deadline_ms;

  static CodeSettings of(const Config& config);
  /// Returns the level at which a function is compiled for the first time.
  OptLevel first_opt() const { return tiered ? OptLevel::o0 : opt; }
  /// Returns whether tier-0 code counts its entries and turns of loops, so that hot functions are found
  /// (RunPageLayout::counters).
  bool instrumented() const { return tiered && opt != OptLevel::o0; }
  /// Returns all settings and this build's name as text, for the key of a cache. Pre: `cpu` is known.
  std::string key() const;
};

}  // namespace rotor::code
