// A linear memory's address space: reserved whole, so that it never moves; committed as it grows.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "memory/fork.h"
#include "memory/image.h"
#include "memory/os.h"
#include "rotor/result.h"

namespace rotor::memory {

/// [base, base + reserved): the first size_bytes(), rounded up to the system's page, are accessible, the rest faults.
/// The bytes between size_bytes() and that rounded size belong to nobody until the memory grows over them: whoever
/// accesses the memory must compare with the size. In a slab nothing faults, and each access must be compared.
/// Thread-safe: several threads may grow it and read its size at once (memories that threads share).
///
/// From the base up lie an image, mapped copy-on-write, if it was sealed or restored, and then anonymous pages. A
/// memory that is imageable and not sealed is a shared mapping of its own file instead. A fork seals it, even while
/// threads access it: parent and child must not share it.
class LinearMemory final : ForkHooks {
 public:
  enum class Kind : uint8_t { plain, imageable };

  /// Pre: min_bytes <= max_bytes <= reserved_bytes, which is a multiple of the system's page. Errors: io (no address
  /// space or memory).
  static Result<std::unique_ptr<LinearMemory>> create(uint64_t min_bytes, uint64_t max_bytes, uint64_t reserved_bytes,
                                                      Kind kind = Kind::plain);
  /// Makes a memory that begins with `contents`, on a slot of theirs if one is ready. Pre: as of create; the contents
  /// are of at most `size_bytes`. In a slab the contents are copied, at most Slab::kMostPartBytes are reserved, and no
  /// image is ever restored. Errors: io.
  static Result<std::unique_ptr<LinearMemory>> of(std::shared_ptr<const SlotContents> contents, uint64_t size_bytes,
                                                  uint64_t max_bytes, uint64_t reserved_bytes,
                                                  Place place = Place::reservation);
  /// Gives its address space to the slots of the contents that it was made of, or back to the system.
  ~LinearMemory();
  /// Says that it was neither written to nor grown since it was made, so that there is nothing to make clean when it is
  /// destroyed, which comes next.
  void note_untouched() { use_ = SlotPool::Use::untouched; }
  LinearMemory(const LinearMemory&) = delete;

  uint8_t* base() const { return slot_.base; }
  uint64_t size_bytes() const { return size_bytes_->load(std::memory_order_acquire); }
  uint64_t max_bytes() const { return max_bytes_; }
  uint64_t reserved_bytes() const { return slot_.reserved_bytes; }
  /// Grows by `delta_bytes`. Returns the old size in bytes, or UINT64_MAX if max_bytes or the system forbids. Post: new
  /// bytes are zero. The size that compiled code reads (attach_size) is stored after the commit, so a thread that sees
  /// the new size can use the bytes.
  uint64_t grow(uint64_t delta_bytes);
  /// Keeps the size in `*size` from now on (the field of code::MemoryDef that compiled code reads).
  void attach_size(std::atomic<uint64_t>* size);
  /// Returns whether `address` lies in the reservation: a fault there is the guest's.
  bool contains(uintptr_t address) const {
    return address - reinterpret_cast<uintptr_t>(slot_.base) < slot_.reserved_bytes;
  }

  // Pre for these: nobody accesses the memory meanwhile.
  // Errors: io: size and contents are as they were; stale_handle: they are lost, and it has no bytes from now on.

  /// What an image that is not made in place is a copy of: all that is not zero, or only what differs from the image
  /// that the memory began with, if that is clearly less, and lies over that (at most kMostPatches).
  enum class Copy : uint8_t { whole, changes };
  static constexpr size_t kMostPatches = 1024;
  /// Returns an image of what the memory holds. An imageable memory is sealed as it is, the first time only, and goes
  /// on as a private mapping of the image; else it is copied. Pages that were never written are not read.
  Result<std::shared_ptr<const Image>> seal_image(Copy copy = Copy::whole);
  /// Takes on an image's size and contents, copy-on-write; an imageable memory takes a copy of it, so that it can be
  /// sealed. Pre: the image is of at most max_bytes. Errors: limit, too: as io.
  Result<void> restore(std::shared_ptr<const Image> image);

 private:
  LinearMemory() = default;
  uint64_t accessible_bytes() const { return os::round_up_to_page(size_bytes()); }
  /// Returns the image that is mapped from the base on; nullptr if there is none.
  const Image* image() const { return contents_ ? contents_->image() : nullptr; }
  /// Has the memory consist of an image, which is mapped from the base on, and of nothing else.
  void consist_of(std::shared_ptr<const Image> image);
  Result<std::shared_ptr<const Image>> seal_in_place();
  Result<std::shared_ptr<const Image>> copy_to_image() const;
  /// Copies only what differs from a whole image that the memory lies on. Returns null where that is not known or not
  /// clearly less than all.
  Result<std::shared_ptr<const Image>> copy_changes() const;
  /// Returns the ranges of [begin, end) that were written, in order; nullopt if the system doesn't say it.
  std::optional<std::vector<os::Range>> written(uint64_t begin, uint64_t end) const;
  /// Returns what differs from the contents, or all that was written, as far as that can be told. A slot may have been
  /// taken with pages of its own, which count as written.
  std::optional<std::vector<os::Range>> changed() const;
  /// Returns what an image of this memory knows of the pages that are written: what this one's contents know, if
  /// somebody asks for it; else null.
  std::shared_ptr<WrittenPages> heirloom() const;
  /// Copies the parts of [begin, end) that may have been written into `file`.
  Result<void> copy_written(uint64_t begin, uint64_t end, os::MemoryFile& file) const;
  Result<void> restore_copy(const Image& image);
  /// Takes access away from what lies above the first `new_bytes`, and stores them as the size.
  Result<void> cut(uint64_t new_bytes);
  Result<void> lose(Error why);
  /// Returns the error of a mapping over some of the memory's bytes; if it says that those are lost, the memory is.
  Result<void> failed(Error why);

  void before_fork() override;
  void after_fork_in_parent() override { grow_mutex_.unlock(); }
  void after_fork_in_child() override;

  Slot slot_;
  SlotPool::Use use_ = SlotPool::Use::written;
  uint64_t max_bytes_ = 0;
  Kind kind_ = Kind::plain;
  std::optional<os::MemoryFile> file_;            ///< mapped shared: imageable and not sealed
  std::shared_ptr<const SlotContents> contents_;  ///< that the slot was made of
  std::atomic<uint64_t> own_size_{0};
  std::atomic<uint64_t>* size_bytes_ = &own_size_;
  ForkMutex grow_mutex_;
  std::optional<ForkRegistration> forks_;  ///< if it is imageable
};

}  // namespace rotor::memory
