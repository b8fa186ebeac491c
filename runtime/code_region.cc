#include "runtime/code_region.h"

#include <atomic>
#include <mutex>

#include "memory/os.h"

namespace rotor::runtime {

namespace {

/// One registered text range. `end` is written last when a slot is filled and cleared first when it is emptied.
struct Slot {
  std::atomic<uintptr_t> begin{0};
  std::atomic<uintptr_t> end{0};
  std::atomic<const CodeRegion*> region{nullptr};
};
/// Slots are never freed: a signal handler may be reading them at any time. They are used again.
struct Chunk {
  static constexpr size_t kSlots = 256;
  Slot slots[kSlots];
  std::atomic<Chunk*> next{nullptr};
};

// The signal handler's table: the one permitted global (DESIGN.md 6.5).
constinit Chunk g_regions;
constinit std::mutex g_regions_mutex;  // for writers

void register_region(const CodeRegion* region) {
  std::lock_guard lock(g_regions_mutex);
  for (Chunk* chunk = &g_regions;; chunk = chunk->next.load(std::memory_order_relaxed)) {
    for (Slot& slot : chunk->slots) {
      if (slot.region.load(std::memory_order_relaxed)) continue;
      auto begin = reinterpret_cast<uintptr_t>(region->text());
      slot.region.store(region, std::memory_order_relaxed);
      slot.begin.store(begin, std::memory_order_relaxed);
      slot.end.store(begin + region->text_bytes(), std::memory_order_release);
      return;
    }
    if (!chunk->next.load(std::memory_order_relaxed)) chunk->next.store(new Chunk, std::memory_order_release);
  }
}

void unregister_region(const CodeRegion* region) {
  std::lock_guard lock(g_regions_mutex);
  for (Chunk* chunk = &g_regions; chunk; chunk = chunk->next.load(std::memory_order_relaxed)) {
    for (Slot& slot : chunk->slots) {
      if (slot.region.load(std::memory_order_relaxed) != region) continue;
      slot.end.store(0, std::memory_order_seq_cst);
      slot.begin.store(0, std::memory_order_seq_cst);
      slot.region.store(nullptr, std::memory_order_seq_cst);
      return;
    }
  }
}

}  // namespace

const CodeRegion* find_code_region(uintptr_t pc) {
  for (const Chunk* chunk = &g_regions; chunk; chunk = chunk->next.load(std::memory_order_acquire)) {
    for (const Slot& slot : chunk->slots) {
      uintptr_t end = slot.end.load(std::memory_order_acquire);
      if (pc >= end || pc < slot.begin.load(std::memory_order_acquire)) continue;
      const CodeRegion* region = slot.region.load(std::memory_order_acquire);
      // Unchanged: the three belong together (a module whose code runs does not change its slot).
      if (slot.end.load(std::memory_order_acquire) == end) return region;
    }
  }
  return nullptr;
}

Result<std::unique_ptr<CodeRegion>> CodeRegion::reserve(const ModuleImpl& module, const jit::CodeImage& image) {
  std::unique_ptr<CodeRegion> region(new CodeRegion(module));
  if (image.total_bytes() == 0) return region;
  ROTOR_TRY(region->base_, memory::os::reserve(image.total_bytes()));
  region->text_bytes_ = image.text_bytes;
  region->rodata_bytes_ = image.rodata_bytes;
  region->total_bytes_ = image.total_bytes();
  return region;
}

Result<void> CodeRegion::finish(const jit::CodeImage& image) {
  if (rodata_bytes_) ROTOR_CHECK(memory::os::protect_read(base_ + text_bytes_, rodata_bytes_));
  if (image.run_page_bytes) ROTOR_CHECK(memory::os::commit(run_page(), image.run_page_bytes));
  if (text_bytes_) {
    register_region(this);
    registered_ = true;
  }
  return {};
}

Result<std::unique_ptr<CodeRegion>> CodeRegion::map(const ModuleImpl& module, const jit::CodeImage& image) {
  ROTOR_TRY(auto region, reserve(module, image));
  uint64_t bytes = image.text_bytes + image.rodata_bytes;
  if (bytes) ROTOR_CHECK(memory::os::map_code(region->base_, bytes, image.bytes));
  ROTOR_CHECK(region->finish(image));
  return region;
}

Result<std::unique_ptr<CodeRegion>> CodeRegion::map_file(const ModuleImpl& module, const jit::CodeImage& image,
                                                         const std::string& path, uint64_t file_offset) {
  ROTOR_TRY(auto region, reserve(module, image));
  uint64_t bytes = image.text_bytes + image.rodata_bytes;
  if (bytes) ROTOR_CHECK(memory::os::map_code_file(region->base_, bytes, path, file_offset));
  ROTOR_CHECK(region->finish(image));
  return region;
}

CodeRegion::~CodeRegion() {
  if (registered_) unregister_region(this);
  if (base_) memory::os::release(base_, total_bytes_);
}

}  // namespace rotor::runtime
