// Plans what a policy says of the guest as a whole: where memory use is read, and how its workers start and stop.
#include <fmt/format.h>

#include <algorithm>

#include "proxy/plan_parts.h"
#include "proxy/policy_names.h"
#include "rotor/printable.h"

namespace rotor::proxy {
namespace {

bool is_integer(ValType type) { return type == ValType::i32 || type == ValType::i64; }

/// Returns "; did you mean …" for the nearest of the exports that `fits` accepts.
template <class Fits>
std::string nearest_export(const Module& module, std::string_view name, Fits fits) {
  std::vector<std::string_view> candidates;
  for (const ExportInfo& info : module.exports())
    if (fits(info.type)) candidates.push_back(info.name);
  return did_you_mean(name, candidates);
}

std::optional<Gauge> gauge_of(std::string_view name, const ExternType& type) {
  if (auto* func = std::get_if<FuncType>(&type);
      func && func->params.empty() && func->results.size() == 1 && is_integer(func->results[0]))
    return Gauge{Gauge::Kind::function, std::string(name), func->results[0]};
  if (auto* global = std::get_if<GlobalType>(&type); global && is_integer(global->value))
    return Gauge{Gauge::Kind::global, std::string(name), global->value};
  return std::nullopt;
}

}  // namespace

Result<void> plan_data_memory(const Policy& policy, const Module& module, Plan& plan) {
  const std::string& name = policy.allocator.memory;
  if (name.empty()) return {};
  auto can_be = [](const ExternType& type) {
    auto* memory = std::get_if<MemoryType>(&type);
    return memory && !memory->is64;  // the pointers are i32
  };
  const ExternType* type = module.export_type(name);
  if (!type || !can_be(*type))
    return fail(ErrorKind::not_found,
                fmt::format("{}memory of the allocator: no exported 32-bit memory \"{}\"{}", place(policy, 0),
                            printable_name(name), nearest_export(module, name, can_be)));
  plan.data_memory = name;
  return {};
}

Result<void> plan_gauge(const Policy& policy, const Module& module, Plan& plan) {
  if (policy.gauge.empty()) return {};
  auto wrong = [&](ErrorKind kind, std::string text) { return fail(kind, place(policy, 0) + text); };
  const ExternType* type = module.export_type(policy.gauge);
  if (!type)
    return wrong(ErrorKind::not_found,
                 fmt::format("no export \"{}\" for the gauge{}", printable_name(policy.gauge),
                             nearest_export(module, policy.gauge, [](const ExternType& candidate) {
                               return gauge_of("", candidate).has_value();
                             })));
  std::optional<Gauge> gauge = gauge_of(policy.gauge, *type);
  if (!gauge)
    return wrong(ErrorKind::type_mismatch,
                 fmt::format("the gauge \"{}\" must be a function [] -> [i32] or [] -> [i64], or a global of i32 or "
                             "i64; it is {}",
                             printable_name(policy.gauge), to_string(*type)));
  // A gauge function is called at the end of leases, unrecorded.
  if (auto found = plan.by_name.find(policy.gauge); found != plan.by_name.end()) {
    const ExportPlan& item = plan.exports[found->second];
    if (item.effect != Effect::query)
      return wrong(ErrorKind::invalid_argument,
                   fmt::format("the gauge \"{}\" is a {}; it must be a query", item.shown, to_string(item.effect)));
  }
  plan.gauge = std::move(*gauge);
  return {};
}

Result<void> plan_group(const Policy& policy, const Module& module, Plan& plan) {
  plan.group = policy.group;
  struct Part {
    const char* key;
    const char* bindgen;  // its name in wasm-bindgen-rayon
    std::string& name;
    bool optional;
  };
  for (const Part& part : {Part{"start", "initThreadPool", plan.group.start, false},
                           Part{"stop", "exitThreadPool", plan.group.stop, false},
                           Part{"thread_exit", "__wbindgen_thread_destroy", plan.group.thread_exit, true}}) {
    if (part.name.empty() && policy.preset == Preset::wasm_bindgen && plan.by_name.contains(part.bindgen))
      part.name = part.bindgen;
    auto wrong = [&](ErrorKind kind, std::string text) {
      return fail(kind, fmt::format("{}{} of the group{}", place(policy, 0), part.key, text));
    };
    if (part.name.empty()) {
      if (part.optional || plan.group.workers == 0) continue;
      return wrong(ErrorKind::invalid_argument, ": no export is named for it, but there are workers");
    }
    if (auto found = plan.by_name.find(part.name);
        found != plan.by_name.end() && plan.exports[found->second].export_name == part.name)
      continue;
    if (const ExternType* type = module.export_type(part.name))
      return wrong(ErrorKind::type_mismatch,
                   fmt::format(": export \"{}\" is a {}, not a function", printable_name(part.name), kind_name(*type)));
    return wrong(ErrorKind::not_found, fmt::format(": no export \"{}\"{}", printable_name(part.name),
                                                   nearest_export(module, part.name, [](const ExternType& candidate) {
                                                     return std::holds_alternative<FuncType>(candidate);
                                                   })));
  }
  return {};
}

}  // namespace rotor::proxy
