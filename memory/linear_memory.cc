#include "memory/linear_memory.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace rotor::memory {

Result<std::unique_ptr<LinearMemory>> LinearMemory::create(uint64_t min_bytes, uint64_t max_bytes,
                                                           uint64_t reserved_bytes, Kind kind) {
  assert(min_bytes <= max_bytes && max_bytes <= reserved_bytes);
  assert(reserved_bytes % os::page_bytes() == 0);
  std::unique_ptr<LinearMemory> memory(new LinearMemory);
  if (reserved_bytes != 0) {
    ROTOR_TRY(memory->slot_.base, os::reserve(reserved_bytes, Image::kMappings));
    memory->slot_.mappings = Image::kMappings;
  }
  memory->slot_.reserved_bytes = reserved_bytes;
  memory->max_bytes_ = max_bytes;
  memory->kind_ = kind;
  const uint64_t accessible = os::round_up_to_page(min_bytes);
  if (kind == Kind::imageable) {
    ROTOR_TRY(memory->file_, os::MemoryFile::create(accessible));
    ROTOR_CHECK(os::map_shared(memory->slot_.base, accessible, *memory->file_, 0));
    memory->forks_.emplace(static_cast<ForkHooks&>(*memory), Rank::module);
  } else {
    ROTOR_CHECK(os::commit(memory->slot_.base, accessible));
  }
  memory->own_size_.store(min_bytes, std::memory_order_release);
  return memory;
}

Result<std::unique_ptr<LinearMemory>> LinearMemory::of(std::shared_ptr<const SlotContents> contents,
                                                       uint64_t size_bytes, uint64_t max_bytes, uint64_t reserved_bytes,
                                                       Place place) {
  assert(contents->size_bytes() <= size_bytes && size_bytes <= max_bytes && max_bytes <= reserved_bytes);
  std::unique_ptr<LinearMemory> memory(new LinearMemory);
  ROTOR_TRY(memory->slot_, contents->slots().take(*contents, os::round_up_to_page(size_bytes), reserved_bytes, place));
  memory->max_bytes_ = max_bytes;
  memory->own_size_.store(size_bytes, std::memory_order_release);
  memory->contents_ = std::move(contents);
  return memory;
}

LinearMemory::~LinearMemory() {
  if (!slot_.base) return;
  // If there is a file, it is mapped in place of the contents, and the slots can't take the reservation.
  if (contents_ && !file_)
    contents_->slots().give(*contents_, slot_, accessible_bytes(), use_);
  else
    slot_.release();
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
    if (!os::map_shared(slot_.base + begin, end - begin, *file_, begin)) return UINT64_MAX;
  } else if (!slot_.slab && !os::commit(slot_.base + begin, end - begin)) {
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
  (void)os::decommit(slot_.base, size);
  file_.reset();
  contents_.reset();
  return fail(ErrorKind::stale_handle, std::move(why).message);
}

Result<void> LinearMemory::failed(Error why) {
  if (why.kind == ErrorKind::stale_handle) return lose(std::move(why));
  return std::unexpected(std::move(why));
}

Result<std::shared_ptr<const Image>> LinearMemory::seal_image(Copy copy) {
  std::lock_guard lock(grow_mutex_);
  if (file_) return seal_in_place();
  if (copy == Copy::changes) {
    ROTOR_TRY(auto image, copy_changes());
    if (image) return image;
  }
  return copy_to_image();
}

Result<std::shared_ptr<const Image>> LinearMemory::seal_in_place() {
  uint64_t size = accessible_bytes();
  if (file_->size_bytes() != size) ROTOR_CHECK(file_->resize(size));
  // Sealing needs that no shared mapping is left.
  if (auto mapped = os::map_private(slot_.base, size, *file_, 0); !mapped) {
    ROTOR_CHECK(failed(std::move(mapped).error()));
  }
  auto image = Image::seal(*file_, size_bytes());
  if (image) {
    file_.reset();
    consist_of(*image);
    return image;
  }
  // Sealing failed: the shared mapping is restored. If that fails, too, the state of the mapping is unknown, and the
  // memory is lost.
  if (auto mapped = os::map_shared(slot_.base, size, *file_, 0); !mapped) ROTOR_CHECK(lose(std::move(mapped).error()));
  return image;
}

