// A garbage-collected heap: objects that never move, references of 32 bits, and a collector that marks and sweeps.
#pragma once

#include <cassert>
#include <cstdint>
#include <memory>
#include <vector>

#include "memory/heap_blocks.h"
#include "memory/heap_layout.h"
#include "memory/heap_mark.h"
#include "memory/heap_roots.h"
#include "memory/heap_types.h"
#include "rotor/result.h"

namespace rotor::memory {

struct HeapOptions {
  /// Bytes that all objects may take, in blocks of kHeapBlockBytes; more than Heap::most_limit_bytes() counts as that.
  /// What the heap takes for itself is less than a hundredth on top, and two blocks.
  uint64_t limit_bytes = uint64_t{1} << 30;
  /// A collection comes when this part of what lived after the last one was handed out since, but no fewer than
  /// least_growth_bytes. Of free blocks so much memory is kept for what comes until then, and the rest goes back to the
  /// system.
  uint32_t growth_percent = 100;
  uint64_t least_growth_bytes = uint64_t{8} << 20;
  /// Objects that wait for being traced, at most, in 8 bytes each. Beyond it blocks are searched for them again.
  uint32_t mark_stack_entries = uint32_t{1} << 21;
  /// Contents without bytes, whose slots (memory/slot_pool.h) new heaps take their address space from and leave it to.
  /// May be null.
  std::shared_ptr<const SlotContents> nothing = nullptr;
  /// Collects at each allocation and overwrites what it frees. For tests.
  bool stress = false;
};

struct HeapCounters {
  uint64_t limit_bytes = 0;
  uint64_t live_bytes = 0;           ///< in cells and blocks, after the last collection
  uint64_t allocated_bytes = 0;      ///< in cells and blocks, since the heap was made
  uint64_t used_bytes = 0;           ///< of blocks that hold objects
  uint64_t free_resident_bytes = 0;  ///< of blocks that hold none and take memory
  uint64_t returned_bytes = 0;       ///< of blocks whose memory was given back, in all
  uint64_t collections = 0;
  uint64_t imprecise_collections = 0;  ///< of those, in which an ambiguous word pointed to an object
  uint64_t limit_collections = 0;      ///< of those, because memory was used up
  uint64_t failed_allocations = 0;
  uint64_t rescans = 0;  ///< searches for objects that the mark stack had no room for
  uint64_t last_pause_ns = 0, max_pause_ns = 0, total_pause_ns = 0;
};

/// Not thread-safe: whoever uses a heap is inside its link group. A fork copies it.
///
/// An object lives as long as it is reachable from a root. It never moves, and is found by any word that points into
/// its cell, so that stacks need not say where references are.
class Heap {
 public:
  /// The largest limit: what 32-bit offsets reach.
  static uint64_t most_limit_bytes() { return uint64_t{HeapBlocks::most_blocks()} << kHeapBlockLog2; }
  /// An allocation that finds the limit reached collects, and fails unless this part of the limit is there for objects
  /// of its size then: else a heap that is nearly full would collect for every few objects.
  static constexpr uint64_t kHeadroomDivisor = 64;

  /// Makes an empty heap, or one that is what `image` is of, mapped copy-on-write. `roots` must outlive it. Pre: `seal`
  /// made the image, and nobody changed it: what it says of its blocks and objects is believed. The types of an image's
  /// objects must be defined, as they were, before anything is allocated. Errors: io, limit (address space);
  /// invalid_argument: less than a block, or an image of a heap with another limit.
  static Result<std::unique_ptr<Heap>> create(const HeapOptions& options, HeapRoots& roots,
                                              std::shared_ptr<const Image> image = nullptr);
  Heap(const Heap&) = delete;

  /// Says what objects of a type look like, once. Errors: as of HeapTypes::define.
  Result<void> define(uint32_t type, const HeapShape& shape) { return types_.define(type, shape); }
  bool knows(uint32_t type) const { return types_.knows(type); }

