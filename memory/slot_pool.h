// Slots: address space that is ready to be a new memory: reserved, with its first contents in place. A memory that is
// dropped leaves its slot to the next one with the same contents, made clean.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "memory/os.h"
#include "memory/slab.h"
#include "memory/written_pages.h"
#include "rotor/memory_slots.h"
#include "rotor/result.h"

namespace rotor::memory {

class Image;
class SlotPool;

/// What a new memory holds: some bytes, and zeroes behind them. Immutable; shared by the memories and slots that begin
/// with it.
class SlotContents {
 public:
  SlotContents();
  SlotContents(const SlotContents&) = delete;
  virtual ~SlotContents();

  /// Returns the bytes that a memory with these contents has at least.
  virtual uint64_t size_bytes() const = 0;
  /// Returns the image that these are; nullptr if they are copied.
  virtual const Image* image() const { return nullptr; }
  /// Puts the contents at the low end of a reservation, whose first `accessible_bytes` are accessible then (whole pages
  /// of the system, and no fewer than the contents). Errors: those of os::map_private.
  virtual Result<void> place(uint8_t* base, uint64_t accessible_bytes) const = 0;
  /// Returns the contents, in whole pages of the system; behind them are zeroes. They live as long as this. Errors: io.
  virtual Result<std::span<const uint8_t>> view() const = 0;
  /// Puts the contents in place again where they were placed, and what was written has been discarded: copies them, or
  /// fills the page tables.
  virtual void replace(uint8_t* base) const = 0;
  /// Makes them faster to read where they are placed for the first time, at a cost; the first time only.
  virtual void prepare() const {}

  /// The mappings that a memory's reservation can be divided into: an image, what is accessible behind it, and the rest
  /// (os::reserve).
  static constexpr uint32_t kMappings = 3;
  /// Returns that number for a memory with these contents; it is more where several files make an image.
  virtual uint32_t mappings() const { return kMappings; }

  /// Returns the slots that are kept ready for the next memories.
  SlotPool& slots() const { return *slots_; }
  /// Returns what is known of the pages that memories with these contents write; null: nobody asks.
  const std::shared_ptr<WrittenPages>& written_pages() const { return written_pages_; }

 protected:
  explicit SlotContents(std::shared_ptr<WrittenPages> written_pages);

 private:
  std::unique_ptr<SlotPool> slots_;
  std::shared_ptr<WrittenPages> written_pages_;
};

/// Contents that are copied into a memory.
class CopiedContents final : public SlotContents {
 public:
  /// Takes over the bytes.
  explicit CopiedContents(std::vector<uint8_t> bytes);
  uint64_t size_bytes() const override { return size_bytes_; }
  Result<void> place(uint8_t* base, uint64_t accessible_bytes) const override;
  Result<std::span<const uint8_t>> view() const override { return std::span<const uint8_t>(pages_); }
  void replace(uint8_t* base) const override;

 private:
  uint64_t size_bytes_;
  std::vector<uint8_t> pages_;
};

/// How a slot was made clean.
enum class Cleaning : uint8_t {
  compare,  ///< every page was compared with the contents, and copied back if it differed
  scan,     ///< the same for the pages that the system says were written (os::find_written)
  discard,  ///< what was written was given back to the system
};

/// Where a slot's address space is.
enum class Place : uint8_t {
  reservation,  ///< of its own, behind whose accessible part every byte faults
  slab          ///< a part of a slab, all of which is accessible; for contents that are copied
};

/// Address space for one memory. Whoever has it gives it to a pool or releases it.
struct Slot {
  uint8_t* base = nullptr;  ///< null: no slot
  Slab* slab = nullptr;     ///< that it is a part of; null: it is a reservation
  uint64_t reserved_bytes = 0;
  uint64_t accessible_bytes = 0;  ///< of a new memory, in whole pages of the system
  uint32_t mappings = 0;          ///< that it was counted with
  uint64_t grown_bytes = 0;       ///< zeroes that are ready behind these, without access, for a memory that grows
  uint64_t resident_bytes = 0;    ///< pages of its own that it keeps, at most
  uint32_t idle_cleanings = 0;    ///< in a row, that found most of those pages unchanged
  uint32_t comparisons = 0;       ///< cleanings by comparison since it was made or discarded
  bool of_pool = false;           ///< whether a pool made it, not a memory that took on an image later

