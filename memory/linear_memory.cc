#include "memory/linear_memory.h"

#include <algorithm>
#include <cassert>

namespace rotor::memory {

Result<std::unique_ptr<LinearMemory>> LinearMemory::create(uint64_t min_bytes, uint64_t max_bytes,
                                                           uint64_t reserved_bytes, Kind kind) {
  assert(min_bytes <= max_bytes && max_bytes <= reserved_bytes);
  assert(reserved_bytes % os::page_bytes() == 0);
  std::unique_ptr<LinearMemory> memory(new LinearMemory);
  if (reserved_bytes != 0) {
    ROTOR_TRY(memory->base_, os::reserve(reserved_bytes, Image::kMappings));
  }
  memory->reserved_bytes_ = reserved_bytes;
  memory->max_bytes_ = max_bytes;
  memory->kind_ = kind;
  const uint64_t accessible = os::round_up_to_page(min_bytes);
  if (kind == Kind::imageable) {
    ROTOR_TRY(memory->file_, os::MemoryFile::create(accessible));
    ROTOR_CHECK(os::map_shared(memory->base_, accessible, *memory->file_, 0));
    memory->forks_.emplace(static_cast<ForkHooks&>(*memory), Rank::module);
  } else {
    ROTOR_CHECK(os::commit(memory->base_, accessible));
  }
  memory->own_size_.store(min_bytes, std::memory_order_release);
  return memory;
}

Result<std::unique_ptr<LinearMemory>> LinearMemory::of_image(std::shared_ptr<const Image> image, uint64_t max_bytes,
                                                             uint64_t reserved_bytes) {
  assert(image->size_bytes() <= max_bytes && max_bytes <= reserved_bytes);
  std::unique_ptr<LinearMemory> memory;
  if (uint8_t* base = image->slots().take(reserved_bytes)) {
    memory.reset(new LinearMemory);
    memory->base_ = base;
    memory->reserved_bytes_ = reserved_bytes;
    memory->max_bytes_ = max_bytes;
    memory->own_size_.store(image->size_bytes(), std::memory_order_release);
    memory->image_ = std::move(image);
  } else {
    ROTOR_TRY(memory, create(0, max_bytes, reserved_bytes));
    ROTOR_CHECK(memory->restore(std::move(image)));
  }
  return memory;
}

LinearMemory::~LinearMemory() {
  if (!base_) return;
  // If there is a file, it is mapped in place of the image, and the slots can't take the reservation.
  if (image_ && !file_ && image_->slots().give(*image_, base_, reserved_bytes_, accessible_bytes())) return;
  os::release(base_, reserved_bytes_, Image::kMappings);
}

uint64_t LinearMemory::grow(uint64_t delta_bytes) {
  std::lock_guard lock(grow_mutex_);
  uint64_t old_bytes = size_bytes_->load(std::memory_order_relaxed);
  assert(old_bytes <= max_bytes_);
  if (delta_bytes > max_bytes_ - old_bytes) return UINT64_MAX;
  // [begin, end) are the system's pages that become accessible; none, if the last one has room.
  const uint64_t begin = os::round_up_to_page(old_bytes), end = os::round_up_to_page(old_bytes + delta_bytes);
  if (file_) {
    // After a failure the file may be longer than the memory; it is zero there, which does no harm.
    if (!file_->resize(std::max(file_->size_bytes(), end))) return UINT64_MAX;
    if (!os::map_shared(base_ + begin, end - begin, *file_, begin)) return UINT64_MAX;
  } else if (!os::commit(base_ + begin, end - begin)) {
    return UINT64_MAX;
  }
  size_bytes_->store(old_bytes + delta_bytes, std::memory_order_release);
  return old_bytes;
}

void LinearMemory::attach_size(std::atomic<uint64_t>* size) {
  std::lock_guard lock(grow_mutex_);
  size->store(size_bytes_->load(std::memory_order_relaxed), std::memory_order_release);
  size_bytes_ = size;
}

/// Seals the memory. Another mapping of the same bytes replaces the shared one at once: threads that access them
/// meanwhile find one or the other, and what they write to the file is seen through both.
void LinearMemory::before_fork() {
  grow_mutex_.lock();
  if (file_) (void)seal_in_place();
}

void LinearMemory::after_fork_in_child() {
  // The file could not be sealed, and belongs to the parent.
  if (file_) (void)lose(Error(ErrorKind::stale_handle, "a fork"));
}

Result<void> LinearMemory::lose(Error why) {
  uint64_t size = os::round_up_to_page(size_bytes_->exchange(0));
  // Taking away access is all that can be done. If it fails, a guest of a memory of no bytes could still reach these
  // pages, but they are no one else's.
  (void)os::decommit(base_, size);
  file_.reset();
  image_.reset();
  return fail(ErrorKind::stale_handle, std::move(why).message);
}

Result<void> LinearMemory::failed(Error why) {
  if (why.kind == ErrorKind::stale_handle) return lose(std::move(why));
  return std::unexpected(std::move(why));
}

Result<std::shared_ptr<const Image>> LinearMemory::seal_image() {
  std::lock_guard lock(grow_mutex_);
  if (file_) return seal_in_place();
  return copy_to_image();
}

Result<std::shared_ptr<const Image>> LinearMemory::seal_in_place() {
  uint64_t size = accessible_bytes();
  if (file_->size_bytes() != size) ROTOR_CHECK(file_->resize(size));
  // Sealing needs that no shared mapping is left.
  if (auto mapped = os::map_private(base_, size, *file_, 0); !mapped) {
    ROTOR_CHECK(failed(std::move(mapped).error()));
  }
  auto image = Image::seal(*file_, size_bytes());
  if (image) {
    file_.reset();
    image_ = *image;
    return image;
  }
  // Sealing failed: the shared mapping is restored. If that fails, too, the state of the mapping is unknown, and the
  // memory is lost.
  if (auto mapped = os::map_shared(base_, size, *file_, 0); !mapped) ROTOR_CHECK(lose(std::move(mapped).error()));
  return image;
}

Result<std::shared_ptr<const Image>> LinearMemory::copy_to_image() const {
  uint64_t size = accessible_bytes();
  ROTOR_TRY(auto file, os::MemoryFile::create(size));
  uint64_t at = 0;
  // Copies what the image holds or the guest has written over it, then what was written elsewhere.
  while (image_ && at < image_->mapped_bytes()) {
    ROTOR_TRY(auto range, image_->next_data(at));
    ROTOR_CHECK(copy_written(at, range.begin, file));
    ROTOR_CHECK(file.write_nonzero(range.begin, {base_ + range.begin, range.end - range.begin}));
    at = range.end;
  }
  ROTOR_CHECK(copy_written(at, size, file));
  return Image::seal(file, size_bytes());
}

Result<void> LinearMemory::copy_written(uint64_t begin, uint64_t end, os::MemoryFile& file) const {
  const uint64_t page = os::page_bytes();
  constexpr size_t kPages = 4096;  // at a time
  bool written[kPages];
  for (uint64_t at = begin; at < end;) {
    size_t count = std::min<uint64_t>(kPages, (end - at) / page);
    os::find_private_pages(base_ + at, {written, count});
    for (size_t first = 0; first < count;) {
      if (!written[first]) {
        ++first;
        continue;
      }
      size_t last = first;
      while (last < count && written[last]) ++last;
      uint64_t offset = at + first * page;
      ROTOR_CHECK(file.write_nonzero(offset, {base_ + offset, (last - first) * page}));
      first = last;
    }
    at += count * page;
  }
  return {};
}

Result<void> LinearMemory::cut(uint64_t new_bytes) {
  const uint64_t old_end = accessible_bytes(), new_end = os::round_up_to_page(new_bytes);
  if (old_end > new_end) {
    // The contents below `new_bytes` have been replaced already: there is no way back.
    if (auto cut_off = os::decommit(base_ + new_end, old_end - new_end); !cut_off)
      return lose(std::move(cut_off).error());
  }
  size_bytes_->store(new_bytes, std::memory_order_release);
  return {};
}

Result<void> LinearMemory::restore(std::shared_ptr<const Image> image) {
  assert(image->size_bytes() <= max_bytes_);
  std::lock_guard lock(grow_mutex_);
  if (kind_ == Kind::imageable) return restore_copy(*image);
  if (auto mapped = image->map(base_); !mapped) return failed(std::move(mapped).error());
  ROTOR_CHECK(cut(image->size_bytes()));
  image_ = std::move(image);
  return {};
}

Result<void> LinearMemory::restore_copy(const Image& image) {
  ROTOR_TRY(auto file, os::MemoryFile::create(image.mapped_bytes()));
  ROTOR_CHECK(
      image.visit([&](uint64_t offset, std::span<const uint8_t> pages) { return file.write_nonzero(offset, pages); }));
  if (auto mapped = os::map_shared(base_, image.mapped_bytes(), file, 0); !mapped)
    return failed(std::move(mapped).error());
  ROTOR_CHECK(cut(image.size_bytes()));
  file_ = std::move(file);
  image_.reset();
  return {};
}

}  // namespace rotor::memory
