// Snapshot: the state of an instance between calls, from which other instances are made ("stamped").
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "rotor/detail/access.h"
#include "rotor/memory_slots.h"
#include "rotor/module.h"
#include "rotor/result.h"

namespace rotor {
namespace runtime { struct SnapshotImpl; }

/// A digest of a snapshot's state (XXH3-128): equal states have equal digests.
struct SnapshotDigest {
  uint64_t low = 0;   ///< the first 64 bits
  uint64_t high = 0;  ///< the others
  bool operator==(const SnapshotDigest&) const = default;
};

/// What of a memory a snapshot copies, where it makes a copy.
enum class SnapshotCopy : uint8_t {
  whole,  ///< all that is not zero
  /// Only what was written since the memory began as an image, of another snapshot or of its module's data, or was
  /// sealed as one, if that is clearly less than all. The snapshot lies over that image and keeps it; an instance of it
  /// takes up to 2,051 of the process's mappings (vm.max_map_count) for each memory, where 3 do for a whole one.
  changes,
};

/// The state of an instance when no call runs in it: the contents of its memories, the globals and tables that it
/// defines, and which segments are dropped. (There is no wasm stack to save.) Taken by `Instance::snapshot`, used by
/// `InstancePre::instantiate`. Immutable; copies share one; thread-safe. The system gives the memory's contents back
/// when the last copy and the last instance stamped from it are gone.
///
/// Functions in tables and globals are kept by what they are in the module; external references by their bits, so what
/// these mean is the host's to keep.
class Snapshot {
 public:
  Snapshot() = default;
  explicit operator bool() const { return impl_ != nullptr; }  ///< false: an empty handle
  const Module& module() const;  ///< the module of the instance. Pre: the handle is not empty
  /// Returns the sum of the sizes of its memories, in bytes.
  uint64_t memory_bytes() const;
  /// Returns the bytes that the system holds for them, an image that it lies over among them. Pages that were never
  /// written cost nothing.
  uint64_t resident_bytes() const;
  /// Keeps address space ready for the memories of `count` instances to come, no more and no fewer, with what the
  /// snapshot holds mapped and the page tables filled: to stamp one then takes no mapping, and its first reads no
  /// faults. Without it, up to 16 dropped instances leave theirs (MemorySlots). Memories that the module imports take
  /// such a slot where InstancePre::instantiate says so. Takes 4 GiB of address space each; a process's resident set
  /// counts what is mapped twice. 0: gives it back, and keeps none. Errors: io (there is less).
  Result<void> keep_ready(size_t count) const;
  /// Returns the counts of the slots of its memories.
  MemorySlots memory_slots() const;
  /// Returns a digest of memories, globals, tables and flags; those of two snapshots are equal exactly if these are.
  /// Takes some 0.1 ms a MiB. Errors: io.
  Result<SnapshotDigest> digest() const;

 private:
  friend struct detail::Access;
  explicit Snapshot(std::shared_ptr<const runtime::SnapshotImpl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const runtime::SnapshotImpl> impl_;
};

}  // namespace rotor
