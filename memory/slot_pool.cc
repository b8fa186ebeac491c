#include "memory/slot_pool.h"

#include <algorithm>

#include "memory/fork.h"

namespace rotor::memory {

namespace {

void release_all(const auto& slots) {
  for (const auto& slot : slots) os::release(slot.base, slot.reserved_bytes, SlotContents::kMappings);
}

Result<void> make_clean(const SlotContents& contents, uint8_t* base, uint64_t used_bytes) {
  // In the file's mapping the copied pages are dropped, so that the file's contents show again; what lies above the
  // mapping becomes reservation.
  ROTOR_CHECK(os::discard(base, std::min(used_bytes, contents.mapped_bytes())));
  if (used_bytes > contents.mapped_bytes())
    ROTOR_CHECK(os::decommit(base + contents.mapped_bytes(), used_bytes - contents.mapped_bytes()));
  return {};
}

Result<uint8_t*> make_slot(const SlotContents& contents, uint64_t reserved_bytes) {
  ROTOR_TRY(uint8_t* base, os::reserve(reserved_bytes, SlotContents::kMappings));
  if (auto mapped = contents.map(base); !mapped) {
    os::release(base, reserved_bytes, SlotContents::kMappings);
    return std::unexpected(std::move(mapped).error());
  }
  contents.fault_in(base);
  return base;
}

}  // namespace

SlotPool::~SlotPool() { release_all(slots_); }

Result<void> SlotPool::keep(const SlotContents& contents, size_t count, uint64_t reserved_bytes) {
  std::vector<Slot> over;
  size_t missing = 0;
  {
    ForkPass pass;
    std::lock_guard lock(mutex_);
    count_ = count;
    while (slots_.size() > count_) {
      over.push_back(slots_.back());
      slots_.pop_back();
    }
    missing = count_ - std::min(count_, slots_.size() + coming_);
    coming_ += missing;
  }
  release_all(over);
  Result<void> made;
  for (; missing > 0; --missing) {
    auto base = make_slot(contents, reserved_bytes);
    if (!base) made = std::unexpected(std::move(base).error());
    add(base.value_or(nullptr), reserved_bytes);
  }
  return made;
}

void SlotPool::add(uint8_t* base, uint64_t reserved_bytes) {
  ForkPass pass;
  std::unique_lock lock(mutex_);
  --coming_;
  if (!base) return;
  if (slots_.size() < count_) {
    slots_.push_back({base, reserved_bytes});
    return;
  }
  // Fewer slots are wanted by now.
  lock.unlock();
  os::release(base, reserved_bytes, SlotContents::kMappings);
}

uint8_t* SlotPool::take(uint64_t reserved_bytes) {
  ForkPass pass;
  std::lock_guard lock(mutex_);
  auto found = std::ranges::find(slots_, reserved_bytes, &Slot::reserved_bytes);
  if (found == slots_.end()) return nullptr;
  uint8_t* base = found->base;
  slots_.erase(found);
  return base;
}

bool SlotPool::give(const SlotContents& contents, uint8_t* base, uint64_t reserved_bytes, uint64_t used_bytes) {
  {
    ForkPass pass;
    std::lock_guard lock(mutex_);
    if (slots_.size() + coming_ >= count_) return false;
    ++coming_;
  }
  const bool clean = make_clean(contents, base, used_bytes).has_value();
  if (clean) contents.fault_in(base);
  add(clean ? base : nullptr, reserved_bytes);
  return clean;
}

}  // namespace rotor::memory
