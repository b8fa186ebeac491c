#include "memory/slot_pool.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstring>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "memory/fork.h"

namespace rotor::memory {

namespace {

void release(const Slot& slot) { os::release(slot.base, slot.reserved_bytes, slot.mappings); }

/// The pools that have kept a slot.
struct PoolList {
  std::mutex mutex;
  SlotPool* first = nullptr;
};
// It has no destructor: pools may be destroyed after static objects.
static_assert(std::is_trivially_destructible_v<PoolList>);
constinit PoolList g_pools;

/// The mappings of the slots that are kept in the process. Their number is limited.
constinit std::atomic<uint64_t> g_kept_mappings{0};
bool has_room_for(const Slot& slot) {
  return g_kept_mappings.load(std::memory_order_relaxed) + slot.mappings <= os::address_space_use().mappings_limit / 4;
}
/// Has slots, which were kept, count no longer.
void forget_kept(std::span<const Slot> slots) {
  uint64_t mappings = 0;
  for (const Slot& slot : slots) mappings += slot.mappings;
  g_kept_mappings.fetch_sub(mappings, std::memory_order_relaxed);
}

Result<Slot> make_slot(const SlotContents& contents, uint64_t accessible_bytes, uint64_t reserved_bytes) {
  Slot slot{.reserved_bytes = reserved_bytes,
            .accessible_bytes = accessible_bytes,
            .mappings = contents.mappings(),
            .of_pool = true};
  ROTOR_TRY(slot.base, os::reserve(reserved_bytes, slot.mappings));
  if (auto placed = contents.place(slot.base, accessible_bytes); !placed) {
    release(slot);
    return std::unexpected(std::move(placed).error());
  }
  return slot;
}

/// Gives all pages of a slot back, and puts its contents in place again (`ready`: with the page tables filled). Returns
/// false if that failed.
bool discard_all(const SlotContents& contents, Slot& slot, bool ready) {
  if (!os::discard(slot.base, slot.accessible_bytes)) return false;
  if (ready || !contents.image()) contents.replace(slot.base);
  slot.resident_bytes = contents.image() ? 0 : os::round_up_to_page(contents.size_bytes());
  slot.idle_cleanings = 0;
  slot.comparisons = 0;
  return true;
}

/// Makes pages hold what they should again.
struct PageCopier {
  std::span<const uint8_t> contents;
  uint8_t* base;
  /// Whether to have a page of its own where there is none: the system lends one page of zeroes to all that were never
  /// written, and to compare with that at many addresses in turn takes the processor longer than with as many pages.
  bool own = false;
  uint64_t restored_bytes = 0;

