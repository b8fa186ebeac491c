// Names in policies: their place in the file, patterns, and suggestions for one that is wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rotor/detail/did_you_mean.h"
#include "rotor/proxy/policy.h"

namespace rotor::proxy {

/// Returns "file:line: ", or "file: " for line 0: the beginning of errors about a policy.
std::string place(const Policy& policy, uint32_t line);

bool is_glob(std::string_view pattern);
bool glob_matches(std::string_view pattern, std::string_view name);
using detail::did_you_mean;

}  // namespace rotor::proxy