Result<std::shared_ptr<const Image>> LinearMemory::copy_to_image() const {
  uint64_t size = accessible_bytes();
  ROTOR_TRY(auto file, os::MemoryFile::create(size));
  uint64_t at = 0;
  // Copies what the image holds or the guest has written over it, then what was written elsewhere.
  const Image* below = image();
  while (below && at < below->mapped_bytes()) {
    ROTOR_TRY(auto range, below->next_data(at));
    ROTOR_CHECK(copy_written(at, range.begin, file));
    ROTOR_CHECK(file.write_nonzero(range.begin, {slot_.base + range.begin, range.end - range.begin}));
    at = range.end;
  }
  ROTOR_CHECK(copy_written(at, size, file));
  return Image::seal(file, size_bytes(), heirloom());
}

std::shared_ptr<WrittenPages> LinearMemory::heirloom() const {
  if (!contents_ || !contents_->written_pages() || !contents_->written_pages()->wanted()) return nullptr;
  return contents_->written_pages();
}

Result<void> LinearMemory::copy_written(uint64_t begin, uint64_t end, os::MemoryFile& file) const {
  const auto ranges = written(begin, end);
  // Without an answer all is copied that is not zero.
  if (!ranges) return file.write_nonzero(begin, {slot_.base + begin, end - begin});
  for (const os::Range& range : *ranges)
    ROTOR_CHECK(file.write_nonzero(range.begin, {slot_.base + range.begin, range.end - range.begin}));
  return {};
}

std::optional<std::vector<os::Range>> LinearMemory::written(uint64_t begin, uint64_t end) const {
  std::vector<os::Range> all;
  auto add = [&](os::Range range) {
    append(all, range);
    return true;
  };
  if (!visit_written(slot_.base, {begin, end}, os::Search::any, add)) return std::nullopt;
  return all;
}

namespace {

/// Joins ranges where they touch or what lies between is short, and as many more as it takes that no more than `most`
/// are left, those with the least between them. Pre: they are sorted by their begins; most > 0.
std::vector<os::Range> join(const std::vector<os::Range>& ranges, size_t most) {
  // A page is copied in a third of the time that a mapping takes. The mappings are made while callers wait, too, where
  // a memory is imported: 505 single pages of SQLite's 5.7 MB made a rewind take 2 ms instead of 0.1.
  constexpr uint64_t kShortBytes = 16 << 10;
  std::vector<os::Range> apart;
  for (const os::Range& range : ranges) {
    if (!apart.empty() && range.begin <= apart.back().end + kShortBytes)
      apart.back().end = std::max(apart.back().end, range.end);
    else
      apart.push_back(range);
  }
  if (apart.size() <= most) return apart;
  std::vector<std::pair<uint64_t, size_t>> gaps;  // the bytes before a range, and its number
  for (size_t i = 1; i < apart.size(); ++i) gaps.emplace_back(apart[i].begin - apart[i - 1].end, i);
  std::ranges::nth_element(gaps, gaps.begin() + static_cast<ptrdiff_t>(most - 1), std::greater());
  gaps.resize(most - 1);
  std::ranges::sort(gaps, {}, &std::pair<uint64_t, size_t>::second);
  std::vector<os::Range> joined;
  size_t first = 0;
  for (const auto& [bytes, next] : gaps) {
    joined.push_back({apart[first].begin, apart[next - 1].end});
    first = next;
  }
  joined.push_back({apart[first].begin, apart.back().end});
  return joined;
}

}  // namespace

