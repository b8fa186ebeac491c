// Plans what a policy says for RotationMode::checkpoint: which exports leave something behind, and what draws random
// numbers.
#include <fmt/format.h>

#include <algorithm>

#include "proxy/plan_parts.h"
#include "proxy/policy_names.h"
#include "proxy/random_imports.h"
#include "rotor/printable.h"

namespace rotor::proxy {
namespace {

bool is_integer(ValType type) { return type == ValType::i32 || type == ValType::i64; }

/// Checks what has no meaning in the policy's mode, and what is out of range.
Result<void> check_keys(const Policy& policy) {
  auto wrong = [&](uint32_t line, std::string text) {
    return fail(ErrorKind::invalid_argument, place(policy, line) + text);
  };
  if (policy.mode == RotationMode::replay) {
    if (policy.allow.empty()) return {};
    return wrong(policy.allow[0].line, "`allow` is for mode = \"checkpoint\"");
  }
  auto is_fraction = [](double value) { return value > 0 && value <= 1; };
  if (!is_fraction(policy.checkpoint.grown) || !is_fraction(policy.checkpoint.cpu))
    return wrong(0, fmt::format("grown and cpu of the checkpoint must be above 0, at most 1, not {}, {}",
                                policy.checkpoint.grown, policy.checkpoint.cpu));
  if (policy.verify_every) return wrong(0, "verify_every is for mode = \"replay\"");
  for (const ExportRule& rule : policy.exports)
    if (rule.retry) return wrong(rule.line, fmt::format("{}: `retry` is for mode = \"replay\"", rule.name));
  return {};
}

/// Checks that a rule is about something. Errors: not_found, type_mismatch.
Result<void> check_name(const Policy& policy, const AllowRule& rule, const Plan& plan, const Module& module) {
  auto wrong = [&](ErrorKind kind, std::string text) { return fail(kind, place(policy, rule.line) + text); };
  auto fits = [&](const ExportPlan& item) { return glob_matches(rule.name, item.name); };
  if (is_glob(rule.name) ? std::ranges::any_of(plan.exports, fits) : plan.by_name.contains(rule.name)) return {};
  if (is_glob(rule.name))
    return wrong(ErrorKind::not_found, fmt::format("no exported function matches \"{}\"", printable_name(rule.name)));
  if (const ExternType* type = module.export_type(rule.name))
    return wrong(ErrorKind::type_mismatch, fmt::format("`allow`: export \"{}\" is a {}, not a function",
                                                       printable_name(rule.name), kind_name(*type)));
  std::vector<std::string_view> names;
  for (const ExportPlan& item : plan.exports) names.push_back(item.name);
  return wrong(ErrorKind::not_found,
               fmt::format("`allow`: no export \"{}\"{}", printable_name(rule.name), did_you_mean(rule.name, names)));
}

const AllowRule* winner(const Policy& policy, const ExportPlan& plan) {
  const AllowRule* best = nullptr;
  for (const AllowRule& rule : policy.allow) {
    if (rule.name == plan.name) return &rule;
    if (is_glob(rule.name) && glob_matches(rule.name, plan.name)) best = &rule;
  }
  return best;
}

/// Says of the guest's allocator what a policy need not say: what it gives is held until it is given back.
void plan_allocator(Plan& plan) {
  for (uint32_t index : {plan.allocate, plan.deallocate, plan.reallocate}) {
    if (index == kNoExport) continue;
    ExportPlan& item = plan.exports[index];
    item.raw_only = nullptr;
    if (item.rule || item.allow) continue;
    item.by_preset = true;
    item.leaves = index == plan.allocate ? Leaves::nothing : Leaves::release;
    if (index != plan.allocate) item.args[0] = ArgKind::consumed;
  }
}

/// Makes every export a query: nothing is recorded, and numbers pass as they are.
Result<void> plan_export(const Policy& policy, ExportPlan& item) {
  item.allow = winner(policy, item);
  item.args_are_said = item.rule && item.rule->args;
  // A line about this very export says more than a glob of `allow`.
  if (item.allow && is_glob(item.allow->name) && item.rule && !is_glob(item.rule->name) && item.effect != Effect::query)
    item.allow = nullptr;
  const bool is_build = item.rule && item.rule->effect == Effect::build;
  if (item.allow && is_build)
    return fail(ErrorKind::invalid_argument,
                fmt::format("{}{} is allowed, since it leaves nothing behind, and {}it is a build",
                            place(policy, item.allow->line), item.shown, place(policy, item.rule->line)));
  if (item.allow && item.allow->results == Returned::value && std::ranges::any_of(item.results, returns_handles))
    return fail(ErrorKind::invalid_argument, fmt::format("{}{} returns a handle, so that it can't be \"value\"",
                                                         place(policy, item.allow->line), item.shown));
  item.leaves = item.allow ? Leaves::nothing : item.effect == Effect::release ? Leaves::release : Leaves::state;
  item.effect = Effect::query;
  item.once = item.reads = item.local = false;
  item.key.reset();
  return {};
}

/// Whether the integers that an export returns are held, if it leaves nothing behind.
bool holds(const ExportPlan& item) {
  if (item.leaves == Leaves::state || (item.allow && item.allow->results == Returned::value)) return false;
  // A release of the host's tells how it went, one of the allocator's gives the next pointer.
  const bool scalars = item.leaves == Leaves::nothing || item.by_preset;
  const auto own = std::span(item.results).first(item.own_results());
  return std::ranges::any_of(item.results, returns_handles) ||
         (scalars && std::ranges::any_of(own, [](ResultKind kind) { return kind == ResultKind::scalar; }) &&
          std::ranges::any_of(item.type.results, is_integer));
}

Result<void> plan_random(const Policy& policy, const Module& module, Plan& plan) {
  const std::string& reseed = policy.checkpoint.reseed;
  auto wrong = [&](ErrorKind kind, std::string text) { return fail(kind, place(policy, 0) + text); };
  if (reseed.empty()) {
    for (const ImportPlan& item : plan.imports)
      if (item.is_function && is_random_import(item.name))
        return wrong(
            ErrorKind::invalid_argument,
            fmt::format("the guest imports {}: what its generator holds at a checkpoint comes again after "
                        "every rewind. Name an export that seeds it anew as `reseed` of the checkpoint, or say "
                        "reseed = \"none\"",
                        item.shown));
    return {};
  }
  if (reseed == "none") return {};
  auto found = plan.by_name.find(reseed);
  if (found == plan.by_name.end()) {
    if (const ExternType* type = module.export_type(reseed))
      return wrong(ErrorKind::type_mismatch, fmt::format("reseed: export \"{}\" is a {}, not a function",
                                                         printable_name(reseed), kind_name(*type)));
    std::vector<std::string_view> names;
    for (const ExportPlan& item : plan.exports) names.push_back(item.name);
    return wrong(ErrorKind::not_found,
                 fmt::format("no export \"{}\" for reseed{}", printable_name(reseed), did_you_mean(reseed, names)));
  }
  const ExportPlan& item = plan.exports[found->second];
  if (!item.type.results.empty() || !std::ranges::all_of(item.type.params, is_integer))
    return wrong(ErrorKind::type_mismatch,
                 fmt::format("reseed: \"{}\" must return nothing and take nothing but integers; it is {}", item.shown,
                             to_string(item.type)));
  plan.reseed = found->second;
  return {};
}

}  // namespace

Result<void> plan_checkpoint(const Policy& policy, const Module& module, Plan& plan) {
  ROTOR_CHECK(check_keys(policy));
  if (policy.mode != RotationMode::checkpoint) return {};
  plan.records_answers = false;
  for (const AllowRule& rule : policy.allow) ROTOR_CHECK(check_name(policy, rule, plan, module));
  for (ExportPlan& item : plan.exports) ROTOR_CHECK(plan_export(policy, item));
  plan_allocator(plan);
  for (ExportPlan& item : plan.exports) {
    item.holds = holds(item);
    derive(item);
    item.simple &= item.leaves == Leaves::nothing;
  }
  return plan_random(policy, module, plan);
}

}  // namespace rotor::proxy
