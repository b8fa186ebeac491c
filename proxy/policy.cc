#include "proxy/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "proxy/plan_parts.h"
#include "proxy/policy_names.h"
#include "rotor/printable.h"

namespace rotor::proxy {
namespace {

constexpr const char* kIsAllocator = "belongs to the guest's allocator: its pointers mean nothing after the lease";
constexpr const char* kPassesFunction = "passes a function reference";
constexpr const char* kPassesException = "passes a reference to an exception";
constexpr const char* kPassesObject = "passes a reference to an object of the guest's";
constexpr const char* kPassesVector = "passes a v128";
constexpr const char* kTakesReference = "takes a reference";

const FuncType* func_type(const ExportInfo& info) { return std::get_if<FuncType>(&info.type); }

bool passes(const FuncType& type, bool (ValType::*kind)() const) {
  return std::ranges::any_of(type.params, kind) || std::ranges::any_of(type.results, kind);
}

/// Returns why an export's values can't be recorded or translated; null if they can.
const char* unrecordable_values(const FuncType& type) {
  if (passes(type, &ValType::is_func_ref)) return kPassesFunction;
  if (passes(type, &ValType::is_exn_ref)) return kPassesException;
  if (passes(type, &ValType::is_any_ref)) return kPassesObject;
  // A recorded call has 64 bits for each value.
  return slot_count(type.params) + slot_count(type.results) != type.params.size() + type.results.size() ? kPassesVector
                                                                                                        : nullptr;
}

/// Returns why an export can't be a build or a release; null if it can.
const char* unrecordable(const FuncType& type) {
  if (const char* why = unrecordable_values(type)) return why;
  return std::ranges::any_of(type.params, &ValType::is_ref) ? kTakesReference : nullptr;
}

/// Returns the rules that come with a preset; those of the policy take precedence.
std::vector<ExportRule> preset_rules(Preset preset) {
  if (preset == Preset::plain) return {};
  // The glue's own exports are called by the host around a call, and by a factory: not for their effect on state.
  return {{.name = "__wbindgen_*", .effect = Effect::query},
          {.name = "__externref_*", .effect = Effect::query},
          {.name = "initThreadPool", .effect = Effect::query},
          {.name = "exitThreadPool", .effect = Effect::query},
          {.name = "__wbg_*_free", .effect = Effect::release}};
}

bool preset_rule_fits(const ExportRule& rule, const FuncType& type) {
  return rule.effect != Effect::release || type == FuncType{{ValType::i32, ValType::i32}, {}};  // (ptr, 0)
}

Result<void> check_thresholds(const Policy& policy) {
  auto wrong = [&](std::string text) { return fail(ErrorKind::invalid_argument, place(policy, 0) + text); };
  if (!(policy.warm_at > 0 && policy.warm_at <= policy.swap_at && policy.swap_at <= policy.force_at &&
        policy.force_at <= 1))
    return wrong(fmt::format("thresholds must be 0 < warm_at <= swap_at <= force_at <= 1, not {}, {}, {}",
                             policy.warm_at, policy.swap_at, policy.force_at));
  if (policy.catch_up_rounds == 0) return wrong("catch_up_rounds must be at least 1");
  if (policy.log_max_calls == 0 || policy.log_max_bytes == 0 || policy.log_max_replay_ns == 0)
    return wrong("a bound of the log is 0");
  if (policy.backoff_first_ms > policy.backoff_max_ms) return wrong("backoff_first_ms is above backoff_max_ms");
  return {};
}

/// Checks that the kinds fit the wasm types they stand for. Errors: type_mismatch.
template <class Kind, class Width>
Result<void> lay_over(const std::vector<Kind>& kinds, const std::vector<ValType>& types, const char* what,
                      Width width) {
  size_t at = 0, wanted = 0;
  for (Kind kind : kinds) wanted += width(kind);
  if (wanted != types.size())
    return fail(ErrorKind::type_mismatch,
                fmt::format("{}s stand for {} wasm values, there are {} in", what, wanted, types.size()));
  for (size_t i = 0; i < kinds.size(); i++) {
    for (size_t k = 0; k < width(kinds[i]); k++, at++)
      if (kinds[i] != Kind::scalar && types[at] != ValType::i32)
        return fail(ErrorKind::type_mismatch,
                    fmt::format("{} {} must be i32, it is {} in", what, i + 1, to_string(types[at])));
  }
  return {};
}

Result<void> check_results(const std::vector<ResultKind>& results) {
  size_t data = 0;
  for (size_t i = 0; i < results.size(); i++) {
    data += results[i] == ResultKind::bytes || results[i] == ResultKind::vector || results[i] == ResultKind::handles;
    if (results[i] == ResultKind::error && i + 1 != results.size())
      return fail(ErrorKind::invalid_argument, "`error` is not the last result");
  }
  if (data > 1) return fail(ErrorKind::invalid_argument, "more than one result is bytes or a vector");
  return {};
}

/// Finds the parameters of each argument, and takes out those that the guest fills: what it puts there are results.
/// Errors do not name the place in the policy.
Result<void> place_args(ExportPlan& plan) {
  std::vector<ArgKind> given;
  plan.params.clear();
  uint32_t at = 0;
  for (ArgKind kind : plan.args) {
    if (is_filled(kind)) {
      plan.filled.push_back(at);
    } else {
      given.push_back(kind);
      plan.params.push_back(at);
    }
    at += static_cast<uint32_t>(width(kind));
  }
  if (plan.filled.empty()) return {};
  if (!plan.results.empty() && plan.results.back() == ResultKind::error)
    return fail(ErrorKind::invalid_argument, "has an `error` result, and arguments that the guest fills: not both");
  for (ArgKind kind : plan.args)
    if (is_filled(kind)) plan.results.push_back(kind == ArgKind::out_handle ? ResultKind::handle : ResultKind::scalar);
  plan.args = std::move(given);
  return {};
}

/// Checks what may be said of builds only, and of calls that are retried. Errors do not name the place in the policy.
Result<void> check_flags(const ExportRule& rule, const ExportPlan& plan) {
  auto wrong = [](std::string text) { return fail(ErrorKind::invalid_argument, std::move(text)); };
  const bool is_build = plan.effect == Effect::build;
  if (rule.once && (!is_build || std::ranges::any_of(plan.args, consumes)))
    return wrong("`once` is for builds that consume nothing");
  const bool takes_handle = std::ranges::any_of(plan.args, holds_handle);
  const bool keeps_handle =
      std::ranges::any_of(plan.args, [](ArgKind kind) { return holds_handle(kind) && !consumes(kind); });
  const bool makes_handle = std::ranges::any_of(plan.results, returns_handles);
  if (rule.local && !is_build) return wrong("`local` is for builds");
  if (rule.local && !takes_handle && !makes_handle)
    return wrong("with `local` it changes nothing but handles, and it neither takes nor makes any");
  if (rule.local && !keeps_handle && !makes_handle)
    return wrong("with `local` it changes only handles, and it ends all that it takes: it would never be replayed");
  if (rule.reads && !is_build) return wrong("`reads` is for builds");
  if (rule.reads && !rule.local) return wrong("`reads` is for `local` builds: others are replayed in any case");
  if (rule.reads && takes_handle && !makes_handle)
    return wrong("with `reads` it changes no handle, and it makes none: it would never be replayed");
  if (rule.key && !is_build) return wrong("`key` is for builds");
  if (rule.key && rule.once) return wrong("`once` keeps the first of equal calls, `key` the last: not both");
  if (rule.key) {
    for (size_t i = 0; i < rule.key->size(); i++) {
      const uint32_t position = (*rule.key)[i];
      if (position >= plan.args.size())
        return wrong(
            fmt::format("`key` names argument {}, counted from 0, but there are {}", position, plan.args.size()));
      if (consumes(plan.args[position]))
        return wrong(fmt::format("`key` names argument {}, which is consumed", position));
      if (std::find(rule.key->begin(), rule.key->begin() + static_cast<ptrdiff_t>(i), position) !=
          rule.key->begin() + static_cast<ptrdiff_t>(i))
        return wrong(fmt::format("`key` names argument {} twice", position));
    }
  }
  // What a release frees is gone with the instance that trapped, so it can't be freed again.
  if (rule.retry && plan.effect == Effect::release) return wrong("`retry` is not for releases");
  const char* why = unrecordable(plan.type);
  if (why && plan.effect != Effect::query) return wrong(fmt::format("{}, which can't be recorded", why));
  if (rule.retry && std::ranges::any_of(plan.type.params, &ValType::is_ref))
    return wrong("takes a reference, which a retry on another instance can't pass");
  return {};
}

/// Fills in the plan of one export from its rule. Errors do not name the place in the policy.
Result<void> apply(const ExportRule& rule, ExportPlan& plan) {
  plan.effect = rule.effect.value_or(plan.effect);
  plan.once = rule.once;
  plan.reads = rule.reads;
  plan.local = rule.local;
  plan.retry = rule.retry;
  plan.key = rule.key;
  if (rule.args) {
    plan.args = *rule.args;
  } else if (plan.effect == Effect::release && !plan.args.empty()) {
    plan.args[0] = ArgKind::consumed;
  }
  if (rule.results) plan.results = *rule.results;
  ROTOR_CHECK(lay_over(plan.args, plan.type.params, "argument", width));
  ROTOR_CHECK(lay_over(plan.results, plan.type.results, "result",
                       [](ResultKind kind) { return kind >= ResultKind::bytes ? size_t{2} : size_t{1}; }));
  ROTOR_CHECK(check_results(plan.results));
  ROTOR_CHECK(place_args(plan));
  bool ends_handle = std::ranges::any_of(plan.args, consumes);
  if (plan.effect == Effect::release && !ends_handle)
    return fail(ErrorKind::invalid_argument, "a release has no `consumed` argument");
  return check_flags(rule, plan);
}

/// Finds the exports that move data in and out. A rule that moves data where they are missing is an error, at that
/// rule.
class Allocator {
 public:
  Allocator(Plan& plan, const Policy& policy, const Module& module) : plan_(plan) {
    const ValType i = ValType::i32;
    const bool bindgen = plan.preset == Preset::wasm_bindgen;
    allocate_type_ = bindgen ? FuncType{{i, i}, {i}} : FuncType{{i}, {i}};
    deallocate_type_ = bindgen ? FuncType{{i, i, i}, {}} : FuncType{{i}, {}};
    allocate_name_ = policy.allocator.allocate;
    deallocate_name_ = policy.allocator.deallocate;
    if (allocate_name_.empty()) allocate_name_ = bindgen ? "__wbindgen_malloc" : "malloc";
    if (deallocate_name_.empty()) deallocate_name_ = bindgen ? "__wbindgen_free" : "free";
    plan.allocate = lookup(allocate_name_, allocate_type_);
    plan.deallocate = lookup(deallocate_name_, deallocate_type_);
    if (bindgen) {
      plan.reallocate = lookup("__wbindgen_realloc", FuncType{{i, i, i, i}, {i}});
      plan.drop_reference = lookup("__externref_table_dealloc", FuncType{{i}, {}});
      for (const ExportInfo& info : module.exports())
        if (auto* table = std::get_if<TableType>(&info.type); table && table->element == ValType::externref)
          plan.reference_table = info.name;
    }
    for (uint32_t index : {plan.allocate, plan.deallocate, plan.reallocate})
      if (index != kNoExport) plan.exports[index].raw_only = kIsAllocator;
  }

