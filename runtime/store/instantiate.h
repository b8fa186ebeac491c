// Instantiation (spec section 4.7.2).
#pragma once

#include "rotor/instance.h"
#include "runtime/store/linker.h"
#include "runtime/store/snapshot.h"

namespace rotor::runtime {

/// Instantiates a module; in the state of `snapshot` instead of its initial one, unless that is null.
Result<Instance> instantiate(const InstancePreImpl& pre, const InstanceOptions& options,
                             const SnapshotImpl* snapshot = nullptr);

}  // namespace rotor::runtime
