// The CPU features that compiled code may use beyond x86-64-v2. Nothing here needs LLVM.
#pragma once

#include <string>
#include <vector>

#include "rotor/result.h"

namespace rotor::code {

/// Those of the machine this runs on.
std::vector<std::string> host_cpu_features();
/// Those that Config::cpu names. Errors: invalid_argument, which lists the names.
Result<std::vector<std::string>> cpu_features_named(const std::string& cpu);
/// The members of `needed` that this machine lacks, or that are unknown.
std::vector<std::string> missing_cpu_features(const std::vector<std::string>& needed);
/// Errors: unsupported, which names the features that code needs and this machine lacks.
Result<void> check_cpu_features(const std::vector<std::string>& needed);

}  // namespace rotor::code
