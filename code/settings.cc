#include "code/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "code/build.h"
#include "code/cpu.h"
#include "wasm/features.h"

namespace rotor::code {

CodeSettings CodeSettings::of(const Config& config) {
  return {.features = config.features,
          .tiered = config.mode != CompileMode::aot,
          .opt = config.opt,
          .cpu = config.cpu,
          .interruptible = config.interruptible,
          .deterministic = config.deterministic,
          .fuel = config.fuel,
          .wide_products = config.wide_products,
          .slab_memories = config.slab_memories,
          .steps_per_byte = config.compile_steps_per_byte,
          .memory_bytes = config.compile_memory_bytes,
          .deadline_ms = config.compile_deadline_ms};
}

std::string CodeSettings::key() const {
  // The binding names each member, so that a new one does not compile until it is added here.
  const auto& [features_, tiered_, opt_, cpu_, interruptible_, deterministic_, fuel_, wide_products_, slabs_, steps_,
               memory_, deadline_] = *this;
  return fmt::format(
      "{} {} o{} interruptible {} deterministic {} fuel {} wide {} slabs {} steps {} memory {} deadline {} language "
      "{:x} cpu "
      "{}",
      build_name(), tiered_ ? "tiers" : "aot", static_cast<int>(opt_), interruptible_, deterministic_, fuel_,
      wide_products_, slabs_, steps_, memory_, deadline_, wasm::enabled_features(features_),
      fmt::join(*cpu_features_named(cpu_), " "));
}

}  // namespace rotor::code
