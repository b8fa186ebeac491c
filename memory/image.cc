#include "memory/image.h"

#include <algorithm>
#include <cassert>

namespace rotor::memory {

Result<std::shared_ptr<const Image>> Image::seal(os::MemoryFile& file, uint64_t size_bytes,
                                                 std::shared_ptr<WrittenPages> written) {
  return seal_over(nullptr, file, size_bytes, {}, std::move(written));
}

Result<std::shared_ptr<const Image>> Image::seal_over(std::shared_ptr<const Image> base, os::MemoryFile& file,
                                                      uint64_t size_bytes, std::vector<Range> patches,
                                                      std::shared_ptr<WrittenPages> written) {
  assert(file.size_bytes() == os::round_up_to_page(size_bytes));
  assert(!base || (!base->base_ && base->mapped_bytes() <= file.size_bytes()));
  ROTOR_CHECK(file.seal());
  return std::shared_ptr<const Image>(
      new Image(std::move(file), size_bytes, std::move(base), std::move(patches), std::move(written)));
}

Image::~Image() {
  if (const uint8_t* view = view_.load()) os::release(const_cast<uint8_t*>(view), mapped_bytes(), view_mappings());
}

uint64_t Image::resident_bytes() const { return file_.allocated_bytes() + (base_ ? base_->resident_bytes() : 0); }

Result<void> Image::map(uint8_t* address) const {
  if (!base_) return os::map_private(address, mapped_bytes(), file_, 0);
  ROTOR_CHECK(base_->map(address));
  for (const Range& patch : patches_) {
    auto mapped = os::map_private(address + patch.begin, patch.end - patch.begin, file_, patch.begin);
    if (mapped) continue;
    // What was there is gone, and what is there now is no image.
    (void)os::decommit(address, mapped_bytes());
    return fail(ErrorKind::stale_handle, std::move(mapped).error().message);
  }
  return {};
}

Result<void> Image::place(uint8_t* base, uint64_t accessible_bytes) const {
  assert(mapped_bytes() <= accessible_bytes);
  ROTOR_CHECK(map(base));
  return os::commit(base + mapped_bytes(), accessible_bytes - mapped_bytes());
}

Result<std::span<const uint8_t>> Image::map_view() const {
  if (!base_) return os::map_file(file_);
  ROTOR_TRY(uint8_t* address, os::reserve(mapped_bytes(), mappings()));
  auto mapped = map(address);
  if (mapped) mapped = os::protect_read(address, mapped_bytes());
  if (mapped) return std::span<const uint8_t>(address, mapped_bytes());
  os::release(address, mapped_bytes(), mappings());
  return fail(ErrorKind::io, std::move(mapped).error().message);
}

Result<std::span<const uint8_t>> Image::view() const {
  const uint8_t* view = view_.load(std::memory_order_acquire);
  if (!view && mapped_bytes() != 0) {
    ROTOR_TRY(std::span<const uint8_t> mapped, map_view());
    // Of two threads that come first at once, one gives its mapping back.
    if (view_.compare_exchange_strong(view, mapped.data(), std::memory_order_acq_rel))
      view = mapped.data();
    else
      os::release(const_cast<uint8_t*>(mapped.data()), mapped.size(), view_mappings());
  }
  return std::span(view, mapped_bytes());
}

Result<Image::Range> Image::next_data(uint64_t offset) const {
  if (!base_) return file_.next_data(offset);
  const auto ends_behind = [](uint64_t at, const Range& patch) { return at < patch.end; };
  auto patch = std::upper_bound(patches_.begin(), patches_.end(), offset, ends_behind);
  while (offset < mapped_bytes()) {
    const bool is_patched = patch != patches_.end() && patch->begin <= offset;
    const uint64_t end = is_patched ? patch->end : patch != patches_.end() ? patch->begin : mapped_bytes();
    ROTOR_TRY(Range data, (is_patched ? file_ : base_->file_).next_data(offset));
    if (data.begin < std::min(data.end, end)) return Range{data.begin, std::min(data.end, end)};
    offset = end;
    if (is_patched) ++patch;
  }
  return Range{mapped_bytes(), mapped_bytes()};
}

Result<void> Image::visit(const std::function<Result<void>(uint64_t, std::span<const uint8_t>)>& see) const {
  ROTOR_TRY(std::span<const uint8_t> view, this->view());
  for (uint64_t at = 0; at < mapped_bytes();) {
    ROTOR_TRY(Range range, next_data(at));
    if (range.begin == range.end) break;
    ROTOR_CHECK(see(range.begin, view.subspan(range.begin, range.end - range.begin)));
    at = range.end;
  }
  return {};
}

void Image::fault_in(const void* address) const {
  const auto* base = static_cast<const uint8_t*>(address);
  uint64_t left = kFaultInBytes;
  // Parts that were never written are skipped: a read of one would give the file a page of zeroes.
  for (uint64_t at = 0; at < mapped_bytes() && left > 0;) {
    auto range = next_data(at);
    if (!range || range->begin == range->end) return;
    const uint64_t bytes = std::min(range->end - range->begin, left);
    os::fault_in(base + range->begin, bytes);
    left -= bytes;
    at = range->end;
  }
}

void Image::prepare() const {
  if (base_) return base_->prepare();
  constexpr uint64_t kHuge = os::kHugePageBytes;
  if (mapped_bytes() < kHuge || prepared_.exchange(true)) return;
  auto view = this->view();
  if (!view) return;
  for (uint64_t at = 0; at < mapped_bytes();) {
    auto range = file_.next_data(at);
    if (!range || range->begin == range->end) return;
    uint64_t begin = (range->begin + kHuge - 1) / kHuge * kHuge;
    uint64_t end = range->end / kHuge * kHuge;
    if (begin < end) os::gather_huge_pages(view->data() + begin, end - begin);
    at = range->end;
  }
}

}  // namespace rotor::memory
