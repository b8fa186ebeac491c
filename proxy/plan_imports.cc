// Plans what a policy says of a module's imports: which host functions run again in a replay, and which are answered.
#include <fmt/format.h>

#include <algorithm>

#include "proxy/plan_parts.h"
#include "proxy/policy_names.h"
#include "proxy/wasi_args.h"
#include "rotor/printable.h"

namespace rotor::proxy {
namespace {

/// Returns how an argument is compared if no rule says more: an i32 may be a pointer, other numbers must be what they
/// were, references may differ.
ImportArg default_arg(ValType type) {
  if (type == ValType::i32) return ImportArg::pointer;
  return type.is_ref() ? ImportArg::any : ImportArg::scalar;
}

bool matches(const ImportRule& rule, const ImportPlan& plan, std::string_view field) {
  if (!is_glob(rule.name)) return rule.name == plan.name || rule.name == field;
  return glob_matches(rule.name, plan.name) || glob_matches(rule.name, field);
}

/// Returns the rule about an import: exactly `module.name`, exactly `name`, else the last glob that matches.
const ImportRule* winner(const Policy& policy, const ImportPlan& plan, std::string_view field) {
  const ImportRule* best = nullptr;
  int best_rank = 0;
  for (const ImportRule& rule : policy.imports) {
    if (!matches(rule, plan, field)) continue;
    const int rank = rule.name == plan.name ? 3 : is_glob(rule.name) ? 1 : 2;
    if (rank < best_rank) continue;
    best_rank = rank;
    best = &rule;
  }
  return best;
}

/// Checks that a rule is about something. Errors: not_found, type_mismatch.
Result<void> check_rule(const Policy& policy, const ImportRule& rule, const Plan& plan, const Module& module) {
  auto wrong = [&](ErrorKind kind, std::string text) { return fail(kind, place(policy, rule.line) + text); };
  const std::vector<ImportInfo>& imports = module.imports();
  const ImportInfo* other = nullptr;
  std::vector<std::string_view> candidates;
  for (size_t i = 0; i < imports.size(); i++) {
    const ImportPlan& item = plan.imports[i];
    const bool fits = matches(rule, item, imports[i].name);
    if (item.is_function && fits) return {};
    if (fits) other = &imports[i];
    if (!item.is_function) continue;
    candidates.push_back(item.name);
    candidates.push_back(imports[i].name);
  }
  if (is_glob(rule.name))
    return wrong(ErrorKind::not_found, fmt::format("no imported function matches \"{}\"", printable_name(rule.name)));
  if (other)
    return wrong(ErrorKind::type_mismatch, fmt::format("import \"{}\" is a {}, not a function",
                                                       printable_name(rule.name), kind_name(other->type)));
  return wrong(ErrorKind::not_found, fmt::format("no imported function \"{}\"{}", printable_name(rule.name),
                                                 did_you_mean(rule.name, candidates)));
}

/// Fills in an import's plan from its rule. Errors do not name the place in the policy.
Result<void> apply(const ImportRule& rule, ImportPlan& plan) {
  plan.mode = rule.mode;
  if (!rule.args) return {};
  const std::vector<ValType>& params = plan.type.params;
  if (rule.args->size() != params.size())
    return fail(ErrorKind::type_mismatch,
                fmt::format("{} arguments are described, there are {} in", rule.args->size(), params.size()));
  for (size_t i = 0; i < params.size(); i++) {
    const ImportArg kind = (*rule.args)[i];
    if (kind == ImportArg::pointer && params[i] != ValType::i32)
      return fail(ErrorKind::type_mismatch,
                  fmt::format("argument {} can't be a pointer, it is {} in", i + 1, to_string(params[i])));
    // Only the host knows what a reference stands for: its bits differ from instance to instance.
    if (kind == ImportArg::scalar && params[i].is_ref())
      return fail(ErrorKind::type_mismatch,
                  fmt::format("argument {} can't be a scalar, it is {} in", i + 1, to_string(params[i])));
  }
  plan.args = *rule.args;
  return {};
}

}  // namespace

Result<void> plan_imports(const Policy& policy, const Module& module, Plan& plan) {
  // The imports of a wasm-bindgen guest work on objects of its own host context, which each standby has anew.
  const bool bindgen = policy.preset == Preset::wasm_bindgen;
  for (const ImportInfo& info : module.imports()) {
    ImportPlan& item = plan.imports.emplace_back();
    item.name = info.module + "." + info.name;
    item.shown = printable_name(item.name);
    const FuncType* type = std::get_if<FuncType>(&info.type);
    if (!type) continue;
    item.type = *type;
    item.is_function = true;
    item.mode = bindgen ? ImportMode::run : ImportMode::answer;
    item.by_preset = bindgen;
    if (auto args = wasi_args(info.module, info.name, *type))
      item.args = std::move(*args);
    else
      for (ValType param : type->params) item.args.push_back(default_arg(param));
  }
  for (const ImportRule& rule : policy.imports) ROTOR_CHECK(check_rule(policy, rule, plan, module));
  for (size_t i = 0; i < plan.imports.size(); i++) {
    ImportPlan& item = plan.imports[i];
    if (!item.is_function) continue;
    if (const ImportRule* rule = winner(policy, item, module.imports()[i].name)) {
      item.rule = rule;
      item.by_preset = false;
      if (auto fits = apply(*rule, item); !fits)
        return fail(fits.error().kind, fmt::format("{}{}: {} {}", place(policy, rule->line), item.shown,
                                                   fits.error().message, to_string(item.type)));
    }
    plan.records_answers |= item.mode == ImportMode::answer;
  }
  return {};
}

}  // namespace rotor::proxy
