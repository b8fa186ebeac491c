// The imports by which guests are known to draw random numbers.
#pragma once

#include <string_view>

namespace rotor::proxy {

/// Returns whether an import, as `module.name`, is a known source of randomness.
bool is_random_import(std::string_view name);

}  // namespace rotor::proxy
