#include "memory/image.h"

#include <algorithm>
#include <cassert>

namespace rotor::memory {

namespace {

/// A mapping of a file for a scope.
class View {
 public:
  static Result<View> of(const os::MemoryFile& file) {
    ROTOR_TRY(auto bytes, os::map_file(file));
    return View(bytes);
  }
  View(View&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  View& operator=(View&&) = delete;
  ~View() {
    if (!bytes_.empty()) os::release(const_cast<uint8_t*>(bytes_.data()), bytes_.size(), 1);
  }
  std::span<const uint8_t> bytes() const { return bytes_; }

 private:
  explicit View(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  std::span<const uint8_t> bytes_;
};

}  // namespace

Result<std::shared_ptr<const Image>> Image::seal(os::MemoryFile& file, uint64_t size_bytes) {
  assert(file.size_bytes() == os::round_up_to_page(size_bytes));
  ROTOR_CHECK(file.seal());
  return std::shared_ptr<const Image>(new Image(std::move(file), size_bytes));
}

Image::~Image() {
  if (const uint8_t* view = view_.load()) os::release(const_cast<uint8_t*>(view), mapped_bytes(), 1);
}

Result<void> Image::place(uint8_t* base, uint64_t accessible_bytes) const {
  assert(mapped_bytes() <= accessible_bytes);
  ROTOR_CHECK(map(base));
  return os::commit(base + mapped_bytes(), accessible_bytes - mapped_bytes());
}

Result<std::span<const uint8_t>> Image::view() const {
  const uint8_t* view = view_.load(std::memory_order_acquire);
  if (!view && mapped_bytes() != 0) {
    ROTOR_TRY(std::span<const uint8_t> mapped, os::map_file(file_));
    // Of two threads that come first at once, one gives its mapping back.
    if (view_.compare_exchange_strong(view, mapped.data(), std::memory_order_acq_rel))
      view = mapped.data();
    else
      os::release(const_cast<uint8_t*>(mapped.data()), mapped.size(), 1);
  }
  return std::span(view, mapped_bytes());
}

Result<void> Image::visit(const std::function<Result<void>(uint64_t, std::span<const uint8_t>)>& see) const {
  ROTOR_TRY(View view, View::of(file_));
  for (uint64_t at = 0; at < mapped_bytes();) {
    ROTOR_TRY(auto range, file_.next_data(at));
    if (range.begin == range.end) break;
    ROTOR_CHECK(see(range.begin, view.bytes().subspan(range.begin, range.end - range.begin)));
    at = range.end;
  }
  return {};
}

void Image::fault_in(const void* address) const {
  const auto* base = static_cast<const uint8_t*>(address);
  uint64_t left = kFaultInBytes;
  // Parts that were never written are skipped: a read of one would give the file a page of zeroes.
  for (uint64_t at = 0; at < mapped_bytes() && left > 0;) {
    auto range = file_.next_data(at);
    if (!range || range->begin == range->end) return;
    const uint64_t bytes = std::min(range->end - range->begin, left);
    os::fault_in(base + range->begin, bytes);
    left -= bytes;
    at = range->end;
  }
}

void Image::prepare() const {
  constexpr uint64_t kHuge = os::kHugePageBytes;
  if (mapped_bytes() < kHuge || prepared_.exchange(true)) return;
  auto view = View::of(file_);
  if (!view) return;
  for (uint64_t at = 0; at < mapped_bytes();) {
    auto range = file_.next_data(at);
    if (!range || range->begin == range->end) return;
    uint64_t begin = (range->begin + kHuge - 1) / kHuge * kHuge;
    uint64_t end = range->end / kHuge * kHuge;
    if (begin < end) os::gather_huge_pages(view->bytes().data() + begin, end - begin);
    at = range->end;
  }
}

}  // namespace rotor::memory
