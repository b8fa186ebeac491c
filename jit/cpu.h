// The CPU features that compiled code may use beyond x86-64-v2. Nothing here needs LLVM.
#pragma once

#include <string>
#include <vector>

namespace rotor::jit {

/// Those of the machine this runs on.
std::vector<std::string> host_cpu_features();
/// The members of `needed` that this machine lacks, or that are unknown.
std::vector<std::string> missing_cpu_features(const std::vector<std::string>& needed);

}  // namespace rotor::jit
