// What errors say of a name that is wrong. Not for embedders.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace rotor::detail {

/// Returns "; did you mean \"…\"?" with the candidate of least edit distance; empty if none is near.
std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace rotor::detail