  /// Where offset 0 is. Never changes.
  uint8_t* base() const { return blocks_->base(); }
  HeapHeader& header(HeapRef object) const { return blocks_->header(object); }
  uint8_t* bytes(HeapRef object) const { return base() + object; }

  /// Allocates an object whose fields are zero. May collect. Pre: the type is defined, and of that kind. Errors: limit
  /// (there is no memory for it, even after a collection); io (the system has none).
  Result<HeapRef> allocate_structure(uint32_t type) {
    assert(types_[type].kind == HeapShape::Kind::structure);
    return allocate(types_[type].bytes, {type, 0});
  }
  Result<HeapRef> allocate_array(uint32_t type, uint32_t length) {
    assert(types_[type].kind == HeapShape::Kind::array);
    return allocate(kHeapHeaderBytes + (uint64_t{length} << types_[type].element_log2), {type, length});
  }
  /// Allocates an object of so many bytes, header and all: what compiled code calls where it finds a run too short
  /// (HeapAllocator). Pre: they are what the type and the length come to. Errors: as above.
  Result<HeapRef> allocate(uint64_t bytes, HeapHeader header) {
    const uint32_t size_class = class_of(bytes);
    if (size_class < kHeapClasses) {
      HeapRun& run = blocks_->state().allocator.runs[size_class];
      // Runs are multiples of a cell.
      if (run.cursor != run.end) {
        const HeapRef object = run.cursor;
        run.cursor += kHeapClassBytes[size_class];
        blocks_->header(object) = header;
        return object;
      }
    }
    return allocate_slow(bytes, header);
  }

  /// Returns the object that a word, as an offset or as an address, points to or into; 0 if there is none. O(1). What
  /// follows an object in its cell counts as the object's.
  HeapRef resolve(uint64_t word) const {
    const HeapRef object = blocks_->resolve_address(word);
    return object != 0 ? object : blocks_->resolve_offset(word);
  }

  /// Frees what is not reachable, unless the roots are not known.
  void collect();
  /// Returns an image of the heap as it is; what was not yet collected is in it. `changes`: where the heap was made of
  /// an image, that may hold only what differs. Errors: as LinearMemory::seal_image.
  Result<std::shared_ptr<const Image>> seal(LinearMemory::Copy copy = LinearMemory::Copy::whole);

  HeapCounters counters() const;
  /// Returns the bytes of address space that it takes.
  uint64_t reserved_bytes() const { return blocks_->reserved_bytes(); }

 private:
  Heap(const HeapOptions& options, HeapRoots& roots, std::unique_ptr<HeapBlocks> blocks);
  uint32_t class_of(uint64_t bytes) const {
    if (bytes <= kMostTabledBytes) return blocks_->state().allocator.class_of[(bytes + 7) / 8];
    return bytes <= kMostCellBytes ? heap_class_of(static_cast<uint32_t>(bytes)) : kHeapClasses;
  }
  /// Allocates where the class's run is used up, or an object is large.
  Result<HeapRef> allocate_slow(uint64_t bytes, HeapHeader header);
  /// Takes memory for objects of a size class (a run) or for a large one of so many bytes. Returns what a large object
  /// has, or where the run begins; 0: there is none.
  HeapRef take(uint32_t size_class, uint64_t bytes);
  bool is_due() const { return options_.stress || blocks_->taken_bytes() - taken_before_ >= budget_bytes_; }
  void set_budget();
  void give_back(uint64_t keep_bytes);

  HeapOptions options_;
  HeapRoots& roots_;
  std::unique_ptr<HeapBlocks> blocks_;
  HeapTypes types_;
  HeapMarker marker_;
  std::vector<HeapRef> ambiguous_;  ///< objects that ambiguous words point to, during a collection
  uint64_t budget_bytes_ = 0;       ///< to be taken before the next collection
  uint64_t taken_before_ = 0;       ///< the last one
  bool collecting_ = false;
  HeapCounters counters_;  ///< without what blocks_ says
};

}  // namespace rotor::memory
