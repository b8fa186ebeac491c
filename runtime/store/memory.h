// Linear memories: address space, limits and waiters. Each is reference-counted; instances and the host's handles share
// it.
#pragma once

#include <atomic>
#include <memory>

#include "code/abi.h"
#include "memory/linear_memory.h"
#include "rotor/limits.h"
#include "rotor/memory.h"
#include "runtime/store/budget.h"
#include "runtime/store/wait_queue.h"

namespace rotor::runtime {

class MemoryImpl {
 public:
  /// Makes a memory that begins with `contents`, unless that is null, and has their size or the type's least size,
  /// whichever is larger. Its bytes are taken from `budget`, or from a budget of its own if that is null. `on_slab`:
  /// all code that will use it checks accesses for a memory on a slab, and it is put on one if `contents` are copied.
  /// Errors: limit, io, invalid_argument (no such type).
  static Result<std::shared_ptr<MemoryImpl>> create(const MemoryType& type, const MemoryLimits& limits,
                                                    std::shared_ptr<Budget> budget = nullptr,
                                                    std::shared_ptr<const memory::SlotContents> contents = nullptr,
                                                    bool on_slab = false);
  /// Returns the most bytes that a memory of that type can have under a limit.
  static uint64_t reach_bytes(const MemoryType& type, uint64_t limit_bytes);
  ~MemoryImpl();
  MemoryImpl(const MemoryImpl&) = delete;

  /// Runs `memory.grow`: returns the old size in pages, or UINT64_MAX if the growth is refused, which is counted.
  /// Thread-safe if the memory is shared. Errors: host (the callback threw; the growth is refused and counted).
  Result<uint64_t> grow(uint64_t delta_pages);

  code::MemoryDef* def() { return &def_; }
  uint8_t* base() const { return def_.base; }
  uint64_t size_bytes() const { return def_.size_bytes.load(std::memory_order_acquire); }
  /// Returns the smaller of the limit and the declared maximum. Other memories of the instance may leave less.
  uint64_t limit_bytes() const { return limit_bytes_; }
  /// Returns the bytes of address space that it takes, which depend on its type and limits alone.
  uint64_t reserved_bytes() const;
  /// Returns how code that uses it has to check accesses.
  code::MemoryCheck check() const { return on_slab_ ? code::MemoryCheck::slab : code::memory_check(type_); }
  uint64_t denied_growths() const { return denied_.load(std::memory_order_relaxed); }
  /// Returns its type, with the current size as the minimum.
  MemoryType type() const;
  bool contains(uintptr_t address) const { return space_->contains(address); }

  /// Returns a pointer to [address, address + size) if that lies in the memory now, else nullptr. No sum here wraps:
  /// both terms of a comparison are at most the size.
  uint8_t* range(uint64_t address, uint64_t size) const {
    uint64_t have = size_bytes();
    return size <= have && address <= have - size ? base() + address : nullptr;
  }

  /// Count the instances that have it, whether the host still holds them or their link group does.
  void add_user() { users_.fetch_add(1); }
  /// `may_have_written`: the instance's code may have written to it.
  void remove_user(bool may_have_written) {
    if (may_have_written) note_use();
    users_.fetch_sub(1);
  }
  uint32_t users() const { return users_.load(); }

  /// Notes that somebody may have written to it, or know its base: that stays what it is from now on.
  void note_use() {
    if (is_new_.load(std::memory_order_relaxed)) is_new_.store(false, std::memory_order_relaxed);
  }

  // Pre for these: no thread runs in an instance that has it. Errors: those of LinearMemory's functions; limit.
  Result<std::shared_ptr<const memory::Image>> seal_image(memory::LinearMemory::Copy copy);
  /// Takes on an image's size and contents. Where nobody knows the base yet but the one instance that is being made, it
  /// does so on a slot of the image's, and has another base.
  Result<void> restore(const std::shared_ptr<const memory::Image>& image);

  WaitQueue waiters;

 private:
  MemoryImpl(const MemoryType& type, const MemoryLimits& limits, bool on_slab)
      : type_(type), limits_(limits), on_slab_(on_slab), is_new_(!limits.imageable) {}
  /// Has `space` be its address space.
  void use_space(std::unique_ptr<memory::LinearMemory> space);
  /// Exchanges the address space for a slot of the image's. Returns false if somebody may know the base, or there is no
  /// slot; then it is as it was.
  bool take_slot(const std::shared_ptr<const memory::Image>& image);
  /// Takes what a memory of `pages` needs from the budget, except what it took before. Errors: limit.
  Result<void> charge(uint64_t pages);
  /// Gives back what was taken and is not needed. Pre: no other thread grows it.
  void settle();
  /// Takes `delta_bytes` from the budget and asks the callback. Returns false if the growth is refused, and nothing was
  /// taken. Errors: that of a callback that threw; nothing was taken then, either.
  Result<bool> charge_growth(uint64_t delta_bytes);

  code::MemoryDef def_{};
  std::unique_ptr<memory::LinearMemory> space_;
  MemoryType type_;
  MemoryLimits limits_;
  const bool on_slab_;
  std::shared_ptr<Budget> budget_;
  std::atomic<uint64_t> charged_bytes_{0};  ///< of the budget: its size, and what it is growing by
  uint64_t limit_bytes_ = 0;
  std::atomic<uint64_t> denied_{0};
  std::atomic<uint32_t> users_{0};
  std::atomic<bool> is_new_;  ///< no note_use yet
};

}  // namespace rotor::runtime
