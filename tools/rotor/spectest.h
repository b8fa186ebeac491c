// The host module "spectest" that scripts of the spec suite import.
#pragma once

#include "rotor/linker.h"

namespace rotor::cli {

/// Defines its functions, globals, table and memories, which are shared by all that the linker instantiates.
Result<void> define_spectest(const Engine& engine, Linker& linker);

}  // namespace rotor::cli
