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
    slot.release();
    return std::unexpected(std::move(placed).error());
  }
  return slot;
}

Result<Slot> make_slab_slot(const SlotContents& contents, uint64_t accessible_bytes, uint64_t reserved_bytes) {
  assert(!contents.image());
  ROTOR_TRY(const Slab::Part part, Slab::take(reserved_bytes));
  contents.replace(part.base);
  return Slot{.base = part.base,
              .slab = part.slab,
              .reserved_bytes = reserved_bytes,
              .accessible_bytes = accessible_bytes,
              .of_pool = true};
}

/// Finds the pages that are not what the contents say, and makes them so again.
struct PageCopier {
  std::span<const uint8_t> contents;
  uint8_t* base;
  bool copies = true;  ///< else it only finds them
  /// Whether to have a page of its own where there is none: the system lends one page of zeroes to all that were never
  /// written, and to compare with that at many addresses in turn takes the processor longer than with as many pages.
  bool own = false;
  bool notes = false;                  ///< whether somebody asks for what follows
  std::vector<os::Range> differ = {};  ///< the pages that differed
  std::vector<os::Range> owned = {};   ///< all that were looked at
  uint64_t restored_bytes = 0;

  void restore(os::Range range) {
    const size_t page = os::page_bytes();
    if (notes) append(owned, range);
    for (uint64_t at = range.begin; at < range.end; at += page) {
      uint8_t* here = base + at;
      const uint8_t* wanted = first_page(contents, at);
      if (std::memcmp(here, wanted, page) != 0) {
        if (copies) std::memcpy(here, wanted, page);
        if (notes) append(differ, {at, at + page});
        restored_bytes += page;
      } else if (own) {
        volatile uint8_t* byte = here;
        *byte = *byte;
      }
    }
  }
};

/// What was looked at of a slot: its first pages.
struct Looked {
  uint64_t written_bytes = 0;  ///< that the system says were written
  uint64_t end = 0;            ///< behind these
};
/// Has the copier see the pages that the system says were written, the first `most_bytes` of them. Returns nullopt if
/// the system does not say it.
std::optional<Looked> look_at_written(const Slot& slot, uint64_t most_bytes, PageCopier& copier) {
  const auto search = slot.accessible_bytes > SlotPool::kMostEntriesBytes ? os::Search::scan : os::Search::any;
  Looked looked{.end = slot.accessible_bytes};
  auto look = [&](os::Range range) {
    const uint64_t left = most_bytes - looked.written_bytes;
    const bool is_last = range.end - range.begin > left;
    if (is_last) looked.end = range.end = range.begin + left;
    copier.restore(range);
    looked.written_bytes += range.end - range.begin;
    return !is_last;
  };
  if (!visit_written(slot.base, {0, slot.accessible_bytes}, search, look)) return std::nullopt;
  return looked;
}

/// Returns whether somebody wants to know which pages the memories write.
bool is_learning(const SlotContents& contents) {
  return contents.written_pages() && contents.written_pages()->wanted();
}
/// Returns how far a memory of `used_bytes` has written behind what its slot had at first, as far as pages of that are
/// kept; calls `see` with each range of these. Returns 0 if the system does not say it.
template <class See>
uint64_t look_at_growth(const Slot& slot, uint64_t used_bytes, See see) {
  const uint64_t begin = slot.accessible_bytes;
  uint64_t end = begin;
  if (used_bytes <= begin || !os::finds_written_fast()) return 0;
  const os::Range most{begin, std::min(used_bytes, begin + SlotPool::kMostOwnedBytes)};
  const bool looked = visit_written(slot.base, most, os::Search::scan, [&](os::Range range) {
    see(range);
    end = range.end;
    return true;
  });
  return looked ? end - begin : 0;
}
/// Notes them for a slot that is given back to the system.
void learn_from(const SlotContents& contents, const Slot& slot, uint64_t used_bytes) {
  if (!is_learning(contents) || !os::finds_written_fast()) return;
  contents.written_pages()->note_grown(look_at_growth(slot, used_bytes, [](os::Range) {}));
  const auto view = contents.view();
  if (!view) return;
  PageCopier finder{.contents = *view, .base = slot.base, .copies = false, .notes = true};
  if (look_at_written(slot, SlotPool::kMostOwnedBytes, finder))
    contents.written_pages()->note(std::move(finder.differ), std::move(finder.owned));
}
/// Gives a slot pages of its own where they are, the first `most_bytes` of them.
void own_written(const SlotContents& contents, Slot& slot, uint64_t most_bytes) {
  if (!is_learning(contents)) return;
  const std::vector<os::Range> written = contents.written_pages()->ranges();
  if (written.empty()) return;
  (void)contents.view();  // whoever wants to know which of these pages were written after all finds it mapped
  for (os::Range range : written) {
    range.end = std::min({range.end, slot.accessible_bytes, range.begin + most_bytes - slot.resident_bytes});
    if (range.begin >= range.end) return;
    os::own_pages(slot.base + range.begin, range.end - range.begin);
    slot.resident_bytes += range.end - range.begin;
  }
}

