// Features as bits, generated from features.def.
#pragma once

#include <cstdint>

#include "rotor/config.h"
#include "wasm/opcodes.h"

namespace rotor::wasm {

/// The bit of a feature in `used_features` and the like.
constexpr uint32_t feature_bit(Feature feature) { return uint32_t{1} << static_cast<unsigned>(feature); }

enum class FeatureState : uint8_t { always, option, unsupported };

constexpr FeatureState feature_state(Feature feature) {
  switch (feature) {
#define ROTOR_FEATURE(name, text, state) \
  case Feature::name: return FeatureState::state;
#include "wasm/features.def"
  }
  return FeatureState::unsupported;
}

/// One bit a feature that a module may use.
uint32_t enabled_features(const Features& features);

}  // namespace rotor::wasm
