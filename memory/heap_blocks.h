// The memory of a garbage-collected heap, in blocks: which are free, how each is divided, and which object a word
// points into. Knows nothing of types and roots.
//
//     0            4 KiB       marks_at()          first_block()            end
//     | HeapState  | HeapBlock…| a bit per 16 bytes| blocks of objects      | reserved
//
// All that says what the blocks hold is in the region: its used part, mapped anywhere else, is the same heap.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "memory/heap_layout.h"
#include "memory/linear_memory.h"
#include "rotor/result.h"

namespace rotor::memory {

/// What is known of a block. All zero: it is free, and so are its bytes.
struct HeapBlock {
  enum class Kind : uint8_t {
    free,
    cells,  ///< of one size class
    large,  ///< the first block of a large object
    tail    ///< one of its others
  };
  Kind kind;
  uint8_t size_class;    ///< of cells
  uint8_t dirty : 1;     ///< what is free in it may be other than zero
  uint8_t resident : 1;  ///< it may take memory
  uint8_t rescan : 1;    ///< marked objects in it are still to be traced (memory/heap_mark.h)
  /// Cells: those before this offset in the block were handed out or live, and hold an object if their header says so;
  /// of those behind only the marked ones hold one.
  uint32_t taken_bytes;
  uint32_t count;  ///< large: its blocks; tail: how many blocks before this one it begins; cells: that are marked
  uint32_t next;   ///< cells: the next block with free ones of its class, as HeapState::pending; 0: none
};
static_assert(sizeof(HeapBlock) == 16);

/// How a region begins.
struct HeapState {
  uint8_t null_object[kHeapAllocatorAt];  ///< zero
  HeapAllocator allocator;
  uint32_t magic;
  uint32_t blocks;                 ///< that the region is laid out for, with those that this and the tables take
  uint32_t end_block;              ///< the first block that was never used
  uint32_t current[kHeapClasses];  ///< the block that the class's run is of; 0: none
  uint32_t pending[kHeapClasses];  ///< the first of the blocks behind it that have free cells; 0: none
};
static_assert(offsetof(HeapState, allocator) == kHeapAllocatorAt && sizeof(HeapState) <= 4096);

class HeapBlocks {
 public:
  /// The bytes that one mark stands for: less than two cells'.
  static constexpr uint32_t kMarkedBytes = 16;
  static constexpr uint32_t kMarkWordsPerBlock = kHeapBlockBytes / kMarkedBytes / 64;
  static constexpr uint32_t kTableAt = 4096;
  /// Cells that are zeroed at a time take so many bytes at most (or are one): half of the first cache, so that they are
  /// still there when they become objects.
  static constexpr uint32_t kMostRunBytes = 16384;

  /// Makes a region for at most `limit_blocks` blocks of objects, with those of an image if there is one. Pre: from 1
  /// to most_blocks(). Errors: io, limit (address space); invalid_argument: the image is none of a heap with that
  /// limit.
  static Result<std::unique_ptr<HeapBlocks>> create(uint32_t limit_blocks, std::shared_ptr<const Image> image,
                                                    std::shared_ptr<const SlotContents> nothing = nullptr);
  /// Returns how many blocks of objects a region can have at most.
  static uint32_t most_blocks();

  uint8_t* base() const { return base_; }
  HeapState& state() const { return *reinterpret_cast<HeapState*>(base_); }
  HeapBlock& block(uint32_t index) const { return reinterpret_cast<HeapBlock*>(base_ + kTableAt)[index]; }
  HeapHeader& header(uint32_t offset) const { return *reinterpret_cast<HeapHeader*>(base_ + offset); }
  uint32_t first_block() const { return first_block_; }
  uint32_t used_blocks() const { return used_blocks_; }
  uint32_t free_blocks() const { return blocks_ - first_block_ - used_blocks_; }
  uint64_t used_bytes() const { return uint64_t{used_blocks_} << kHeapBlockLog2; }
  uint64_t resident_bytes() const { return uint64_t{resident_blocks_} << kHeapBlockLog2; }
  uint64_t returned_bytes() const { return uint64_t{returned_blocks_} << kHeapBlockLog2; }

