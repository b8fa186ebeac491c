#include "memory/linear_memory.h"

#include <cassert>

#include "memory/os.h"

namespace rotor::memory {

Result<std::unique_ptr<LinearMemory>> LinearMemory::create(uint64_t min_bytes, uint64_t max_bytes,
                                                           uint64_t reserved_bytes) {
  assert(min_bytes <= max_bytes && max_bytes <= reserved_bytes);
  assert(min_bytes % kPageBytes == 0 && max_bytes % kPageBytes == 0 && reserved_bytes % os::page_bytes() == 0);
  std::unique_ptr<LinearMemory> memory(new LinearMemory);
  if (reserved_bytes != 0) {
    ROTOR_TRY(memory->base_, os::reserve(reserved_bytes));
  }
  memory->reserved_bytes_ = reserved_bytes;
  memory->max_bytes_ = max_bytes;
  ROTOR_CHECK(os::commit(memory->base_, min_bytes));
  memory->own_size_.store(min_bytes, std::memory_order_release);
  return memory;
}

LinearMemory::~LinearMemory() {
  if (base_) os::release(base_, reserved_bytes_);
}

uint64_t LinearMemory::grow(uint64_t delta_bytes) {
  assert(delta_bytes % kPageBytes == 0);
  std::lock_guard lock(grow_mutex_);
  uint64_t old_bytes = size_bytes_->load(std::memory_order_relaxed);
  assert(old_bytes <= max_bytes_);
  if (delta_bytes > max_bytes_ - old_bytes) return UINT64_MAX;
  if (!os::commit(base_ + old_bytes, delta_bytes)) return UINT64_MAX;
  size_bytes_->store(old_bytes + delta_bytes, std::memory_order_release);
  return old_bytes;
}

void LinearMemory::attach_size(std::atomic<uint64_t>* size) {
  std::lock_guard lock(grow_mutex_);
  size->store(size_bytes_->load(std::memory_order_relaxed), std::memory_order_release);
  size_bytes_ = size;
}

}  // namespace rotor::memory
