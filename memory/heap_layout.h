// What compiled code knows of a garbage-collected heap: what a reference and an object are, and how an object is
// allocated in a few instructions. A heap is one region of address space (memory/heap.h); all offsets here are from its
// base, which never changes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace rotor::memory {

/// A reference, in 32 bits: 0 is null; an odd value is an i31; a multiple of 8 is the offset of an object. The heap
/// leaves any other value as it is: whoever puts one into a field says what it means.
using HeapRef = uint32_t;
inline constexpr uint32_t kHeapRefBytes = 4;
/// Returns whether a reference is one to an object, neither null nor a value by itself.
constexpr bool is_heap_object(HeapRef reference) { return reference != 0 && reference % 8 == 0; }

/// How each object begins. Fields or elements follow it.
///
/// Nothing of the collector's is in it: marks lie beside the objects, so a collection writes to no page of an object
/// that lives, and an image's pages stay shared.
struct HeapHeader {
  uint32_t type;    ///< as given to Heap::define; never 0, which says that no object is here
  uint32_t length;  ///< of an array, in elements; 0 in a structure
};
inline constexpr uint32_t kHeapHeaderBytes = 8;
static_assert(sizeof(HeapHeader) == kHeapHeaderBytes && offsetof(HeapHeader, type) == 0 &&
              offsetof(HeapHeader, length) == 4);

/// The bytes of a cell, by size class. A block of the heap is divided into cells of one class, one object a cell. An
/// object takes a cell of the first class that it fits into. Those above 2 KiB divide a block with little rest.
inline constexpr std::array<uint32_t, 40> kHeapClassBytes = {
    16,   24,   32,   40,   48,   56,   64,   80,    96,    112,   128,   160,  192,  224,
    256,  320,  384,  448,  512,  640,  768,  896,   1024,  1280,  1536,  1792, 2048, 2616,
    3120, 3640, 4096, 5456, 6552, 8192, 9360, 10920, 13104, 16384, 21840, 32768};
inline constexpr uint32_t kHeapClasses = kHeapClassBytes.size();
/// Objects that are larger have whole blocks for themselves.
inline constexpr uint32_t kMostCellBytes = kHeapClassBytes.back();
/// Of objects up to this size a table has the class, by size in units of 8 bytes.
inline constexpr uint32_t kMostTabledBytes = 1024;

/// The size class of an object. Pre: at most kMostCellBytes.
constexpr uint32_t heap_class_of(uint32_t bytes) {
  uint32_t size_class = 0;
  while (kHeapClassBytes[size_class] < bytes) ++size_class;
  return size_class;
}

/// Zeroed cells of one class, of which the first `end - cursor` bytes are free; cursor == end: there are none. (Both
/// are 0 at first.)
struct HeapRun {
  uint32_t cursor;  ///< offset of the next object
  uint32_t end;     ///< a multiple of the cell's bytes behind it; no more than kMostHeapEnd
};

/// What allocates. Compiled code finds it at kHeapAllocatorAt. An object whose size is constant, of class C:
///
///     mov  ref, [base + runs + 8*C]            ; the cursor
///     lea  next, [ref + kHeapClassBytes[C]]    ; does not wrap: kMostHeapEnd
///     cmp  next, [base + runs + 8*C + 4]       ; unsigned
///     ja   slow                                ; Heap::allocate
///     mov  [base + runs + 8*C], next
///     mov  qword [base + ref], header          ; type | length << 32
///
/// All else in the object is zero. The slow way is the only one that collects; between the compare and the header
/// nothing may call. An array whose length is not constant looks its class and what a cell of that takes up in the
/// tables, at (bytes + 7) / 8, with bytes = 8 + length * element: if that is no more than kMostTabledBytes, in 64 bits.
struct HeapAllocator {
  HeapRun runs[kHeapClasses];
  uint8_t class_of[kMostTabledBytes / 8 + 1];
  uint8_t cell_of[kMostTabledBytes / 8 + 1];  ///< its bytes, divided by 8
};
/// Where the allocator lies. What is before it is zero for ever: through the null reference code reads a header of type
/// 0 and length 0, so that a cast fails and an array's bound check, too, without a compare with null. (Reading a
/// structure's field takes one.)
inline constexpr uint32_t kHeapAllocatorAt = 64;
static_assert(sizeof(HeapRun) == 8 && offsetof(HeapRun, cursor) == 0 && offsetof(HeapRun, end) == 4);
static_assert(offsetof(HeapAllocator, runs) == 0 && offsetof(HeapAllocator, class_of) == 320 &&
              offsetof(HeapAllocator, cell_of) == 449 && sizeof(HeapAllocator) == 580);

/// The unit of a heap's memory.
inline constexpr uint32_t kHeapBlockLog2 = 16;
inline constexpr uint32_t kHeapBlockBytes = uint32_t{1} << kHeapBlockLog2;
/// The first offset that no object reaches: an offset and the bytes of a cell never exceed 32 bits.
inline constexpr uint32_t kMostHeapEnd = 0xffff0000;
static_assert(kMostHeapEnd + uint64_t{kMostCellBytes} < UINT64_C(1) << 32);

}  // namespace rotor::memory
