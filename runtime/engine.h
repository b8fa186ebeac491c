// The engine: settings and the canonical types of its modules.
#pragma once

#include <array>
#include <memory>

#include "code/cache.h"
#include "code/compiler.h"
#include "code/perf_map.h"
#include "code/run_page.h"
#include "rotor/config.h"
#include "rotor/engine.h"
#include "runtime/compile/compile_pool.h"
#include "runtime/stop/watchdog.h"
#include "runtime/store/type_registry.h"

namespace rotor::runtime {

class EngineImpl : public std::enable_shared_from_this<EngineImpl> {
 public:
  EngineImpl(Config c, const std::array<const void*, code::kLibcallCount>& libcalls);
  /// Joins the watchdog's thread, which holds neither engines nor what holds them: it is never that thread.
  ~EngineImpl() { watchdog->stop(); }
  EngineImpl(const EngineImpl&) = delete;

  const Config config;
  /// Addresses of the helpers that compiled code calls, in the order of code::Libcall.
  const std::array<const void*, code::kLibcallCount> libcalls;
  /// Null: there is none.
  std::unique_ptr<code::CodeCache> cache;
  /// Null unless Config::perf_map.
  std::unique_ptr<code::PerfMap> perf_map;
  /// What of it code depends on.
  const code::CodeSettings settings;
  const std::shared_ptr<code::CompileMemory> compile_memory;
  code::CompileOptions compile_options() const {
    code::CompileOptions options;
    options.settings = settings;
    options.workers = config.compile_workers;
    options.memory = compile_memory;
    return options;
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
