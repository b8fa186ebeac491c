// Limits of an instance. Every one has a name, a unit and a default.
#pragma once

#include <cstdint>
#include <functional>

namespace rotor {

/// What a watermark callback is told. Sizes in bytes.
struct MemoryGrowth {
  uint64_t old_bytes = 0;
  uint64_t new_bytes = 0;
  uint64_t limit_bytes = 0;
};

/// Limits of a memory that the host creates or that an instance defines.
struct MemoryLimits {
  /// A `memory.grow` past it returns -1 and is counted. The declared maximum holds too. Of a memory with 64-bit
  /// addresses or a page size of its own this much address space is reserved, or the declared maximum if that is
  /// smaller; above 16 TiB it counts as 16 TiB.
  uint64_t limit_bytes = UINT64_C(4) << 30;
  /// Fraction of limit_bytes from which on `on_watermark` is asked; above 1: never.
  double watermark = 2.0;
  /// Called on the growing thread, within the guest's `memory.grow`. False refuses the growth.
  std::function<bool(const MemoryGrowth&)> on_watermark;
  /// Made so that the first `Instance::snapshot` takes no copy: until then the memory is a shared mapping of its own
  /// file in memory. Its first touches of a page cost more.
  bool imageable = false;
};

struct Limits {
  MemoryLimits memory;
  /// Elements of one table.
  uint64_t table_elements = 10'000'000;
  /// Guest stack of one entry from the host, within what the thread, or a declared FiberStack, has: bytes.
  uint64_t stack_bytes = UINT64_C(8) << 20;
  /// Part of the stack that host functions find free when the guest calls them: bytes. At most a quarter of the stack,
  /// and at least kLeastHostStackReserveBytes: a guest on a stack of 64 KiB leaves that, and on one that is not much
  /// larger than it, every call is a trap, stack_overflow.
  uint64_t host_stack_reserve_bytes = 128 << 10;
  /// What Rotor's own helpers take when compiled code calls them: growing and filling memories and tables, waiting,
  /// having a function compiled.
  static constexpr uint64_t kLeastHostStackReserveBytes = 16 << 10;
};

}  // namespace rotor
