#include "jit/cpu.h"

#include <algorithm>

namespace rotor::jit {

std::vector<std::string> host_cpu_features() {
  __builtin_cpu_init();
  std::vector<std::string> features;
  // LLVM's spelling; the compiler's builtin wants literals and knows the same words.
#define ROTOR_CPU_FEATURE(name) \
  if (__builtin_cpu_supports(name)) features.push_back(name);
  ROTOR_CPU_FEATURE("avx")
  ROTOR_CPU_FEATURE("avx2")
  ROTOR_CPU_FEATURE("bmi")
  ROTOR_CPU_FEATURE("bmi2")
  ROTOR_CPU_FEATURE("lzcnt")
  ROTOR_CPU_FEATURE("fma")
  ROTOR_CPU_FEATURE("f16c")
  ROTOR_CPU_FEATURE("movbe")
  ROTOR_CPU_FEATURE("adx")
  ROTOR_CPU_FEATURE("avx512f")
  ROTOR_CPU_FEATURE("avx512cd")
  ROTOR_CPU_FEATURE("avx512bw")
  ROTOR_CPU_FEATURE("avx512dq")
  ROTOR_CPU_FEATURE("avx512vl")
#undef ROTOR_CPU_FEATURE
  return features;
}

std::vector<std::string> missing_cpu_features(const std::vector<std::string>& needed) {
  std::vector<std::string> have = host_cpu_features(), missing;
  for (const std::string& feature : needed)
    if (std::find(have.begin(), have.end(), feature) == have.end()) missing.push_back(feature);
  return missing;
}

}  // namespace rotor::jit
