// What tests of garbage collection share: the ways to come to code, engines and counters.
#pragma once

#include <string_view>

#include "rotor/wat.h"
#include "runtime/access.h"
#include "runtime/store/instance.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {

struct Way {
  const char* name;
  CompileMode mode;
  OptLevel opt;
  uint32_t steps_per_byte;
  bool stress;
};
inline constexpr Way kWays[] = {
    {"aot_o1", CompileMode::aot, OptLevel::o1, 16, false},
    {"aot_o0", CompileMode::aot, OptLevel::o0, 16, false},
    {"in_frames", CompileMode::aot, OptLevel::o0, 0, false},
    {"lazy", CompileMode::lazy, OptLevel::o1, 16, false},
    {"aot_o1_stressed", CompileMode::aot, OptLevel::o1, 16, true},
    {"aot_o0_stressed", CompileMode::aot, OptLevel::o0, 16, true},
    {"in_frames_stressed", CompileMode::aot, OptLevel::o0, 0, true},
    {"lazy_stressed", CompileMode::lazy, OptLevel::o1, 16, true},
};

inline Engine gc_engine(const Way& way = kWays[1]) {
  Config config;
  config.features.gc = true;
  config.mode = way.mode;
  config.opt = way.opt;
  config.compile_steps_per_byte = way.steps_per_byte;
  config.gc_stress = way.stress;
  return must(Engine::create(config));
}

inline Module compile_wat(const Engine& engine, std::string_view text) {
  return must(Module::compile(engine, must(wat_to_wasm(text))));
}

inline memory::HeapCounters heap_of(const Instance& instance) {
  return impl_of(instance)->group->gc_heap()->counters();
}
inline uint64_t live_bytes(const Instance& instance) {
  must(instance.collect_garbage());
  return heap_of(instance).live_bytes;
}

}  // namespace rotor::runtime::test
