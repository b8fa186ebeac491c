// The engine: settings and the canonical types of its modules.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "code/cache.h"
#include "code/compiler.h"
#include "code/perf_map.h"
#include "code/run_page.h"
#include "memory/slot_pool.h"
#include "rotor/config.h"
#include "rotor/engine.h"
#include "runtime/compile/compile_pool.h"
#include "runtime/stop/watchdog.h"
#include "runtime/store/type_registry.h"

namespace rotor::runtime {

class EngineImpl : public std::enable_shared_from_this<EngineImpl> {
 public:
  EngineImpl(Config c, const std::array<const void*, code::kLibcallCount>& libcalls);
  /// Joins the watchdog's thread. That thread holds neither engines nor what holds them, so this never runs on it.
  ~EngineImpl() { watchdog->stop(); }
  EngineImpl(const EngineImpl&) = delete;

  const Config config;
  /// Addresses of the helpers that compiled code calls, in the order of code::Libcall.
  const std::array<const void*, code::kLibcallCount> libcalls;
  /// The code cache; null if there is none.
  std::unique_ptr<code::CodeCache> cache;
  /// The list of functions for perf; null unless Config::perf_map.
  std::unique_ptr<code::PerfMap> perf_map;
  /// The part of `config` that code depends on.
  const code::CodeSettings settings;
  const std::shared_ptr<code::CompileMemory> compile_memory;
  code::CompileOptions compile_options() const {
    code::CompileOptions options;
    options.settings = settings;
    options.workers = config.compile_workers;
    options.memory = compile_memory;
    return options;
  }
  /// Compiles functions that threads wait for, or may soon call.
  CompilePool foreground;
  /// Compiles hot functions again, at low priority.
  CompilePool background;
  /// Ends calls at their deadlines; shared, since interrupt handles may outlive the engine.
  const std::shared_ptr<Watchdog> watchdog = std::make_shared<Watchdog>();

  /// What the memories that the host makes hold first. Their slots are kept beyond the engine while one of them lives.
  const std::shared_ptr<const memory::SlotContents> zeroes =
      std::make_shared<memory::CopiedContents>(std::vector<uint8_t>());

  /// What garbage-collected heaps hold first: their slots are told from those of memories.
  const std::shared_ptr<const memory::SlotContents> empty_heaps =
      std::make_shared<memory::CopiedContents>(std::vector<uint8_t>());

  TypeRegistry types{*this};

  /// The number of modules that were made, by which the next one is told from them.
  std::atomic<uint64_t> modules_made{0};
};

/// Installs the signal handlers, once a process (runtime/enter/trap_linux.cc). Errors: io.
Result<void> install_trap_handlers();

}  // namespace rotor::runtime