/// Gives a slot pages of its own behind those that are accessible, where others grew. Returns false if the slot is of
/// no more use: what is accessible there could not be taken back.
bool own_growth(const SlotContents& contents, Slot& slot, uint64_t most_bytes) {
  if (!is_learning(contents)) return true;
  const uint64_t bytes = std::min({contents.written_pages()->grown_bytes(), SlotPool::kMostOwnedBytes, most_bytes,
                                   slot.reserved_bytes - slot.accessible_bytes});
  uint8_t* behind = slot.base + slot.accessible_bytes;
  if (bytes == 0 || !os::commit(behind, bytes)) return true;
  os::own_pages(behind, bytes);
  if (!os::deny(behind, bytes)) return os::decommit(behind, bytes).has_value();
  slot.grown_bytes = bytes;
  slot.resident_bytes += bytes;
  return true;
}

/// Puts the contents in place again where pages were given back (`ready`: with the page tables filled).
void replace_discarded(const SlotContents& contents, const Slot& slot, bool ready) {
  if (ready || !contents.image()) contents.replace(slot.base);
}

/// Gives all pages of a slot back, and puts its contents in place again. Returns false if that failed.
bool discard_all(const SlotContents& contents, Slot& slot, bool ready) {
  if (!os::discard(slot.base, slot.accessible_bytes)) return false;
  replace_discarded(contents, slot, ready);
  slot.resident_bytes = contents.image() ? 0 : os::round_up_to_page(contents.size_bytes());
  slot.idle_cleanings = 0;
  slot.comparisons = 0;
  return true;
}

/// Copies back what differs from the contents, by comparing or by scanning, and adds it to `restored_bytes`; of a slot
/// that is scanned, gives back what is more than `most_bytes`. Returns false if all is to be discarded.
bool restore(const SlotContents& contents, Slot& slot, Cleaning by, uint64_t most_bytes, bool ready,
             uint64_t& restored_bytes) {
  const auto view = contents.view();
  if (!view) return false;
  // A slot that is used for the second time will be used often.
  PageCopier copier{.contents = *view,
                    .base = slot.base,
                    .own = by == Cleaning::compare && ++slot.comparisons == 2,
                    .notes = is_learning(contents)};
  std::optional<Looked> looked = Looked{slot.accessible_bytes, slot.accessible_bytes};
  if (by == Cleaning::compare)
    copier.restore({0, slot.accessible_bytes});
  else
    looked = look_at_written(slot, most_bytes, copier);
  restored_bytes += copier.restored_bytes;
  if (!looked) return false;
  if (looked->end < slot.accessible_bytes) {
    if (!os::discard(slot.base + looked->end, slot.accessible_bytes - looked->end)) return false;
    replace_discarded(contents, slot, ready);
  }
  slot.resident_bytes = looked->written_bytes;
  if (copier.notes) {
    if (by == Cleaning::compare) copier.owned = copier.differ;
    contents.written_pages()->note(std::move(copier.differ), std::move(copier.owned));
  }
  const bool idle =
      slot.resident_bytes > SlotPool::kFewResidentBytes && copier.restored_bytes < slot.resident_bytes / 4;
  slot.idle_cleanings = idle ? slot.idle_cleanings + 1 : 0;
  return slot.idle_cleanings < SlotPool::kMostIdleCleanings;
}

}  // namespace

void Slot::release() const {
  if (slab)
    Slab::give_back({base, slab});
  else
    os::release(base, reserved_bytes, mappings);
}

SlotContents::SlotContents() : SlotContents(nullptr) {}
SlotContents::SlotContents(std::shared_ptr<WrittenPages> written_pages)
    : slots_(std::make_unique<SlotPool>()), written_pages_(std::move(written_pages)) {}
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
  for (const Slot& slot : release_kept()) slot.release();
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
  for (const Slot& slot : released) slot.release();
  ForkPass::give_back();
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

uint64_t SlotPool::room_bytes() const {
  std::lock_guard lock(mutex_);
  return kMostResidentBytes - std::min(kMostResidentBytes, resident_bytes());
}

void SlotPool::force(Cleaning cleaning) { forced_.store(std::to_underlying(cleaning)); }

