// A policy applied to a module.
#pragma once

#include "proxy/plan.h"
#include "rotor/module.h"
#include "rotor/proxy/policy.h"

namespace rotor::proxy {

/// Makes the plan of a module. The plan points to rules of `policy`. Errors: those of Policy::check.
Result<Plan> make_plan(const Policy& policy, const Module& module);

}  // namespace rotor::proxy