  /// Checks the names that the policy gives. Errors: not_found, type_mismatch.
  Result<void> check_names(const Policy& policy) const {
    auto check = [&](const char* key, const std::string& name, const FuncType& type, uint32_t found) -> Result<void> {
      if (name.empty() || found != kNoExport) return {};
      auto index = plan_.find(name);
      if (!index)
        return fail(ErrorKind::not_found,
                    fmt::format("{}{} of the allocator: {}", place(policy, 0), key, index.error().message));
      return fail(ErrorKind::type_mismatch,
                  fmt::format("{}{} of the allocator: {} must be {}, it is {}", place(policy, 0), key,
                              plan_.exports[*index].shown, to_string(type), to_string(plan_.exports[*index].type)));
    };
    ROTOR_CHECK(check("malloc", policy.allocator.allocate, allocate_type_, plan_.allocate));
    return check("free", policy.allocator.deallocate, deallocate_type_, plan_.deallocate);
  }

  Result<void> check(const ExportPlan& plan) const {
    if (plan_.preset != Preset::plain && std::ranges::any_of(plan.args, ends_with_nul))
      return fail(ErrorKind::invalid_argument,
                  "takes `text` or a `cstring`: those are for preset = \"plain\", for such a guest would free them "
                  "without their NUL");
    bool takes = std::ranges::any_of(plan.args, takes_data) || !plan.filled.empty();
    bool returns = std::ranges::any_of(plan.results, [](ResultKind kind) {
      return kind == ResultKind::bytes || kind == ResultKind::vector || kind == ResultKind::handles;
    });
    bool frees = returns || (takes && plan_.preset == Preset::plain) || !plan.filled.empty();
    if (takes && plan_.allocate == kNoExport) return missing(allocate_name_);
    if (frees && plan_.deallocate == kNoExport) return missing(deallocate_name_);
    return {};
  }

