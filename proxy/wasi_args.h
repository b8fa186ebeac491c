// What the arguments of WASI preview 1's functions are, for the log: by their types alone a size or a flag may be a
// pointer.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "rotor/proxy/policy.h"
#include "rotor/value.h"

namespace rotor::proxy {

/// Returns the kinds of an import's arguments, if it is one of WASI's, of the type that it has there.
std::optional<std::vector<ImportArg>> wasi_args(std::string_view module, std::string_view name, const FuncType& type);

}  // namespace rotor::proxy
