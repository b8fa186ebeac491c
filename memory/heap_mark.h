// Marks what is reachable in a heap. No recursion, and memory that does not depend on what the guest built.
#pragma once

#include <cassert>
#include <cstdint>
#include <vector>

#include "memory/heap_blocks.h"
#include "memory/heap_types.h"

namespace rotor::memory {

class HeapRoots;

/// The marking of a heap's collections. An object is marked when it is first seen and traced later: it waits on a stack
/// of bounded depth, or, where that is full, its block is noted, and searched for it when the stack is empty.
class HeapMarker {
 public:
  /// At most `most_waiting` objects wait on the stack, of 8 bytes each.
  HeapMarker(const HeapBlocks& blocks, const HeapTypes& types, HeapRoots& roots, uint32_t most_waiting);
  HeapMarker(const HeapMarker&) = delete;
  /// Marks an object. What it refers to is marked before `finish` returns.
  void add(HeapRef reference);
  /// Traces all that waits. Post: every object that is reachable from what was added is marked, and nothing waits.
  void finish();
  /// Returns how often blocks were searched.
  uint64_t rescans() const { return rescans_; }

 private:
  /// An object of which the elements from this one on are to be traced.
  struct Waiting {
    HeapRef object;
    uint32_t from;
  };
  /// Elements of an array that are traced at a time, before what they refer to.
  static constexpr uint32_t kSlice = 512;

  /// Where the stack's free part begins, while it is worked on.
  struct Top {
    Waiting* at;
    Waiting* end;
  };
  void see(Top& top, HeapRef reference);
  void trace(Top& top, Waiting waiting);
  void trace_elements(Top& top, Waiting waiting, uint32_t length);
  void trace_foreign(Top& top, HeapRef object, const HeapTypes::Type& type);
  /// Makes the stack larger. Returns whether there is room.
  bool make_room(Top& top);
  void note_for_rescan(HeapRef object);
  void drain(Top& top);
  void rescan();

  const HeapBlocks& blocks_;
  const HeapTypes& types_;
  HeapRoots& roots_;
  const size_t most_waiting_;
  std::vector<Waiting> stack_;
  size_t waiting_ = 0;  ///< between calls: how many entries of the stack wait
  bool overflowed_ = false;
  uint64_t rescans_ = 0;
};

}  // namespace rotor::memory
