// External types: of imports, exports and definitions, and the matching of the two (spec section 3.2, "Import
// Subtyping").
#pragma once

#include "rotor/module.h"
#include "wasm/module.h"

namespace rotor::runtime {

/// Of an item of a module's index spaces.
ExternType extern_type_of(const wasm::Module& module, wasm::ExternKind kind, uint32_t index);
ExternType extern_type_of(const wasm::Module& module, const wasm::Import& import);

/// True if a definition of type `found` may be imported as `wanted`. For memories and tables, `found` has the current
/// size as its minimum.
bool matches(const ExternType& found, const ExternType& wanted);

}  // namespace rotor::runtime
