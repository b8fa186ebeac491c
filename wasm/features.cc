#include "wasm/features.h"

namespace rotor::wasm {
namespace {

struct Switch {
  Feature feature;
  bool Features::* on;
};
constexpr Switch kSwitches[] = {
    {Feature::threads, &Features::threads},
    {Feature::extended_const, &Features::extended_const},
    {Feature::simd, &Features::simd},
    {Feature::relaxed_simd, &Features::relaxed_simd},
    {Feature::tail_call, &Features::tail_call},
    {Feature::function_references, &Features::function_references},
    {Feature::exceptions, &Features::exceptions},
    {Feature::legacy_exceptions, &Features::legacy_exceptions},
    {Feature::gc, &Features::gc},
    {Feature::multi_memory, &Features::multi_memory},
    {Feature::memory64, &Features::memory64},
    {Feature::custom_page_sizes, &Features::custom_page_sizes},
    {Feature::wide_arithmetic, &Features::wide_arithmetic},
};

}  // namespace

const char* feature_text(Feature feature) {
  switch (feature) {
#define ROTOR_FEATURE(name, text, state) \
  case Feature::name: return text;
#include "wasm/features.def"
  }
  return "?";
}

uint32_t enabled_features(const Features& features) {
  uint32_t enabled = 0;
#define ROTOR_FEATURE(name, text, state) \
  if (FeatureState::state == FeatureState::always) enabled |= feature_bit(Feature::name);
#include "wasm/features.def"
  for (const Switch& s : kSwitches) {
    if (features.*s.on && feature_state(s.feature) == FeatureState::option) enabled |= feature_bit(s.feature);
  }
  return enabled;
}

}  // namespace rotor::wasm

namespace rotor {

bool Features::set(std::string_view name, bool on) {
  for (const wasm::Switch& s : wasm::kSwitches) {
    if (name != wasm::feature_text(s.feature)) continue;
    this->*s.on = on;
    return true;
  }
  return false;
}

}  // namespace rotor
