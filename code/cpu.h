// The CPU features that compiled code may use beyond x86-64-v2. Nothing here needs LLVM.
#pragma once

#include <string>
#include <vector>

#include "rotor/result.h"

namespace rotor::code {

/// Returns the features of the machine this runs on.
std::vector<std::string> host_cpu_features();
/// Returns the features that a value of Config::cpu stands for. Errors: invalid_argument, which lists the possible
/// values.
Result<std::vector<std::string>> cpu_features_named(const std::string& cpu);
/// Returns the members of `needed` that this machine lacks, or that are unknown.
std::vector<std::string> missing_cpu_features(const std::vector<std::string>& needed);
/// Fails if this machine lacks a feature of `needed`. Errors: unsupported, which names those it lacks.
Result<void> check_cpu_features(const std::vector<std::string>& needed);

}  // namespace rotor::code
