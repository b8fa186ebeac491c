// How a heap asks what of it is in use.
#pragma once

#include <cstdint>
#include <vector>

#include "memory/heap_blocks.h"
#include "memory/heap_layout.h"

namespace rotor::memory {

class HeapMarker;

/// Takes the words that are references for certain.
class ExactRoots {
 public:
  explicit ExactRoots(HeapMarker& marker) : marker_(marker) {}
  /// Pre: null, a value by itself, or an object of this heap.
  void add(HeapRef reference);

 private:
  HeapMarker& marker_;
};

/// Takes words that may be anything. What they point to or into, as an offset or as an address, is kept.
class AmbiguousRoots {
 public:
  AmbiguousRoots(const HeapBlocks& blocks, std::vector<HeapRef>& found) : blocks_(blocks), found_(found) {}
  /// Adds a word of 64 bits.
  void add(uint64_t word) {
    add_object(blocks_.resolve_address(word));
    add_object(blocks_.resolve_offset(word));
  }
  /// Adds memory: every 32 bits of it as an offset, and at each multiple of 4 bytes 64 bits as an address. Pre: begin
  /// is a multiple of 4 and the size, too.
  [[gnu::no_sanitize("address", "undefined")]] void add_range(const void* begin, const void* end) {
    const auto* word = static_cast<const uint32_t*>(begin);
    const auto* last = static_cast<const uint32_t*>(end);
    for (; word < last; ++word) {
      add_object(blocks_.resolve_offset(*word));
      if (word + 1 < last) add_object(blocks_.resolve_address(*word | uint64_t{word[1]} << 32));
    }
  }

 private:
  void add_object(HeapRef object) {
    if (object != 0) found_.push_back(object);
  }
  const HeapBlocks& blocks_;
  std::vector<HeapRef>& found_;
};

/// Who knows what of the heap is in use. Called by each collection, the ambiguous ones first; nothing may allocate.
class HeapRoots {
 public:
  virtual ~HeapRoots() = default;
  virtual void visit_ambiguous(AmbiguousRoots& roots) = 0;
  virtual void visit_exact(ExactRoots& roots) = 0;
  /// Returns whether all roots can be found now. Where they can't, nothing is collected.
  virtual bool are_known() { return true; }
  /// Is told of a foreign word of an object that is reachable. Returns the reference of this heap that it stands for,
  /// or null.
  virtual HeapRef foreign(uint64_t word) { return 0; }
  /// Adds what the foreign words that it was told of since it was last asked lead to. Returns false if that is nothing.
  virtual bool visit_pending(ExactRoots& roots) { return false; }
};

}  // namespace rotor::memory
