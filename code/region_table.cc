#include "code/region_table.h"

#include <atomic>
#include <mutex>

#include "memory/fork.h"
#include "memory/perturb.h"

namespace rotor::code {

namespace {

/// One registered text range. `end` is written last when a slot is filled and cleared first when it is emptied.
struct Slot {
  std::atomic<uintptr_t> begin{0};
  std::atomic<uintptr_t> end{0};
  std::atomic<const CodeRegion*> region{nullptr};
};
/// A chunk of slots. Slots are never freed, since a signal handler may be reading them at any time; they are reused.
struct Chunk {
  static constexpr size_t kSlots = 256;
  Slot slots[kSlots];
  std::atomic<Chunk*> next{nullptr};
};

// The table is global, because a signal handler has nothing but an address to go by.
constinit Chunk g_regions;
constinit std::mutex g_regions_mutex;  // for writers

}  // namespace

void add_to_table(const CodeRegion* region, uintptr_t begin, uintptr_t end) {
  memory::ForkPass pass;
  std::lock_guard lock(g_regions_mutex);
  for (Chunk* chunk = &g_regions;; chunk = chunk->next.load(std::memory_order_relaxed)) {
    for (Slot& slot : chunk->slots) {
      if (slot.region.load(std::memory_order_relaxed)) continue;
      slot.region.store(region, std::memory_order_relaxed);
      slot.begin.store(begin, std::memory_order_relaxed);
      slot.end.store(end, std::memory_order_release);
      return;
    }
    if (!chunk->next.load(std::memory_order_relaxed)) chunk->next.store(new Chunk, std::memory_order_release);
  }
}

void take_from_table(const CodeRegion* region) {
  memory::ForkPass pass;
  std::lock_guard lock(g_regions_mutex);
  for (Chunk* chunk = &g_regions; chunk; chunk = chunk->next.load(std::memory_order_relaxed)) {
    for (Slot& slot : chunk->slots) {
      if (slot.region.load(std::memory_order_relaxed) != region) continue;
      slot.end.store(0, std::memory_order_seq_cst);
      ROTOR_PERTURB_POINT();
      slot.begin.store(0, std::memory_order_seq_cst);
      slot.region.store(nullptr, std::memory_order_seq_cst);
      return;
    }
  }
}

const CodeRegion* find_code_region(uintptr_t pc) {
  for (const Chunk* chunk = &g_regions; chunk; chunk = chunk->next.load(std::memory_order_acquire)) {
    for (const Slot& slot : chunk->slots) {
      uintptr_t end = slot.end.load(std::memory_order_acquire);
      if (pc >= end || pc < slot.begin.load(std::memory_order_acquire)) continue;
      const CodeRegion* region = slot.region.load(std::memory_order_acquire);
      // `end` is unchanged, so the three values belong together (a module whose code runs does not change its slot).
      if (slot.end.load(std::memory_order_acquire) == end) return region;
    }
  }
  return nullptr;
}

void for_each_code_region(const std::function<void(const CodeRegion&)>& visit) {
  memory::ForkPass pass;
  std::lock_guard lock(g_regions_mutex);
  // A region is taken from the table before it is gone, which waits for the lock.
  for (Chunk* chunk = &g_regions; chunk; chunk = chunk->next.load(std::memory_order_relaxed))
    for (Slot& slot : chunk->slots)
      if (const CodeRegion* region = slot.region.load(std::memory_order_relaxed)) visit(*region);
}

CodeRegionCount count_code_regions() {
  std::lock_guard lock(g_regions_mutex);
  CodeRegionCount count;
  for (const Chunk* chunk = &g_regions; chunk; chunk = chunk->next.load(std::memory_order_relaxed)) {
    count.places += Chunk::kSlots;
    for (const Slot& slot : chunk->slots) count.regions += slot.region.load(std::memory_order_relaxed) != nullptr;
  }
  return count;
}

}  // namespace rotor::code
