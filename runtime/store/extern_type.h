// External types of imports, exports and definitions, and whether a definition matches an import (spec section 3.2,
// "Import Subtyping").
#pragma once

#include <span>
#include <string>

#include "rotor/module.h"
#include "runtime/enter/canonical_type.h"
#include "runtime/store/type_registry.h"
#include "wasm/module.h"

namespace rotor::runtime {

/// The types of a module, in its order, as those of its engine.
using EngineTypes = std::span<const CanonicalType* const>;

/// Return a type of the module in terms of the engine's types.
ValType engine_type(ValType type, EngineTypes types);
TableType engine_type(TableType type, EngineTypes types);
GlobalType engine_type(GlobalType type, EngineTypes types);

/// Return the type of an item of a module's index spaces, in terms of the engine's types.
ExternType extern_type_of(const wasm::Module& module, EngineTypes types, wasm::ExternKind kind, uint32_t index);
ExternType extern_type_of(const wasm::Import& import, EngineTypes types);

/// Returns whether a definition of type `found` may be imported as `wanted`. For memories and tables, `found` has the
/// current size as its minimum.
bool matches(const TypeRegistry& types, const ExternType& found, const ExternType& wanted);

/// Returns "module.name", as messages have it.
std::string import_text(const ImportInfo& import);

}  // namespace rotor::runtime