  void restore(os::Range range) {
    constexpr size_t kLargestPage = 4096;
    alignas(64) static const uint8_t zeroes[kLargestPage] = {};
    const size_t page = os::page_bytes();
    assert(page <= kLargestPage);
    for (uint64_t at = range.begin; at < range.end; at += page) {
      uint8_t* here = base + at;
      const uint8_t* wanted = at < contents.size() ? contents.data() + at : zeroes;
      if (std::memcmp(here, wanted, page) != 0) {
        std::memcpy(here, wanted, page);
        restored_bytes += page;
      } else if (own) {
        volatile uint8_t* byte = here;
        *byte = *byte;
      }
    }
  }
};

/// Restores the pages that the system says were written. Returns the bytes of these; nullopt if it does not say it, or
/// they are more than may be kept.
std::optional<uint64_t> restore_written(const Slot& slot, PageCopier& copier) {
  constexpr size_t kRanges = 64;
  os::Range ranges[kRanges];
  const auto search = slot.accessible_bytes > SlotPool::kMostEntriesBytes ? os::Search::scan : os::Search::any;
  uint64_t resident = 0;
  for (uint64_t at = 0; at < slot.accessible_bytes;) {
    const auto found = os::find_written(slot.base + at, slot.accessible_bytes - at, ranges, search);
    if (!found) return std::nullopt;
    const auto written = std::span(ranges).first(found->ranges);
    for (const os::Range& range : written) resident += range.end - range.begin;
    if (resident > SlotPool::kMostResidentBytes) return std::nullopt;
    for (const os::Range& range : written) copier.restore({at + range.begin, at + range.end});
    at += found->end;
  }
  return resident;
}

/// Copies back what differs from the contents, by comparing or by scanning, and adds it to `restored_bytes`. Returns
/// false if all is to be discarded.
bool restore(const SlotContents& contents, Slot& slot, Cleaning by, uint64_t& restored_bytes) {
  const auto view = contents.view();
  if (!view) return false;
  // A slot that is used for the second time will be used often.
  PageCopier copier{*view, slot.base, by == Cleaning::compare && ++slot.comparisons == 2};
  std::optional<uint64_t> resident = slot.accessible_bytes;
  if (by == Cleaning::compare)
    copier.restore({0, slot.accessible_bytes});
  else
    resident = restore_written(slot, copier);
  restored_bytes += copier.restored_bytes;
  if (!resident) return false;
  slot.resident_bytes = *resident;
  const bool idle = *resident > SlotPool::kFewResidentBytes && copier.restored_bytes < *resident / 4;
  slot.idle_cleanings = idle ? slot.idle_cleanings + 1 : 0;
  return slot.idle_cleanings < SlotPool::kMostIdleCleanings;
}

}  // namespace

SlotContents::SlotContents() : slots_(std::make_unique<SlotPool>()) {}
SlotContents::~SlotContents() = default;

CopiedContents::CopiedContents(std::vector<uint8_t> bytes) : size_bytes_(bytes.size()), pages_(std::move(bytes)) {
  pages_.resize(os::round_up_to_page(size_bytes_));
}

Result<void> CopiedContents::place(uint8_t* base, uint64_t accessible_bytes) const {
  assert(pages_.size() <= accessible_bytes);
  ROTOR_CHECK(os::commit(base, accessible_bytes));
  replace(base);
  return {};
}

void CopiedContents::replace(uint8_t* base) const {
  if (!pages_.empty()) std::memcpy(base, pages_.data(), pages_.size());
}

SlotPool::~SlotPool() {
  if (listed_.load(std::memory_order_relaxed)) {
    ForkPass pass;
    std::lock_guard lock(g_pools.mutex);
    (previous_ ? previous_->next_ : g_pools.first) = next_;
    if (next_) next_->previous_ = previous_;
  }
  for (const Slot& slot : release_kept()) release(slot);
}

std::vector<Slot> SlotPool::release_kept() {
  ForkPass pass;
  std::lock_guard lock(mutex_);
  forget_kept(slots_);
  return std::exchange(slots_, {});
}

void SlotPool::enlist() {
  if (listed_.load(std::memory_order_acquire)) return;
  ForkPass pass;
  std::lock_guard lock(g_pools.mutex);
  if (listed_.load(std::memory_order_relaxed)) return;
  next_ = std::exchange(g_pools.first, this);
  if (next_) next_->previous_ = this;
  listed_.store(true, std::memory_order_release);
  os::set_reclaim(release_all);
}

bool SlotPool::release_all() {
  // A thread that holds a lock which a fork waits for may have asked.
  if (!ForkPass::try_take()) return false;
  std::vector<Slot> released;
  {
    std::lock_guard lock(g_pools.mutex);
    for (SlotPool* pool = g_pools.first; pool; pool = pool->next_) {
      std::vector<Slot> slots = pool->release_kept();
      released.insert(released.end(), slots.begin(), slots.end());
    }
  }
  ForkPass::give_back();
  for (const Slot& slot : released) release(slot);
  return !released.empty();
}

MemorySlots SlotPool::counts() const {
  ForkPass pass;
  std::lock_guard lock(mutex_);
  MemorySlots counts = counts_;
  counts.kept = slots_.size();
  counts.resident_bytes = resident_bytes();
  return counts;
}

uint64_t SlotPool::resident_bytes() const {
  uint64_t bytes = 0;
  for (const Slot& slot : slots_) bytes += slot.resident_bytes;
  return bytes;
}

void SlotPool::force(Cleaning cleaning) { forced_.store(std::to_underlying(cleaning)); }

Result<void> SlotPool::keep(const SlotContents& contents, size_t count, uint64_t accessible_bytes,
                            uint64_t reserved_bytes) {
  enlist();
  kept_ready_.store(true, std::memory_order_relaxed);
  if (count > 0) contents.prepare();
  std::vector<Slot> over;
  size_t missing = 0;
  {
    ForkPass pass;
    std::lock_guard lock(mutex_);
    most_ = count;
    while (slots_.size() > most_) {
      over.push_back(slots_.back());
      slots_.pop_back();
    }
    forget_kept(over);
    missing = most_ - std::min(most_, slots_.size() + coming_);
    coming_ += missing;
  }
  for (const Slot& slot : over) release(slot);
  Result<void> made;
  for (; missing > 0; --missing) {
    auto slot = make_slot(contents, accessible_bytes, reserved_bytes);
    if (slot)
      contents.replace(slot->base);
    else
      made = std::unexpected(std::move(slot).error());
    add(slot.value_or(Slot{}));
  }
  return made;
}

void SlotPool::add(Slot slot) {
  {
    ForkPass pass;
    std::lock_guard lock(mutex_);
    --coming_;
    if (!slot.base) return;
    if (slots_.size() < most_) {  // else fewer slots are wanted by now
      slots_.push_back(slot);
      g_kept_mappings.fetch_add(slot.mappings, std::memory_order_relaxed);
      return;
    }
  }
  release(slot);
}

Result<Slot> SlotPool::take(const SlotContents& contents, uint64_t accessible_bytes, uint64_t reserved_bytes) {
  {
    ForkPass pass;
    std::lock_guard lock(mutex_);
    const Slot wanted{.reserved_bytes = reserved_bytes, .accessible_bytes = accessible_bytes};
    // The last one that was given is the likeliest to be in the caches.
    auto found = std::find_if(slots_.rbegin(), slots_.rend(), [&](const Slot& slot) { return slot.fits(wanted); });
    if (found != slots_.rend()) {
      Slot slot = *found;
      slots_.erase(std::next(found).base());
      ++counts_.reused;
      forget_kept({&slot, 1});
      return slot;
    }
    ++counts_.made;
  }
  return make_slot(contents, accessible_bytes, reserved_bytes);
}

/// What cleaning a slot did.
struct SlotPool::Cleaned {
  Cleaning by;
  uint64_t restored_bytes = 0;
};

Cleaning SlotPool::cleaning_for(const Slot& slot) const {
  if (const int forced = forced_.load(std::memory_order_relaxed); forced >= 0) return static_cast<Cleaning>(forced);
  return slot.accessible_bytes <= kCompareBytes ? Cleaning::compare : Cleaning::scan;
}

std::optional<SlotPool::Cleaned> SlotPool::clean(const SlotContents& contents, Slot& slot, uint64_t used_bytes) {
  // What the memory grew by becomes reservation again.
  if (used_bytes > slot.accessible_bytes &&
      !os::decommit(slot.base + slot.accessible_bytes, used_bytes - slot.accessible_bytes))
    return std::nullopt;
  Cleaned cleaned{cleaning_for(slot)};
  if (cleaned.by != Cleaning::discard && !restore(contents, slot, cleaned.by, cleaned.restored_bytes))
    cleaned.by = Cleaning::discard;
  if (cleaned.by != Cleaning::discard) {
    std::lock_guard lock(mutex_);
    if (resident_bytes() + slot.resident_bytes > kMostResidentBytes) cleaned.by = Cleaning::discard;
  }
  if (cleaned.by == Cleaning::discard && !discard_all(contents, slot, kept_ready_.load(std::memory_order_relaxed)))
    return std::nullopt;
  return cleaned;
}

bool SlotPool::make_room_for(const Slot& slot) {
  Slot older;
  {
    std::lock_guard lock(mutex_);
    if (slots_.size() + coming_ >= most_) {
      auto other = std::ranges::find_if(slots_, [&](const Slot& kept) { return !kept.fits(slot); });
      if (other == slots_.end()) return false;
      older = *other;
      slots_.erase(other);
      forget_kept({&older, 1});
    }
    ++coming_;
  }
  if (older.base) release(older);
  return true;
}

void SlotPool::give(const SlotContents& contents, Slot slot, uint64_t used_bytes, Use use) {
  ForkPass pass;  // one for all that follows
  // Whoever takes on an image may never ask for a slot of it.
  const bool may_be_wanted = (slot.of_pool || kept_ready_.load(std::memory_order_relaxed)) && has_room_for(slot);
  if (may_be_wanted) enlist();
  if (!may_be_wanted || !make_room_for(slot)) return release(slot);
  if (use == Use::untouched) return add(slot);
  if (const auto cleaned = clean(contents, slot, used_bytes)) {
    std::lock_guard lock(mutex_);
    ++(cleaned->by == Cleaning::compare ? counts_.compared
       : cleaned->by == Cleaning::scan  ? counts_.scanned
                                        : counts_.discarded);
    counts_.restored_bytes += cleaned->restored_bytes;
  } else {
    release(std::exchange(slot, {}));
  }
  add(slot);
}

}  // namespace rotor::memory
