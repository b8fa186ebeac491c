// Names in policies: where one stands, patterns, and what a wrong one may have meant.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "rotor/proxy/policy.h"

namespace rotor::proxy {

/// "file:line: ", or "file: " for line 0: how errors about a policy begin.
std::string place(const Policy& policy, uint32_t line);

bool is_glob(std::string_view pattern);
bool glob_matches(std::string_view pattern, std::string_view name);
/// "; did you mean \"…\"?" with the candidate of least edit distance; empty if none is near.
std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace rotor::proxy
