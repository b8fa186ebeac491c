// The parts that a plan is made of, one after another, by `make_plan`.
#pragma once

#include "proxy/plan.h"

namespace rotor::proxy {

/// Fills in the plan of the module's imports. Errors: those of Policy::check.
Result<void> plan_imports(const Policy& policy, const Module& module, Plan& plan);
/// Fills in what RotationMode::checkpoint makes of each export, and finds `reseed`. Called when the rest is planned.
/// Errors: those of Policy::check.
Result<void> plan_checkpoint(const Policy& policy, const Module& module, Plan& plan);
/// Sets what follows from the rest of an export's plan.
void derive(ExportPlan& plan);
/// Finds the memory that the allocator is of. Errors: those of Policy::check.
Result<void> plan_data_memory(const Policy& policy, const Module& module, Plan& plan);
/// Finds the gauge among the exports. Called after the exports are planned.
Result<void> plan_gauge(const Policy& policy, const Module& module, Plan& plan);
/// Finds the exports that start and stop workers; those of wasm-bindgen need not be named.
Result<void> plan_group(const Policy& policy, const Module& module, Plan& plan);
/// Plans the probes. Called when the rest is planned. Errors: those of Policy::check.
Result<void> plan_probes(const Policy& policy, const Module& module, Plan& plan);

}  // namespace rotor::proxy
