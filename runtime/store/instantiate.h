// Instantiation (spec section 4.7.2).
#pragma once

#include "rotor/instance.h"
#include "runtime/store/linker.h"
#include "runtime/store/snapshot.h"

namespace rotor::runtime {

/// In the state of `snapshot` instead, if there is one.
Result<Instance> instantiate(const InstancePreImpl& pre, const InstanceOptions& options,
                             const SnapshotImpl* snapshot = nullptr);

}  // namespace rotor::runtime
