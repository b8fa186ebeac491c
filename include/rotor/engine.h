// Engine: settings, the canonical types and the counters that modules share.
#pragma once

#include <memory>

#include "rotor/config.h"
#include "rotor/result.h"

namespace rotor {
namespace runtime { class EngineImpl; }

/// A cheap handle; copies share one engine. Thread-safe. Modules keep their engine alive.
class Engine {
 public:
  /// Errors: invalid_argument (unknown cpu), unsupported (not x86-64 Linux), io (Config::perf_map: the file can't be
  /// opened).
  static Result<Engine> create(Config config = {});
  const Config& config() const;
  runtime::EngineImpl& impl() const { return *impl_; }

 private:
  explicit Engine(std::shared_ptr<runtime::EngineImpl> impl) : impl_(std::move(impl)) {}
  friend class Module;
  std::shared_ptr<runtime::EngineImpl> impl_;
};

}  // namespace rotor
