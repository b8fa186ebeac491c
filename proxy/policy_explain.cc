// Explains to people what a policy makes of a module.
#include <fmt/format.h>

#include <algorithm>

#include "proxy/plan_parts.h"
#include "proxy/policy.h"
#include "proxy/policy_words.h"

namespace rotor {
namespace {

template <class T, size_t n>
const char* word_of(const proxy::Word<T> (&words)[n], T value) {
  for (const auto& [name, word] : words)
    if (word == value) return name.data();  // the view is of a literal, so it ends with a NUL
  return "?";
}

template <class Rule>
std::string place_of(const Policy& policy, const Rule& rule) {
  if (rule.line == 0) return rule.name;
  return fmt::format("{}:{} {}", policy.file.empty() ? "policy" : policy.file, rule.line, rule.name);
}

template <class Item>
std::string rule_of(const Policy& policy, const Item& item) {
  if (!item.rule) return item.by_preset ? "preset" : "default";
  return place_of(policy, *item.rule);
}

/// Warns of `local` builds of which nothing is left once what they take is released: what else they write to is lost.
void warn_of_local(const proxy::Plan& plan, std::vector<std::string>& warnings) {
  const bool ends_any = std::ranges::any_of(
      plan.exports, [](const proxy::ExportPlan& item) { return std::ranges::any_of(item.args, proxy::consumes); });
  if (!ends_any) return;
  for (const proxy::ExportPlan& item : plan.exports)
    if (item.local && !item.makes_handles)
      warnings.push_back(
          fmt::format("{} is `local` and makes no handle: its calls are dropped once what they take is released, and "
                      "with them whatever else they wrote to",
                      item.shown));
}

}  // namespace

const char* to_string(Returned returned) { return word_of(proxy::kReturnedWords, returned); }
const char* to_string(Leaves leaves) {
  switch (leaves) {
    case Leaves::state: return "changes state";
    case Leaves::nothing: return "allowed";
    case Leaves::release: return "release";
  }
  return "?";
}
const char* to_string(Effect effect) { return word_of(proxy::kEffectWords, effect); }
const char* to_string(ArgKind kind) { return word_of(proxy::kArgWords, kind); }
const char* to_string(ResultKind kind) { return word_of(proxy::kResultWords, kind); }
const char* to_string(ImportMode mode) { return word_of(proxy::kImportModeWords, mode); }
const char* to_string(ImportArg kind) { return word_of(proxy::kImportArgWords, kind); }

Result<PolicyExplanation> Policy::explain(const Module& module) const {
  ROTOR_TRY(proxy::Plan plan, proxy::make_plan(*this, module));
  PolicyExplanation out;
  out.mode = mode;
  if (mode == RotationMode::checkpoint && allow.empty())
    out.warnings.push_back("rotation is futile: no export is allowed, so each call makes the checkpoint stale");
  warn_of_local(plan, out.warnings);
  for (proxy::ExportPlan& item : plan.exports) {
    ExplainedExport& row = out.exports.emplace_back();
    row.rule = rule_of(*this, item);
    row.name = std::move(item.name);
    row.export_name = std::move(item.export_name);
    row.type = std::move(item.type);
    row.effect = item.effect;
    row.unsaid = item.effect == Effect::build && !(item.rule && item.rule->effect);
    row.once = item.once;
    row.reads = item.reads;
    row.local = item.local;
    row.retry = item.retry;
    row.key = std::move(item.key);
    row.args = std::move(item.args);
    row.results = std::move(item.results);
    if (item.raw_only) row.raw_only = item.raw_only;
    row.leaves = item.leaves;
    row.returned = item.holds ? Returned::held : Returned::value;
    if (item.allow)
      row.allow_rule = place_of(*this, *item.allow);
    else if (item.by_preset && item.leaves != Leaves::state)
      row.allow_rule = "preset";
  }
  for (proxy::ImportPlan& item : plan.imports) {
    if (!item.is_function) continue;
    ExplainedImport& row = out.imports.emplace_back();
    row.rule = rule_of(*this, item);
    row.name = std::move(item.name);
    row.type = std::move(item.type);
    row.mode = item.mode;
    row.args = std::move(item.args);
  }
  return out;
}

}  // namespace rotor
