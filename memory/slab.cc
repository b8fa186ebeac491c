#include "memory/slab.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <mutex>
#include <type_traits>

#include "memory/fork.h"
#include "memory/os.h"

namespace rotor::memory {

namespace { constexpr uint32_t kMostLog2 = std::countr_zero(Slab::kMostPartBytes); }  // namespace

/// The slabs of the process that have free parts, by the binary logarithm of a part's size.
struct Slab::Lists {
  std::mutex mutex;
  std::array<Slab*, kMostLog2 + 1> first{};

  static Lists lists;
};
// It has no destructor: parts may be given back after static objects are gone.
static_assert(std::is_trivially_destructible_v<std::mutex>);
constinit Slab::Lists Slab::Lists::lists;

Slab::~Slab() { os::release(base_, part_bytes() * kParts, 1); }

Result<std::unique_ptr<Slab>> Slab::create(uint32_t part_log2) {
  const uint64_t bytes = kParts << part_log2;
  ROTOR_TRY(uint8_t* base, os::reserve(bytes, 1));
  std::unique_ptr<Slab> slab(new Slab(base, part_log2));
  ROTOR_CHECK(os::commit(base, bytes));
  os::keep_pages_small(base, bytes);
  return slab;
}

Slab::Part Slab::take_part() {
  const int index = std::countr_zero(free_);
  free_ &= free_ - 1;
  return {base_ + (static_cast<uint64_t>(index) << part_log2_), this};
}

void Slab::link() {
  next_ = std::exchange(Lists::lists.first[part_log2_], this);
  if (next_) next_->previous_ = this;
}

void Slab::unlink() {
  (previous_ ? previous_->next_ : Lists::lists.first[part_log2_]) = next_;
  if (next_) next_->previous_ = previous_;
  next_ = previous_ = nullptr;
}

Result<Slab::Part> Slab::take(uint64_t bytes) {
  assert(bytes <= kMostPartBytes);
  const auto log2 = static_cast<uint32_t>(std::countr_zero(std::bit_ceil(std::max(bytes, os::page_bytes()))));
  {
    ForkPass pass;
    std::lock_guard lock(Lists::lists.mutex);
    if (Slab* slab = Lists::lists.first[log2]) {
      const Part part = slab->take_part();
      if (slab->free_ == 0) slab->unlink();
      return part;
    }
  }
  // No lock is held: where there is no address space, slots are given back, and parts with them.
  ROTOR_TRY(std::unique_ptr<Slab> fresh, create(log2));
  const Part part = fresh->take_part();
  ForkPass pass;
  std::lock_guard lock(Lists::lists.mutex);
  fresh.release()->link();
  return part;
}

void Slab::give_back(Part part) {
  Slab& slab = *part.slab;
  const auto offset = static_cast<uint64_t>(part.base - slab.base_);
  assert(offset % slab.part_bytes() == 0 && offset < slab.part_bytes() * kParts);
  if (!os::discard(part.base, slab.part_bytes())) std::memset(part.base, 0, slab.part_bytes());
  std::unique_ptr<Slab> unused;
  ForkPass pass;
  std::lock_guard lock(Lists::lists.mutex);
  if (slab.free_ == 0) slab.link();
  slab.free_ |= uint64_t{1} << (offset >> slab.part_log2_);
  if (slab.free_ != UINT64_MAX) return;
  slab.unlink();
  unused.reset(&slab);  // which outlives the lock
}

}  // namespace rotor::memory
