// Slabs: mappings that many small memories share, each with a part of its own. The kernel gives a process a limited
// number of mappings, and a memory with a reservation of its own takes up to three.
#pragma once

#include <cstdint>
#include <memory>

#include "rotor/result.h"

namespace rotor::memory {

/// One mapping, readable and writable as a whole: nothing faults between two parts, so whoever accesses a part must
/// compare with its size first.
class Slab {
 public:
  /// The largest part.
  static constexpr uint64_t kMostPartBytes = uint64_t{1} << 20;
  /// Parts of a slab, which are of one size, a power of two.
  static constexpr uint32_t kParts = 64;

  /// Bytes of a slab, which are the caller's until they are given back.
  struct Part {
    uint8_t* base = nullptr;
    Slab* slab = nullptr;
  };
  /// Returns a part of at least `bytes`, of a slab that has one or of a new one. Post: it is zero. Thread-safe. Pre: at
  /// most kMostPartBytes. Errors: io, limit.
  static Result<Part> take(uint64_t bytes);
  /// Gives a part back, whatever it holds. A slab whose last part this is goes back to the system. Thread-safe.
  static void give_back(Part part);

  ~Slab();
  Slab(const Slab&) = delete;

 private:
  struct Lists;
  Slab(uint8_t* base, uint32_t part_log2) : base_(base), part_log2_(part_log2) {}
  static Result<std::unique_ptr<Slab>> create(uint32_t part_log2);
  uint64_t part_bytes() const { return uint64_t{1} << part_log2_; }
  // Pre for these: no other thread knows the slab, or the lists' mutex is held.
  Part take_part();
  void link();
  void unlink();

  uint8_t* const base_;
  const uint32_t part_log2_;
  uint64_t free_ = UINT64_MAX;  ///< a bit a part
  // In the list of those of its size that have free parts.
  Slab* next_ = nullptr;
  Slab* previous_ = nullptr;

  static_assert(kParts == 64, "free_ has a bit for each");
};

}  // namespace rotor::memory
