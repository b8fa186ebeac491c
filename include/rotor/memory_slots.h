// What becomes of the address space of memories between one instance and the next.
#pragma once

#include <cstdint>

namespace rotor {

/// Counts the slots of memories that begin alike: a module's, a snapshot's, or those that the host makes with an
/// engine. A slot is address space with a memory's first contents in place. A memory that nobody holds any more leaves
/// its slot to later ones, made clean; 16 are kept for each of a module's or snapshot's memories (Snapshot::keep_ready
/// sets another number) and 16 for an engine, with at most 16 MiB of pages that were written, and at most a quarter of
/// the mappings that the process may have. They are given back with the module, snapshot or engine, or when the process
/// has no address space left.
struct MemorySlots {
  uint64_t kept = 0;            ///< that are ready now
  uint64_t resident_bytes = 0;  ///< pages that these keep, at most
  uint64_t made = 0;            ///< of new address space
  uint64_t made_on_slabs = 0;   ///< of these, without a mapping of their own (Config::slab_memories)
  uint64_t reused = 0;          ///< taken by a memory that found one ready
  /// Given back by memories that nobody had written to, so that there was nothing to make clean: no function of the
  /// module that stores was called, the host neither wrote nor asked where the bytes are, and no other instance had it.
  uint64_t untouched = 0;
  /// How the others were made clean: by comparing all pages with the first contents (memories of up to 64 KiB), by
  /// comparing those that the system says were written (PAGEMAP_SCAN, Linux 6.7), or by giving back all that was
  /// written.
  uint64_t compared = 0;
  uint64_t scanned = 0;         ///< as `compared` says
  uint64_t discarded = 0;       ///< as `compared` says
  uint64_t restored_bytes = 0;  ///< pages that differed, and were copied back

  /// Adds the counts of other slots.
  MemorySlots& operator+=(const MemorySlots& other) {
    kept += other.kept;
    resident_bytes += other.resident_bytes;
    made += other.made;
    made_on_slabs += other.made_on_slabs;
    reused += other.reused;
    compared += other.compared;
    scanned += other.scanned;
    discarded += other.discarded;
    untouched += other.untouched;
    restored_bytes += other.restored_bytes;
    return *this;
  }
};

}  // namespace rotor
