// The engine: settings and the canonical types of its modules.
#pragma once

#include <memory>

#include "jit/cache.h"
#include "jit/compile.h"
#include "rotor/config.h"
#include "rotor/engine.h"
#include "runtime/compile_pool.h"
#include "runtime/perf_map.h"
#include "runtime/type_registry.h"
#include "runtime/watchdog.h"

namespace rotor::runtime {

class EngineImpl : public std::enable_shared_from_this<EngineImpl> {
 public:
  explicit EngineImpl(Config c);
  /// Joins the watchdog's thread, which holds neither engines nor what holds them: it is never that thread.
  ~EngineImpl() { watchdog->stop(); }
  EngineImpl(const EngineImpl&) = delete;

  const Config config;
  /// Null: there is none.
  std::unique_ptr<jit::CodeCache> cache;
  /// Null unless Config::perf_map.
  std::unique_ptr<PerfMap> perf_map;
  const std::shared_ptr<jit::CompileMemory> compile_memory;
  /// Gives a compilation the engine's bounds of what it may take.
  void bound(jit::CompileOptions& options) const {
    options.steps_per_byte = config.compile_steps_per_byte;
    options.deadline_ms = config.compile_deadline_ms;
    options.memory = compile_memory;
  }
  /// Compiles what threads wait for.
  CompilePool foreground;
  /// Compiles hot functions again, at low priority.
  CompilePool background;
  /// Interrupt handles may outlive the engine.
  const std::shared_ptr<Watchdog> watchdog = std::make_shared<Watchdog>();

  TypeRegistry types{*this};
};

/// Installs the signal handlers, once a process (trap_linux.cc). Errors: io.
Result<void> install_trap_handlers();

}  // namespace rotor::runtime
