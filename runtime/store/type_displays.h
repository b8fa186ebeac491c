// The numbers of an engine's structure and array types, and the rows by which compiled code finds out what a type is
// below (code/gc_layout.h).
#pragma once

#include <cstdint>
#include <vector>

#include "code/gc_layout.h"
#include "memory/heap_types.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor::runtime {

struct CanonicalType;

/// Gives numbers, and takes them back when a type is gone. Not thread-safe; but rows of types in use never change, so
/// that compiled code may read them at any time.
class TypeDisplays {
 public:
  TypeDisplays() = default;
  ~TypeDisplays();
  TypeDisplays(const TypeDisplays&) = delete;

  /// Returns a number for a structure or array type. Errors: limit (there are as many types as there are numbers, or no
  /// memory).
  Result<uint32_t> take(HeapType::Kind kind);
  void give_back(uint32_t number);
  /// Writes the row of a type. Pre: its number and those of the types above it are taken.
  void write_row(const CanonicalType& type);
  /// Returns where the rows are; null until the first number is taken. Never changes then.
  const uint8_t* rows() const { return rows_; }

 private:
  static constexpr uint64_t kReservedBytes = uint64_t{memory::HeapTypes::kMost} * code::kDisplayRowBytes;
  uint8_t* rows_ = nullptr;
  uint64_t committed_bytes_ = 0;
  std::vector<uint32_t> free_[2];  ///< of structures, of arrays
  uint32_t next_[2] = {code::kFirstGcType, code::kFirstGcType + 2};
};

}  // namespace rotor::runtime
