// Engine: settings, the canonical types and the counters that modules share.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "rotor/config.h"
#include "rotor/detail/access.h"
#include "rotor/memory_slots.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor {
namespace runtime { class EngineImpl; }

/// Counts and limits of an engine and its process that modules and instances draw on.
struct EngineUsage {
  uint64_t types = 0;  ///< function types that modules and host functions, or what the host keeps, use
  /// The slots of the memories that the host makes (Memory::create), but for those with MemoryLimits::imageable. One
  /// that an instance of a snapshot takes over before anybody knows its base leaves its slot here at once, and is on
  /// one of the snapshot's from then on.
  MemorySlots memory_slots;
  // The following count for the process: all engines, modules, memories, images and tables of the host's. What would
  // exceed a limit is refused: ErrorKind::limit.
  uint64_t mappings = 0;        ///< mappings by the kernel's count (vm.max_map_count) that exist, or may come to exist
  uint64_t mappings_limit = 0;  ///< fifteen sixteenths of vm.max_map_count
  uint64_t reserved_bytes = 0;  ///< of address space
  uint64_t reserved_limit_bytes = 0;  ///< of address space
};

/// A cheap handle; copies share one engine. Thread-safe. Modules keep their engine alive.
class Engine {
 public:
  /// Errors: invalid_argument (unknown cpu; a cache folder that others may write to), unsupported (not x86-64 Linux);
  /// not_found, io: the cache folder, or the file of Config::perf_map, can't be had, which the message names.
  static Result<Engine> create(Config config = {});
  /// Makes the calling thread ready for guests, as its first call into one does: gives it an alternate signal stack,
  /// and unblocks SIGSEGV and SIGBUS. Each of a guest's traps may be one of these, and the kernel ends the
  /// process where it is blocked. So a thread that blocks them after its first call (with sigfillset, say), or takes
  /// that stack away, asks for this before its next one. Errors: io.
  static Result<void> prepare_thread();
  /// Returns the settings that the engine was made with.
  const Config& config() const;
  /// Returns the heap type of references to functions of that type, for ValType::ref. The engine keeps it for ever: so
  /// ask for types that the host knows, and not for whatever modules bring. Errors: stale_handle (the type names one
  /// that is gone).
  Result<HeapType> heap_type(const FuncType& type) const;
  /// Returns the function type that a heap type names in the types of this engine's modules and functions; nullopt if
  /// the heap type is abstract, or its type is gone with all that used it.
  std::optional<FuncType> func_type(HeapType heap) const;
  /// Returns the counts as of now.
  EngineUsage usage() const;

 private:
  explicit Engine(std::shared_ptr<runtime::EngineImpl> impl) : impl_(std::move(impl)) {}
  friend struct detail::Access;
  std::shared_ptr<runtime::EngineImpl> impl_;
};

}  // namespace rotor
