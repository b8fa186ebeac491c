// An image: what a linear memory held at one time, sealed, to be mapped copy-on-write any number of times.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "memory/os.h"
#include "memory/slot_pool.h"
#include "rotor/result.h"

namespace rotor::memory {

/// Immutable; shared by whoever maps it or may still do so. It is whole, or lies over another one, its base, which is
/// whole: then its own file holds some ranges of pages, the patches, and all other pages are the base's.
class Image final : public SlotContents {
 public:
  using Range = os::Range;
  /// Takes over a file that has `size_bytes`, rounded up to the system's page, and is zero behind them. Pre: no shared
  /// mapping of it is left. `written`: of the memory that it was taken of; null: nothing is known. Errors: io (the file
  /// is as it was).
  static Result<std::shared_ptr<const Image>> seal(os::MemoryFile& file, uint64_t size_bytes,
                                                   std::shared_ptr<WrittenPages> written = nullptr);
  /// Does the same for a file that holds the patches of an image over `base`, at their places. Pre: the base is whole
  /// and no larger; patches are not empty, in whole pages, in order and apart from each other, and hold all that lies
  /// behind the base.
  static Result<std::shared_ptr<const Image>> seal_over(std::shared_ptr<const Image> base, os::MemoryFile& file,
                                                        uint64_t size_bytes, std::vector<Range> patches,
                                                        std::shared_ptr<WrittenPages> written = nullptr);
  Image(const Image&) = delete;

  ~Image() override;

  /// Returns the size of the memory, in bytes.
  uint64_t size_bytes() const override { return size_bytes_; }
  const Image* image() const override { return this; }
  Result<void> place(uint8_t* base, uint64_t accessible_bytes) const override;
  Result<std::span<const uint8_t>> view() const override;
  void replace(uint8_t* base) const override { fault_in(base); }
  /// Gathers pages into huge ones where all of a huge page was written, so that it costs no memory. A first read from
  /// an instance then maps 2 MiB: reading 16 scattered pages takes 11 us instead of 44, and unmapping what was so
  /// mapped 15 us instead of 46 (32 MiB of data; the huge pages are made in 10 ms).
  void prepare() const override;
  /// Returns the bytes that are mapped: size_bytes() in whole pages of the system.
  uint64_t mapped_bytes() const { return file_.size_bytes(); }
  /// Returns the bytes that the system holds for it, its base among them.
  uint64_t resident_bytes() const;
  /// Returns what it lies over; null if it is whole.
  const std::shared_ptr<const Image>& base() const { return base_; }
  std::span<const Range> patches() const { return patches_; }
  uint32_t mappings() const override { return kMappings + 2 * static_cast<uint32_t>(patches_.size()); }
  /// Maps the image at `address`, copy-on-write. Errors: those of os::map_private.
  Result<void> map(uint8_t* address) const;
  /// Fills the page tables for the image that is mapped at `address`, kFaultInBytes of it at most, so that a first read
  /// takes no fault. (A huge page takes 1.4 us, on its first read or here.)
  void fault_in(const void* address) const;
  static constexpr uint64_t kFaultInBytes = uint64_t{256} << 20;
  /// Calls `see` with the offset and contents of every range that was written, in whole pages and in order. Errors: io,
  /// those of `see`.
  Result<void> visit(const std::function<Result<void>(uint64_t, std::span<const uint8_t>)>& see) const;
  /// Returns the first such range at or behind `offset`, without its contents; an empty one at the end if there is
  /// none.
  Result<Range> next_data(uint64_t offset) const;

 private:
  Image(os::MemoryFile file, uint64_t size_bytes, std::shared_ptr<const Image> base, std::vector<Range> patches,
        std::shared_ptr<WrittenPages> written)
      : SlotContents(written ? std::move(written) : std::make_shared<WrittenPages>()),
        file_(std::move(file)),
        size_bytes_(size_bytes),
        base_(std::move(base)),
        patches_(std::move(patches)) {}
  Result<std::span<const uint8_t>> map_view() const;
  /// Returns the mappings that a view is counted with.
  uint32_t view_mappings() const { return base_ ? mappings() : 1; }

  os::MemoryFile file_;
  uint64_t size_bytes_;
  std::shared_ptr<const Image> base_;
  std::vector<Range> patches_;
  mutable std::atomic<bool> prepared_{false};
  mutable std::atomic<const uint8_t*> view_{nullptr};  ///< a mapping, once there was a need for it
};

}  // namespace rotor::memory