std::optional<std::vector<os::Range>> LinearMemory::changed() const {
  auto written = this->written(0, accessible_bytes());
  if (!written || slot_.resident_bytes == 0) return written;
  const auto contents = contents_->view();
  if (!contents) return written;
  std::vector<os::Range> changed;
  for (const os::Range& range : *written)
    for (uint64_t at = range.begin; at < range.end; at += os::page_bytes())
      if (std::memcmp(slot_.base + at, first_page(*contents, at), os::page_bytes()) != 0)
        append(changed, {at, at + os::page_bytes()});
  return changed;
}

Result<std::shared_ptr<const Image>> LinearMemory::copy_changes() const {
  if (!image()) return nullptr;
  std::shared_ptr<const Image> below(contents_, image());
  auto changes = changed();
  if (!changes) return nullptr;
  if (below->base()) {
    changes->insert(changes->end(), below->patches().begin(), below->patches().end());
    std::ranges::sort(*changes, {}, &os::Range::begin);
    below = below->base();
  }
  // What lies behind the image is one patch, whose file has holes where nothing was written.
  const uint64_t size = accessible_bytes(), image_end = below->mapped_bytes();
  assert(image_end <= size);
  std::vector<os::Range> in_image, behind;
  for (const os::Range& range : *changes) {
    if (range.begin < image_end) in_image.push_back({range.begin, std::min(range.end, image_end)});
    if (range.end > image_end) behind.push_back({std::max(range.begin, image_end), range.end});
  }
  std::vector<os::Range> patches = join(in_image, kMostPatches - 1);
  uint64_t copied = 0;
  for (const os::Range& patch : patches) copied += patch.end - patch.begin;
  if (copied > below->resident_bytes() / 2) return nullptr;
  ROTOR_TRY(auto file, os::MemoryFile::create(size));
  for (const auto& ranges : {patches, behind})
    for (const os::Range& range : ranges)
      ROTOR_CHECK(file.write_nonzero(range.begin, {slot_.base + range.begin, range.end - range.begin}));
  if (image_end < size) patches.push_back({image_end, size});
  return Image::seal_over(std::move(below), file, size_bytes(), std::move(patches), heirloom());
}

void LinearMemory::consist_of(std::shared_ptr<const Image> image) {
  slot_.accessible_bytes = image->mapped_bytes();
  slot_.resident_bytes = 0;
  slot_.of_pool = false;
  contents_ = std::move(image);
}

Result<void> LinearMemory::cut(uint64_t new_bytes) {
  const uint64_t old_end = accessible_bytes(), new_end = os::round_up_to_page(new_bytes);
  if (old_end > new_end) {
    // The contents below `new_bytes` have been replaced already: there is no way back.
    if (auto cut_off = os::decommit(slot_.base + new_end, old_end - new_end); !cut_off)
      return lose(std::move(cut_off).error());
  }
  size_bytes_->store(new_bytes, std::memory_order_release);
  return {};
}

Result<void> LinearMemory::restore(std::shared_ptr<const Image> image) {
  assert(image->size_bytes() <= max_bytes_ && !slot_.slab);
  std::lock_guard lock(grow_mutex_);
  if (kind_ == Kind::imageable) return restore_copy(*image);
  if (image->mappings() > slot_.mappings) {
    ROTOR_CHECK(os::add_mappings(image->mappings() - slot_.mappings));
    slot_.mappings = image->mappings();
  }
  if (auto mapped = image->map(slot_.base); !mapped) return failed(std::move(mapped).error());
  ROTOR_CHECK(cut(image->size_bytes()));
  consist_of(std::move(image));
  return {};
}

Result<void> LinearMemory::restore_copy(const Image& image) {
  ROTOR_TRY(auto file, os::MemoryFile::create(image.mapped_bytes()));
  ROTOR_CHECK(
      image.visit([&](uint64_t offset, std::span<const uint8_t> pages) { return file.write_nonzero(offset, pages); }));
  if (auto mapped = os::map_shared(slot_.base, image.mapped_bytes(), file, 0); !mapped)
    return failed(std::move(mapped).error());
  ROTOR_CHECK(cut(image.size_bytes()));
  file_ = std::move(file);
  contents_.reset();
  return {};
}

}  // namespace rotor::memory
