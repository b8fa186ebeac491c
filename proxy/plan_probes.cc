// Plans the probes: queries whose answers are compared before an exchange.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "proxy/plan_parts.h"
#include "proxy/policy_names.h"
#include "rotor/printable.h"

namespace rotor::proxy {
namespace {

/// Returns why calls of an export can't be a probe; null if they can.
const char* unfit(const Plan& plan, const ExportPlan& item) {
  if (item.raw_only) return "can only be called through Lease::raw";
  if (std::ranges::any_of(item.type.params, &ValType::is_ref) ||
      std::ranges::any_of(item.type.results, &ValType::is_ref))
    return "passes references";
  if (std::ranges::any_of(item.args, consumes)) return "ends handles";
  if (item.makes_handles) return "returns handles";
  if (plan.mode == RotationMode::replay) return item.effect == Effect::query ? nullptr : "is no query";
  if (item.leaves != Leaves::nothing) return "is not allowed to be called without making the checkpoint stale";
  return item.holds ? "may return a pointer: `allow` does not say that it is a value" : nullptr;
}

/// Errors of these do not name the probe, nor its place.
class ArgPlanner {
 public:
  ArgPlanner(const Plan& plan, ArgKind kind, ValType type) : plan_(plan), kind_(kind), type_(type) {}

  Result<ProbeArgPlan> operator()(int64_t number) const {
    if (kind_ != ArgKind::scalar) return other("a whole number");
    if (type_ == ValType::f32 || type_ == ValType::f64) return (*this)(static_cast<double>(number));
    if (type_ == ValType::i32 && !std::in_range<int32_t>(number) && !std::in_range<uint32_t>(number))
      return fail(ErrorKind::invalid_argument, fmt::format("{} does not fit into an i32", number));
    return ProbeArgPlan{.slot = type_ == ValType::i32 ? static_cast<uint32_t>(number) : static_cast<Slot>(number)};
  }
  Result<ProbeArgPlan> operator()(double number) const {
    if (kind_ == ArgKind::scalar && type_ == ValType::f32)
      return ProbeArgPlan{.slot = std::bit_cast<uint32_t>(static_cast<float>(number))};
    if (kind_ == ArgKind::scalar && type_ == ValType::f64) return ProbeArgPlan{.slot = std::bit_cast<uint64_t>(number)};
    return other("a number");
  }
  Result<ProbeArgPlan> operator()(const std::string& text) const {
    if (!is_bytes(kind_)) return other("a text");
    if (kind_ == ArgKind::cstring && text.find('\0') != std::string::npos)
      return fail(ErrorKind::invalid_argument, "has a NUL in it, which would end the text");
    return ProbeArgPlan{.data = {text.begin(), text.end()}};
  }
  Result<ProbeArgPlan> operator()(const std::vector<uint32_t>& numbers) const {
    if (kind_ != ArgKind::vector && kind_ != ArgKind::count_vector) return other("a list");
    ProbeArgPlan out;
    out.data.resize(numbers.size() * sizeof(uint32_t));
    if (!numbers.empty()) std::memcpy(out.data.data(), numbers.data(), out.data.size());
    return out;
  }
  Result<ProbeArgPlan> operator()(const ProbeHandle& handle) const {
    if (kind_ != ArgKind::handle) return other("a handle");
    if (plan_.mode == RotationMode::checkpoint)
      return fail(ErrorKind::invalid_argument, "handles are the guest's own with checkpoints: none can be named");
    ROTOR_TRY(const uint32_t made_by, plan_.find(handle.made_by));
    const ExportPlan& maker = plan_.exports[made_by];
    if (maker.effect != Effect::build || !maker.makes_handles)
      return fail(ErrorKind::invalid_argument, fmt::format("{} is no build that returns a handle", maker.shown));
    return ProbeArgPlan{.made_by = made_by};
  }

 private:
  std::unexpected<Error> other(const char* what) const {
    return fail(ErrorKind::type_mismatch,
                fmt::format("must be a {} ({}), not {}", to_string(kind_), to_string(type_), what));
  }
  const Plan& plan_;
  const ArgKind kind_;
  const ValType type_;
};

Result<ProbePlan> plan_probe(const ProbeRule& rule, const Module& module, const Plan& plan) {
  const std::string& query = rule.query.empty() ? rule.name : rule.query;
  if (!plan.by_name.contains(query))
    if (const ExternType* type = module.export_type(query))
      return fail(ErrorKind::type_mismatch,
                  fmt::format("export \"{}\" is a {}, not a function", printable_name(query), kind_name(*type)));
  ProbePlan out{.shown = printable_name(rule.name)};
  ROTOR_TRY(out.export_index, plan.find(query));
  const ExportPlan& item = plan.exports[out.export_index];
  if (const char* why = unfit(plan, item))
    return fail(ErrorKind::invalid_argument, fmt::format("{} {}", item.shown, why));
  if (rule.args.size() != item.args.size())
    return fail(ErrorKind::type_mismatch,
                fmt::format("{} takes {} arguments, not {}", item.shown, item.args.size(), rule.args.size()));
  for (size_t i = 0; i < rule.args.size(); i++) {
    auto arg = std::visit(ArgPlanner(plan, item.args[i], item.type.params[item.params[i]]), rule.args[i]);
    if (!arg) return fail(arg.error().kind, fmt::format("argument {} {}", i + 1, arg.error().message));
    out.args.push_back(std::move(*arg));
  }
  return out;
}

}  // namespace

Result<void> plan_probes(const Policy& policy, const Module& module, Plan& plan) {
  for (const ProbeRule& rule : policy.probes) {
    auto probe = plan_probe(rule, module, plan);
    if (!probe)
      return fail(probe.error().kind, fmt::format("{}probe {}: {}", place(policy, rule.line), printable_name(rule.name),
                                                  probe.error().message));
    plan.probes.push_back(std::move(*probe));
  }
  return {};
}

}  // namespace rotor::proxy
