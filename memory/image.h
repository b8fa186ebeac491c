// An image: what a linear memory held at one time, sealed, to be mapped copy-on-write any number of times.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "memory/os.h"
#include "memory/slot_pool.h"
#include "rotor/result.h"

namespace rotor::memory {

/// Immutable; shared by whoever maps it or may still do so.
class Image final : public SlotContents {
 public:
  /// Takes over a file that has `size_bytes`, rounded up to the system's page, and is zero behind them. Pre: no shared
  /// mapping of it is left. Errors: io (the file is as it was).
  static Result<std::shared_ptr<const Image>> seal(os::MemoryFile& file, uint64_t size_bytes);
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
  /// Returns the bytes that the system holds for it.
  uint64_t resident_bytes() const { return file_.allocated_bytes(); }
  /// Maps the image at `address`, copy-on-write. Errors: those of os::map_private.
  Result<void> map(void* address) const { return os::map_private(address, mapped_bytes(), file_, 0); }
  /// Fills the page tables for the image that is mapped at `address`, kFaultInBytes of it at most, so that a first read
  /// takes no fault. (A huge page takes 1.4 us, on its first read or here.)
  void fault_in(const void* address) const;
  static constexpr uint64_t kFaultInBytes = uint64_t{256} << 20;
  /// Calls `see` with the offset and contents of every range that was written, in whole pages and in order. Errors: io,
  /// those of `see`.
  Result<void> visit(const std::function<Result<void>(uint64_t, std::span<const uint8_t>)>& see) const;
  /// Returns the first such range at or behind `offset`, without its contents.
  Result<os::MemoryFile::Range> next_data(uint64_t offset) const { return file_.next_data(offset); }

 private:
  Image(os::MemoryFile file, uint64_t size_bytes) : file_(std::move(file)), size_bytes_(size_bytes) {}

  os::MemoryFile file_;
  uint64_t size_bytes_;
  mutable std::atomic<bool> prepared_{false};
  mutable std::atomic<const uint8_t*> view_{nullptr};  ///< a mapping, once there was a need for it
};

}  // namespace rotor::memory
