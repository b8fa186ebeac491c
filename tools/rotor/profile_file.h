// A profile as a file that viewers read: https://www.speedscope.app and what else reads its format.
#pragma once

#include <string>

#include "rotor/profile.h"

namespace rotor::cli {

/// Returns a profile as JSON in speedscope's format: one "sampled" profile in nanoseconds. Functions are named as by
/// --perf-map, "MODULE!FUNCTION [tierN]", host functions "MODULE.NAME [host]", names made printable. `name` is the
/// profile's.
std::string speedscope_json(const Profile& profile, const std::string& name);

}  // namespace rotor::cli
