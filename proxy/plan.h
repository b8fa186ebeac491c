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
inline bool takes_handles(ArgKind kind) { return kind >= ArgKind::handles; }
inline bool is_handle(ArgKind kind) { return kind == ArgKind::handle || kind == ArgKind::consumed; }
inline bool holds_handle(ArgKind kind) { return is_handle(kind) || takes_handles(kind); }
inline bool consumes(ArgKind kind) { return kind == ArgKind::consumed || kind == ArgKind::consumed_handles; }
inline bool returns_handles(ResultKind kind) { return kind == ResultKind::handle || kind == ResultKind::handles; }

/// What the proxy does for one exported function.
struct ExportPlan {
  std::string name;
  std::string shown = {};  ///< the name as messages have it
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
  const char* raw_only = nullptr;  ///< why it can only be called through Lease::raw
  std::vector<ArgKind> args = {};
  std::vector<ResultKind> results = {};
  const ExportRule* rule = nullptr;  ///< that decided; null: none. It lives as long as the policy
  bool by_preset = false;            ///< whether a rule of the preset decided
  // With RotationMode::checkpoint, where every export is a query:
  Leaves leaves = Leaves::state;     ///< what a call leaves behind
  bool holds = false;                ///< integers that it returns may be pointers that the host holds
  bool args_are_said = false;        ///< the policy says what its arguments are: a scalar is no pointer
  const AllowRule* allow = nullptr;  ///< that decided; null: none. It lives as long as the policy
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
  bool records_answers = false;     ///< a function import has mode `answer`
  std::vector<ProbePlan> probes;
  Gauge gauge;
  GroupRule group;                ///< the policy's, with the exports that the preset knows
  uint32_t allocate = kNoExport;  ///< index into `exports`
  uint32_t deallocate = kNoExport;
  uint32_t drop_reference = kNoExport;  ///< frees an element of the externref table
  uint32_t reallocate = kNoExport;      ///< index into `exports`
  uint32_t reseed = kNoExport;          ///< CheckpointRule::reseed; index into `exports`
  std::string reference_table;          ///< the exported externref table; empty: none

  /// Returns the index of an export. Errors: not_found, with the nearest name.
  Result<uint32_t> find(std::string_view name) const;
};

}  // namespace rotor::proxy
