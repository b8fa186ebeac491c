#include "code/cpu.h"

#include <algorithm>

#include "rotor/printable.h"

namespace rotor::code {

namespace {

struct Feature {
  const char* name;  ///< LLVM's spelling; the compiler's builtin wants literals and knows the same words
  bool (*is_here)();
  /// The first level that has it, 3 (x86-64-v3) or 4 (x86-64-v4); larger: neither has it.
  int level;
};

#define ROTOR_CPU_FEATURE(name, level) {name, [] { return __builtin_cpu_supports(name) != 0; }, level}
constexpr Feature kFeatures[] = {
    ROTOR_CPU_FEATURE("avx", 3),      ROTOR_CPU_FEATURE("avx2", 3),     ROTOR_CPU_FEATURE("bmi", 3),
    ROTOR_CPU_FEATURE("bmi2", 3),     ROTOR_CPU_FEATURE("lzcnt", 3),    ROTOR_CPU_FEATURE("fma", 3),
    ROTOR_CPU_FEATURE("f16c", 3),     ROTOR_CPU_FEATURE("movbe", 3),    ROTOR_CPU_FEATURE("adx", 5),
    ROTOR_CPU_FEATURE("avx512f", 4),  ROTOR_CPU_FEATURE("avx512cd", 4), ROTOR_CPU_FEATURE("avx512bw", 4),
    ROTOR_CPU_FEATURE("avx512dq", 4), ROTOR_CPU_FEATURE("avx512vl", 4),
};
#undef ROTOR_CPU_FEATURE

std::vector<std::string> features_of_level(int level) {
  std::vector<std::string> features;
  for (const Feature& feature : kFeatures)
    if (feature.level <= level) features.push_back(feature.name);
  return features;
}

}  // namespace

std::vector<std::string> host_cpu_features() {
  __builtin_cpu_init();
  std::vector<std::string> features;
  for (const Feature& feature : kFeatures)
    if (feature.is_here()) features.push_back(feature.name);
  return features;
}

Result<std::vector<std::string>> cpu_features_named(const std::string& cpu) {
  if (cpu == "native") return host_cpu_features();
  if (cpu == "baseline") return features_of_level(2);
  if (cpu == "x86-64-v3") return features_of_level(3);
  if (cpu == "x86-64-v4") return features_of_level(4);
  return fail(ErrorKind::invalid_argument,
              "unknown cpu \"" + cpu + "\": \"native\", \"baseline\" (x86-64-v2), \"x86-64-v3\" or \"x86-64-v4\"");
}

std::vector<std::string> missing_cpu_features(const std::vector<std::string>& needed) {
  std::vector<std::string> have = host_cpu_features(), missing;
  for (const std::string& feature : needed)
    if (std::find(have.begin(), have.end(), feature) == have.end()) missing.push_back(feature);
  return missing;
}

Result<void> check_cpu_features(const std::vector<std::string>& needed) {
  std::string names;
  for (const std::string& feature : missing_cpu_features(needed))
    names += (names.empty() ? "" : ", ") + printable_name(feature);
  if (names.empty()) return {};
  return fail(ErrorKind::unsupported, "the code needs CPU features that this machine lacks: " + names);
}

}  // namespace rotor::code