  // Marks. An object's is that of its first byte.
  bool is_marked(uint32_t offset) const {
    return (marks_[offset / kMarkedBytes / 64] >> (offset / kMarkedBytes % 64) & 1) != 0;
  }
  /// Marks an object. Returns whether it was not marked before.
  bool mark(uint32_t offset) const {
    uint64_t& word = marks_[offset / kMarkedBytes / 64];
    const uint64_t bit = uint64_t{1} << (offset / kMarkedBytes % 64);
    if ((word & bit) != 0) return false;
    word |= bit;
    return true;
  }
  /// Clears all marks. From here to the end of `sweep` nothing can be resolved.
  void clear_marks() const;
  /// Returns the first marked object of a block at or behind an offset in it; kHeapBlockBytes: none.
  uint32_t next_marked(uint32_t index, uint32_t from) const;

  /// Takes the next free cells of a class as its run, from blocks that have some or from a new one; only one cell if
  /// `single`. Pre: the class's run is used up. Post: they are zero. Returns false if there are none.
  bool refill(uint32_t size_class, bool single);
  /// Takes blocks for a large object. Post: they are zero. Returns its offset; 0: there are none, or (refused()) the
  /// system gives no memory.
  uint32_t take_large(uint32_t count);
  /// Returns whether the system refused memory when blocks were last taken.
  bool refused() const { return refused_; }
  /// Returns the bytes of all runs that were taken, and of large objects.
  uint64_t taken_bytes() const { return taken_bytes_; }
  /// Returns the bytes of runs that are not used yet.
  uint64_t unused_run_bytes() const;

  /// Frees what is not marked, and returns the bytes of what is. With `poison` what is freed is overwritten.
  uint64_t sweep(bool poison);
  /// Returns the free bytes that objects of a class can have, as they were after the last sweep.
  uint64_t free_bytes(uint32_t size_class) const {
    return free_cell_bytes_[size_class] + (uint64_t{free_blocks()} << kHeapBlockLog2);
  }
  /// Gives memory of free blocks back to the system, the highest first, until those take at most `keep_bytes`.
  void give_back(uint64_t keep_bytes);

  /// Returns the object whose cell, or whose blocks if it is large, `offset` lies in; 0: none.
  HeapRef resolve_offset(uint64_t offset) const;
  /// The same for an address.
  HeapRef resolve_address(uint64_t address) const {
    return resolve_offset(address - reinterpret_cast<uintptr_t>(base_));
  }

  /// Returns an image of the region (LinearMemory::seal_image). Free blocks whose memory was given back take none
  /// there.
  Result<std::shared_ptr<const Image>> seal(LinearMemory::Copy copy) { return memory_->seal_image(copy); }
  /// Returns the bytes of address space that the region takes.
  uint64_t reserved_bytes() const { return memory_->reserved_bytes(); }

  /// What freed memory holds in stress mode; as a type it is never valid.
  static constexpr uint8_t kPoison = 0xdb;
  static constexpr uint32_t kPoisonType = 0xdbdbdbdb;

 private:
  explicit HeapBlocks(std::unique_ptr<LinearMemory> memory, uint32_t blocks, uint32_t first_block);
  /// Finds out from the table what is not in the region.
  void recount();
  uint32_t find_free(uint32_t count) const;
  /// Makes the blocks before `end` accessible. Returns false if the system refuses.
  bool commit(uint32_t end);
  uint32_t take(uint32_t count);
  void free(uint32_t index, uint32_t count);
  bool next_run(uint32_t index, bool single);
  void zero(uint32_t begin, uint64_t bytes) const;
  uint64_t sweep_cells(uint32_t index, bool poison);
  void poison_cells(uint32_t index) const;
  uint64_t* marks_of(uint32_t index) const { return marks_ + uint64_t{index} * kMarkWordsPerBlock; }

  bool is_free(uint32_t index) const { return (free_[index / 64] >> (index % 64) & 1) != 0; }

  std::unique_ptr<LinearMemory> memory_;
  uint8_t* base_;
  uint64_t* marks_;
  uint32_t blocks_;
  uint32_t first_block_;
  uint32_t image_end_ = 0;  ///< blocks before it, given back, read as the image and not as zero
  uint32_t used_blocks_ = 0;
  uint32_t resident_blocks_ = 0;  ///< of the free ones
  uint64_t returned_blocks_ = 0;
  uint32_t lowest_free_ = 0;  ///< no block before it is free
  bool refused_ = false;
  uint64_t taken_bytes_ = 0;
  uint64_t free_cell_bytes_[kHeapClasses] = {};
  std::vector<uint64_t> free_;  ///< a bit a block
};

}  // namespace rotor::memory
