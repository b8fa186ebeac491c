// What an Environment stands for.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hosts/wasi/path.h"
#include "hosts/wasi/table.h"
#include "rotor/wasi.h"

namespace rotor::wasi {

/// Strings as args_get and environ_get hand them over.
struct Strings {
  std::vector<std::string> all;
  uint64_t bytes = 0;  ///< of all, with a zero behind each
};

struct EnvironmentImpl {
  explicit EnvironmentImpl(uint32_t max_descriptors) : table(max_descriptors) {}
  Strings args;
  Strings variables;  ///< NAME=VALUE
  Table table;
  const Resolver* resolver = nullptr;
  std::shared_ptr<Clock> clock;  ///< null: the system's
  RandomFunction random;         ///< empty: the system's
  /// What `exit_code` returns; kNoExit: nothing.
  std::atomic<uint64_t> exit_code{kNoExit};
  static constexpr uint64_t kNoExit = UINT64_MAX;
};

}  // namespace rotor::wasi
