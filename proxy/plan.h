// A plan: what the proxy does for each exported function of a module, and for each imported one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rotor/func.h"
#include "rotor/module.h"
#include "rotor/proxy/policy.h"

namespace rotor::proxy {

inline constexpr uint32_t kNoExport = UINT32_MAX;

inline bool takes_data(ArgKind kind) { return kind >= ArgKind::bytes; }
inline bool is_filled(ArgKind kind) { return kind == ArgKind::out || kind == ArgKind::out_handle; }
inline bool count_is_first(ArgKind kind) { return kind >= ArgKind::count_bytes; }
inline bool ends_with_nul(ArgKind kind) { return kind == ArgKind::text || kind == ArgKind::cstring; }
inline bool takes_handles(ArgKind kind) {
  return kind == ArgKind::handles || kind == ArgKind::consumed_handles || kind >= ArgKind::count_handles;
}
inline bool is_handle(ArgKind kind) { return kind == ArgKind::handle || kind == ArgKind::consumed; }
inline bool holds_handle(ArgKind kind) { return is_handle(kind) || takes_handles(kind); }
inline bool consumes(ArgKind kind) {
  return kind == ArgKind::consumed || kind == ArgKind::consumed_handles || kind == ArgKind::count_consumed_handles;
}
/// Returns whether data is bytes, not u32 elements. Pre: takes_data(kind).
inline bool is_bytes(ArgKind kind) {
  return kind == ArgKind::bytes || ends_with_nul(kind) || kind == ArgKind::count_bytes;
}
/// Returns how many wasm parameters an argument stands for.
inline size_t width(ArgKind kind) { return takes_data(kind) && kind != ArgKind::cstring ? 2 : 1; }
inline bool returns_handles(ResultKind kind) { return kind == ResultKind::handle || kind == ResultKind::handles; }

/// What the proxy does for one exported function.
struct ExportPlan {
  std::string name;
  std::string shown = {};        ///< the name as messages have it
  std::string export_name = {};  ///< the export that is called, as the module has it
  FuncType type = {};
  Effect effect = Effect::query;
  bool once = false;
  bool reads = false;
  bool local = false;
  bool retry = false;
  /// Whether it is a query of scalars and handles that returns scalars, and is not retried: such calls take the proxy's
  /// shortest way.
  bool simple = false;
  /// Whether it returns handles, whose origin the log must know.
  bool makes_handles = false;
  std::optional<std::vector<uint32_t>> key = {};
  const char* raw_only = nullptr;        ///< why it can only be called through Lease::raw
  std::vector<ArgKind> args = {};        ///< those that the host gives
  std::vector<uint32_t> params = {};     ///< the first wasm parameter of each of them
  std::vector<uint32_t> filled = {};     ///< the wasm parameters that are pointers which the guest fills
  std::vector<ResultKind> results = {};  ///< the wasm function's; then one for each of `filled`
  const ExportRule* rule = nullptr;      ///< that decided; null: none. It lives as long as the policy
  bool by_preset = false;                ///< whether a rule of the preset decided
  // With RotationMode::checkpoint, where every export is a query:
  Leaves leaves = Leaves::state;     ///< what a call leaves behind
  bool holds = false;                ///< integers that it returns may be pointers that the host holds
  bool args_are_said = false;        ///< the policy says what its arguments are: a scalar is no pointer
  const AllowRule* allow = nullptr;  ///< that decided; null: none. It lives as long as the policy

  /// Returns the type of the value at a place among the wasm function's results and what the guest fills.
  ValType result_type(size_t index) const { return index < type.results.size() ? type.results[index] : ValType::i32; }
  /// Returns how many of `results` are the wasm function's.
  size_t own_results() const { return results.size() - filled.size(); }
};

/// What the proxy does for one imported function.
struct ImportPlan {
  std::string name;        ///< module.name
  std::string shown = {};  ///< as in ExportPlan
  FuncType type = {};
  bool is_function = false;  ///< false: a memory, table or global; the other members are unset
  ImportMode mode = ImportMode::answer;
  std::vector<ImportArg> args = {};
  const ImportRule* rule = nullptr;  ///< as in ExportPlan
  bool by_preset = false;
};

/// The source that memory use is read from.
struct Gauge {
  enum class Kind : uint8_t { memory_size, function, global };
  Kind kind = Kind::memory_size;
  std::string name;
  ValType type = ValType::i32;
};

/// One argument of a probe, as it is passed.
struct ProbeArgPlan {
  Slot slot = 0;                   ///< a scalar
  std::vector<uint8_t> data = {};  ///< bytes; a vector's elements
  uint32_t made_by = kNoExport;    ///< a handle: index into Plan::exports
};
struct ProbePlan {
  std::string shown;          ///< its name, as messages have it
  uint32_t export_index = 0;  ///< into Plan::exports
  std::vector<ProbeArgPlan> args = {};
};

struct Plan {
  Preset preset = Preset::plain;
  RotationMode mode = RotationMode::replay;
  std::vector<ExportPlan> exports;
  std::map<std::string, uint32_t, std::less<>> by_name;
  std::vector<ImportPlan> imports;  ///< by index in Module::imports()
  uint64_t call_deadline_ms = 0;    ///< Policy::call_deadline_ms
  uint64_t call_fuel = 0;           ///< Policy::call_fuel
  bool records_answers = false;     ///< a function import has mode `answer`
  std::vector<ProbePlan> probes;
  Gauge gauge;
  GroupRule group;                ///< the policy's, with the exports that the preset knows
  uint32_t allocate = kNoExport;  ///< index into `exports`
  uint32_t deallocate = kNoExport;
  std::string data_memory;              ///< the export that data goes in and out by; empty: memory 0
  uint32_t drop_reference = kNoExport;  ///< frees an element of the externref table
  uint32_t reallocate = kNoExport;      ///< index into `exports`
  uint32_t reseed = kNoExport;          ///< CheckpointRule::reseed; index into `exports`
  std::string reference_table;          ///< the exported externref table; empty: none

  /// Returns the index of an export. Errors: not_found, with the nearest name.
  Result<uint32_t> find(std::string_view name) const;
};

}  // namespace rotor::proxy
