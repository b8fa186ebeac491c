// A policy applied to a module: what the proxy does for each exported function.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rotor/module.h"
#include "rotor/proxy.h"

namespace rotor::proxy {

inline constexpr uint32_t kNoExport = UINT32_MAX;

inline bool takes_data(ArgKind kind) { return kind >= ArgKind::bytes; }
inline bool takes_handles(ArgKind kind) { return kind >= ArgKind::handles; }
inline bool consumes(ArgKind kind) { return kind == ArgKind::consumed || kind == ArgKind::consumed_handles; }

/// What the proxy does for one exported function.
struct ExportPlan {
  std::string name;
  FuncType type = {};
  Effect effect = Effect::query;
  bool once = false;
  const char* raw_only = nullptr;  ///< why it can only be called through Lease::raw
  std::vector<ArgKind> args = {};
  std::vector<ResultKind> results = {};
};

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

struct Plan {
  Preset preset = Preset::plain;
  std::vector<ExportPlan> exports;
  std::unordered_map<std::string, uint32_t, StringHash, std::equal_to<>> by_name;
  uint32_t allocate = kNoExport;  ///< index into `exports`
  uint32_t deallocate = kNoExport;
  uint32_t drop_reference = kNoExport;  ///< frees an element of the externref table
  std::string reference_table;          ///< the exported externref table; empty: none

  /// Errors: not_found, with the nearest name.
  Result<uint32_t> find(std::string_view name) const;
};

/// Errors: those of Policy::check.
Result<Plan> make_plan(const Policy& policy, const Module& module);

bool is_glob(std::string_view pattern);
bool glob_matches(std::string_view pattern, std::string_view name);
/// "; did you mean \"…\"?" with the candidate of least edit distance; empty if none is near.
std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace rotor::proxy
