// The features that modules may use, generated from features.def, as an enumeration and as bits.
#pragma once

#include <cstdint>

#include "rotor/config.h"

namespace rotor::wasm {

enum class Feature : uint8_t {
#define ROTOR_FEATURE(name, text, state) name,
#include "wasm/features.def"
};
inline constexpr uint32_t kFeatureCount = 0
#define ROTOR_FEATURE(name, text, state) +1
#include "wasm/features.def"
    ;

/// Returns the proposal's name ("bulk-memory").
const char* feature_text(Feature feature);

/// Returns the bit of a feature in `used_features` and the like.
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

/// Returns one bit per feature that `features` lets a module use.
uint32_t enabled_features(const Features& features);

}  // namespace rotor::wasm
