// Instantiation (spec section 4.7.2).
#pragma once

#include "rotor/instance.h"
#include "runtime/linker.h"

namespace rotor::runtime {

  Result<Instance> instantiate(const InstancePreImpl& pre, const InstanceOptions& options);

}  // namespace rotor::runtime
