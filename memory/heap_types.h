// What a heap knows of the types of its objects: where the references in them are.
#pragma once

#include <cassert>
#include <cstdint>
#include <span>
#include <vector>

#include "memory/heap_layout.h"
#include "rotor/result.h"

namespace rotor::memory {

/// What objects of a type look like.
struct HeapShape {
  enum class Kind : uint8_t { structure, array };
  Kind kind = Kind::structure;
  /// Of a structure, with its header: at least kHeapHeaderBytes. Of an array's element: 1, 2, 4, 8 or 16.
  uint32_t bytes = kHeapHeaderBytes;
  bool reference_elements = false;               ///< of an array, of 4 bytes each
  std::vector<uint32_t> reference_offsets = {};  ///< of a structure, from its header on; multiples of 4
  /// Of an array: its elements are foreign words, of 8 bytes: what they refer to the roots know (HeapRoots::foreign).
  bool foreign_elements = false;
  std::vector<uint32_t> foreign_offsets = {};  ///< of a structure, from its header on; multiples of 8
};

class HeapTypes {
 public:
  /// Types have numbers below this one, and not 0.
  static constexpr uint32_t kMost = uint32_t{1} << 20;

  /// A shape as the collector reads it.
  struct Type {
    bool is_defined = false;
    HeapShape::Kind kind = HeapShape::Kind::structure;
    bool reference_elements : 1 = false;
    bool has_foreign : 1 = false;  ///< elements, or fields
    uint8_t element_log2 = 0;
    uint32_t bytes = 0;            ///< of a structure
    uint32_t first_reference = 0;  ///< of a structure: where its offsets are among those of all
    uint32_t reference_count = 0;  ///< of a structure
  };
  static_assert(sizeof(Type) == 16);

  /// Errors: invalid_argument (a shape that can't be, or a type that is defined already), limit (kMost).
  Result<void> define(uint32_t type, const HeapShape& shape);
  bool knows(uint32_t type) const { return type < types_.size() && types_[type].is_defined; }
  /// Pre: it is defined.
  const Type& operator[](uint32_t type) const {
    assert(type < types_.size() && types_[type].is_defined && "no such type");
    return types_[type];
  }
  std::span<const uint32_t> references(const Type& type) const {
    return {offsets_.data() + type.first_reference, type.reference_count};
  }
  /// Returns the offsets of a structure's foreign words. Pre: it has some.
  std::span<const uint32_t> foreign(const Type& type) const {
    const uint32_t* count = offsets_.data() + type.first_reference + type.reference_count;
    return {count + 1, *count};
  }

 private:
  std::vector<Type> types_;
  /// Of each structure: the offsets of its references, and, if it has foreign words, their count and their offsets.
  std::vector<uint32_t> offsets_;
};

}  // namespace rotor::memory
