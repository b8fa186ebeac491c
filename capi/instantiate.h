// Making instances in a store.
#pragma once

#include "capi/store.h"

namespace rotor::capi {

/// Makes an instance, in the state of a snapshot unless that is null; the caller owns the reference. A trap that a host
/// function returned is forgotten, its error is what is returned. Errors: those of InstancePre::instantiate.
Result<wasm_ref_t*> own_new_instance(wasm_store_t& store, const InstancePre& pre, const rotor_snapshot_t* snapshot);

}  // namespace rotor::capi