Result<void> SlotPool::keep(const SlotContents& contents, size_t count, uint64_t accessible_bytes,
                            uint64_t reserved_bytes) {
  enlist();
  kept_ready_.store(true, std::memory_order_relaxed);
  if (count > 0) contents.prepare();
  if (count > 0 && contents.written_pages()) contents.written_pages()->want();
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
  for (const Slot& slot : over) slot.release();
  Result<void> made;
  for (; missing > 0; --missing) {
    auto slot = make_slot(contents, accessible_bytes, reserved_bytes);
    if (slot) {
      own_written(contents, *slot, std::min(kMostOwnedBytes, room_bytes()));
      contents.replace(slot->base);
      const uint64_t room = room_bytes();
      if (!own_growth(contents, *slot, room - std::min(room, slot->resident_bytes))) {
        std::exchange(*slot, Slot{}).release();
        made = fail(ErrorKind::io, "the system does not take memory back");
      }
    } else {
      made = std::unexpected(std::move(slot).error());
    }
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
  slot.release();
}

Result<Slot> SlotPool::take(const SlotContents& contents, uint64_t accessible_bytes, uint64_t reserved_bytes,
                            Place place) {
  {
    ForkPass pass;
    std::lock_guard lock(mutex_);
    const Slot wanted{.reserved_bytes = reserved_bytes, .accessible_bytes = accessible_bytes};
    // The last one that was given is the likeliest to be in the caches.
    auto found = std::find_if(slots_.rbegin(), slots_.rend(), [&](const Slot& slot) { return slot.fits(wanted); });
    if (found != slots_.rend()) {
      Slot slot = *found;
      assert((slot.slab != nullptr) == (place == Place::slab));
      slots_.erase(std::next(found).base());
      ++counts_.reused;
      forget_kept({&slot, 1});
      return slot;
    }
    ++counts_.made;
    if (place == Place::slab) ++counts_.made_on_slabs;
  }
  return place == Place::slab ? make_slab_slot(contents, accessible_bytes, reserved_bytes)
                              : make_slot(contents, accessible_bytes, reserved_bytes);
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

bool SlotPool::take_back_growth(const SlotContents& contents, Slot& slot, uint64_t used_bytes, bool keeps) const {
  const uint64_t begin = slot.accessible_bytes, end = std::max(used_bytes, begin + slot.grown_bytes);
  uint64_t written_bytes = 0, kept_bytes = 0;
  if (keeps && !slot.slab && is_learning(contents) && room_bytes() >= slot.resident_bytes + kMostOwnedBytes)
    kept_bytes = look_at_growth(slot, used_bytes, [&](os::Range range) {
      std::memset(slot.base + range.begin, 0, range.end - range.begin);
      written_bytes += range.end - range.begin;
    });
  if (is_learning(contents)) contents.written_pages()->note_grown(kept_bytes);
  slot.grown_bytes = kept_bytes;
  slot.resident_bytes += kept_bytes ? written_bytes : 0;
  if (kept_bytes && !os::deny(slot.base + begin, kept_bytes)) return false;
  // The rest becomes reservation again; in a slab, where all is accessible, zero.
  const uint64_t rest = begin + kept_bytes;
  const auto take_away = slot.slab ? os::discard : os::decommit;
  return rest >= end || take_away(slot.base + rest, end - rest).has_value();
}

std::optional<SlotPool::Cleaned> SlotPool::clean(const SlotContents& contents, Slot& slot, uint64_t used_bytes) {
  Cleaned cleaned{cleaning_for(slot)};
  const bool ready = kept_ready_.load(std::memory_order_relaxed);
  const uint64_t most_bytes = room_bytes();
  if (cleaned.by == Cleaning::scan && most_bytes == 0) cleaned.by = Cleaning::discard;
  if (cleaned.by != Cleaning::discard &&
      !restore(contents, slot, cleaned.by, most_bytes, ready, cleaned.restored_bytes))
    cleaned.by = Cleaning::discard;
  if (cleaned.by != Cleaning::discard) {
    std::lock_guard lock(mutex_);
    if (resident_bytes() + slot.resident_bytes > kMostResidentBytes) cleaned.by = Cleaning::discard;
  }
  if (cleaned.by == Cleaning::discard && !discard_all(contents, slot, ready)) return std::nullopt;
  if (!take_back_growth(contents, slot, used_bytes, cleaned.by == Cleaning::scan)) return std::nullopt;
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
  if (older.base) older.release();
  return true;
}

void SlotPool::give(const SlotContents& contents, Slot slot, uint64_t used_bytes, Use use) {
  ForkPass pass;  // one for all that follows
  // Whoever takes on an image may never ask for a slot of it.
  const bool may_be_wanted = (slot.of_pool || kept_ready_.load(std::memory_order_relaxed)) && has_room_for(slot);
  if (may_be_wanted) enlist();
  if (!may_be_wanted || !make_room_for(slot)) {
    learn_from(contents, slot, used_bytes);
    return slot.release();
  }
  if (use == Use::untouched) {
    assert(used_bytes == slot.accessible_bytes);
    add(slot);
    std::lock_guard lock(mutex_);
    ++counts_.untouched;
    return;
  }
  if (const auto cleaned = clean(contents, slot, used_bytes)) {
    std::lock_guard lock(mutex_);
    ++(cleaned->by == Cleaning::compare ? counts_.compared
       : cleaned->by == Cleaning::scan  ? counts_.scanned
                                        : counts_.discarded);
    counts_.restored_bytes += cleaned->restored_bytes;
  } else {
    std::exchange(slot, {}).release();
  }
  add(slot);
}

}  // namespace rotor::memory
