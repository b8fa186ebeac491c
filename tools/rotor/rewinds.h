// Runs a load with a rewind after each of its allowed calls, and compares what it returns with a run without.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hosts/wasm_bindgen/trace.h"
#include "rotor/proxy.h"

namespace rotor::cli {

/// A load to be run again and again, always alike.
struct RewindLoad {
  const Engine& engine;
  const Module& module;
  const wasm_bindgen::Trace& setup;
  const wasm_bindgen::Trace& load;
  uint64_t calls = 1;  ///< how often the load is repeated
  uint64_t limit_bytes = 0;
  std::string policy_file = {};  ///< what errors name
};

/// What a run returned.
struct RewindRun {
  std::vector<std::string> results;               ///< of each call of the load, as text; the last may be an error
  std::map<std::string, uint64_t> rewinds_after;  ///< by the export whose call a rewind followed
  uint64_t rewinds = 0;                           ///< in all
};

/// The first result that is another one than without rewinds.
struct RewindDifference {
  uint32_t line = 0;  ///< in the load
  std::string name;   ///< of the export that was called
  std::string expected;
  std::string actual;
};

/// Runs the load. With rotation on (mode = checkpoint) there is a rewind after each `every`-th allowed call, as soon as
/// nothing newer is held, and a checkpoint after each call that is not allowed. Errors: those of creating the proxy and
/// of the setup.
Result<RewindRun> run_with_rewinds(const RewindLoad& load, const Policy& policy, uint64_t every);
/// Runs it without rotation.
Result<RewindRun> run_without_rewinds(const RewindLoad& load, Policy policy);
std::optional<RewindDifference> compare(const RewindLoad& load, const RewindRun& expected, const RewindRun& actual);
/// Returns the policy with one export allowed and no other.
Policy allowing_only(Policy policy, const std::string& name, Returned results);
/// Says of a difference what was called, and what that returned.
std::string to_text(const RewindLoad& load, const RewindDifference& difference);

/// Does what `rotor rotate --rewind-every` does: prints what came of it, at last as a line of JSON. Returns whether all
/// results were right.
bool check_rewinds(const RewindLoad& load, const Policy& policy, uint64_t every, bool only_json);

}  // namespace rotor::cli