 private:
  uint32_t lookup(std::string_view name, const FuncType& type) const {
    auto found = plan_.by_name.find(name);
    return found != plan_.by_name.end() && plan_.exports[found->second].type == type ? found->second : kNoExport;
  }
  std::unexpected<Error> missing(const std::string& name) const {
    auto found = plan_.by_name.find(name);
    return fail(ErrorKind::not_found, found == plan_.by_name.end()
                                          ? fmt::format("passes bytes or vectors, but the module exports no {} (name "
                                                        "the guest's under [allocator])",
                                                        name)
                                          : fmt::format("passes bytes or vectors, but {} has type {}", name,
                                                        to_string(plan_.exports[found->second].type)));
  }

  Plan& plan_;
  std::string allocate_name_, deallocate_name_;
  FuncType allocate_type_, deallocate_type_;
};

/// Checks that a rule is about something. Errors: not_found, type_mismatch.
Result<void> check_name(const Policy& policy, const ExportRule& rule, const Plan& plan, const Module& module) {
  auto wrong = [&](ErrorKind kind, std::string text) { return fail(kind, place(policy, rule.line) + text); };
  const std::string& name = rule.export_name.empty() ? rule.name : rule.export_name;
  if (is_glob(rule.name)) {
    if (!rule.export_name.empty())
      return wrong(ErrorKind::invalid_argument,
                   fmt::format("\"{}\" is a glob: it can't be another name for \"{}\"", printable_name(rule.name),
                               printable_name(rule.export_name)));
    for (const ExportPlan& item : plan.exports)
      if (glob_matches(rule.name, item.name)) return {};
    return wrong(ErrorKind::not_found, fmt::format("no exported function matches \"{}\"", printable_name(rule.name)));
  }
  if (!rule.export_name.empty() && (module.export_type(rule.name) || plan.by_name.contains(rule.name)))
    return wrong(ErrorKind::invalid_argument,
                 fmt::format("\"{}\" can't be another name for \"{}\": something else has it",
                             printable_name(rule.name), printable_name(rule.export_name)));
  if (auto found = plan.by_name.find(name);
      found != plan.by_name.end() && plan.exports[found->second].export_name == name)
    return {};
  if (const ExternType* type = module.export_type(name))
    return wrong(ErrorKind::type_mismatch,
                 fmt::format("export \"{}\" is a {}, not a function", printable_name(name), kind_name(*type)));
  std::vector<std::string_view> names;
  for (const ExportPlan& item : plan.exports)
    if (item.name == item.export_name) names.push_back(item.name);
  return wrong(ErrorKind::not_found,
               fmt::format("no export \"{}\"{}", printable_name(name), did_you_mean(name, names)));
}

/// Adds an exported function to the plan, under a name.
void add_export(Plan& plan, const std::string& name, const std::string& export_name, const FuncType& type) {
  ExportPlan item{.name = name, .shown = printable_name(name), .export_name = export_name, .type = type};
  item.raw_only = unrecordable_values(type);
  item.args.assign(type.params.size(), ArgKind::scalar);
  item.params.resize(type.params.size());
  std::iota(item.params.begin(), item.params.end(), 0);
  item.results.assign(type.results.size(), ResultKind::scalar);
  plan.by_name.emplace(name, static_cast<uint32_t>(plan.exports.size()));
  plan.exports.push_back(std::move(item));
}

/// Returns the policy's rule about an export: an exact name, else the last glob that matches.
const ExportRule* winner(const Policy& policy, const ExportPlan& plan) {
  const ExportRule* best = nullptr;
  for (const ExportRule& rule : policy.exports) {
    if (rule.name == plan.name) return &rule;
    if (is_glob(rule.name) && glob_matches(rule.name, plan.name)) best = &rule;
  }
  return best;
}

const ExportRule* preset_winner(const std::vector<ExportRule>& rules, const ExportPlan& plan) {
  const ExportRule* best = nullptr;
  for (const ExportRule& rule : rules)
    if (glob_matches(rule.name, plan.name) && preset_rule_fits(rule, plan.type)) best = &rule;
  return best;
}

/// Returns whether a line that is not of `exports` says what an export is for: the host calls it, not for its effect.
bool is_named_elsewhere(const Policy& policy, std::string_view name) {
  const GroupRule& group = policy.group;
  return name == policy.gauge || name == group.start || name == group.stop || name == group.thread_exit;
}

/// Refuses exports that are builds since nothing says what they are, and can't be recorded. Errors: invalid_argument,
/// with their names.
Result<void> check_unnamed(const Policy& policy, const Plan& plan) {
  std::vector<std::string> impossible;
  for (const ExportPlan& item : plan.exports)
    if (const char* why = unrecordable(item.type); why && !item.rule && item.effect == Effect::build)
      impossible.push_back(fmt::format("{} ({})", item.shown, why));
  if (impossible.empty()) return {};
  return fail(ErrorKind::invalid_argument,
              fmt::format("{}no line names {}: an export that none names is a build, and {} can't be recorded. If no "
                          "later call needs what a call of it does, say effect = \"query\"",
                          place(policy, 0), fmt::join(impossible, ", "), impossible.size() == 1 ? "it" : "these"));
}

Result<void> plan_exports(const Policy& policy, const Module& module, Plan& plan) {
  for (const ExportInfo& info : module.exports())
    if (const FuncType* type = func_type(info)) add_export(plan, info.name, info.name, *type);
  for (const ExportRule& rule : policy.exports) {
    ROTOR_CHECK(check_name(policy, rule, plan, module));
    if (!rule.export_name.empty())
      add_export(plan, rule.name, rule.export_name, plan.exports[plan.by_name.find(rule.export_name)->second].type);
  }
  Allocator allocator(plan, policy, module);
  ROTOR_CHECK(allocator.check_names(policy));
  const std::vector<ExportRule> preset = preset_rules(policy.preset);
  for (ExportPlan& item : plan.exports) {
    item.rule = winner(policy, item);
    const ExportRule* rule = item.rule ? item.rule : preset_winner(preset, item);
    item.by_preset = !item.rule && (rule || item.raw_only == kIsAllocator);
    const bool is_replay = policy.mode == RotationMode::replay;
    if (!rule) {
      if (is_replay && !item.by_preset && !is_named_elsewhere(policy, item.name)) item.effect = Effect::build;
      continue;
    }
    // Whoever means the allocator names it.
    if (item.rule && !is_glob(rule->name) && item.raw_only == kIsAllocator) item.raw_only = nullptr;
    if (is_replay) item.effect = Effect::build;  // unless the rule says otherwise
    Result<void> fits = apply(*rule, item);
    if (fits) fits = allocator.check(item);
    if (fits) continue;
    std::string text = fmt::format("{}{}: {}", place(policy, rule->line), item.shown, fits.error().message);
    if (fits.error().kind == ErrorKind::type_mismatch) text += " " + to_string(item.type);
    return fail(fits.error().kind, std::move(text));
  }
  for (ExportPlan& item : plan.exports) derive(item);
  return {};
}

}  // namespace

/// The shortest way leaves out the log, the translation of data, the retry and what a checkpoint asks.
void derive(ExportPlan& plan) {
  plan.makes_handles = std::ranges::any_of(plan.results, returns_handles);
  plan.simple = plan.effect == Effect::query && !plan.retry && !plan.holds && !plan.raw_only &&
                !unrecordable_values(plan.type) && plan.filled.empty() &&
                std::ranges::none_of(plan.args, [](ArgKind kind) { return takes_data(kind) || consumes(kind); }) &&
                std::ranges::all_of(plan.results, [](ResultKind kind) { return kind == ResultKind::scalar; });
}

Result<uint32_t> Plan::find(std::string_view name) const {
  if (auto found = by_name.find(name); found != by_name.end()) [[likely]]
    return found->second;
  std::vector<std::string_view> names;
  for (const ExportPlan& item : exports) names.push_back(item.name);
  return fail(ErrorKind::not_found,
              fmt::format("no exported function \"{}\"{}", printable_name(name), did_you_mean(name, names)));
}

Result<Plan> make_plan(const Policy& policy, const Module& module) {
  ROTOR_CHECK(check_thresholds(policy));
  Plan plan;
  plan.preset = policy.preset;
  plan.mode = policy.mode;
  plan.call_deadline_ms = policy.call_deadline_ms;
  if (policy.call_fuel && !module.uses_fuel())
    return fail(ErrorKind::invalid_argument, "call_fuel: the module was compiled without Config::fuel");
  plan.call_fuel = policy.call_fuel;
  ROTOR_CHECK(plan_exports(policy, module, plan));
  ROTOR_CHECK(plan_imports(policy, module, plan));
  ROTOR_CHECK(plan_data_memory(policy, module, plan));
  ROTOR_CHECK(plan_gauge(policy, module, plan));
  ROTOR_CHECK(plan_group(policy, module, plan));
  ROTOR_CHECK(plan_checkpoint(policy, module, plan));
  ROTOR_CHECK(check_unnamed(policy, plan));
  ROTOR_CHECK(plan_probes(policy, module, plan));
  return plan;
}

}  // namespace rotor::proxy

namespace rotor {

Result<void> Policy::check(const Module& module) const {
  ROTOR_CHECK(proxy::make_plan(*this, module));
  return {};
}

}  // namespace rotor
