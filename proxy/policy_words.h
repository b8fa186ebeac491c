// The words that policy files have for the policy's enumerations.
#pragma once

#include <string_view>
#include <utility>

#include "rotor/proxy/policy.h"

namespace rotor::proxy {

template <class T>
using Word = std::pair<std::string_view, T>;

inline constexpr Word<Preset> kPresetWords[] = {{"plain", Preset::plain}, {"wasm-bindgen", Preset::wasm_bindgen}};
inline constexpr Word<AtSwap> kAtSwapWords[] = {
    {"serve", AtSwap::serve}, {"wait", AtSwap::wait}, {"fail", AtSwap::fail}};
inline constexpr Word<OnTrap> kOnTrapWords[] = {{"rotate", OnTrap::rotate}, {"keep", OnTrap::keep}};
inline constexpr Word<ImageMode> kImageWords[] = {{"off", ImageMode::off}, {"lazy", ImageMode::lazy}};
inline constexpr Word<RotationMode> kModeWords[] = {{"replay", RotationMode::replay},
                                                    {"checkpoint", RotationMode::checkpoint}};
inline constexpr Word<Returned> kReturnedWords[] = {{"held", Returned::held}, {"value", Returned::value}};
inline constexpr Word<WhileHeld> kWhileHeldWords[] = {{"wait", WhileHeld::wait}, {"checkpoint", WhileHeld::checkpoint}};
inline constexpr Word<HostWrites> kHostWritesWords[] = {{"state", HostWrites::state}, {"scratch", HostWrites::scratch}};
inline constexpr Word<Effect> kEffectWords[] = {
    {"query", Effect::query}, {"build", Effect::build}, {"release", Effect::release}};
inline constexpr Word<ArgKind> kArgWords[] = {{"scalar", ArgKind::scalar},
                                              {"handle", ArgKind::handle},
                                              {"consumed", ArgKind::consumed},
                                              {"out", ArgKind::out},
                                              {"out_handle", ArgKind::out_handle},
                                              {"bytes", ArgKind::bytes},
                                              {"text", ArgKind::text},
                                              {"cstring", ArgKind::cstring},
                                              {"vector", ArgKind::vector},
                                              {"handles", ArgKind::handles},
                                              {"consumed_handles", ArgKind::consumed_handles},
                                              {"count_bytes", ArgKind::count_bytes},
                                              {"count_vector", ArgKind::count_vector},
                                              {"count_handles", ArgKind::count_handles},
                                              {"count_consumed_handles", ArgKind::count_consumed_handles}};
inline constexpr Word<ResultKind> kResultWords[] = {{"scalar", ResultKind::scalar},   {"handle", ResultKind::handle},
                                                    {"bytes", ResultKind::bytes},     {"vector", ResultKind::vector},
                                                    {"handles", ResultKind::handles}, {"error", ResultKind::error}};
inline constexpr Word<ImportMode> kImportModeWords[] = {{"answer", ImportMode::answer}, {"run", ImportMode::run}};
inline constexpr Word<ImportArg> kImportArgWords[] = {
    {"scalar", ImportArg::scalar}, {"pointer", ImportArg::pointer}, {"any", ImportArg::any}};

}  // namespace rotor::proxy