  /// Gives it back to its slab or to the system.
  void release() const;
  /// Returns whether a memory may have the one in place of the other.
  bool fits(const Slot& other) const {
    return accessible_bytes == other.accessible_bytes && reserved_bytes == other.reserved_bytes;
  }
};

/// The slots of one SlotContents. Thread-safe.
///
/// Cleaning. A page that a memory wrote costs 2 to 4 us to fault in again, and 0.1 to 0.2 us to copy back. So slots
/// keep their pages, up to kMostResidentBytes of a pool together, and only those are copied that differ from the
/// contents. Which ones can differ a memory of up to kCompareBytes finds out by comparing all, with no call of the
/// system; a larger one asks the system, and what lies behind the first pages that may be kept is discarded: guests'
/// heaps grow upwards, so those that each one writes first lie low. If the system can't tell fast, all is discarded. A
/// slot that is used again so has the pages that its users write, and the next one finds no faults there. Once `keep`
/// was called the page tables are filled, too, and a new slot has the pages of its own that others wrote
/// (WrittenPages); of what the last memory grew by and wrote, the first kMostOwnedBytes stay, as zeroes.
class SlotPool {
 public:
  /// Slots that are kept unless `keep` says otherwise.
  static constexpr size_t kMostKept = 16;
  /// A memory of at most this size is compared, a larger one scanned.
  static constexpr uint64_t kCompareBytes = uint64_t{64} << 10;
  /// The pages that a new slot gets of its own where others wrote, at most: what a memory writes first lies lowest, and
  /// what it writes later it may as well fault in itself.
  static constexpr uint64_t kMostOwnedBytes = uint64_t{1} << 20;
  /// What the slots of a pool keep resident, at most.
  static constexpr uint64_t kMostResidentBytes = uint64_t{16} << 20;
  /// The largest memory whose pages are asked for one by one, where the system has no call that finds them.
  static constexpr uint64_t kMostEntriesBytes = uint64_t{1} << 20;
  /// After so many cleanings in a row that found less than a quarter of the resident pages changed, all is discarded: a
  /// memory that once wrote much doesn't make those after it pay for ever.
  static constexpr uint32_t kMostIdleCleanings = 16;
  /// Fewer pages than this are never discarded for that.
  static constexpr uint64_t kFewResidentBytes = uint64_t{128} << 10;

  SlotPool() = default;
  SlotPool(const SlotPool&) = delete;
  ~SlotPool();

  /// Keeps `count` slots from now on, no more and no fewer, and makes those that are missing, with the pages ready that
  /// memories write. Errors: io (there are fewer).
  Result<void> keep(const SlotContents& contents, size_t count, uint64_t accessible_bytes, uint64_t reserved_bytes);
  /// Returns a slot, which is the caller's from then on: a kept one, or a new one. Pre: slots of one pool are all in
  /// one kind of place. Errors: io, limit.
  Result<Slot> take(const SlotContents& contents, uint64_t accessible_bytes, uint64_t reserved_bytes,
                    Place place = Place::reservation);
  /// What may have been done to a slot.
  enum class Use : uint8_t {
    written,   ///< anything
    untouched  ///< nothing since it was taken
  };
  /// Takes over a slot, of which the first `used_bytes` are accessible (whole pages of the system). Post: nothing that
  /// was written there is left. What is not kept is given back to the system: if there are as many as may be kept, an
  /// older one of another size, or this one.
  void give(const SlotContents& contents, Slot slot, uint64_t used_bytes, Use use = Use::written);
  /// Returns what became of the slots until now.
  MemorySlots counts() const;

  /// Makes slots clean in this way only, whatever their size; for tests.
  void force(Cleaning cleaning);
  /// Gives all slots of the process that nobody uses back to the system. Returns whether there were any.
  static bool release_all();

 private:
  struct Cleaned;
  /// Ends the making of a slot (`coming_`), which has a base unless that failed.
  void add(Slot slot);
  /// Counts one more slot as coming, and gives an older one of another size back for it where there are as many as may
  /// be. Returns false if there is no room.
  bool make_room_for(const Slot& slot);
  Cleaning cleaning_for(const Slot& slot) const;
  /// Makes reservation again of what a memory grew by, but for zeroes that are kept for the next one if `keeps`.
  /// Returns false if that failed.
  bool take_back_growth(const SlotContents& contents, Slot& slot, uint64_t used_bytes, bool keeps) const;
  /// Makes a slot clean. Returns nullopt if that failed, and it is of no more use.
  std::optional<Cleaned> clean(const SlotContents& contents, Slot& slot, uint64_t used_bytes);
  /// Returns what the kept slots keep resident, at most. Pre: mutex_ is held.
  uint64_t resident_bytes() const;
  /// Returns what one more slot may keep resident.
  uint64_t room_bytes() const;
  std::vector<Slot> release_kept();
  void enlist();

  mutable std::mutex mutex_;
  size_t most_ = kMostKept;
  std::atomic<bool> kept_ready_{false};  ///< `keep` was called
  size_t coming_ = 0;                    ///< being made or cleaned
  std::vector<Slot> slots_;
  MemorySlots counts_;  ///< without `kept` and `resident_bytes`, which the slots say
  std::atomic<int> forced_{-1};

  // Guarded by the mutex of the list of pools.
  std::atomic<bool> listed_{false};
  SlotPool* next_ = nullptr;
  SlotPool* previous_ = nullptr;
};

}  // namespace rotor::memory
