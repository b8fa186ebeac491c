// Limits of an instance, and its use of what they bound. Each limit has a name, a unit and a default.
#pragma once

#include <cstdint>
#include <functional>

namespace rotor {

/// What a watermark callback is told: bytes of all the memories that an instance defines, or of the one that the host
/// made, as the limit counts them.
struct MemoryGrowth {
  uint64_t old_bytes = 0;    ///< before the growth
  uint64_t new_bytes = 0;    ///< after it, if it is allowed
  uint64_t limit_bytes = 0;  ///< the smaller of MemoryLimits::limit_bytes and the sum of the declared maxima
};

/// Limits of a memory that the host creates, or of the memories that an instance defines.
struct MemoryLimits {
  /// Bytes that all the memories together may have. A `memory.grow` past it returns -1 and is counted. The declared
  /// maxima hold, too. For each memory with 64-bit addresses or a page size of its own this much address space is
  /// reserved, or the declared maximum if that is smaller; above 16 TiB it counts as 16 TiB.
  uint64_t limit_bytes = UINT64_C(4) << 30;
  /// Fraction of limit_bytes from which on `on_watermark` is called; above 1: never.
  double watermark = 2.0;
  /// Called on the growing thread, within the guest's `memory.grow`. If it returns false, the growth is refused.
  std::function<bool(const MemoryGrowth&)> on_watermark;
  /// Made so that the first `Instance::snapshot` takes no copy: until then the memory is a shared mapping of its own
  /// file in memory. Its first touches of a page cost more.
  bool imageable = false;
};

/// Limits of an instance. One that would exceed a limit from the start is refused: ErrorKind::limit, with the limit's
/// name. What the instance imports does not count.
struct Limits {
  /// Of all the memories that it defines together.
  MemoryLimits memory;
  /// Memories that it may define. Each takes three of the process's mappings (vm.max_map_count) and 4 GiB or more of
  /// its address space.
  uint32_t memories = 100;
  /// Tables that it may define.
  uint32_t tables = 100'000;
  /// Elements of all the tables together, of 8 bytes. A `table.grow` past it returns -1 and is counted.
  uint64_t table_elements = 10'000'000;
  /// Bytes of the exceptions that the guests of its link group may have references to (exnref) when it makes another
  /// such reference, each 48 and 16 for each value that it carries. More is an error of the call, of ErrorKind::limit.
  /// Exceptions that are only thrown and caught do not count.
  uint64_t exception_bytes = UINT64_C(64) << 20;
  /// Bytes of the objects that the garbage-collected heap of its link group may have, if the instance is the first of
  /// the group that uses one; at least 64 KiB, at most 4 GiB less 34 MiB. An allocation beyond it, after a collection,
  /// is an error of the call, of ErrorKind::limit. So much address space is reserved.
  uint64_t heap_bytes = UINT64_C(1) << 30;
  /// Bytes of stack that the guest may use in one entry from the host, within what the thread, or a declared
  /// FiberStack, has.
  uint64_t stack_bytes = UINT64_C(8) << 20;
  /// Bytes of the stack that host functions find free when the guest calls them. At most a quarter of the stack, and at
  /// least kLeastHostStackReserveBytes: a guest on a stack of 64 KiB leaves that, and on one that is not much larger
  /// than it, every call is a trap, stack_overflow.
  uint64_t host_stack_reserve_bytes = 128 << 10;
  /// Bytes of stack that Rotor's own helpers may take when compiled code calls them: growing and filling memories and
  /// tables, waiting, having a function compiled.
  static constexpr uint64_t kLeastHostStackReserveBytes = 16 << 10;
};

/// What an instance uses, in the memories and tables that it defines.
struct InstanceUsage {
  uint32_t memories = 0;               ///< that it defines
  uint64_t memory_bytes = 0;           ///< that these have now
  uint64_t memory_limit_bytes = 0;     ///< as in MemoryGrowth
  uint64_t denied_memory_growths = 0;  ///< by a limit, a declared maximum, the callback or the system
  uint32_t tables = 0;                 ///< that it defines
  uint64_t table_elements = 0;         ///< that these have now
  uint64_t table_elements_limit = 0;   ///< the smaller of Limits::table_elements and the sum of the declared maxima
  uint64_t denied_table_growths = 0;   ///< by a limit, a declared maximum or the system
  // Of the garbage-collected heap of its link group; 0 if it uses none, or another thread is inside.
  uint64_t heap_limit_bytes = 0;            ///< Limits::heap_bytes of the group's first instance
  uint64_t heap_live_bytes = 0;             ///< of objects, after the last collection
  uint64_t heap_used_bytes = 0;             ///< of blocks that hold objects, those that nothing refers to included
  uint64_t heap_allocated_bytes = 0;        ///< of objects, since the heap was made
  uint64_t heap_collections = 0;            ///< since then
  uint64_t heap_imprecise_collections = 0;  ///< of those, in which a word of the stack was taken for a reference
  uint64_t heap_denied_allocations = 0;     ///< by the limit or the system
  uint64_t heap_pause_ns_max = 0;           ///< of a collection
  uint64_t heap_pause_ns_total = 0;         ///< of all collections
};

}  // namespace rotor
